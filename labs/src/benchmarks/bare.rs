//! The nodes of [`World`](super::world::World) without Weir, and endpoints for whatever connects them instead.

use std::net::Ipv4Addr;

use anyhow::{Context, anyhow};
use pnet_datalink::MacAddr;

use super::seat::Seat;
use super::world;
use crate::Lab;
use crate::place::Place;
use crate::topology::{Host, Name};

/// Nodes on which Open vSwitch runs without a bridge, and a host for what is central.
pub(super) struct Bare {
    // Goes down before its folder is removed.
    pub(super) lab: Lab,
    _dir: tempfile::TempDir,
    pub(super) nodes: Vec<String>,
    tso: bool,
    mtu: u16,
    made: u32,
}

/// An endpoint that no switch has yet.
pub(super) struct Unplugged {
    pub(super) number: u32,
    /// The end of its veth that is its node's.
    pub(super) port: String,
    pub(super) seat: Seat,
}

impl Bare {
    /// Brings the lab up under a name of its own. `tso`: see [`World::up_with`](super::world::World::up_with); `mtu` is the
    /// endpoints'.
    pub(super) fn up(name: &str, tso: bool, mtu: u16) -> anyhow::Result<Bare> {
        let mut topology = world::topology(tso)?;
        topology.name = Some(Name::new(name).map_err(|why| anyhow!(why))?);
        topology.pools.clear();
        let controller = topology.controller.take().context("the topology has no controller")?;
        let central = Name::new(CENTRAL).map_err(|why| anyhow!(why))?;
        topology.hosts = vec![Host { name: central, vlan: None, address: controller.address, mac: None }];
        let nodes = topology.nodes.iter().map(|node| node.name.to_string()).collect();
        let dir = tempfile::tempdir()?;
        Ok(Bare { lab: Lab::up(&topology, dir.path())?, _dir: dir, nodes, tso, mtu, made: 0 })
    }

    /// Makes so many more endpoints, in turn over the nodes: each a namespace that is named as an agent names them, and a veth.
    ///
    /// They are spared the kernel's IPv6 chatter, which would flood a fabric that nothing shields.
    pub(super) fn endpoints(&mut self, count: u32) -> anyhow::Result<Vec<Unplugged>> {
        let numbers = self.made..self.made + count;
        self.made += count;
        let node = |number: u32| &self.nodes[number as usize % self.nodes.len()];
        for name in &self.nodes {
            let script: String =
                numbers.clone().filter(|number| node(*number) == name).map(|n| self.script(n)).collect();
            self.lab.place(name)?.run(["sh", "-euc", &script])?;
        }
        let endpoint = |number| {
            let place = Place::endpoint(self.lab.state(), node(number), number)?;
            let seat = Seat { node: node(number).clone(), place, address: address(number), mac: mac(number) };
            Ok(Unplugged { number, port: port(number), seat })
        };
        numbers.clone().map(endpoint).collect()
    }

    /// Has the next endpoint be made on the first node; numbers are left out for that.
    pub(super) fn skip_to_first(&mut self) {
        self.made = self.made.next_multiple_of(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
    }

    /// Removes an endpoint that no switch has any more.
    pub(super) fn remove(&self, endpoint: &Unplugged) -> anyhow::Result<()> {
        let namespace = format!("weir-{}", endpoint.number);
        self.lab.place(&endpoint.seat.node)?.run(["ip", "netns", "del", &namespace]).map(drop)
    }

    fn script(&self, number: u32) -> String {
        let (port, mac, address) = (port(number), mac(number), address(number));
        let off = |interface: &str| match self.tso {
            true => String::new(),
            false => format!("ethtool -K {interface} tx off >/dev/null\n"),
        };
        format!(
            "ip netns add weir-{number}\n\
             ip link add name {port} mtu {mtu} type veth peer name eth0 mtu {mtu} address {mac} netns weir-{number}\n\
             sysctl -q -w net.ipv6.conf.{port}.disable_ipv6=1\n\
             ip link set {port} up\n{outside}\
             nsenter --net=/run/netns/weir-{number} sh -euc '\n\
             sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1\n{inside}\
             printf \"link set lo up\\nlink set eth0 up\\naddress add {address}/{LENGTH} dev eth0\\n\" | ip -batch -'\n",
            mtu = self.mtu,
            outside = off(&port),
            inside = off("eth0"),
        )
    }
}

fn port(number: u32) -> String {
    format!("veth{number}")
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(FIRST) + number)
}

fn mac(number: u32) -> MacAddr {
    let [_, _, c, d] = number.to_be_bytes();
    MacAddr::new(0x02, 0xbe, 0, 0, c, d)
}

/// What the fabric carries, RFC 894.
pub(super) const MTU: u16 = 1500;
/// The host for what is central.
pub(super) const CENTRAL: &str = "central";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);
const LENGTH: u8 = 16;
