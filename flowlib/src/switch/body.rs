//! Flows as their bytes, each kept once for all switches that hold it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use xxhash_rust::xxh3::xxh3_64;

use crate::openflow::{Action, Flow, FlowMod, FlowModFlags, HEADER_LEN, Instruction, Match, Message};
use crate::types::{Cookie, GroupId, MeterId, PortNo, Priority, TableId, Xid};
use crate::wire::{Part, Reader, Wire};

/// What a flow needs of its switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Used {
    Group(GroupId),
    Meter(MeterId),
    /// A meter for packets that the controller is shown: the flow does not go with it.
    PacketInMeter(MeterId),
}

/// A flow: the flow mod that adds it, without its header, in canonical form.
///
/// Shape: see [`FlowMod`]; instructions stand in the order in which they are carried out.
#[derive(Debug)]
pub(super) struct Body {
    /// Of table, priority and match.
    key_hash: u64,
    /// Where the instructions begin.
    match_end: usize,
    uses: Box<[Used]>,
    bytes: Box<[u8]>,
}

/// Where the parts of a flow mod are, behind its header.
const TABLE_AT: usize = 16;
const IDLE_AT: usize = 18;
const HARD_AT: usize = 20;
const PRIORITY_AT: usize = 22;
const FLAGS_AT: usize = 36;
const MATCH_AT: usize = 40;

impl Body {
    /// A flow by itself, shared with no switch.
    pub(super) fn new(flow: Flow) -> Self {
        Self::from_bytes(canonical(flow))
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        let (match_end, instructions) = taken_apart(&bytes);
        let mut uses = Vec::new();
        for instruction in &instructions {
            match instruction {
                Instruction::Meter(meter) => uses.push(Used::Meter(*meter)),
                Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
                    add_uses(actions, &mut uses);
                }
                _ => {}
            }
        }
        let mut key = vec![bytes[TABLE_AT]];
        key.extend_from_slice(&bytes[PRIORITY_AT..PRIORITY_AT + 2]);
        key.extend_from_slice(&bytes[MATCH_AT..match_end]);
        Self { key_hash: xxh3_64(&key), match_end, uses: uses.into(), bytes: bytes.into() }
    }

    fn u16_at(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    pub(super) fn cookie(&self) -> Cookie {
        let cookie = self.bytes.first_chunk().expect("a flow mod begins with the cookie");
        Cookie(u64::from_be_bytes(*cookie))
    }

    pub(super) fn table(&self) -> TableId {
        TableId(self.bytes[TABLE_AT])
    }

    pub(super) fn priority(&self) -> Priority {
        Priority(self.u16_at(PRIORITY_AT))
    }

    /// Seconds without a packet, and in all; 0: for ever.
    pub(super) fn timeouts(&self) -> (u16, u16) {
        (self.u16_at(IDLE_AT), self.u16_at(HARD_AT))
    }

    pub(super) fn flags(&self) -> FlowModFlags {
        FlowModFlags::from_bits_retain(self.u16_at(FLAGS_AT))
    }

    /// As on the wire, with its padding.
    pub(super) fn match_bytes(&self) -> &[u8] {
        &self.bytes[MATCH_AT..self.match_end]
    }

    pub(super) fn instruction_bytes(&self) -> &[u8] {
        &self.bytes[self.match_end..]
    }

    pub(super) fn uses(&self) -> &[Used] {
        &self.uses
    }

    pub(super) fn flow_match(&self) -> Match {
        Match::decode(&mut Reader::new(self.match_bytes(), Part::Match)).expect(ENCODED)
    }

    pub(super) fn instructions(&self) -> Vec<Instruction> {
        Instruction::decode_list(Reader::new(self.instruction_bytes(), Part::Instruction)).expect(ENCODED)
    }

    pub(super) fn flow(&self) -> Flow {
        let (idle_timeout_s, hard_timeout_s) = self.timeouts();
        Flow {
            table: self.table(),
            priority: self.priority(),
            cookie: self.cookie(),
            flow_match: self.flow_match(),
            instructions: self.instructions(),
            idle_timeout_s,
            hard_timeout_s,
            flags: self.flags(),
        }
    }

    /// Whether something in it outputs to that port, as Open vSwitch sees it: the port stands in it by number.
    pub(super) fn outputs_to(&self, port: PortNo) -> bool {
        any_action(&self.instructions(), &|action| match action {
            Action::Output { port: to, .. } => *to == port,
            Action::Controller(_) => port == PortNo::CONTROLLER,
            _ => false,
        })
    }
}

const ENCODED: &str = "it was encoded here";

/// The flow mod that adds the flow, without its header.
fn canonical(mut flow: Flow) -> Vec<u8> {
    flow.instructions.sort_by_key(Instruction::rank);
    flow.instructions.retain(|instruction| *instruction != Instruction::ApplyActions(Vec::new()));
    let mut bytes = Vec::with_capacity(256);
    let add = Message::FlowMod(FlowMod::add(&flow));
    add.encode(Xid(0), &mut bytes).expect("it came in a flow mod, which it fits");
    bytes.drain(..HEADER_LEN);
    bytes
}

