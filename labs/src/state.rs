//! Names and places of a running lab: everything that follows from its topology, name and directory.
//!
//! ```text
//! DIR/state.json                    this, for commands run later and for cleaning up after a kill -9
//! DIR/control.sock                  the supervisor's control socket
//! DIR/supervisor.log
//! DIR/controller/weir.sock          the controller's gRPC API; data/, weir-controller.log beside it
//! DIR/switch/ovs/                   the physical switch's OVS_RUNDIR: conf.db, db.sock, sw0.mgmt
//! DIR/<node>/ovs/                   a node's OVS_RUNDIR; <node>/agent/ is its agent's state
//! DIR/<node>/docker/                what Docker keeps; containerd/, dockerd.json and containerd.toml beside it
//! DIR/busybox.tar                   the image that the nodes' Dockers have
//! DIR/<machine>/<daemon>.log
//! /run/netns/<lab>-<machine>        network namespaces
//! /run/docker.sock                  in a node with Docker: its API; /run/containerd/ beside it
//! /sys/fs/cgroup/*/weir-lab.<lab>.<node>/  the control groups of its Docker containers
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::process::ProcessId;
use crate::topology::{HostAddress, Mac, Topology, Vlan};

/// A lab as it was built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The lab's name.
    pub name: String,
    /// The lab's directory, an absolute path.
    pub dir: PathBuf,
    /// Whether `up` created that directory, so that `down` removes it and not only what is in it.
    pub dir_created: bool,
    /// The supervisor; its children die with it.
    pub supervisor: ProcessId,
    /// What was asked for.
    pub topology: Topology,
    /// The switch first, then the controller, hosts and nodes.
    pub machines: Vec<Machine>,
}

/// One machine of a lab: a network namespace and a cable to the switch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its name, by which `weir-lab exec` finds it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The name of its network namespace, as for `ip netns exec`.
    pub namespace: String,
    /// Its end of the cable; none for the switch itself.
    pub nic: Option<Nic>,
    /// A node's process that keeps its mount namespace; none before it is made, and for other machines.
    pub holder: Option<ProcessId>,
}

/// A machine's cable to the switch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nic {
    /// The interface in the machine's namespace.
    pub interface: String,
    /// The interface in the switch's namespace, a port of its bridge.
    pub port: String,
    /// The access port's VLAN; none: the untagged underlay (a node's port is a trunk as well).
    pub vlan: Option<Vlan>,
    /// The machine's address. A node's is not on `interface` but on its bridge, and set by its agent.
    pub address: HostAddress,
    /// The interface's MAC address.
    pub mac: Mac,
}

/// What a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The physical switch.
    Switch,
    /// The controller's host.
    Controller,
    /// A gateway or bare host.
    Host,
    /// A container host.
    Node,
}

/// A daemon the supervisor looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    /// `ovsdb-server`, on nodes and the switch.
    #[value(alias = "ovsdb")]
    OvsdbServer,
    /// `ovs-vswitchd`, on nodes and the switch.
    #[value(alias = "vswitchd")]
    OvsVswitchd,
    /// `weir-controller`, on the machine `controller`.
    #[value(alias = "controller")]
    WeirController,
    /// `weir-agent`, on nodes.
    #[value(alias = "agent")]
    WeirAgent,
    /// `containerd`, on nodes with Docker. It outlives dockerd, and containers outlive both.
    Containerd,
    /// `dockerd`, on nodes with Docker.
    #[value(alias = "docker")]
    Dockerd,
}

impl State {
    /// Derives everything from a topology. `dir` must be absolute.
    pub(crate) fn new(name: &str, dir: &Path, topology: &Topology) -> State {
        let mut machines = vec![machine(name, "switch", Kind::Switch, None)];
        if let Some(controller) = &topology.controller {
            let nic = nic(
                "eth0",
                "controller",
                None,
                controller.address,
                Mac::derived(0xfe, controller.address.address()),
            );
            machines.push(machine(name, "controller", Kind::Controller, Some(nic)));
        }
        for (index, host) in (1_u8..).zip(&topology.hosts) {
            let mac = host.mac.unwrap_or_else(|| Mac::derived(index, host.address.address()));
            let nic = nic("eth0", host.name.as_str(), host.vlan, host.address, mac);
            machines.push(machine(name, host.name.as_str(), Kind::Host, Some(nic)));
        }
        for node in &topology.nodes {
            let mac = Mac::derived(0xff, node.address.address());
            let nic = nic("nic", node.name.as_str(), None, node.address, mac);
            machines.push(machine(name, node.name.as_str(), Kind::Node, Some(nic)));
        }
        State {
            name: name.to_owned(),
            dir: dir.to_owned(),
            dir_created: false,
            supervisor: ProcessId::this(),
            topology: topology.clone(),
            machines,
        }
    }

