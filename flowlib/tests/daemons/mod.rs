//! The daemons of a real Open vSwitch with the dummy datapath, which needs neither root nor namespaces.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// ovsdb-server and ovs-vswitchd in a directory of their own; they end with it.
pub(crate) struct Daemons {
    dir: TempDir,
    children: Vec<Child>,
}

impl Daemons {
    /// Starts them. Where Open vSwitch is not installed, says so.
    pub(crate) fn start() -> Option<Self> {
        let is_installed = |name: &str| {
            let status = Command::new(name).arg("--version").stdout(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if !["ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"].into_iter().all(is_installed) {
            eprintln!("Open vSwitch is not installed: not compared with it");
            return None;
        }
        let mut daemons = Self { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        daemons.run("ovsdb-tool", &["create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema"]);
        daemons.spawn("ovsdb-server", &["conf.db", "--remote=punix:db.sock", "--unixctl=db.ctl"]);
        let database = daemons.database();
        daemons.spawn("ovs-vswitchd", &[&database, "--enable-dummy", "--disable-system", "--unixctl=vs.ctl"]);
        Some(daemons)
    }

    fn database(&self) -> String {
        format!("unix:{}", self.path("db.sock"))
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program, arguments);
        self.children.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// A path in their directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// A command that runs in their directory.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env("OVS_RUNDIR", self.dir.path());
        command
    }

    /// What a command prints, which must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let out = self.command(program, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs ovs-vsctl, as soon as the database answers.
    pub(crate) fn vsctl(&self, words: &str) {
        let db = format!("--db={}", self.database());
        let first = [db.as_str(), "--retry", "--timeout=20"];
        let arguments: Vec<&str> = first.into_iter().chain(words.split_whitespace()).collect();
        self.run("ovs-vsctl", &arguments);
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