/// Where the match of a canonical flow mod ends, and its instructions.
fn taken_apart(bytes: &[u8]) -> (usize, Vec<Instruction>) {
    let mut r = Reader::new(&bytes[MATCH_AT..], Part::FlowMod);
    Match::decode(&mut r).expect(ENCODED);
    (bytes.len() - r.len(), Instruction::decode_list(r).expect(ENCODED))
}

fn add_uses(actions: &[Action], uses: &mut Vec<Used>) {
    for action in actions {
        match action {
            Action::Group(group) => uses.push(Used::Group(*group)),
            Action::Controller(controller) => uses.extend(controller.meter.map(Used::PacketInMeter)),
            _ => add_uses(action.nested(), uses),
        }
    }
}

/// What actions need of their switch.
pub(super) fn uses_of(actions: &[Action]) -> Vec<Used> {
    let mut uses = Vec::new();
    add_uses(actions, &mut uses);
    uses
}

fn any_action(instructions: &[Instruction], is_it: &impl Fn(&Action) -> bool) -> bool {
    fn any(actions: &[Action], is_it: &impl Fn(&Action) -> bool) -> bool {
        actions.iter().any(|action| is_it(action) || any(action.nested(), is_it))
    }
    instructions.iter().any(|instruction| match instruction {
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => any(actions, is_it),
        _ => false,
    })
}

/// A flow as its table, priority and match, by which it is equal to another.
#[derive(Clone, Debug)]
pub(super) struct ByKey(pub(super) Arc<Body>);

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        let key = |body: &Body| (body.table(), body.priority());
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.key_hash == other.0.key_hash
                && key(&self.0) == key(&other.0)
                && self.0.match_bytes() == other.0.match_bytes()
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.key_hash);
    }
}

/// Takes hashes that are known as they are.
#[derive(Default)]
pub(super) struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Of keys that have a hash.
pub(super) type KnownHash = BuildHasherDefault<Known>;

/// The flows that the switches of one process hold, each kept once.
///
/// Where many switches hold the same flows, those cost their bytes once, and a switch that is sent a flow in the
/// bytes in which another holds it need not decode it.
#[derive(Debug, Default)]
pub struct Bodies {
    shards: [Mutex<Shard>; N_SHARDS],
}

/// So many that two threads seldom want the same.
const N_SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Shard {
    /// By the hash of all of its bytes.
    known: HashMap<u64, Weak<Body>, KnownHash>,
    /// How many there were when those that nobody holds any more were last forgotten.
    n_swept: usize,
}

impl Bodies {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[hash as usize % N_SHARDS]
    }

    /// The flow that a flow mod (without its header) of just these bytes adds, if a switch holds it.
    pub(super) fn get(&self, bytes: &[u8]) -> Option<Arc<Body>> {
        let hash = xxh3_64(bytes);
        let shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        shard.known.get(&hash)?.upgrade().filter(|body| *body.bytes == *bytes)
    }

    /// The flow, kept once.
    pub(super) fn intern(&self, flow: Flow) -> Arc<Body> {
        let bytes = canonical(flow);
        if let Some(body) = self.get(&bytes) {
            return body;
        }
        let hash = xxh3_64(&bytes);
        let body = Arc::new(Body::from_bytes(bytes));
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        // Another flow with that hash stays: this one is then kept more than once.
        let place = shard.known.entry(hash).or_default();
        if place.strong_count() == 0 {
            *place = Arc::downgrade(&body);
        }
        shard.sweep();
        body
    }
}

impl Shard {
    /// Forgets those that nobody holds, each time they may be as many as the others.
    fn sweep(&mut self) {
        if self.known.len() > 2 * self.n_swept.max(1024) {
            self.known.retain(|_, body| body.strong_count() > 0);
            self.n_swept = self.known.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;

    fn flow(port: u32) -> Flow {
        Flow {
            flow_match: Match::new().with(field::IN_PORT, port),
            instructions: vec![
                Instruction::GotoTable(TableId(5)),
                Instruction::ApplyActions(vec![Action::Group(GroupId(3))]),
            ],
            ..Flow::default()
        }
    }

    #[test]
    fn equal_flows_are_one_body() {
        let bodies = Bodies::new();
        let (one, other) = (bodies.intern(flow(1)), bodies.intern(flow(1)));
        assert!(Arc::ptr_eq(&one, &other));
        let again = bodies.get(&canonical(flow(1))).unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        assert!(!Arc::ptr_eq(&one, &bodies.intern(flow(2))));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let bodies = Bodies::new();
        for port in 0..100_000 {
            bodies.intern(flow(port));
        }
        let n: usize = bodies.shards.iter().map(|shard| shard.lock().unwrap().known.len()).sum();
        assert!(n <= N_SHARDS * (2 * 1024 + 1), "{n}");
    }

    #[test]
    fn instructions_are_in_the_order_in_which_they_are_done() {
        let body = Body::new(flow(1));
        assert!(matches!(
            &body.instructions()[..],
            [Instruction::ApplyActions(_), Instruction::GotoTable(_)]
        ));
        assert_eq!(body.uses(), [Used::Group(GroupId(3))]);
    }
}
