//! Passes that are interrupted, to go on when more is known of the packet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::conntrack::range_for;
use super::hash;
use super::outcome::{Input, ResumeReason, Resumed, state_text};
use super::step::Step;
use crate::openflow::action::{Nat, NatFlags};
use crate::openflow::{Action, FieldValue};
use crate::packet::{Conntrack, Key, Packet, ethertype};
use crate::types::TableId;

/// A pass that waits to be made.
#[derive(Clone, Debug)]
pub(super) struct Resume {
    /// The packet.
    pub(super) key: Key,
    /// What of a later pass its number and reason are.
    pub(super) resumed: Option<Resumed>,
    /// The table in which it goes on if there are no steps left.
    pub(super) table: TableId,
    /// The steps that are left.
    pub(super) steps: Arc<[Step]>,
    pub(super) stack: Vec<FieldValue>,
    pub(super) action_set: Vec<Action>,
    pub(super) is_tracked: bool,
    pub(super) was_mpls: bool,
    /// The headers that others cover, the outermost last.
    pub(super) covered: Vec<Key>,
    /// Of the connection tracker: what a packet is translated to if its connections are not looked up.
    pub(super) nat: Option<Nat>,
    /// Whether what comes out of it really comes out.
    pub(super) counts: bool,
}

impl Resume {
    /// The first pass of a packet.
    pub(super) fn start(input: &Input) -> Self {
        let covered = input.frame.as_deref().map(|frame| covered(&input.key, frame)).unwrap_or_default();
        Self {
            key: input.key.clone(),
            resumed: None,
            table: TableId(0),
            steps: Arc::new([]),
            stack: Vec::new(),
            action_set: Vec::new(),
            is_tracked: false,
            was_mpls: false,
            covered,
            nat: None,
            counts: true,
        }
    }

    /// Whether it was interrupted to have its connection told.
    pub(super) fn is_for_conntrack(&self) -> bool {
        self.resumed.as_ref().is_some_and(|resumed| resumed.reason == ResumeReason::Conntrack)
    }

    /// Gives the packet what it was interrupted for. `states` are those that the connection tracker is to say.
    pub(super) fn thaw(&mut self, states: Option<&mut VecDeque<u32>>) {
        let Some(resumed) = &mut self.resumed else { return };
        self.key.recirc_id = resumed.recirc_id;
        match resumed.reason {
            ResumeReason::Conntrack => {
                let Some(states) = states else { return };
                let note = match states.pop_front() {
                    Some(state) => {
                        self.key.ct.state = state;
                        format!(" - resume conntrack with ct_state={}", state_text(state))
                    }
                    None => {
                        self.key.ct.state = Conntrack::TRACKED | Conntrack::NEW;
                        " - resume conntrack with default ct_state=trk|new (use --ct-next to customize)"
                            .to_owned()
                    }
                };
                resumed.notes.push(note);
                if let Some(nat) = self.nat.take() {
                    resumed.notes.extend(translate(&mut self.key, &nat));
                }
            }
            // A network service header was taken off.
            ResumeReason::Headers if !self.was_mpls => {
                let unknown = Key { eth_type: self.key.packet_type as u16, ..Key::default() };
                self.key.take_headers(&self.covered.pop().unwrap_or(unknown));
            }
            ResumeReason::Hash | ResumeReason::Headers | ResumeReason::Debug => {}
        }
        if std::mem::take(&mut self.was_mpls)
            && let Some(inner) = self.covered.pop()
        {
            self.key.take_network(&inner);
        }
        if !self.is_tracked {
            self.key.ct = Conntrack::default();
        }
    }
}

/// What the trace says when it takes the first address and port of a range for granted.
fn translate(key: &mut Key, nat: &Nat) -> Vec<String> {
    let range = range_for(nat, key.eth_type);
    let text = |key: &Key| if range.is_some() { endpoints(key) } else { String::new() };
    let before = text(key);
    if let Some(range) = range {
        let is_source = nat.flags.contains(NatFlags::SRC);
        let is_target = nat.flags.contains(NatFlags::DST);
        match range.min {
            std::net::IpAddr::V4(address) if is_source => key.nw_src = address.to_bits(),
            std::net::IpAddr::V4(address) if is_target => key.nw_dst = address.to_bits(),
            std::net::IpAddr::V6(address) if is_source => key.ipv6_src = address.to_bits(),
            std::net::IpAddr::V6(address) if is_target => key.ipv6_dst = address.to_bits(),
            _ => {}
        }
        if let Some(port) = range.min_port {
            if is_source {
                key.tp_src = port;
            } else if is_target {
                key.tp_dst = port;
            }
        }
    }
    vec![
        "\nReplacing src/dst IP/ports to simulate NAT:".to_owned(),
        format!("\n Initial flow: {before}"),
        format!("\n Modified flow: {}", text(key)),
    ]
}

fn endpoints(key: &Key) -> String {
    if key.eth_type == ethertype::IPV6 {
        let [src, dst] = [key.ipv6_src, key.ipv6_dst].map(std::net::Ipv6Addr::from_bits);
        return format!("ipv6_src=[{src}],tp_src={},ipv6_dst=[{dst}],tp_dst={}", key.tp_src, key.tp_dst);
    }
    let [src, dst] = [key.nw_src, key.nw_dst].map(std::net::Ipv4Addr::from_bits);
    format!("nw_src={src},tp_src={},nw_dst={dst},tp_dst={}", key.tp_src, key.tp_dst)
}

/// The hash that a datapath computes: never 0, which says that there is none.
pub(super) fn dp_hash(key: &Key) -> u32 {
    hash::symmetric_l4(key, 0).max(1)
}

/// The headers of a frame that lie below labels or a network service header.
fn covered(key: &Key, frame: &[u8]) -> Vec<Key> {
    let link = if key.is_ethernet() { 14 + 4 * key.n_vlans() } else { 0 };
    let inner = |skip: usize| frame.get(link + skip..);
    let found = if ethertype::is_mpls(key.eth_type) {
        // Which protocol is below is not said: the version of IP tells it.
        inner(4 * key.n_labels()).and_then(|data| {
            let eth_type = match data.first()? >> 4 {
                4 => ethertype::IPV4,
                6 => ethertype::IPV6,
                _ => return None,
            };
            Some(Packet::parse_bare(data, 1 << 16 | u32::from(eth_type)).key)
        })
    } else if key.eth_type == ethertype::NSH {
        let len = frame.get(link + 1).map_or(0, |byte| usize::from(byte & 0x3f) * 4);
        inner(len).and_then(|data| Some(packet_below(key.nsh.next_proto, data)?.key))
    } else {
        None
    };
    found.into_iter().collect()
}

/// Source: RFC 8300 §2.2.
fn packet_below(next_proto: u8, data: &[u8]) -> Option<Packet<'_>> {
    Some(match packet_type_below(next_proto)? {
        0 => Packet::parse(data),
        packet_type => Packet::parse_bare(data, packet_type),
    })
}

/// The type of the packet in a network service header.
pub(super) fn packet_type_below(next_proto: u8) -> Option<u32> {
    Some(match next_proto {
        1 => 1 << 16 | u32::from(ethertype::IPV4),
        2 => 1 << 16 | u32::from(ethertype::IPV6),
        3 => 0,
        4 => 1 << 16 | u32::from(ethertype::NSH),
        _ => return None,
    })
}