    /// The machine of that name.
    ///
    /// # Errors
    /// A sentence that names those there are.
    pub fn machine(&self, name: &str) -> anyhow::Result<&Machine> {
        let found = self.machines.iter().find(|m| m.name == name);
        found.with_context(|| {
            let known: Vec<&str> = self.machines.iter().map(|m| m.name.as_str()).collect();
            format!("lab {} has no machine `{name}`: there are {}", self.name, known.join(", "))
        })
    }

    /// Machines of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(move |m| m.kind == kind)
    }

    /// A machine's directory.
    pub fn machine_dir(&self, machine: &str) -> PathBuf {
        self.dir.join(machine)
    }

    /// A machine's OVS_RUNDIR, where its Open vSwitch has its sockets.
    pub fn ovs_rundir(&self, machine: &str) -> PathBuf {
        self.machine_dir(machine).join("ovs")
    }

    /// The file a daemon's output goes to.
    pub fn log(&self, machine: &str, daemon: Daemon) -> PathBuf {
        self.machine_dir(machine).join(format!("{daemon}.log"))
    }

    /// The unix socket of the controller's API.
    pub fn api_socket(&self) -> PathBuf {
        self.machine_dir("controller").join("weir.sock")
    }

    /// The supervisor's control socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The controller's address on the underlay, if there is a controller.
    pub fn controller_address(&self) -> Option<Ipv4Addr> {
        self.topology.controller.as_ref().map(|c| c.address.address())
    }

    /// The source by which the tmpfs on a node's /run is recognized in `/proc/PID/mountinfo`.
    pub(crate) fn mount_mark(&self, machine: &str) -> String {
        format!("weir-lab:{}:{machine}", self.name)
    }

    /// The control group, from a hierarchy's root, under which a node's Docker keeps those of its containers.
    ///
    /// No name has a dot, so that no two nodes share one.
    pub(crate) fn cgroup(&self, node: &str) -> String {
        format!("/weir-lab.{}.{node}", self.name)
    }

    /// The nodes that have a Docker daemon.
    pub fn with_docker(&self) -> impl Iterator<Item = &Machine> {
        self.of_kind(Kind::Node).filter(|machine| self.has_docker(machine))
    }

    fn has_docker(&self, machine: &Machine) -> bool {
        self.topology.nodes.iter().any(|node| node.docker && node.name.as_str() == machine.name)
    }

    /// The daemons a machine has, in the order in which they are started.
    pub fn daemons(&self, machine: &Machine) -> Vec<Daemon> {
        let ovs = [Daemon::OvsdbServer, Daemon::OvsVswitchd];
        match machine.kind {
            Kind::Switch => ovs.to_vec(),
            Kind::Controller => vec![Daemon::WeirController],
            Kind::Host => Vec::new(),
            Kind::Node => {
                let docker = self.has_docker(machine).then_some([Daemon::Containerd, Daemon::Dockerd]);
                let agent = self.topology.controller.as_ref().map(|_| Daemon::WeirAgent);
                ovs.into_iter().chain(docker.into_iter().flatten()).chain(agent).collect()
            }
        }
    }

    /// Writes the state file.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let (path, new) = (self.dir.join(STATE), self.dir.join("state.json.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", new.display()))?;
        std::fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads the state file of the lab in `dir`.
    ///
    /// # Errors
    /// If there is none, or it is not one.
    pub fn load(dir: &Path) -> anyhow::Result<State> {
        let path = dir.join(STATE);
        let text = std::fs::read(&path).with_context(|| format!("there is no lab in {}", dir.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}

impl Daemon {
    /// The executable's name, which is also the log's.
    pub fn program(self) -> &'static str {
        match self {
            Daemon::OvsdbServer => "ovsdb-server",
            Daemon::OvsVswitchd => "ovs-vswitchd",
            Daemon::WeirController => "weir-controller",
            Daemon::WeirAgent => "weir-agent",
            Daemon::Containerd => "containerd",
            Daemon::Dockerd => "dockerd",
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.program())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Switch => "switch",
            Kind::Controller => "controller",
            Kind::Host => "host",
            Kind::Node => "node",
        })
    }
}

fn machine(lab: &str, name: &str, kind: Kind, nic: Option<Nic>) -> Machine {
    Machine { name: name.to_owned(), kind, namespace: format!("{lab}-{name}"), nic, holder: None }
}

fn nic(interface: &str, machine: &str, vlan: Option<Vlan>, address: HostAddress, mac: Mac) -> Nic {
    Nic { interface: interface.to_owned(), port: format!("up-{machine}"), vlan, address, mac }
}

/// The state file's name.
const STATE: &str = "state.json";
