//! Flows as bytes: what two of them must share to be one flow, and what of it may differ.

use std::hash::{Hash, Hasher};

use flowlib::openflow::{Flow, FlowMod, FlowStats, Instruction, Message};
use flowlib::text::format_instructions;
use flowlib::types::Xid;
use flowlib::wire::{Part, Reader, Wire};

/// A flow in the bytes of a flow mod or of a switch's report.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// What makes it this flow.
    pub(super) key: Key<'a>,
    cookie: [u8; 8],
    timeouts: [u8; 4],
    instructions: &'a [u8],
}

/// Table, priority and match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) table: u8,
    priority: [u8; 2],
    /// As on the wire, with its padding.
    flow_match: &'a [u8],
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.table);
        state.write(&self.priority);
        state.write(self.flow_match);
    }
}

/// Where the match begins in a flow mod and in a report of a flow.
const MATCH_AT: usize = 48;

impl<'a> View<'a> {
    /// Of a flow mod.
    ///
    /// Shape: see [`FlowMod`], behind a header of 8 bytes.
    pub(super) fn of_flow_mod(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, Places { table: 24, cookie: 8, timeouts: 26, priority: 30 })
    }

    /// Of an entry of a report.
    ///
    /// Shape: see [`FlowStats`].
    pub(super) fn of_stats(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, Places { table: 2, cookie: 24, timeouts: 14, priority: 12 })
    }

    fn new(bytes: &'a [u8], places: Places) -> Option<Self> {
        let match_len = u16::from_be_bytes(*bytes.get(MATCH_AT + 2..MATCH_AT + 4)?.first_chunk()?);
        let match_end = MATCH_AT + usize::from(match_len).next_multiple_of(8);
        Some(Self {
            key: Key {
                table: *bytes.get(places.table)?,
                priority: *bytes.get(places.priority..)?.first_chunk()?,
                flow_match: bytes.get(MATCH_AT..match_end)?,
            },
            cookie: *bytes.get(places.cookie..)?.first_chunk()?,
            timeouts: *bytes.get(places.timeouts..)?.first_chunk()?,
            instructions: bytes.get(match_end..)?,
        })
    }

    /// Whether both do the same. Flags are no part of it: not all switches report them. Instructions are the same
    /// if they read the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.cookie == other.cookie
            && self.timeouts == other.timeouts
            && (self.instructions == other.instructions || self.reads() == other.reads())
    }

    fn reads(&self) -> Option<String> {
        let reader = Reader::new(self.instructions, Part::Instruction);
        let instructions = Instruction::decode_list(reader).ok()?;
        Some(format_instructions(&instructions))
    }
}

/// Where the parts of a flow begin.
struct Places {
    table: usize,
    cookie: usize,
    timeouts: usize,
    priority: usize,
}

/// The flow of an entry.
///
/// # Errors
/// If it cannot be decoded.
pub(super) fn flow_of(entry: &[u8]) -> anyhow::Result<Flow> {
    let mut reader = Reader::new(entry, Part::Multipart);
    Ok(FlowStats::decode(&mut reader)?.flow)
}

/// The flow mod that adds a flow, in our spelling, xid 0. Tunnel metadata is as long as it has to be, as in text; a
/// switch reports it as wide as it made the field.
///
/// # Errors
/// If it has no encoding.
pub(super) fn add_of(flow: &Flow) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut flow_mod = FlowMod::add(flow);
    flow_mod.flow_match.trim_wide();
    Message::FlowMod(flow_mod).encode(Xid(0), &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlib::openflow::oxm::WideField;
    use flowlib::text::parse_flow;
    use flowlib::wire::Writer;

    fn stats(flow: &Flow) -> Vec<u8> {
        let mut bytes = Vec::new();
        let stats =
            FlowStats { flow: flow.clone(), duration_s: 5, duration_ns: 6, packet_count: 7, byte_count: 8 };
        let mut writer = Writer::new(&mut bytes);
        stats.encode(&mut writer);
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_report_and_a_flow_mod_of_one_flow_look_the_same() {
        let text = "table=3,priority=7,cookie=9,idle_timeout=10,ip,nw_src=10.0.0.0/8,actions=output:2";
        let flow = parse_flow(text).unwrap();
        let (add, stats) = (add_of(&flow).unwrap(), stats(&flow));
        let (one, other) = (View::of_flow_mod(&add).unwrap(), View::of_stats(&stats).unwrap());
        assert_eq!(one.key, other.key);
        assert!(one.is_same(&other));
        let changed = add_of(&Flow { hard_timeout_s: 1, ..flow }).unwrap();
        assert!(!one.is_same(&View::of_flow_mod(&changed).unwrap()));
    }

    #[test]
    fn tunnel_metadata_is_the_same_however_wide_the_switch_made_it() {
        let flow = parse_flow("tun_metadata0=0x12,tun_metadata1=0x100/0xff00,actions=drop").unwrap();
        let mut reported = flow.clone();
        for entry in flow.flow_match.wide() {
            let padded = |bytes: &[u8]| [&[0; 4][..], bytes].concat().into_boxed_slice();
            let (value, mask) = (padded(&entry.value), entry.mask.as_deref().map(padded));
            reported.flow_match.set_wide(WideField { field: entry.field, value, mask });
        }
        assert_ne!(reported, flow);
        assert_eq!(add_of(&reported).unwrap(), add_of(&flow).unwrap());
    }

    #[test]
    fn bytes_that_are_no_flow_have_no_view() {
        assert!(View::of_stats(&[0; 50]).is_none());
    }
}
