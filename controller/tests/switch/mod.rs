//! A real Open vSwitch with the dummy datapath: it needs neither root nor namespaces.

#![allow(dead_code, missing_docs, unreachable_pub)] // Each test file uses its own part of this.
#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::process::{Child, Command, Stdio};

use flowlib::types::DatapathId;
use tempfile::TempDir;

pub const DATAPATH: DatapathId = DatapathId(0xabc);

/// ovsdb-server and ovs-vswitchd in a directory of their own; they end with it.
pub struct Switch {
    pub dir: TempDir,
    daemons: Vec<Child>,
}

impl Switch {
    /// With a bridge `br0` that connects to the controller.
    pub fn start(controller: &str) -> Option<Self> {
        Self::start_as(controller, DATAPATH)
    }

    /// As `start`, with that datapath id.
    pub fn start_as(controller: &str, datapath: DatapathId) -> Option<Self> {
        if Command::new("ovs-vswitchd").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("Open vSwitch is not installed: nothing is tried");
            return None;
        }
        let mut switch = Self { dir: tempfile::tempdir().unwrap(), daemons: Vec::new() };
        let database = format!("unix:{}", switch.dir.path().join("db.sock").display());
        switch.run("ovsdb-tool", "create conf.db /usr/share/openvswitch/vswitch.ovsschema");
        switch.spawn("ovsdb-server", "conf.db --remote=punix:db.sock --unixctl=db.ctl");
        switch.spawn("ovs-vswitchd", &format!("{database} --enable-dummy --disable-system --unixctl=vs.ctl"));
        let bridge = "-- set bridge br0 datapath_type=dummy fail_mode=secure protocols=OpenFlow13";
        switch.run(
            "ovs-vsctl",
            &format!(
                "--db={database} --retry --timeout=20 add-br br0 {bridge} other-config:disable-in-band=true \
                 other-config:datapath-id={datapath} -- set-controller br0 {controller}"
            ),
        );
        Some(switch)
    }

    fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.dir.path());
        command.env("OVS_RUNDIR", self.dir.path());
        command
    }

    fn spawn(&mut self, program: &str, arguments: &str) {
        let mut command = self.command(program, arguments);
        self.daemons.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    pub fn run(&self, program: &str, arguments: &str) -> String {
        let out = self.command(program, arguments).output().unwrap();
        assert!(out.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    pub fn ofctl(&self, arguments: &str) -> String {
        self.run("ovs-ofctl", &format!("-O OpenFlow13 {arguments}"))
    }

    pub fn vsctl(&self, arguments: &str) -> String {
        self.run("ovs-vsctl", &format!("--db=unix:db.sock --timeout=20 {arguments}"))
    }

    pub fn flows(&self) -> String {
        self.ofctl("--no-stats dump-flows br0")
    }

    /// Its flows, sorted.
    pub fn sorted_flows(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.flows().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}
