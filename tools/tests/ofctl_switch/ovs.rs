//! A real Open vSwitch with the dummy datapath, which needs neither root nor namespaces.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// ovsdb-server and ovs-vswitchd in a directory of their own; they end with it.
pub(crate) struct Switch {
    dir: TempDir,
    daemons: Vec<Child>,
}

impl Switch {
    /// Starts it with the bridge br0 and its ports p1 and p2. Where Open vSwitch is not installed, says so.
    pub(crate) fn start() -> Option<Self> {
        let is_installed = |name: &str| {
            let status = Command::new(name).arg("--version").stdout(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if !["ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"].into_iter().all(is_installed) {
            eprintln!("Open vSwitch is not installed: ofctl is not compared with it");
            return None;
        }
        let mut switch = Self { dir: tempfile::tempdir().unwrap(), daemons: Vec::new() };
        switch.run("ovsdb-tool", &["create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema"]);
        switch.spawn("ovsdb-server", &["conf.db", "--remote=punix:db.sock", "--unixctl=db.ctl"]);
        let database = format!("unix:{}", switch.path("db.sock"));
        switch.spawn("ovs-vswitchd", &[&database, "--enable-dummy", "--disable-system", "--unixctl=vs.ctl"]);
        let words = "--retry --timeout=20 add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure \
                     -- add-port br0 p1 -- set interface p1 type=dummy ofport_request=1 \
                     -- add-port br0 p2 -- set interface p2 type=dummy ofport_request=2";
        switch.vsctl(words);
        Some(switch)
    }

    /// Runs ovs-vsctl.
    pub(crate) fn vsctl(&self, words: &str) -> String {
        let db = format!("--db=unix:{}", self.path("db.sock"));
        let arguments: Vec<&str> = [db.as_str()].into_iter().chain(words.split_whitespace()).collect();
        self.run("ovs-vsctl", &arguments)
    }

    /// A path in its directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Writes a file into its directory, where commands run.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A command that runs in its directory.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env("OVS_RUNDIR", self.dir.path());
        command
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program, arguments);
        self.daemons.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// What a command prints, which must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let out = self.command(program, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// What our ofctl prints, which must succeed.
    pub(crate) fn ofctl(&self, arguments: &[&str]) -> String {
        self.run(OURS, arguments)
    }

    /// What ovs-ofctl prints, which must succeed.
    pub(crate) fn ovs_ofctl(&self, arguments: &[&str]) -> String {
        self.run("ovs-ofctl", &[&["-O", "OpenFlow13"], arguments].concat())
    }

    /// A command of either tool.
    pub(crate) fn tool(&self, tool: Tool, words: &[&str]) -> Command {
        match tool {
            Tool::Ours => self.command(OURS, words),
            Tool::Theirs => self.command("ovs-ofctl", &[&["-O", "OpenFlow13"], words].concat()),
        }
    }

    /// What becomes of a command line (words with white space in single quotes) with that standard input.
    pub(crate) fn outcome(&self, tool: Tool, line: &str, input: &str) -> Output {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.tool(tool, &words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input is right too.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        child.wait_with_output().unwrap()
    }
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool {
    Ours,
    Theirs,
}

const OURS: &str = env!("CARGO_BIN_EXE_ofctl");

/// The words of a line; one with white space stands in single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}
