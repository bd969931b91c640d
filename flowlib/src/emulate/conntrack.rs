//! The connection tracker: a simple table of connections.
//!
//! A connection is known from the moment it is committed. Until it is answered, its packets are new; then they are
//! established. Sequence numbers, timeouts, helpers and fragments are not looked at: an error message of ICMP, a
//! later fragment and what is not IP are invalid.
//!
//! Source: ovs-fields(7), "ct_state"; ovs-actions(7), "ct".

use std::collections::HashMap;
use std::net::IpAddr;

use crate::openflow::action::{Nat, NatFlags, NatRange};
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
        let Some(gone) = self.by_number.remove(&number) else { return };
        for tuple in [gone.original, gone.reply] {
            // Another connection may have taken it.
            if self.by_tuple.get(&tuple).is_some_and(|(of, _)| *of == number) {
                self.by_tuple.remove(&tuple);
            }
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
        let range = range_for(nat, original.eth_type);
        let (first, last) = range.map_or((address, address), |range| {
            let first = number(range.min);
            (first, range.max.map_or(first, number).max(first))
        });
        let range_ports = range.and_then(|range| Some((range.min_port?, range.max_port)));
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

/// The range that a packet's addresses and ports are chosen from. One of the other version of IP is none: Open vSwitch
/// refuses such a flow.
pub(super) fn range_for(nat: &Nat, eth_type: u16) -> Option<NatRange> {
    let is_meant = |address: IpAddr| address.is_ipv4() == (eth_type == ethertype::IPV4);
    nat.range.filter(|range| is_meant(range.min) && range.max.is_none_or(is_meant))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::{Input, Outcome, Switch};
    use crate::text::{format_key, parse_flow, parse_flow_filter};

    /// A switch that tracks all packets by `ct`, then outputs those that matched what follows.
    fn switch(flows: &[&str]) -> Switch {
        let mut switch = Switch::new("br0");
        switch.has_all_ports = true;
        for flow in flows {
            switch.add_flow(parse_flow(flow).unwrap());
        }
        switch
    }

    /// What becomes of a packet: `tcp,nw_src=…`.
    fn send(switch: &mut Switch, packet: &str) -> Outcome {
        let mut key = Key::default();
        for entry in parse_flow_filter(packet, None).unwrap().flow_match.iter() {
            key.set(entry.field, entry.value);
        }
        switch.run(&Input { key, has_side_effects: true, ..Input::default() })
    }

    /// The state of the connection that a packet's second pass knows.
    fn state(switch: &mut Switch, packet: &str) -> String {
        super::super::outcome::state_text(send(switch, packet).passes[1].initial.ct.state)
    }

    /// The packet's second pass as text.
    fn tracked(switch: &mut Switch, packet: &str) -> String {
        format_key(&send(switch, packet).passes[1].initial)
    }

    const FORTH: &str = "tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tcp_src=1000,tcp_dst=80";
    const BACK: &str = "tcp,nw_src=10.0.0.2,nw_dst=10.0.0.1,tcp_src=80,tcp_dst=1000";

    #[test]
    fn a_connection_is_known_once_it_is_committed_and_established_once_it_is_answered() {
        let mut only_looks = switch(&["ip,actions=ct(table=1)"]);
        assert_eq!(state(&mut only_looks, FORTH), "new|trk");
        assert_eq!(state(&mut only_looks, BACK), "new|trk");
        assert!(only_looks.connections.is_empty());

        let mut commits = switch(&["ip,actions=ct(commit,table=1)"]);
        let states = [FORTH, FORTH, BACK, FORTH].map(|packet| state(&mut commits, packet));
        assert_eq!(states, ["new|trk", "new|trk", "est|rpl|trk", "est|trk"]);
        assert_eq!(commits.connections.len(), 1);
        commits.connections.flush();
        assert!(commits.connections.is_empty());
        assert_eq!(state(&mut commits, BACK), "new|trk");
    }

    #[test]
    fn nothing_is_committed_without_side_effects() {
        let mut switch = switch(&["ip,actions=ct(commit,table=1)"]);
        let key = Key { eth_type: ethertype::IPV4, nw_proto: protocol::UDP, ..Key::default() };
        switch.run(&Input { key, ..Input::default() });
        assert!(switch.connections.is_empty());
    }

    #[test]
    fn zones_know_nothing_of_each_other() {
        let mut switch = switch(&[
            "in_port=1,ip,actions=ct(commit,zone=1,table=1)",
            "in_port=2,ip,actions=ct(zone=2,table=1)",
            "in_port=3,ip,actions=ct(zone=1,table=1)",
        ]);
        assert_eq!(state(&mut switch, &format!("in_port=1,{FORTH}")), "new|trk");
        assert_eq!(state(&mut switch, &format!("in_port=2,{BACK}")), "new|trk");
        let text = tracked(&mut switch, &format!("in_port=3,{BACK}"));
        assert!(text.contains("ct_state=est|rpl|trk,ct_zone=1,"), "{text}");
    }

    #[test]
    fn what_exec_sets_stays_with_the_connection() {
        let mut switch = switch(&[
            "in_port=1,ip,actions=ct(commit,table=1,exec(set_field:0x12->ct_mark,set_field:0x5/0xf->ct_label))",
            "in_port=2,ip,actions=ct(commit,table=1,exec(set_field:0x30/0xf0->ct_mark))",
            "in_port=3,ip,actions=ct(table=1)",
        ]);
        let at = |port: u32, packet: &str| format!("in_port={port},{packet}");
        let of = |text: &str| {
            text.split(',')
                .filter(|part| part.starts_with("ct_mark") || part.starts_with("ct_label"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&tracked(&mut switch, &at(1, FORTH))), ["ct_mark=0x12", "ct_label=0x5"]);
        assert_eq!(of(&tracked(&mut switch, &at(2, BACK))), ["ct_mark=0x32", "ct_label=0x5"]);
        let text = tracked(&mut switch, &at(3, FORTH));
        assert_eq!(of(&text), ["ct_mark=0x32", "ct_label=0x5"]);
        let original = "ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=1000,ct_tp_dst=80";
        assert!(text.contains(original), "{text}");
        assert_eq!(
            switch.connections.iter().map(|known| (known.mark, known.label)).collect::<Vec<_>>(),
            [(0x32, 5)]
        );
    }

    #[test]
    fn force_makes_an_answer_the_first_packet_of_its_own_connection() {
        let mut switch = switch(&[
            "in_port=1,ip,actions=ct(commit,table=1)",
            "in_port=2,ip,actions=ct(commit,force,table=1)",
        ]);
        state(&mut switch, &format!("in_port=1,{FORTH}"));
        assert_eq!(state(&mut switch, &format!("in_port=2,{BACK}")), "new|trk");
        assert_eq!(switch.connections.len(), 1);
        assert_eq!(state(&mut switch, &format!("in_port=1,{FORTH}")), "est|rpl|trk");
    }

    #[test]
    fn the_packet_itself_is_not_tracked_and_ct_clear_forgets() {
        let mut switch = switch(&[
            "ip,actions=ct(table=1),goto_table:2",
            "table=1,ip,actions=ct_clear,goto_table:2",
            "table=2,ct_state=-trk,actions=output:1",
        ]);
        let outcome = send(&mut switch, FORTH);
        assert_eq!(outcome.outputs().count(), 2);
        assert_eq!(outcome.passes[1].format_actions(None), "ct_clear,1");
    }

    #[test]
    fn addresses_and_ports_are_the_first_of_the_range_that_are_free() {
        let mut switch = switch(&[
            "in_port=1,ip,actions=ct(commit,table=1,nat(src=10.9.0.1-10.9.0.2:5000-5001))",
            "in_port=2,ip,actions=ct(table=1,nat)",
        ]);
        let from =
            |port: u32| format!("in_port=1,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,udp_src={port},udp_dst=53");
        let mut sources = Vec::new();
        for port in [5001, 7, 8, 9] {
            let text = tracked(&mut switch, &from(port));
            assert!(text.contains("ct_state=new|trk|snat"), "{text}");
            let is_source = |part: &&str| part.starts_with("nw_src") || part.starts_with("tp_src");
            sources.push(text.split(',').filter(is_source).collect::<Vec<_>>().join(" "));
        }
        assert_eq!(
            sources,
            [
                "nw_src=10.9.0.1 tp_src=5001",
                "nw_src=10.9.0.1 tp_src=5000",
                "nw_src=10.9.0.2 tp_src=5000",
                "nw_src=10.9.0.2 tp_src=5001"
            ]
        );
        // Then there is none left.
        assert_eq!(state(&mut switch, &from(10)), "inv|trk");
        // Each packet of a connection is translated as the first one was, and answers are translated back.
        let text = tracked(&mut switch, "in_port=2,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,udp_src=7,udp_dst=53");
        assert!(text.contains("nw_src=10.9.0.1") && text.contains(",tp_src=5000,"), "{text}");
        let text =
            tracked(&mut switch, "in_port=2,udp,nw_src=10.0.0.2,nw_dst=10.9.0.1,udp_src=53,udp_dst=5000");
        assert!(
            text.contains("ct_state=est|rpl|trk|dnat,")
                && text.contains(",nw_dst=10.0.0.1,")
                && text.ends_with(",tp_src=53,tp_dst=7"),
            "{text}"
        );
    }

    #[test]
    fn the_destination_is_translated_for_ipv6_too() {
        let mut switch = switch(&["ipv6,actions=ct(commit,table=1,nat(dst=[fd00::9]:8080))"]);
        let text = tracked(&mut switch, "tcp6,ipv6_src=fd00::1,ipv6_dst=fd00::2,tcp_src=1,tcp_dst=80");
        assert!(
            text.contains("ct_state=new|trk|dnat,")
                && text.contains("ipv6_dst=fd00::9,")
                && text.contains("tp_dst=8080"),
            "{text}"
        );
        let text = tracked(&mut switch, "tcp6,ipv6_src=fd00::9,ipv6_dst=fd00::1,tcp_src=8080,tcp_dst=1");
        assert!(
            text.contains("ct_state=est|rpl|trk|snat,")
                && text.contains("ipv6_src=fd00::2,")
                && text.contains("tp_src=80,"),
            "{text}"
        );
    }

    #[test]
    fn a_range_of_the_other_version_of_ip_is_none() {
        for (flow, packet, address) in [
            ("ip,actions=ct(commit,table=1,nat(src=10.9.0.1))", "tcp6,ipv6_src=fd00::1", "ipv6_src=fd00::1,"),
            ("ipv6,actions=ct(commit,table=1,nat(src=fd00::9))", "tcp,nw_src=10.0.0.1", "nw_src=10.0.0.1,"),
        ] {
            for ct_states in [None, Some(vec![])] {
                let mut flow = parse_flow(flow).unwrap();
                flow.flow_match = Default::default();
                let mut switch = switch(&[]);
                switch.add_flow(flow);
                let mut key = Key::default();
                for entry in parse_flow_filter(packet, None).unwrap().flow_match.iter() {
                    key.set(entry.field, entry.value);
                }
                let outcome =
                    switch.run(&Input { key, has_side_effects: true, ct_states, ..Input::default() });
                let text = format_key(&outcome.passes[1].initial);
                assert!(
                    text.contains(&format!(",{address}")) && text.contains("ct_state=new|trk,"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn echoes_are_a_connection_and_errors_are_not() {
        let mut switch = switch(&["ip,actions=ct(commit,table=1)"]);
        let icmp = |src: u8, kind: u8| {
            format!("icmp,nw_src=10.0.0.{src},nw_dst=10.0.0.{},icmp_type={kind}", 3 - src)
        };
        assert_eq!(state(&mut switch, &icmp(1, 8)), "new|trk");
        assert_eq!(state(&mut switch, &icmp(2, 0)), "est|rpl|trk");
        assert_eq!(state(&mut switch, &icmp(2, 3)), "inv|trk");
    }

    #[test]
    fn fragments_and_answers_to_nothing_are_invalid() {
        let mut switch = switch(&["ip,actions=ct(commit,table=1)"]);
        assert_eq!(state(&mut switch, "ip,nw_proto=17,ip_frag=later"), "inv|trk");
        for flags in ["+syn+ack", "+fin", "+rst"] {
            assert_eq!(state(&mut switch, &format!("{FORTH},tcp_flags={flags}")), "inv|trk");
        }
        assert!(switch.connections.is_empty());
    }

    #[test]
    fn states_that_are_given_are_taken_as_they_are() {
        let mut switch = switch(&["ip,actions=ct(table=1)", "table=1,ip,ct_state=+rel+trk,actions=output:1"]);
        let key = Key { eth_type: ethertype::IPV4, nw_proto: protocol::ICMP, tp_src: 3, ..Key::default() };
        let ct_states = Some(vec![Conntrack::RELATED | Conntrack::TRACKED]);
        assert_eq!(switch.run(&Input { key, ct_states, ..Input::default() }).outputs().count(), 1);
    }
}
