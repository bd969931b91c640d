//! `ofctl` against a real Open vSwitch with the dummy datapath, which needs neither root nor namespaces. Where
//! Open vSwitch is not installed, the test says so and passes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flowlib::text::{format_instructions, format_match, parse_flow};
use tempfile::TempDir;

/// Flows that every codec test uses.
const FLOWS: &str = include_str!("../../flowlib/tests/flows.txt");

/// Needs a meter or group, a datapath that this one is not, or is refused beside the others.
const NOT_HERE: &[&str] =
    &["meter", "group", "recirc_id", "dp_hash", "conjunction", "pause", "tun_flags", "check_overlap"];

/// ovsdb-server and ovs-vswitchd in a directory of their own; they end with it.
struct Switch {
    dir: TempDir,
    daemons: Vec<Child>,
}

impl Switch {
    fn start() -> Option<Self> {
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
        let add = "--retry --timeout=20 add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure";
        let port = "-- add-port br0 p1 -- set interface p1 type=dummy ofport_request=1";
        let db = format!("--db={database}");
        let arguments: Vec<&str> =
            [db.as_str()].into_iter().chain(add.split(' ')).chain(port.split(' ')).collect();
        switch.run("ovs-vsctl", &arguments);
        Some(switch)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env("OVS_RUNDIR", self.dir.path());
        command
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program, arguments);
        self.daemons.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let out = self.command(program, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn ofctl(&self, arguments: &[&str]) -> String {
        self.run(env!("CARGO_BIN_EXE_ofctl"), arguments)
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

/// Lines without what changes from one moment to the next.
fn steady(text: &str) -> BTreeSet<String> {
    let without = |line: &str| {
        let words: Vec<_> = line.split(' ').filter(|word| !word.starts_with("duration=")).collect();
        words.join(" ").replace(" (xid=0x2)", "").replace(" (xid=0x4)", "")
    };
    text.lines().map(without).filter(|line| !line.starts_with("OFPST_FLOW")).collect()
}

#[test]
fn prints_what_ovs_ofctl_prints_and_what_was_wanted() {
    let Some(switch) = Switch::start() else { return };
    let is_for_here = |line: &&str| {
        !line.starts_with('#') && !line.is_empty() && !NOT_HERE.iter().any(|word| line.contains(word))
    };
    let lines: Vec<&str> = FLOWS.lines().filter(is_for_here).collect();
    fs::write(Path::new(&switch.path("flows")), lines.join("\n")).unwrap();
    switch.run("ovs-ofctl", &["-O", "OpenFlow13", "add-flows", "br0", "flows"]);

    for command in ["dump-flows", "dump-ports-desc", "dump-ports", "dump-tables"] {
        let theirs = switch.run("ovs-ofctl", &["-O", "OpenFlow13", command, "br0"]);
        assert_eq!(steady(&switch.ofctl(&[command, "br0"])), steady(&theirs), "{command}");
    }

    let dump: serde_json::Value =
        serde_json::from_str(&switch.ofctl(&["dump-flows", "br0", "--output", "json"])).unwrap();
    let found: BTreeSet<_> = dump
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| [flow["match"].as_str().unwrap(), flow["actions"].as_str().unwrap()].map(str::to_owned))
        .collect();
    let wanted: BTreeSet<_> = lines
        .iter()
        .map(|line| parse_flow(line).unwrap())
        .map(|flow| [format_match(&flow.flow_match), format_instructions(&flow.instructions)])
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn filters_flows_and_names_tables() {
    let Some(switch) = Switch::start() else { return };
    let flow = "table=63,cookie=0x700000001,priority=1,reg7=1,actions=drop";
    switch.run("ovs-ofctl", &["-O", "OpenFlow13", "add-flow", "br0", flow]);
    let socket = format!("unix:{}", switch.path("br0.mgmt"));
    let filter = "table=63,cookie=0x700000000/0xffffffff00000000";
    let named = switch.ofctl(&["dump-flows", &socket, filter, "--names", "--no-stats"]);
    assert_eq!(named, " cookie=0x700000001, table=drop, priority=1,reg7=0x1 actions=drop # unknown-origin\n");
    assert_eq!(switch.ofctl(&["dump-flows", &socket, "cookie=0x8/-1"]), "");
    assert!(switch.ofctl(&["show", &socket]).contains("1(p1)"));
}
