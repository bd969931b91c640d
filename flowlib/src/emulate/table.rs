//! Flow tables: which flow is for a packet.
//!
//! Flows whose matches look at the same bits lie together, in a map from the values of those bits. A look-up asks each
//! such map once, the one with the highest priority first, and ends when none that is left can have a better flow. So
//! its cost grows with the number of different masks and not with that of flows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::step::{Step, compile};
use crate::openflow::oxm::{MatchField, Prerequisite, field};
use crate::openflow::{Action, Field, FieldValue, Flow, Instruction, Match};
use crate::packet::Key;
use crate::types::Priority;

/// A flow in a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The flow.
    pub flow: Flow,
    /// What it does, with nested lists taken apart.
    pub(super) steps: Arc<[Step]>,
    /// Its part in conjunctions: id, clause, number of clauses. Such a flow does nothing else.
    conjunctions: Vec<(u32, u8, u8)>,
}

/// The bits that some flows look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mask {
    fields: Vec<(Field, FieldValue)>,
    /// Fields of tunnel metadata, which are wider.
    wide: Vec<(Field, Box<[u8]>)>,
}

/// The values of those bits.
type Values = (Vec<FieldValue>, Vec<Box<[u8]>>);

#[derive(Clone, Debug)]
struct Tuple {
    mask: Mask,
    highest: Priority,
    /// The flows of each value, the highest priority first.
    flows: HashMap<Values, Vec<Arc<Entry>>>,
}

/// A flow table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Those with the highest priority first.
    tuples: Vec<Tuple>,
    /// How many flows have a part in conjunctions: without any, a look-up need not think of them.
    n_conjunctive: usize,
    n_flows: usize,
}

impl Table {
    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_flows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_flows == 0
    }

    /// Its flows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.tuples.iter().flat_map(|tuple| tuple.flows.values().flatten()).map(|entry| &**entry)
    }

    /// Adds a flow; one of the same match and priority gives way.
    pub fn insert(&mut self, flow: Flow) {
        self.remove(&flow.flow_match, flow.priority);
        let (mask, values) = split(&flow.flow_match);
        let entry = Arc::new(Entry::new(flow));
        let priority = entry.flow.priority;
        self.n_flows += 1;
        self.n_conjunctive += usize::from(!entry.conjunctions.is_empty());
        let at = self.tuples.iter().position(|tuple| tuple.mask == mask).unwrap_or_else(|| {
            self.tuples.push(Tuple { mask, highest: priority, flows: HashMap::new() });
            self.tuples.len() - 1
        });
        let tuple = &mut self.tuples[at];
        let flows = tuple.flows.entry(values).or_default();
        flows.insert(flows.partition_point(|other| other.flow.priority > priority), entry);
        if priority > tuple.highest {
            tuple.highest = priority;
        }
        // Most inserts leave the order as it is, which a stable sort sees at once.
        self.tuples.sort_by_key(|tuple| std::cmp::Reverse(tuple.highest));
    }

    /// The flow of that very match and priority.
    #[must_use]
    pub fn get(&self, flow_match: &Match, priority: Priority) -> Option<&Entry> {
        let (mask, values) = split(flow_match);
        let tuple = self.tuples.iter().find(|tuple| tuple.mask == mask)?;
        let flows = tuple.flows.get(&values)?;
        flows.iter().find(|entry| entry.flow.priority == priority).map(|entry| &**entry)
    }

    /// Removes the flow of that very match and priority; says whether there was one.
    pub fn remove(&mut self, flow_match: &Match, priority: Priority) -> bool {
        let (mask, values) = split(flow_match);
        let Some(at) = self.tuples.iter().position(|tuple| tuple.mask == mask) else { return false };
        let tuple = &mut self.tuples[at];
        let Some(flows) = tuple.flows.get_mut(&values) else { return false };
        let Some(place) = flows.iter().position(|entry| entry.flow.priority == priority) else {
            return false;
        };
        let gone = flows.remove(place);
        self.n_flows -= 1;
        self.n_conjunctive -= usize::from(!gone.conjunctions.is_empty());
        if flows.is_empty() {
            tuple.flows.remove(&values);
        }
        if tuple.flows.is_empty() {
            self.tuples.remove(at);
        }
        true
    }

    /// The flow for a packet: the one with the highest priority of those that match.
    ///
    /// Conjunctions: flows of one priority that together fill all clauses of a conjunction are one flow that matches
    /// with that `conj_id`. If then no flow matches with the id, the look-up goes on below.
    ///
    /// Source: ovs-fields(7), "Conjunctive Match Fields"; `classifier_lookup__` in `lib/classifier.c` of Open vSwitch.
    pub(super) fn lookup(&self, key: &Key) -> Option<Arc<Entry>> {
        if self.n_conjunctive == 0 {
            return self.best(key);
        }
        let (hard, mut soft) = self.matching(key);
        let hard_priority = |entry: &Option<Arc<Entry>>| entry.as_ref().map(|entry| entry.flow.priority);
        while let Some((priority, clauses)) = soft.pop_last() {
            if hard_priority(&hard).is_some_and(|hard| hard >= priority) {
                break;
            }
            for id in satisfied(&clauses) {
                let found = self.best_plain(&Key { conj_id: id, ..key.clone() });
                if found.is_some() {
                    return found;
                }
            }
        }
        hard
    }

    /// The best of the flows that match.
    fn best(&self, key: &Key) -> Option<Arc<Entry>> {
        self.find_best(key, |_| true)
    }

    /// The best of those that have no part in a conjunction.
    fn best_plain(&self, key: &Key) -> Option<Arc<Entry>> {
        self.find_best(key, |entry| entry.conjunctions.is_empty())
    }

    fn find_best(&self, key: &Key, is_wanted: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        let mut best: Option<&Arc<Entry>> = None;
        for tuple in &self.tuples {
            if best.is_some_and(|best| best.flow.priority >= tuple.highest) {
                break;
            }
            let Some(flows) = tuple.flows.get(&tuple.mask.of(key)) else { continue };
            let Some(first) = flows.iter().find(|entry| is_wanted(entry)) else { continue };
            if best.is_none_or(|best| best.flow.priority < first.flow.priority) {
                best = Some(first);
            }
        }
        best.cloned()
    }

    /// The best plain flow, and by priority the clauses that the others fill.
    #[allow(clippy::type_complexity)]
    fn matching(&self, key: &Key) -> (Option<Arc<Entry>>, BTreeMap<Priority, Vec<(u32, u8, u8)>>) {
        let mut soft: BTreeMap<Priority, Vec<(u32, u8, u8)>> = BTreeMap::new();
        for tuple in &self.tuples {
            for entry in tuple.flows.get(&tuple.mask.of(key)).into_iter().flatten() {
                if !entry.conjunctions.is_empty() {
                    soft.entry(entry.flow.priority).or_default().extend(&entry.conjunctions);
                }
            }
        }
        (self.best_plain(key), soft)
    }
}

