//! The connection tracker: a simple table of connections.
//!
//! A connection is known from the moment it is committed. Until it is answered, its packets are new; then they are
//! established. Sequence numbers, timeouts, helpers and fragments are not looked at: an error message of ICMP, a
//! later fragment and what is not IP are invalid.
//!
//! Source: ovs-fields(7), "ct_state"; ovs-actions(7), "ct".

use std::collections::HashMap;
use std::net::IpAddr;

use crate::openflow::action::{Nat, NatFlags};
use crate::packet::{Conntrack, Key, ethertype, protocol};

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tuple {
    zone: u16,
    eth_type: u16,
    proto: u8,
    src: (u128, u16),
    dst: (u128, u16),
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    original: Tuple,
    /// As answers come: the reverse of what its packets are translated to.
    reply: Tuple,
    has_reply: bool,
    /// `ct_mark`.
    pub mark: u32,
    /// `ct_label`.
    pub label: u128,
}

/// The connections that a switch knows.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    by_number: HashMap<u64, Connection>,
    /// Both directions of each, and whether it is that of the answer.
    by_tuple: HashMap<Tuple, (u64, bool)>,
    last_number: u64,
}

/// What is to be done with a packet's connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) zone: u16,
    pub(super) is_commit: bool,
    pub(super) is_forced: bool,
    pub(super) nat: Option<&'a Nat>,
    /// Value and mask.
    pub(super) mark: (u32, u32),
    /// Value and mask.
    pub(super) label: (u128, u128),
    /// Whether connections may be added.
    pub(super) has_side_effects: bool,
}

impl Tuple {
    fn of(key: &Key, zone: u16) -> Option<Self> {
        let (src, dst) = match key.eth_type {
            ethertype::IPV4 => (key.nw_src.into(), key.nw_dst.into()),
            ethertype::IPV6 => (key.ipv6_src, key.ipv6_dst),
            _ => return None,
        };
        if key.nw_frag & Key::FRAG_LATER != 0 {
            return None;
        }
        let is_echo = match (key.eth_type, key.nw_proto) {
            (ethertype::IPV4, protocol::ICMP) => echo_reply(key.tp_src).is_some(),
            (ethertype::IPV6, protocol::ICMPV6) => echo_reply(key.tp_src).is_some(),
            _ => true,
        };
        is_echo.then_some(Self {
            zone,
            eth_type: key.eth_type,
            proto: key.nw_proto,
            src: (src, key.tp_src),
            dst: (dst, key.tp_dst),
        })
    }

    fn is_icmp(&self) -> bool {
        matches!(self.proto, protocol::ICMP | protocol::ICMPV6)
    }

    /// The direction of the answer.
    fn reversed(self) -> Self {
        if self.is_icmp() {
            // There are no ports: the answer's type stands for the request's.
            let reply = echo_reply(self.src.1).unwrap_or(self.src.1);
            return Self { src: (self.dst.0, reply), dst: (self.src.0, self.dst.1), ..self };
        }
        Self { src: self.dst, dst: self.src, ..self }
    }

    /// Gives a packet these addresses and ports.
    fn write(&self, key: &mut Key) {
        if self.eth_type == ethertype::IPV4 {
            (key.nw_src, key.nw_dst) = (self.src.0 as u32, self.dst.0 as u32);
        } else {
            (key.ipv6_src, key.ipv6_dst) = (self.src.0, self.dst.0);
        }
        (key.tp_src, key.tp_dst) = (self.src.1, self.dst.1);
    }
}

/// The type of the answer to a request of ICMP, or of the request to an answer.
fn echo_reply(icmp_type: u16) -> Option<u16> {
    let pairs = [(8, 0), (13, 14), (15, 16), (128, 129)];
    pairs.into_iter().find_map(|(request, reply)| match icmp_type {
        found if found == request => Some(reply),
        found if found == reply => Some(request),
        _ => None,
    })
}

