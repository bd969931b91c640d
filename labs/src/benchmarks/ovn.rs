//! OVN as Debian has it: its databases and ovn-northd on a host, ovn-controller on each node, default settings.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::bare::{Bare, CENTRAL, MTU, Unplugged};
use super::normal::{VLAN, plug};
use super::seat::Seat;
use crate::process::run;
use crate::state::Kind;
use crate::wait::wait_until;

/// How a logical switch gets from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A VLAN of the fabric, by a localnet port.
    Vlan,
    /// Geneve tunnels.
    Geneve,
}

/// A logical switch over the nodes.
pub(super) struct Ovn {
    daemons: Vec<Child>,
    pub(super) bare: Bare,
}

impl Ovn {
    pub(super) fn up(way: Way, tso: bool) -> anyhow::Result<Ovn> {
        let mtu = match way {
            Way::Vlan => MTU,
            Way::Geneve => MTU - GENEVE,
        };
        let bare = Bare::up("peer-ovn", tso, mtu)?;
        let mut ovn = Ovn { daemons: Vec::new(), bare };
        ovn.start_central()?;
        for node in ovn.bare.nodes.clone() {
            ovn.start_chassis(&node)?;
        }
        ovn.nbctl(&["ls-add", SWITCH])?;
        if way == Way::Vlan {
            let (name, tag) = (format!("network_name={PHYSICAL}"), format!("tag={VLAN}"));
            let port = ["lsp-add", SWITCH, "out", "--", "lsp-set-type", "out", "localnet"];
            let more = ["--", "lsp-set-addresses", "out", "unknown", "--", "lsp-set-options", "out", &name];
            let tag = ["--", "set", "Logical_Switch_Port", "out", &tag];
            ovn.nbctl(&[&port[..], &more, &tag].concat())?;
        }
        Ok(ovn)
    }

    /// Adds endpoints, in turn over the nodes, and returns when every chassis has their flows.
    pub(super) fn add(&mut self, count: u32) -> anyhow::Result<Vec<Seat>> {
        let endpoints = self.bare.endpoints(count)?;
        for some in endpoints.chunks(AT_ONCE) {
            let commands: Vec<Vec<String>> = some.iter().map(logical).collect();
            let words: Vec<&str> = commands.iter().flatten().map(String::as_str).collect();
            self.nbctl(&words)?;
        }
        plug(&self.bare, &endpoints, |endpoint| vec![add_port(endpoint)])?;
        self.until_up()?;
        Ok(endpoints.into_iter().map(|endpoint| endpoint.seat).collect())
    }

    /// Waits until all ports are up and every chassis has their flows.
    pub(super) fn until_up(&self) -> anyhow::Result<()> {
        // A localnet port never is.
        let up = || {
            let down = self.nbctl(&[
                "--bare",
                "--columns=name",
                "find",
                "Logical_Switch_Port",
                "up=false",
                "type=\"\"",
            ])?;
            Ok(down.trim().is_empty().then_some(()))
        };
        wait_until(PATIENCE, "OVN's ports to be up", up)?;
        self.sync()
    }

    /// Waits until every chassis has done all there is to do.
    pub(super) fn sync(&self) -> anyhow::Result<()> {
        self.nbctl(&["--wait=hv", "sync"]).map(drop)
    }

    /// `ovn-nbctl WORDS…`, see ovn-nbctl(8).
    pub(super) fn nbctl(&self, words: &[&str]) -> anyhow::Result<String> {
        let database = format!("--db=unix:{}", self.socket("nb").display());
        run(Command::new("ovn-nbctl").args([&database, "--timeout=120"]).args(words))
    }

    /// The socket of the northbound or southbound database.
    pub(super) fn socket(&self, database: &str) -> PathBuf {
        self.bare.lab.state().machine_dir(CENTRAL).join(format!("{database}.sock"))
    }

    fn start_central(&mut self) -> anyhow::Result<()> {
        let address =
            self.bare.lab.state().machine(CENTRAL)?.nic.as_ref().context("no cable")?.address.address();
        let folder = self.bare.lab.state().machine_dir(CENTRAL);
        for database in ["nb", "sb"] {
            let file = folder.join(format!("{database}.db"));
            let schema = format!("/usr/share/ovn/ovn-{database}.ovsschema");
            run(Command::new("ovsdb-tool").arg("create").arg(&file).arg(schema))
                .context("is ovn-central installed?")?;
            let local = format!("--remote=punix:{}", self.socket(database).display());
            let control = format!("--unixctl={}", folder.join(format!("{database}.ctl")).display());
            let mut words = vec!["ovsdb-server".to_owned(), file.display().to_string(), local, control];
            if database == "sb" {
                words.push(format!("--remote=ptcp:{SOUTHBOUND}:{address}"));
            }
            self.start(CENTRAL, database, &words)?;
            let socket = self.socket(database);
            wait_until(PATIENCE, "OVN's databases", || Ok(socket.exists().then_some(())))?;
        }
        let of = |option: &str, database| format!("--{option}=unix:{}", self.socket(database).display());
        let control = format!("--unixctl={}", folder.join("northd.ctl").display());
        let words = ["ovn-northd".to_owned(), of("ovnnb-db", "nb"), of("ovnsb-db", "sb"), control];
        self.start(CENTRAL, "northd", &words)
    }

