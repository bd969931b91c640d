//! A whole node in the test's own namespaces: Open vSwitch, and the agent as a process.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::{path::Path, process::Command, time::Duration};

use weir_api::v1::{DesiredEndpoint, agent_message::Message, endpoint_report::State};

use crate::{
    controller::{Controller, Session},
    ovs::{Daemon, Database},
    support::{run, until},
};

pub(crate) const TARGET: &str = "tcp:127.0.0.1:6653";

/// A node with its Open vSwitch, within the test's own namespaces. Fields are dropped in this order.
pub(crate) struct Node {
    /// Whether the agent asks for userspace TSO.
    pub(crate) tso: bool,
    /// Where the agent's controller is; `None`: the one that the test plays.
    pub(crate) controller: Option<String>,
    pub(crate) agent: Option<Daemon>,
    pub(crate) switch: Option<Daemon>,
    pub(crate) database: Database,
}

impl Node {
    pub(crate) fn start() -> Self {
        run("ip link set lo up");
        run("ip link add nic type veth peer name wire");
        run("ip link set wire up");
        let mut node =
            Self { tso: false, controller: None, agent: None, switch: None, database: Database::start() };
        node.start_switch();
        node
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.database.path(name).display().to_string()
    }

    pub(crate) fn start_switch(&mut self) {
        self.switch = None;
        let arguments = [
            format!("unix:{}", self.path("db.sock")),
            format!("--pidfile={}", self.path("vswitchd.pid")),
            format!("--unixctl={}", self.path("vswitchd.ctl")),
            format!("--log-file={}", self.path("vswitchd.log")),
        ];
        self.switch = Some(Daemon::spawn(&[], "ovs-vswitchd", &arguments, self.database.dir.path()));
    }

    /// Starts the agent, after killing the one that runs.
    pub(crate) fn start_agent(&mut self) {
        self.agent = None;
        let arguments = [
            self.controller.as_ref().map_or_else(
                || format!("--controller=unix:{}", self.path("weir.sock")),
                |controller| format!("--controller={controller}"),
            ),
            "--pool=pool2".to_owned(),
            "--name=n1".to_owned(),
            format!("--ovsdb=unix:{}", self.path("db.sock")),
            format!("--ovs-rundir={}", self.database.dir.path().display()),
            "--uplink=nic".to_owned(),
            "--tunnel-address=172.31.0.1/24".to_owned(),
            format!("--state-dir={}", self.path("state")),
            format!("--userspace-tso={}", self.tso),
            "--label=rack=r1".to_owned(),
            "--log=debug,h2=info,netlink_proto=info".to_owned(),
        ];
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("agent.log")).unwrap();
        let program = env!("CARGO_BIN_EXE_weir-agent");
        self.agent = Some(Daemon::spawn_logged(&[], program, &arguments, self.database.dir.path(), log));
    }

    pub(crate) fn controller(&self) -> Controller {
        Controller::start(Path::new(&self.path("weir.sock")))
    }

    pub(crate) fn interface(&self, name: &str, column: &str) -> String {
        self.database.vsctl(&format!("get interface {name} {column}"))
    }

    /// All that tells whether an endpoint was touched: its row in the database and its links.
    pub(crate) fn fingerprint(&self, id: u32, ofport: u32) -> String {
        let row = self.interface(&format!("we{ofport}"), "_uuid");
        format!("{row} {}", self.links_of(id, ofport))
    }

    pub(crate) fn links_of(&self, id: u32, ofport: u32) -> String {
        let link = run(&format!("cat /sys/class/net/we{ofport}/ifindex"));
        format!("{link} {}", run(&format!("ip -n weir-{id} -o link show eth0")))
    }

    /// Has br-int forward as a plain switch, as soon as it takes orders.
    pub(crate) async fn let_everything_through(&self) {
        let socket = format!("unix:{}", self.path("br-int.mgmt"));
        until("br-int takes a flow", Duration::from_secs(10), async || {
            let mut ofctl = Command::new("ovs-ofctl");
            ofctl.args(["-O", "OpenFlow13", "--timeout=5", "add-flow", &socket, "priority=1,actions=NORMAL"]);
            ofctl.output().unwrap().status.success().then_some(())
        })
        .await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(120).collect();
            println!("the agent's log ends with:");
            tail.iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

pub(crate) fn endpoint(id: u32, ofport: u32) -> DesiredEndpoint {
    DesiredEndpoint {
        endpoint_id: id,
        pool: "pool2".into(),
        container: format!("c{id}"),
        runtime: "netns".into(),
        network: "net".into(),
        address: format!("10.1.0.{id}/24"),
        mac: format!("02:42:0a:01:00:{id:02x}"),
        gateway: "10.1.0.254".into(),
        mtu: 1450,
        ofport,
        tunnelled: true,
        ..Default::default()
    }
}

/// Waits for an endpoint's state, and gives back its message.
pub(crate) async fn reported(session: &mut Session, id: u32, state: State) -> String {
    session
        .until(&format!("{id} {state:?}"), |message| match message {
            Message::Endpoint(report) if report.endpoint_id == id && report.state() == state => {
                Some(report.message.clone())
            }
            _ => None,
        })
        .await
}
