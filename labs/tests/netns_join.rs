//! A host whose only address is on its NIC becomes a node, and stops being one, under a running TCP transfer.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;
#[path = "support/transfer.rs"]
mod transfer;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use labs::process::find_executable;
use labs::{Daemon, Place, Topology, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{POOL, System, reaches, vlan};
use transfer::Transfer;
use weir_api::v1::{
    CheckNodeRequest, CreateTokenRequest, finding::Level, nodes_client::NodesClient, token::Role,
    tokens_client::TokensClient,
};

/// Where the lab's controller serves nodes with TLS.
const CONTROLLER: &str = "172.31.0.254:7443";
/// The host: n3 of the lab, whose agent is not there, and which has no bridges.
const HOST: &str = "n3";
const ADDRESS: &str = "172.31.0.3";
const PATIENCE: Duration = Duration::from_secs(20);
/// Echoed bytes that show that a transfer goes on.
const SOME: u64 = 1 << 20;

/// What the host has before it is a node: addresses of both families, one beside another, and routes by them.
const BEFORE: [&str; 12] = [
    "ip link set dev nic arp on",
    "ethtool -K nic tx off",
    "sysctl -q -w net.ipv6.conf.nic.disable_ipv6=0 net.ipv4.conf.nic.rp_filter=2",
    "sysctl -q -w net.ipv4.conf.nic.drop_unicast_in_l2_multicast=0",
    "ip address add 172.31.0.3/24 brd + dev nic",
    "ip address add 172.31.0.33/24 dev nic label nic:1",
    "ip address add 198.51.100.3/32 dev nic noprefixroute",
    "ip -6 address add fd00:31::3/64 dev nic nodad",
    "ip route add default via 172.31.0.254 dev nic",
    "ip route add 192.0.2.0/24 via 172.31.0.66 dev nic metric 50 src 172.31.0.33",
    "ip route add 203.0.113.0/24 dev nic scope link table 99 mtu 1400",
    "ip -6 route add default via fd00:31::fe dev nic metric 20",
];

struct Host {
    system: System,
    place: Place,
    folder: tempfile::TempDir,
    before: Vec<String>,
}

impl Host {
    fn up(name: &str) -> Option<Host> {
        let system = System::up_with(name, |topology: &mut Topology| {
            let controller = topology.controller.as_mut().unwrap();
            controller.args.extend(["--listen".to_owned(), format!("tls:{CONTROLLER}")]);
        })?;
        system.lab.stop(HOST, Daemon::WeirAgent).unwrap();
        let ovs = system.lab.node(HOST).unwrap();
        ovs.vsctl(["--", "--if-exists", "del-br", "br-int", "--", "--if-exists", "del-br", "br-phy"])
            .unwrap();
        let place = system.place(HOST);
        for command in BEFORE {
            place.run(command.split(' ')).unwrap();
        }
        let mut host = Host { system, place, folder: tempfile::tempdir().unwrap(), before: Vec::new() };
        let settled = || Ok(Some(host.now()).filter(|now| !now.concat().contains("tentative")));
        host.before = wait_until(PATIENCE, "the host's own addresses", settled).unwrap();
        Some(host)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All that there is to see of the NIC, and all routes.
    fn now(&self) -> Vec<String> {
        let shown = [
            "ip -o link show dev nic",
            "ip -o -4 address show dev nic",
            "ip -o -6 address show dev nic",
            "ip -4 route show table all",
            "ip -6 route show table all",
            "sysctl net.ipv6.conf.nic.disable_ipv6 net.ipv4.conf.nic.rp_filter",
            "sysctl net.ipv4.conf.nic.drop_unicast_in_l2_multicast",
        ];
        shown.iter().map(|words| self.place.run(words.split(' ')).unwrap()).collect()
    }

    /// Waits until everything is as it was: IPv6 gives the NIC its own address anew.
    fn is_as_it_was(&self) {
        let same = || Ok((self.now() == self.before).then_some(()));
        if let Err(error) = wait_until(PATIENCE, "the host as it was", same) {
            panic!("{error}: {:#?} was {:#?}", self.now(), self.before);
        }
        assert_eq!(self.system.lab.node(HOST).unwrap().vsctl(["list-br"]).unwrap(), "");
        assert!(!self.path("state/join.json").exists() && !self.path("agent.env").exists());
    }

    /// The addresses of a link, one after the other.
    fn addresses(&self, link: &str) -> String {
        let shown = self.place.run(["ip", "-o", "address", "show", "dev", link, "scope", "global"]);
        shown.unwrap_or_default()
    }

    fn token(&self) -> String {
        let request = CreateTokenRequest { pool: POOL.into(), role: Role::Join.into(), ..Default::default() };
        let mut tokens = TokensClient::new(self.system.channel.clone());
        self.system.runtime.block_on(tokens.create_token(request)).unwrap().into_inner().secret
    }

    fn agent(&self, arguments: &[&str]) -> Command {
        let program = find_executable("weir-agent").unwrap().into_os_string();
        let words = [program].into_iter().chain(arguments.iter().map(Into::into));
        let mut command = self.place.command(words);
        command.env("WEIR_STATE_DIR", self.path("state")).stdin(Stdio::null());
        command
    }

    fn join_command(&self, more: &[&str]) -> Command {
        let configuration = format!("--configuration={}", self.path("agent.env").display());
        let own = ["join", "--controller", CONTROLLER, "--name", HOST, &configuration];
        self.agent(&[&own, more].concat())
    }

    /// Runs `weir-agent join`.
    fn join(&self, more: &[&str], token: Option<&str>) -> Output {
        let mut command = self.join_command(more);
        command.envs(token.map(|token| ("WEIR_JOIN_TOKEN", token)));
        command.output().unwrap()
    }

    fn leave(&self, more: &[&str]) -> Output {
        self.agent(&[&["leave"], more].concat()).output().unwrap()
    }

    /// Starts a join that has no controller to reach, and stops it so when the condition holds.
    fn interrupt(&self, signal: Signal, what: &str, mut when: impl FnMut() -> bool) -> Output {
        let mut command = self.join_command(&["--uplink", "nic", "--timeout", "60"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let waited = wait_until(PATIENCE, what, || {
            assert!(child.try_wait()?.is_none(), "it has ended by itself");
            Ok(when().then_some(()))
        });
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        waited.unwrap();
        assert!(!output.status.success());
        output
    }

    /// Starts the agent as systemd would: with the settings of the join, and nothing else.
    fn start_agent(&self) -> Agent {
        let text = fs::read_to_string(self.path("agent.env")).unwrap();
        let settings = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (key, value) = line.split_once('=').unwrap();
            (key.to_owned(), value.trim_matches('"').to_owned())
        });
        let log = fs::File::create(self.path("agent.log")).unwrap();
        let child =
            self.agent(&["--log", "debug,h2=info,netlink_proto=info"]).envs(settings).stderr(log).spawn();
        Agent(child.unwrap())
    }

    /// Waits until the controller has the node's agent and switch, or neither.
    fn until_connected(&self, wanted: bool) {
        let connected = || {
            let node = self.system.nodes().into_iter().find(|node| node.name == HOST);
            let status = node.and_then(|node| node.status).unwrap_or_default();
            let is = (status.agent_connected, status.switch_connected) == (wanted, wanted);
            Ok((is && (status.problems.is_empty() || !wanted)).then_some(()))
        };
        if let Err(error) = self.system.lab.wait_until(PATIENCE, "the node to be connected", connected) {
            let log = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            panic!("{error:#}\n{log}\n{:#?}", self.system.nodes());
        }
    }
}

/// An agent that is not the lab's.
struct Agent(Child);

impl Agent {
    fn stop(mut self) {
        send(&self.0, Signal::SIGTERM);
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or(());
    }
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_host_joins_and_leaves_under_a_transfer_and_is_as_it_was() {
    let Some(host) = Host::up("join") else { return };
    let transfer = Transfer::start(&host.place, &host.system.place("probe"), "172.31.0.66");
    let pings = labs::ping::Ping::start(&host.system.place("probe"), ADDRESS).unwrap();
    transfer.goes_on(SOME);

    let token = host.token();
    let output = host.join(&["--uplink", "nic"], Some(&token));
    assert!(output.status.success(), "{}", said(&output));
    transfer.goes_on(SOME);
    assert_eq!(host.addresses("nic"), "");
    let borne = host.addresses("br-phy");
    for address in ["172.31.0.3/24", "172.31.0.33/24", "198.51.100.3/32", "fd00:31::3/64"] {
        assert!(borne.contains(&format!(" {address} ")), "{borne}");
    }
    let routes = host.place.run(["ip", "route", "show", "table", "all"]).unwrap();
    for route in [
        "default via 172.31.0.254 dev br-phy",
        "192.0.2.0/24 via 172.31.0.66 dev br-phy src 172.31.0.33 metric 50",
        "203.0.113.0/24 dev br-phy table 99 scope link mtu 1400",
    ] {
        assert!(routes.contains(route), "{routes}");
    }
    let links = host.place.run(["ip", "-o", "link"]).unwrap();
    let of = |link: &str| links.lines().find(|line| line.contains(&format!(" {link}"))).unwrap().to_owned();
    let word = |line: &str, before: &str| {
        let mut words = line.split(' ').skip_while(|word| *word != before);
        words.nth(1).unwrap_or_default().to_owned()
    };
    for what in ["mtu", "link/ether"] {
        assert_eq!(word(&of("br-phy"), what), word(&of("nic"), what), "{links}");
    }
    let again = host.join(&["--uplink", "nic"], None);
    assert!(again.status.success(), "{}", said(&again));

    becomes_a_node(&host);
    transfer.goes_on(SOME);

    let output = host.leave(&[]);
    assert!(output.status.success(), "{}", said(&output));
    host.is_as_it_was();
    assert!(!host.path("state/credentials").exists());
    assert!(host.system.nodes().iter().all(|node| node.name != HOST));
    transfer.goes_on(SOME);
    let output = host.leave(&[]);
    assert!(output.status.success() && said(&output).contains("nothing to leave"), "{}", said(&output));

    let report = pings.stop().unwrap();
    let gap = transfer.stop();
    eprintln!(
        "joined and left: longest gap of the transfer {gap:?}, of pings {:?}, {} of {} lost",
        report.longest_gap,
        report.lost.len(),
        report.sent
    );
    assert!(gap < Duration::from_secs(5), "{gap:?}");
}

/// The agent runs with what the join has left, and takes what the NIC is given; a node with containers does not leave.
fn becomes_a_node(host: &Host) {
    let agent = host.start_agent();
    host.until_connected(true);
    host.system.network(vlan("lan"));
    let (here, there) =
        (host.system.create("c1", &format!("lan/{HOST}")), host.system.create("c2", "lan/n1"));
    assert!(reaches(&there.place, here.address));
    is_well(host);
    host.place.run("ip address add 172.31.0.44/24 dev nic".split(' ')).unwrap();
    let moved = || Ok(host.addresses("br-phy").contains("172.31.0.44/24").then_some(()));
    wait_until(PATIENCE, "the new address on br-phy", moved).unwrap();
    assert_eq!(host.addresses("nic"), "");
    host.place.run("ip address del 172.31.0.44/24 dev br-phy".split(' ')).unwrap();
    let busy = host.leave(&[]);
    assert!(!busy.status.success() && said(&busy).contains("in use"), "{}", said(&busy));
    agent.stop();
    let needed = host.leave(&[]);
    assert!(!needed.status.success() && said(&needed).contains("drain"), "{}", said(&needed));
    let agent = host.start_agent();
    host.until_connected(true);
    host.system.delete("c1");
    agent.stop();
}

/// Whoever looks at the node finds nothing that fails, and the other nodes and the network's VLAN among what is well.
fn is_well(host: &Host) {
    let request = || CheckNodeRequest { pool: POOL.to_owned(), name: HOST.to_owned() };
    let last = std::cell::RefCell::new(Vec::new());
    let look = || {
        let mut nodes = NodesClient::new(host.system.channel.clone());
        let findings = host.system.runtime.block_on(nodes.check_node(request()))?.into_inner().findings;
        let is = |check: &str| {
            findings.iter().any(|finding| finding.check == check && finding.level() == Level::Ok)
        };
        let well =
            ["controller", "clock", "openvswitch", "datapath", "uplink", "certificate", "path", "vlans"];
        let is_well = well.iter().all(|check| is(check));
        last.replace(findings);
        Ok(is_well.then_some(()))
    };
    if let Err(error) = wait_until(PATIENCE, "the node to be well", look) {
        panic!("{error}: {:#?}", last.take());
    }
    let output = host.agent(&["check", "--uplink", "nic", "--output", "json"]).output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{findings:#}");
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["check"] == "uplink"), "{findings:#}");
}

#[test]
fn a_join_that_reaches_nobody_or_is_cut_short_is_undone() {
    let Some(host) = Host::up("undo") else { return };
    let token = host.token();
    let output = host.join(&[], Some(&token));
    assert!(output.status.success(), "{}", said(&output));
    host.system.lab.stop("controller", Daemon::WeirController).unwrap();
    let transfer = Transfer::start(&host.place, &host.system.place("probe"), "172.31.0.66");
    transfer.goes_on(SOME);

    let output = host.join(&["--uplink", "nic", "--timeout", "3"], None);
    let text = said(&output);
    assert!(!output.status.success() && text.contains("not reached over br-phy within 3 s"), "{text}");
    assert!(text.contains("has its addresses and routes back"), "{text}");
    host.is_as_it_was();
    transfer.goes_on(SOME);

    let journal = host.path("state/join.json");
    let bears = || host.addresses("br-phy").contains(ADDRESS);
    let output = host.interrupt(Signal::SIGTERM, "br-phy to bear the address", bears);
    assert!(said(&output).contains("back"), "{}", said(&output));
    host.is_as_it_was();

    // The next join finds it, ...
    host.interrupt(Signal::SIGKILL, "the journal", || journal.exists());
    let output = host.join(&["--uplink", "nic", "--timeout", "1"], None);
    assert!(!output.status.success(), "{}", said(&output));
    host.is_as_it_was();
    // ... the agent, when it starts, ...
    host.interrupt(Signal::SIGKILL, "br-phy to bear the address", bears);
    assert!(journal.exists());
    transfer.goes_on(SOME);
    let controller = format!("https://{CONTROLLER}");
    let tunnel = format!("{ADDRESS}/24");
    let settings = ["--controller", &controller, "--pool", POOL, "--name", HOST, "--uplink", "nic"];
    let output = host.agent(&[&settings[..], &["--tunnel-address", &tunnel]].concat()).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("cut short"), "{}", said(&output));
    host.is_as_it_was();
    // ... and a leave, with nobody to be told.
    let made = || host.place.run(["ip", "link", "show", "dev", "br-phy"]).is_ok();
    host.interrupt(Signal::SIGKILL, "br-phy", made);
    let output = host.leave(&[]);
    assert!(!output.status.success() && said(&output).contains("--force"), "{}", said(&output));
    let output = host.leave(&["--force"]);
    assert!(output.status.success() && said(&output).contains("weir node delete"), "{}", said(&output));
    host.is_as_it_was();
    assert!(!host.path("state/credentials").exists());
    transfer.goes_on(SOME);
    let gap = transfer.stop();
    eprintln!("five joins undone: longest gap of the transfer {gap:?}");
    assert!(gap < Duration::from_secs(5), "{gap:?}");
}