    fn start_chassis(&mut self, node: &str) -> anyhow::Result<()> {
        let state = self.bare.lab.state();
        let central = state.machine(CENTRAL)?.nic.as_ref().context("no cable")?.address.address();
        let own = state.machine(node)?.nic.as_ref().context("no cable")?.address;
        let (ovs, place) = (self.bare.lab.node(node)?, self.bare.lab.place(node)?);
        let bridge = |name| format!("-- add-br {name} -- set Bridge {name} datapath_type=netdev");
        let mut words = format!("{} -- add-port br-phy nic {}", bridge("br-phy"), bridge("br-int"));
        words += " fail_mode=secure other-config:disable-in-band=true -- set Open_vSwitch .";
        words += &format!(
            " external_ids:ovn-remote=tcp:{central}:{SOUTHBOUND} external_ids:ovn-encap-type=geneve"
        );
        words += &format!(
            " external_ids:ovn-encap-ip={} external_ids:ovn-bridge-mappings={PHYSICAL}:br-phy",
            own.address()
        );
        words += " external_ids:ovn-bridge-datapath-type=netdev";
        ovs.vsctl(words.split(' '))?;
        let script = format!(
            "sysctl -q -w net.ipv6.conf.br-phy.disable_ipv6=1; ip address add {own} dev br-phy; \
             ip link set br-phy up; ethtool -K br-phy tx off >/dev/null"
        );
        place.run(["sh", "-euc", &script])?;
        let database = format!("unix:{}", ovs.rundir().join("db.sock").display());
        self.start(node, "ovn-controller", &["ovn-controller".to_owned(), database])
    }

    /// Starts a daemon on a machine; it ends with this process at the latest.
    fn start(&mut self, machine: &str, name: &str, words: &[String]) -> anyhow::Result<()> {
        let state = self.bare.lab.state();
        let log = File::create(state.machine_dir(machine).join(format!("{name}.log")))?;
        let common = ["--no-chdir", "-vconsole:info", "-vsyslog:off", "-vfile:off"];
        let dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"];
        let words = dies_with_us.into_iter().chain(words.iter().map(String::as_str)).chain(common);
        let mut command = self.bare.lab.place(machine)?.command(words);
        if state.machine(machine)?.kind == Kind::Node {
            command.env("OVN_RUNDIR", state.ovs_rundir(machine));
        }
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.daemons.push(started.with_context(|| format!("cannot start {name}"))?);
        Ok(())
    }
}

impl Drop for Ovn {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let ended = daemon.kill().and_then(|()| daemon.wait());
            ended.map(drop).unwrap_or_else(|error| eprintln!("a daemon of OVN does not end: {error}"));
        }
    }
}

/// The name of an endpoint's logical port.
pub(super) fn logical_port(endpoint: &Unplugged) -> String {
    format!("port-{}", endpoint.number)
}

/// The port's addresses as OVN wants them.
pub(super) fn addresses(endpoint: &Unplugged) -> String {
    format!("{} {}", endpoint.seat.mac, endpoint.seat.address)
}

fn logical(endpoint: &Unplugged) -> Vec<String> {
    let port = logical_port(endpoint);
    let words = ["--", "lsp-add", SWITCH, &port, "--", "lsp-set-addresses", &port, &addresses(endpoint)];
    words.map(str::to_owned).to_vec()
}

fn add_port(endpoint: &Unplugged) -> String {
    let (port, logical) = (&endpoint.port, logical_port(endpoint));
    format!("add-port br-int {port} -- set Interface {port} external_ids:iface-id={logical}")
}

/// The logical switch.
pub(super) const SWITCH: &str = "bench";
const PHYSICAL: &str = "fabric";
/// Headers of IPv4, UDP and Geneve with OVN's option, and the inner Ethernet header.
const GENEVE: u16 = 20 + 8 + 16 + 14;
const SOUTHBOUND: u16 = 6642;
const AT_ONCE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);
