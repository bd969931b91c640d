//! The lab itself on a real machine: it works, and whatever happens to it nothing is left behind.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use labs::capture::{Capture, Direction, send};
use labs::ping::Ping;
use labs::protocol::Phase;
use labs::topology::Name;
use labs::{Daemon, Lab, Topology, wait_until};

/// A switch, two hosts on VLAN 100 and a node's Open vSwitch, under a name of its own.
struct Site {
    name: String,
    topology: Topology,
    folder: tempfile::TempDir,
    before: BTreeSet<String>,
    settings: Option<Vec<String>>,
}

impl Site {
    /// Nothing, if a lab cannot be built here.
    fn new(letter: char) -> Option<Site> {
        if let Err(e) = Lab::possible() {
            eprintln!("not run: {e:#}");
            return None;
        }
        let name = format!("lab-{letter}{}", std::process::id());
        let mut topology = Topology::parse(TOPOLOGY).unwrap();
        topology.name = Some(Name::new(&name).unwrap());
        let before = traces(&name);
        Some(Site { name, topology, folder: tempfile::tempdir().unwrap(), before, settings: settings() })
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    fn up(&self) -> Lab {
        Lab::up(&self.topology, &self.dir()).unwrap()
    }

    /// The command `weir-lab up` for this lab.
    fn up_command(&self) -> Command {
        let file = self.folder.path().join("topology.toml");
        fs::write(&file, TOPOLOGY).unwrap();
        let mut command = Command::new(WEIR_LAB);
        command.arg("up").arg(file).arg("--dir").arg(self.dir()).args(["--name", &self.name]);
        command
    }

    fn assert_nothing_left(&self) {
        let left: Vec<String> = traces(&self.name).difference(&self.before).cloned().collect();
        assert!(left.is_empty(), "left behind: {left:#?}");
        assert!(!self.dir().exists(), "{} is still there", self.dir().display());
        if let (Some(before), Some(after)) = (&self.settings, settings()) {
            assert_eq!(before, &after);
        }
    }
}

/// The kernel's settings that labs raise, unless some lab is up.
fn settings() -> Option<Vec<String>> {
    let no_lab = || !Path::new("/run/weir-lab").exists();
    let read = |n| fs::read_to_string(format!("/proc/sys/net/ipv4/neigh/default/gc_thresh{n}")).unwrap();
    let values = no_lab().then(|| (1..=3).map(read).collect());
    values.filter(|_| no_lab())
}

/// Everything on this machine that bears a lab's name: namespaces, links, mounts, processes.
fn traces(name: &str) -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    traces.extend(
        namespaces.map(|e| format!("namespace {}", e.file_name().display())).filter(|l| l.contains(name)),
    );
    let links = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let machines = ["left", "right", "box", "switch"];
    traces.extend(
        links
            .map(|e| format!("link {}", e.file_name().display()))
            .filter(|link| machines.iter().any(|machine| link.contains(machine))),
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    traces.extend(mounts.lines().filter(|l| l.contains(name)).map(|l| format!("mount {l}")));
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file| {
            String::from_utf8_lossy(&fs::read(process.path().join(file)).unwrap_or_default()).into_owned()
        };
        let command = read("cmdline");
        if command.contains(name) || read("mountinfo").contains(&format!("weir-lab:{name}")) {
            traces.insert(format!(
                "process {} {}",
                process.file_name().display(),
                command.replace('\0', " ")
            ));
        }
    }
    traces
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_lab_comes_up_works_and_leaves_nothing_behind() {
    let Some(site) = Site::new('a') else { return };
    let lab = site.up();
    lab.exec("left", ["ping", "-c", "2", "-i", "0.1", "-W", "2", "10.0.0.2"]).unwrap();
    lab.node("box")
        .unwrap()
        .vsctl(["add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev"])
        .unwrap();
    assert!(lab.node("box").unwrap().dump_flows("br0").unwrap().contains("NORMAL"));
    // As on any host: the tools inside find the node's own Open vSwitch.
    assert_eq!(lab.exec("box", ["ovs-vsctl", "list-br"]).unwrap(), "br0\n");
    assert!(lab.exec("box", ["ls", "/run/netns"]).unwrap().is_empty());
    assert!(lab.exec("nobody", ["true"]).unwrap_err().to_string().contains("nobody"));
    lab.down().unwrap();
    site.assert_nothing_left();
}

#[test]
fn a_dropped_lab_leaves_nothing_behind_not_even_what_ran_in_it() {
    let Some(site) = Site::new('b') else { return };
    let lab = site.up();
    let inside = ["sh", "-c", "ip netns add weir-7; ip netns exec weir-7 sleep 600"];
    let mut stray = lab.command("box", inside).unwrap().spawn().unwrap();
    wait_until(Duration::from_secs(5), "the namespace inside", || {
        Ok(lab.exec("box", ["ip", "netns"])?.contains("weir-7").then_some(()))
    })
    .unwrap();
    drop(lab);
    assert!(!stray.wait().unwrap().success());
    site.assert_nothing_left();
}

#[test]
fn a_lab_that_fails_half_way_says_why_and_leaves_nothing_behind() {
    let Some(site) = Site::new('c') else { return };
    let bin = site.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink("/bin/false", bin.join("ovs-vswitchd")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = site.up_command().env("PATH", path).output().unwrap();
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("ovs-vswitchd of") && said.contains("it keeps dying (exit status: 1)"), "{said}");
    site.assert_nothing_left();
}

#[test]
fn a_lab_whose_builder_is_killed_leaves_nothing_behind() {
    let Some(site) = Site::new('d') else { return };
    let mut up = site.up_command().stderr(Stdio::null()).spawn().unwrap();
    let begun = || Ok(Path::new(&format!("/run/netns/{}-left", site.name)).exists().then_some(()));
    wait_until(Duration::from_secs(20), "the building to begin", begun).unwrap();
    up.kill().unwrap();
    up.wait().unwrap();
    let gone = || {
        Ok((!site.dir().exists() && !traces(&site.name).iter().any(|t| t.starts_with("process")))
            .then_some(()))
    };
    wait_until(Duration::from_secs(20), "the lab to go", gone).unwrap();
    site.assert_nothing_left();
}

#[test]
fn a_lab_whose_supervisor_was_killed_can_be_taken_down() {
    let Some(site) = Site::new('e') else { return };
    let output = site.up_command().output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let lab = Lab::open(Some(&site.name)).unwrap();
    let pid = lab.state().supervisor.pid;
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let dead = || Ok((!lab.state().supervisor.is_alive()).then_some(()));
    wait_until(Duration::from_secs(5), "the supervisor to die", dead).unwrap();
    assert!(Lab::open(Some(&site.name)).err().unwrap().to_string().contains("down"));
    let output = Command::new(WEIR_LAB).args(["--lab", &site.name, "down"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    site.assert_nothing_left();
}

#[test]
fn a_foreign_namespace_of_the_same_name_is_left_alone() {
    let Some(site) = Site::new('f') else { return };
    let foreign = format!("{}-right", site.name);
    let ip = |words: [&str; 3]| assert!(Command::new("ip").args(words).status().unwrap().success());
    ip(["netns", "add", &foreign]);
    let refused = Lab::up(&site.topology, &site.dir()).err().unwrap().to_string();
    ip(["netns", "del", &foreign]);
    assert!(refused.contains(&foreign), "{refused}");
    site.assert_nothing_left();
}

#[test]
fn two_labs_run_side_by_side() {
    let (Some(one), Some(two)) = (Site::new('g'), Site::new('h')) else { return };
    let (lab, other) = (one.up(), two.up());
    let same = Lab::up(&one.topology, &one.folder.path().join("again")).err().unwrap().to_string();
    assert!(same.contains("already"), "{same}");
    for lab in [&lab, &other] {
        lab.exec("right", ["ping", "-c", "1", "-W", "2", "10.0.0.1"]).unwrap();
    }
    lab.down().unwrap();
    one.assert_nothing_left();
    let threshold = fs::read_to_string("/proc/sys/net/ipv4/neigh/default/gc_thresh3").unwrap();
    assert!(threshold.trim().parse::<u64>().unwrap() >= 32768, "put back while a lab was still up");
    other.exec("right", ["ping", "-c", "1", "-W", "2", "10.0.0.1"]).unwrap();
    other.down().unwrap();
    two.assert_nothing_left();
}

#[test]
fn daemons_are_started_again_unless_they_were_stopped() {
    let Some(site) = Site::new('i') else { return };
    let lab = site.up();
    let daemon = || {
        lab.status()
            .unwrap()
            .daemons
            .into_iter()
            .find(|d| d.machine == "box" && d.daemon == Daemon::OvsVswitchd)
    };
    let running = || Ok(daemon().filter(|d| matches!(d.phase, Phase::Running(_))));
    let first = running().unwrap().unwrap();
    lab.kill("box", Daemon::OvsVswitchd).unwrap();
    let second = lab.wait_until(Duration::from_secs(5), "a restart", running).unwrap();
    assert_eq!((first.restarts, second.restarts), (0, 1));
    assert_ne!(first.phase, second.phase);
    assert_eq!(second.last_exit.as_deref(), Some("signal: 9 (SIGKILL)"));
    lab.node("box").unwrap().vsctl(["set", "Open_vSwitch", ".", "external_ids:again=yes"]).unwrap();
    lab.stop("box", Daemon::OvsVswitchd).unwrap();
    assert_eq!(daemon().unwrap().phase, Phase::Stopped);
    assert!(lab.kill("box", Daemon::OvsVswitchd).unwrap_err().to_string().contains("not running"));
    lab.start("box", Daemon::OvsVswitchd).unwrap();
    assert!(running().unwrap().is_some());
    let unknown = lab.kill("box", Daemon::WeirAgent).unwrap_err().to_string();
    assert!(unknown.contains("it has ovsdb-server, ovs-vswitchd"), "{unknown}");
}

#[test]
fn a_container_is_a_place_also_while_no_controller_answers() {
    let Some(site) = Site::new('m') else { return };
    let lab = site.up();
    assert!(lab.exec("web", ["true"]).unwrap_err().to_string().contains("neither a machine nor a container"));
    lab.exec("box", ["ip", "netns", "add", "weir-7"]).unwrap();
    let link = ["ip", "link", "add", "eth0", "netns", "weir-7", "type", "veth", "peer", "name", "we1024"];
    lab.exec("box", link).unwrap();
    let mut port = vec!["add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev"];
    port.extend([
        "--",
        "add-port",
        "br0",
        "we1024",
        "--",
        "set",
        "Interface",
        "we1024",
        "ofport_request=1024",
    ]);
    port.extend([
        "external_ids:weir-endpoint=7",
        "external_ids:weir-pool=p",
        "external_ids:weir-container=web",
    ]);
    lab.node("box").unwrap().vsctl(port).unwrap();
    for name in ["web", "p/web"] {
        assert!(lab.exec(name, ["ip", "-br", "link"]).unwrap().contains("eth0"));
    }
    assert!(lab.exec("q/web", ["true"]).is_err());
    let found = labs::endpoint::list(lab.state()).unwrap();
    assert_eq!((found[0].node.as_str(), found[0].ofport), ("box", 1024));
    // A place found once stays good while the daemons that told of it are away.
    let place = lab.place("web").unwrap();
    lab.stop("box", Daemon::OvsdbServer).unwrap();
    assert!(lab.place("web").is_err());
    place.run(["true"]).unwrap();
}

#[test]
fn a_capture_sees_arp_with_its_tag_and_its_direction() {
    let Some(site) = Site::new('j') else { return };
    let lab = site.up();
    let from_left = Capture::on_port(&lab, "left", Direction::FromMachine).unwrap();
    let to_right = Capture::on_port(&lab, "right", Direction::ToMachine).unwrap();
    let at_right = Capture::on_interface(&lab.place("right").unwrap(), "eth0").unwrap();
    assert!(Capture::on_port(&lab, "left", Direction::FromMachine).is_err(), "two mirrors of one name");
    lab.exec("left", ["ping", "-c", "1", "-W", "2", "10.0.0.2"]).unwrap();
    let mac = |machine| lab.state().machine(machine).unwrap().nic.as_ref().unwrap().mac.to_string();
    for (capture, tag) in [(&from_left, Some(100)), (&at_right, None)] {
        let request = lab.wait_until(Duration::from_secs(5), "an ARP request", || {
            Ok(capture.summaries().into_iter().find(|s| s.arp().is_some_and(|a| a.operation == 1)))
        });
        let request = request.unwrap();
        assert_eq!((request.source.to_string(), request.vlan), (mac("left"), tag), "{request}");
        assert_eq!(request.arp().unwrap().target.to_string(), "10.0.0.2");
    }
    let is_reply = |s: &labs::capture::Summary| s.source.to_string() == mac("right");
    assert!(!from_left.summaries().iter().any(is_reply) && !to_right.summaries().iter().any(is_reply));
    assert!(at_right.summaries().iter().any(is_reply));
    let frames = to_right.stop();
    assert!(frames.iter().filter_map(|f| f.summary()).any(|s| s.ipv4().is_some()), "{frames:?}");
}

#[test]
fn a_frame_of_any_bytes_can_be_sent_and_a_trunk_shows_its_tag() {
    let Some(site) = Site::new('k') else { return };
    let lab = site.up();
    let from_box = Capture::on_port(&lab, "box", Direction::FromMachine).unwrap();
    let mut frame = vec![0xff; 6];
    frame.extend([0x02, 0, 0, 0, 0, 0x77, 0x81, 0x00, 0x00, 0x7b, 0x88, 0xb5]);
    frame.resize(64, 0xaa);
    send(&lab.place("box").unwrap(), "nic", &[frame.clone()]).unwrap();
    let ours = || Ok(from_box.frames().into_iter().find(|f| f.bytes.get(6..12) == frame.get(6..12)));
    let seen = lab.wait_until(Duration::from_secs(5), "the frame", ours).unwrap();
    assert_eq!(seen.bytes, frame);
    assert_eq!(seen.summary().unwrap().vlan, Some(123));
}

#[test]
fn lost_pings_are_counted_and_the_gap_measured() {
    let Some(site) = Site::new('l') else { return };
    let lab = site.up();
    let ping = Ping::start(&lab.place("left").unwrap(), "10.0.0.2").unwrap();
    ping.wait_for_replies(20, Duration::from_secs(5)).unwrap();
    let whole = {
        let other = Ping::start(&lab.place("right").unwrap(), "10.0.0.1").unwrap();
        other.wait_for_replies(20, Duration::from_secs(5)).unwrap();
        other.stop().unwrap()
    };
    assert!(whole.lost.is_empty() && whole.sent >= 20, "{whole:?}");
    let port = |state| lab.exec("switch", ["ip", "link", "set", "up-right", state]).unwrap();
    port("down");
    let silent = || Ok((ping.silence() >= Duration::from_millis(200)).then_some(()));
    wait_until(Duration::from_secs(5), "pings to be lost", silent).unwrap();
    port("up");
    ping.wait_for_replies(5, Duration::from_secs(10)).unwrap();
    let report = ping.stop().unwrap();
    assert!(report.lost.len() >= 5 && report.longest_gap >= Duration::from_millis(150), "{report:?}");
}

const WEIR_LAB: &str = env!("CARGO_BIN_EXE_weir-lab");
const TOPOLOGY: &str = r#"
[switch]
mac_ageing = "60s"
[[host]]
name = "left"
vlan = 100
address = "10.0.0.1/24"
[[host]]
name = "right"
vlan = 100
address = "10.0.0.2/24"
[[node]]
name = "box"
pool = "p"
address = "172.31.0.1/24"
"#;
