//! The topology file: its TOML shape, and the checks that need more than one value.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::value::{HostAddress, Mac, Name, Vlan};
use super::{Controller, Host, Node, Pool, Switch, Topology};

/// What is wrong with a topology file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}\n{line:>5} | {text}")]
#[non_exhaustive]
pub struct TopologyError {
    /// The line, from 1.
    pub line: usize,
    /// That line.
    pub text: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

/// Reads and checks a file.
pub(super) fn parse(text: &str) -> Result<Topology, TopologyError> {
    let file: File =
        toml::from_str(text).map_err(|e| located(text, e.span().unwrap_or(0..0), e.message().to_owned()))?;
    file.check().map_err(|(span, message)| located(text, span, message))?;
    Ok(file.into_topology())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<Name>,
    #[serde(default)]
    switch: SwitchTable,
    controller: Option<ControllerTable>,
    #[serde(default)]
    pool: Vec<PoolTable>,
    #[serde(default)]
    host: Vec<HostTable>,
    #[serde(default)]
    node: Vec<NodeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchTable {
    mac_ageing: Ageing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControllerTable {
    address: Spanned<HostAddress>,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolTable {
    name: Spanned<Name>,
    vlans: Option<Spanned<[u32; 2]>>,
    vnis: Option<Spanned<[u32; 2]>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    name: Spanned<Name>,
    vlan: Option<Vlan>,
    address: Spanned<HostAddress>,
    mac: Option<Spanned<Mac>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    name: Spanned<Name>,
    pool: Spanned<Name>,
    address: Spanned<HostAddress>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default = "userspace_tso")]
    userspace_tso: bool,
    #[serde(default)]
    docker: bool,
}

/// An ageing time, written like `300s`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Ageing(Duration);

type Problem = (Range<usize>, String);

impl File {
    fn check(&self) -> Result<(), Problem> {
        self.check_names()?;
        self.check_pools()?;
        self.check_addresses()?;
        if let (None, Some(pool)) = (&self.controller, self.pool.first()) {
            return Err((pool.name.span(), "pools need a [controller] with an address".to_owned()));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Problem> {
        let mut names = BTreeSet::new();
        for name in self.host.iter().map(|h| &h.name).chain(self.node.iter().map(|n| &n.name)) {
            let text = name.get_ref().as_str();
            if RESERVED.contains(&text) {
                return Err((name.span(), format!("`{text}` is the lab's own {text}: choose another name")));
            }
            if text.len() > MAX_MACHINE_NAME {
                let message =
                    format!("`{text}` is too long: a machine's name has at most {MAX_MACHINE_NAME} letters");
                return Err((name.span(), message));
            }
            if !names.insert(text) {
                return Err((
                    name.span(),
                    format!("`{text}` is used twice: hosts and nodes need different names"),
                ));
            }
        }
        Ok(())
    }

    fn check_pools(&self) -> Result<(), Problem> {
        let mut pools = BTreeSet::new();
        for pool in &self.pool {
            let name = pool.name.get_ref();
            if !pools.insert(name) {
                return Err((pool.name.span(), format!("pool `{name}` is there twice")));
            }
            check_range(pool.vlans.as_ref(), "VLAN ids", 4094)?;
            check_range(pool.vnis.as_ref(), "VXLAN network identifiers", 0x00ff_ffff)?;
        }
        let missing = |node: &&NodeTable| self.controller.is_some() && !pools.contains(node.pool.get_ref());
        if let Some(node) = self.node.iter().find(missing) {
            let known: Vec<&str> = pools.iter().map(|p| p.as_str()).collect();
            let (name, known) = (node.pool.get_ref(), known.join(", "));
            let message =
                format!("there is no pool `{name}`: add a [[pool]] of that name, or use one of: {known}");
            return Err((node.pool.span(), message));
        }
        Ok(())
    }

    /// On each VLAN an address is used once; nodes and controller share one subnet, the underlay.
    fn check_addresses(&self) -> Result<(), Problem> {
        let mut taken: BTreeSet<(u16, Ipv4Addr)> = BTreeSet::new();
        let underlay = self.controller.iter().map(|c| &c.address).chain(self.node.iter().map(|n| &n.address));
        let first = underlay.clone().next().map(|a| a.get_ref().subnet());
        for address in underlay.clone() {
            if Some(address.get_ref().subnet()) != first {
                let subnet = first.map(|s| s.to_string()).unwrap_or_default();
                let message = format!("{} is not on the underlay {subnet} of the others", address.get_ref());
                return Err((address.span(), message));
            }
        }
        let hosts = self.host.iter().map(|h| (h.vlan.map_or(0, Vlan::id), &h.address));
        for (vlan, address) in underlay.map(|a| (0, a)).chain(hosts) {
            let ip = address.get_ref().address();
            if !taken.insert((vlan, ip)) {
                return Err((
                    address.span(),
                    format!("{ip} is used twice on the same VLAN: choose another address"),
                ));
            }
        }
        Ok(())
    }

    fn into_topology(self) -> Topology {
        Topology {
            name: self.name,
            switch: Switch { mac_ageing: self.switch.mac_ageing.0 },
            controller: self.controller.map(|c| Controller { address: c.address.into_inner(), args: c.args }),
            pools: self.pool.into_iter().map(PoolTable::into_pool).collect(),
            hosts: self.host.into_iter().map(HostTable::into_host).collect(),
            nodes: self.node.into_iter().map(NodeTable::into_node).collect(),
        }
    }
}

impl PoolTable {
    fn into_pool(self) -> Pool {
        Pool {
            name: self.name.into_inner(),
            vlans: self.vlans.map(Spanned::into_inner),
            vnis: self.vnis.map(Spanned::into_inner),
        }
    }
}

impl HostTable {
    fn into_host(self) -> Host {
        Host {
            name: self.name.into_inner(),
            vlan: self.vlan,
            address: self.address.into_inner(),
            mac: self.mac.map(Spanned::into_inner),
        }
    }
}

impl NodeTable {
    fn into_node(self) -> Node {
        Node {
            name: self.name.into_inner(),
            pool: self.pool.into_inner(),
            address: self.address.into_inner(),
            labels: self.labels,
            args: self.args,
            userspace_tso: self.userspace_tso,
            docker: self.docker,
        }
    }
}

impl Default for SwitchTable {
    fn default() -> SwitchTable {
        SwitchTable { mac_ageing: Ageing(DEFAULT_AGEING) }
    }
}

impl TryFrom<String> for Ageing {
    type Error = String;
    fn try_from(text: String) -> Result<Ageing, String> {
        match humantime::parse_duration(&text) {
            Ok(time) if (15..=3600).contains(&time.as_secs()) && time.subsec_nanos() == 0 => Ok(Ageing(time)),
            _ => Err(format!("`{text}` is no ageing time: write whole seconds from 15s to 3600s, like 300s")),
        }
    }
}

fn check_range(range: Option<&Spanned<[u32; 2]>>, what: &str, last: u32) -> Result<(), Problem> {
    match range.map(|r| (r.span(), r.get_ref())) {
        Some((span, [from, to])) if !(1 <= *from && from <= to && *to <= last) => {
            Err((span, format!("[{from}, {to}] is no range of {what}: write [first, last] within 1–{last}")))
        }
        _ => Ok(()),
    }
}

fn located(text: &str, span: Range<usize>, message: String) -> TopologyError {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    TopologyError { line, text: text.lines().nth(line - 1).unwrap_or_default().to_owned(), message }
}

fn userspace_tso() -> bool {
    true
}

/// Names under which `weir-lab exec` finds the lab's own machines.
const RESERVED: [&str; 2] = ["switch", "controller"];
/// The switch's ends of cables are called `up-NAME`, and the kernel gives interface names 15 bytes.
const MAX_MACHINE_NAME: usize = 12;
/// Open vSwitch's own default, ovs-vswitchd.conf.db(5), Bridge other_config:mac-aging-time.
const DEFAULT_AGEING: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose fourth line is `line`, in the table `head`.
    fn error(head: &str, line: &str) -> TopologyError {
        let text =
            format!("[[pool]]\nname = 'p'\n{head}\n{line}\n[controller]\naddress = '172.31.0.254/24'\n");
        parse(&text).unwrap_err()
    }

    #[test]
    fn names_line_and_known_keys_for_an_unknown_key() {
        let e = error("[[host]]", "vlann = 3");
        assert_eq!((e.line, e.text.as_str()), (4, "vlann = 3"));
        assert!(e.message.contains("unknown field `vlann`") && e.message.contains("`vlan`"), "{e}");
    }

    #[test]
    fn says_what_would_be_right() {
        for (head, line, right) in [
            ("[[host]]", "vlan = 4095", "1–4094"),
            ("[[host]]", "address = '10.0.0.1'", "like 10.209.164.1/22"),
            ("[[host]]", "address = '10.0.0.0/24'", "unicast host address"),
            ("[[host]]", "mac = '01:00:5e:00:00:01'", "unicast MAC"),
            ("[[host]]", "name = 'Gateway'", "a–z"),
            ("[[host]]", "name = 'a-name-too-long'\naddress = '10.0.0.1/24'", "at most 12"),
            ("[switch]", "mac_ageing = '5s'", "15s to 3600s"),
            ("[[pool]]", "name = 'p'", "twice"),
            ("[[host]]", "name = 'controller'\naddress = '10.0.0.1/24'", "lab's own"),
        ] {
            let e = error(head, line);
            assert!(e.line == 4 && e.message.contains(right), "{head} {line}: {e}");
        }
    }

    #[test]
    fn refuses_a_node_without_its_pool() {
        let e = error("[[node]]", "pool = 'q'\nname = 'n1'\naddress = '172.31.0.1/24'");
        assert!(e.line == 4 && e.message.contains("use one of: p"), "{e}");
    }

    #[test]
    fn refuses_an_address_off_the_underlay_or_taken() {
        let node =
            |address: &str| error("[[node]]", &format!("address = '{address}'\nname = 'n1'\npool = 'p'"));
        assert!(node("172.32.0.1/24").message.contains("underlay 172.31.0.0/24"));
        assert!(node("172.31.0.254/24").message.contains("used twice"));
    }

    #[test]
    fn a_node_has_docker_only_if_its_table_says_so() {
        let text = "[[node]]\nname = 'n1'\npool = 'p'\naddress = '172.31.0.1/24'\n";
        let docker = |more: &str| parse(&format!("{text}{more}")).map(|topology| topology.nodes[0].docker);
        assert_eq!((docker(""), docker("docker = true")), (Ok(false), Ok(true)));
        assert_eq!(docker("docker = 'yes'").unwrap_err().line, 5);
    }

    #[test]
    fn the_same_address_on_another_vlan_is_another_address() {
        let host = |name, vlan| format!("[[host]]\nname='{name}'\nvlan={vlan}\naddress='10.0.0.1/24'\n");
        let same = parse(&(host("a", 1) + &host("b", 1))).unwrap_err();
        assert_eq!(same.line, 8, "{same}");
        assert!(parse(&(host("a", 1) + &host("b", 2))).is_ok());
    }

    #[test]
    fn the_topologies_that_come_with_weir_are_sound() {
        for text in [
            include_str!("../../topologies/quickstart.toml"),
            include_str!("../../topologies/two-nodes.toml"),
        ] {
            parse(text).unwrap();
        }
    }
}
