//! Flow mods as they are sent: encoded once, and a tenth of what a decoded flow takes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::Equivalent;

use crate::openflow::{Flow, FlowMod, FlowModCommand, Message};
use crate::segment::id::{Owner, SegmentId};
use crate::types::{Cookie, Priority, TableId, Xid};

/// Where the parts of a flow mod are in a message. Source: OpenFlow 1.3.5 §7.3.4.1.
const LENGTH: Range<usize> = 2..4;
const COOKIE: Range<usize> = 8..16;
const TABLE: usize = 24;
const COMMAND: usize = 25;
const PRIORITY: Range<usize> = 30..32;
const MATCH: usize = 48;
const MATCH_LENGTH: Range<usize> = 50..52;

/// A flow mod's bytes, xid 0. Copies share them.
#[derive(Clone, PartialEq, Eq)]
pub struct Step(Arc<[u8]>);

/// What makes flows the same: adding one with an equal key replaces the other. Source: OpenFlow 1.3.5 §6.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The table.
    pub table: TableId,
    /// The priority.
    pub priority: Priority,
    /// The match as encoded: equal matches have equal bytes.
    flow_match: &'a [u8],
}

impl Step {
    /// Encodes a flow mod.
    pub(super) fn of(flow_mod: FlowMod) -> Self {
        let mut bytes = Vec::with_capacity(256);
        Message::FlowMod(flow_mod).encode(Xid(0), &mut bytes).expect("a flow of ours is far below 64 KiB");
        Self(bytes.into())
    }

    /// What adds that flow.
    #[must_use]
    pub fn add(flow: &Flow) -> Self {
        Self::of(FlowMod::add(flow))
    }

    /// What adds a flow that a switch says it has; nothing if no message can: what a switch makes up need not be a flow.
    #[must_use]
    pub fn of_switch(flow: &Flow) -> Option<Self> {
        let mut bytes = Vec::with_capacity(256);
        Message::FlowMod(FlowMod::add(flow)).encode(Xid(0), &mut bytes).ok()?;
        Message::decode(&bytes).ok()?;
        Some(Self(bytes.into()))
    }

    /// The flow mods that lie one behind the other in `bytes`, as [`Step::bytes`] gives them.
    pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let length = u16::from_be_bytes(*bytes.get(LENGTH)?.as_array()?);
            let (step, rest) = bytes.split_at_checked(length.into())?;
            bytes = rest;
            Some(Self(step.into()))
        })
    }

    /// What adds an owner's flows to a segment: their cookies name both.
    pub fn add_all(segment: SegmentId, owner: Owner, flows: Vec<Flow>) -> Vec<Self> {
        let cookie = segment.cookie(owner);
        flows.into_iter().map(|flow| Self::add(&Flow { cookie, ..flow })).collect()
    }

    /// What deletes just the flow that this adds or deletes.
    #[must_use]
    pub fn deleting(&self) -> Self {
        Self::of(FlowMod::delete_strict(&self.flow()))
    }

    /// The message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it adds a flow; otherwise it deletes.
    #[must_use]
    pub fn is_add(&self) -> bool {
        self.0[COMMAND] == FlowModCommand::ADD.0
    }

    /// The flow's cookie.
    #[must_use]
    pub fn cookie(&self) -> Cookie {
        Cookie(u64::from_be_bytes(self.array(COOKIE)))
    }

    /// The flow's table.
    #[must_use]
    pub fn table(&self) -> TableId {
        TableId(self.0[TABLE])
    }

    /// The flow's priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        Priority(u16::from_be_bytes(self.array(PRIORITY)))
    }

    /// What its flow has in common with those that it replaces.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        let length = usize::from(u16::from_be_bytes(self.array(MATCH_LENGTH)));
        let flow_match = &self.0[MATCH..MATCH + length];
        Key { table: self.table(), priority: self.priority(), flow_match }
    }

    /// The flow; of a delete, what it says of it.
    #[must_use]
    pub fn flow(&self) -> Flow {
        match Message::decode(&self.0) {
            Ok((_, Message::FlowMod(flow_mod))) => flow_mod.into_flow(),
            other => unreachable!("it was encoded here, and is {other:?}"),
        }
    }

    fn array<const N: usize>(&self, range: Range<usize>) -> [u8; N] {
        self.0[range].try_into().expect("a range of that length")
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", if self.is_add() { "add" } else { "delete" }, self.flow())
    }
}

/// A step that stands for the flow it is about, whatever it does with packets.
#[derive(Clone, Debug)]
pub(super) struct ByKey(pub(super) Step);

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl Equivalent<ByKey> for Key<'_> {
    fn equivalent(&self, by_key: &ByKey) -> bool {
        by_key.0.key() == *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;
    use crate::openflow::{Instruction, Match};

    #[test]
    fn what_a_switch_makes_up_is_no_step() {
        let with = |lengths: &[usize]| {
            let unknown =
                |n: &usize| Instruction::Unknown { instruction_type: 0xffff, body: vec![0; *n].into() };
            Flow { instructions: lengths.iter().map(unknown).collect(), ..Flow::default() }
        };
        let held = with(&[60_004]);
        assert_eq!(Step::of_switch(&held).map(|step| step.flow()), Some(held));
        assert_eq!(Step::of_switch(&with(&[60_004, 60_004])), None, "too long");
        assert_eq!(Step::of_switch(&with(&[5])), None, "it does not end where a message may");
    }

    #[test]
    fn its_parts_are_those_of_its_flow() {
        let flow = Flow {
            table: TableId(7),
            priority: Priority(300),
            cookie: Cookie(0x1122_3344_5566_7788),
            flow_match: Match::new().with(field::IN_PORT, 5u32).with(field::METADATA, 9u64),
            instructions: vec![Instruction::GotoTable(TableId(8))],
            ..Flow::default()
        };
        let (add, other) = (Step::add(&flow), Step::add(&Flow { priority: Priority(301), ..flow.clone() }));
        let delete = add.deleting();
        assert_eq!((add.is_add(), delete.is_add()), (true, false));
        for step in [&add, &delete] {
            assert_eq!(
                (step.table(), step.priority(), step.cookie()),
                (flow.table, flow.priority, flow.cookie)
            );
        }
        assert_eq!(add.flow(), flow);
        assert_eq!(add.key(), delete.key());
        assert_ne!(add.key(), other.key());
        let elsewhere = Flow { flow_match: Match::new().with(field::IN_PORT, 5u32), ..flow };
        assert_ne!(add.key(), Step::add(&elsewhere).key());
    }
}