impl Connections {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The connections, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.by_number.values()
    }

    /// Forgets all.
    pub fn flush(&mut self) {
        self.by_number.clear();
        self.by_tuple.clear();
    }

    /// Sends a packet through: its addresses are translated, and it knows its connection then.
    pub(super) fn process(&mut self, key: &mut Key, request: &Request<'_>) {
        key.ct = Conntrack { zone: request.zone, state: Conntrack::TRACKED, ..Conntrack::default() };
        let Some(tuple) = Tuple::of(key, request.zone) else {
            key.ct.state |= Conntrack::INVALID;
            return;
        };
        let mut known = self.by_tuple.get(&tuple).copied();
        if let Some((number, true)) = known
            && request.is_forced
            && request.has_side_effects
        {
            self.forget(number);
            known = None;
        }
        match known {
            Some((number, is_reply)) => self.follow(key, request, number, is_reply),
            None => self.begin(key, request, tuple),
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(gone) = self.by_number.remove(&number) {
            self.by_tuple.remove(&gone.original);
            self.by_tuple.remove(&gone.reply);
        }
    }

    fn follow(&mut self, key: &mut Key, request: &Request<'_>, number: u64, is_reply: bool) {
        let Some(connection) = self.by_number.get_mut(&number) else { return };
        if request.has_side_effects {
            connection.has_reply |= is_reply;
        }
        let is_established = connection.has_reply || is_reply;
        key.ct.state |= if is_established { Conntrack::ESTABLISHED } else { Conntrack::NEW };
        if is_reply {
            key.ct.state |= Conntrack::REPLY;
        }
        if request.is_commit && request.has_side_effects {
            connection.change(request);
        }
        let connection = connection.clone();
        connection.tell(key);
        let target = if is_reply { connection.original.reversed() } else { connection.reply.reversed() };
        if request.nat.is_some() {
            translate(key, target);
        }
    }

    fn begin(&mut self, key: &mut Key, request: &Request<'_>, original: Tuple) {
        let is_answer = key.nw_proto == protocol::TCP && {
            let has = |bit: u16| key.tcp_flags & bit != 0;
            has(TCP_SYN) && has(TCP_ACK) || has(TCP_FIN) || has(TCP_RST)
        };
        if is_answer {
            key.ct.state |= Conntrack::INVALID;
            return;
        }
        key.ct.state |= Conntrack::NEW;
        let mut connection =
            Connection { original, reply: original.reversed(), has_reply: false, mark: 0, label: 0 };
        if request.is_commit {
            if let Some(nat) = request.nat {
                let Some(target) = self.choose(original, nat) else {
                    key.ct.state = Conntrack::TRACKED | Conntrack::INVALID;
                    return;
                };
                connection.reply = target.reversed();
                translate(key, target);
            }
            connection.change(request);
            if request.has_side_effects {
                self.last_number += 1;
                self.by_tuple.insert(connection.original, (self.last_number, false));
                self.by_tuple.insert(connection.reply, (self.last_number, true));
                self.by_number.insert(self.last_number, connection.clone());
            }
        }
        connection.tell(key);
    }

    /// What a new connection is translated to: the first address and port of the range whose answers are no other
    /// connection's; the port of the packet first, if the range has it.
    fn choose(&self, original: Tuple, nat: &Nat) -> Option<Tuple> {
        let is_source = nat.flags.contains(NatFlags::SRC);
        if !is_source && !nat.flags.contains(NatFlags::DST) {
            return Some(original);
        }
        let (address, port) = if is_source { original.src } else { original.dst };
        let (first, last) = nat.range.map_or((address, address), |range| {
            let first = number(range.min);
            (first, range.max.map_or(first, number).max(first))
        });
        let range_ports = nat.range.and_then(|range| Some((range.min_port?, range.max_port)));
        let ports = match range_ports {
            _ if original.is_icmp() => port..=port,
            Some((low, high)) => low..=high.unwrap_or(low).max(low),
            None => 1024..=u16::MAX,
        };
        let own = ports.contains(&port) || range_ports.is_none();
        let candidates = own.then_some(port).into_iter().chain(ports);
        (first..=last)
            .take(MAX_ADDRESSES)
            .flat_map(|address| candidates.clone().map(move |port| (address, port)))
            .find_map(|place| {
                let target = if is_source {
                    Tuple { src: place, ..original }
                } else {
                    Tuple { dst: place, ..original }
                };
                (!self.by_tuple.contains_key(&target.reversed())).then_some(target)
            })
    }
}

const TCP_FIN: u16 = 1;
const TCP_SYN: u16 = 2;
const TCP_RST: u16 = 4;
const TCP_ACK: u16 = 16;

/// How many addresses of a range are tried.
const MAX_ADDRESSES: usize = 256;

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn translate(key: &mut Key, target: Tuple) {
    let Some(before) = Tuple::of(key, target.zone) else { return };
    if before.src != target.src {
        key.ct.state |= Conntrack::SRC_NAT;
    }
    if before.dst != target.dst {
        key.ct.state |= Conntrack::DST_NAT;
    }
    target.write(key);
}

impl Connection {
    fn change(&mut self, request: &Request<'_>) {
        self.mark = self.mark & !request.mark.1 | request.mark.0 & request.mark.1;
        self.label = self.label & !request.label.1 | request.label.0 & request.label.1;
    }

    /// Lets a packet know it.
    fn tell(&self, key: &mut Key) {
        (key.ct.mark, key.ct.label) = (self.mark, self.label);
        key.ct.nw_proto = self.original.proto;
        if self.original.eth_type == ethertype::IPV4 {
            (key.ct.nw_src, key.ct.nw_dst) = (self.original.src.0 as u32, self.original.dst.0 as u32);
        } else {
            (key.ct.ipv6_src, key.ct.ipv6_dst) = (self.original.src.0, self.original.dst.0);
        }
        (key.ct.tp_src, key.ct.tp_dst) = (self.original.src.1, self.original.dst.1);
    }
}