/// The conjunctions of which every clause is there.
fn satisfied(clauses: &[(u32, u8, u8)]) -> Vec<u32> {
    let mut filled: BTreeMap<(u32, u8), u64> = BTreeMap::new();
    for (id, clause, n_clauses) in clauses {
        *filled.entry((*id, *n_clauses)).or_default() |= 1_u64.checked_shl(u32::from(*clause)).unwrap_or(0);
    }
    let is_full = |n: u8, bits: u64| n > 0 && u32::from(n) == bits.count_ones();
    filled.into_iter().filter(|((_, n), bits)| is_full(*n, *bits)).map(|((id, _), _)| id).collect()
}

impl Entry {
    fn new(flow: Flow) -> Self {
        let actions = flow.instructions.iter().find_map(|instruction| match instruction {
            Instruction::ApplyActions(actions) => Some(actions.as_slice()),
            _ => None,
        });
        let conjunctions = actions
            .unwrap_or_default()
            .iter()
            .filter_map(|action| match action {
                Action::Conjunction { clause, n_clauses, id } => Some((*id, *clause, *n_clauses)),
                _ => None,
            })
            .collect();
        Self { steps: compile(&flow.instructions), flow, conjunctions }
    }

    /// Whether it is for all packets that no other flow is for.
    pub(super) fn is_table_miss(&self) -> bool {
        self.flow.priority == Priority(0) && self.flow.flow_match.is_empty()
    }
}

impl Mask {
    /// What a packet has in those bits.
    fn of(&self, key: &Key) -> Values {
        let fields = self.fields.iter().map(|(field, mask)| key.get(*field).and(*mask)).collect();
        let wide = self.wide.iter().map(|(field, mask)| masked(key.option(*field), mask)).collect();
        (fields, wide)
    }
}

/// The last bytes of a value, as many as the mask has, under the mask.
fn masked(value: &[u8], mask: &[u8]) -> Box<[u8]> {
    let zeros = std::iter::repeat(&0);
    let mut bytes: Vec<u8> =
        mask.iter().rev().zip(value.iter().rev().chain(zeros)).map(|(mask, byte)| mask & byte).collect();
    bytes.reverse();
    bytes.into()
}

/// Whether it looks at fields of Ethernet, and so is for no other packets. Source: ovs-fields(7), "packet_type".
fn is_for_ethernet(flow_match: &Match) -> bool {
    let needs_ethernet = |entry: &MatchField| {
        matches!(entry.field.info().prerequisite, Prerequisite::Ethernet | Prerequisite::Vlan)
    };
    flow_match.get(field::PACKET_TYPE).is_none() && flow_match.iter().any(needs_ethernet)
}

fn split(flow_match: &Match) -> (Mask, Values) {
    let full = |entry: &MatchField| entry.mask.unwrap_or(entry.field.full_mask());
    let mut fields: Vec<_> = flow_match.iter().map(|entry| (entry.field, full(entry))).collect();
    let mut values: Vec<_> = flow_match.iter().map(|entry| entry.value).collect();
    if is_for_ethernet(flow_match) {
        fields.push((field::PACKET_TYPE, field::PACKET_TYPE.full_mask()));
        values.push(FieldValue::ZERO);
    }
    let whole = |value: &[u8]| vec![0xff; value.len()].into_boxed_slice();
    let wide = flow_match
        .wide()
        .iter()
        .map(|entry| (entry.field, entry.mask.clone().unwrap_or_else(|| whole(&entry.value))))
        .collect();
    let wide_values = flow_match.wide().iter().map(|entry| entry.value.clone()).collect();
    (Mask { fields, wide }, (values, wide_values))
}
