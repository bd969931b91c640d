//! Cuts what is to be changed into bundles, in an order in which every prefix is safe.

use crate::openflow::{Flow, FlowMod};
use crate::segment::digest::Digest;
use crate::segment::id::SegmentId;
use crate::segment::ledger;
use crate::segment::step::Step;
use crate::types::TableId;

/// How many messages a bundle has at most: a commit of 1,000 flows takes Open vSwitch 2–3 ms.
pub const BUNDLE_MAX: usize = 1000;

/// Where a segment is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The segment.
    pub segment: SegmentId,
    /// What its row is to say in the end; nothing, if it does not hold all that it should: it then claims nothing.
    pub digest: Option<Digest>,
}

/// The bundles that carry out `changes` and write the rows of `targets`.
///
/// Within all of them together what delivers comes before what sends to it: adds from the last table to the first,
/// then deletes from the first to the last. `first` (deletes of whole segments) goes before everything. If one
/// bundle is enough, rows and changes appear at once; otherwise the first bundle takes the rows' claims away and the
/// last writes them.
#[must_use]
pub fn bundles(first: Vec<Step>, mut changes: Vec<Step>, targets: &[Target]) -> Vec<Vec<Step>> {
    changes.sort_by_key(order);
    let row = |t: &Target| ledger::write_row(t.segment, t.digest.unwrap_or(Digest::IN_PROGRESS));
    let mut all: Vec<Step> = first;
    if all.len() + changes.len() + targets.len() > BUNDLE_MAX {
        all.extend(targets.iter().map(|t| ledger::write_row(t.segment, Digest::IN_PROGRESS)));
    }
    all.extend(changes);
    all.extend(targets.iter().map(row));
    all.chunks(BUNDLE_MAX).map(<[Step]>::to_vec).collect()
}

/// The steps that delete flows that nothing of ours has the place of, from the first table to the last.
///
/// Whatever their cookies: where many flows have one cookie, Open vSwitch walks through all of them to find the one
/// flow to delete that has it, and 1,000 deletes among 30,000 flows hold it up for ten seconds.
/// Source: `collect_rules_strict` in `ofproto/ofproto.c` of Open vSwitch 3.1.
#[must_use]
pub fn deletes(mut flows: Vec<Step>) -> Vec<Step> {
    flows.sort_by_key(Step::table);
    let delete = |flow: Flow| FlowMod { cookie_mask: 0, ..FlowMod::delete_strict(&flow) };
    flows.iter().map(|step| Step::of(delete(step.flow()))).collect()
}

/// Adds by falling table, then deletes by rising table.
fn order(change: &Step) -> (bool, i16) {
    let TableId(table) = change.table();
    if change.is_add() { (false, -i16::from(table)) } else { (true, i16::from(table)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::{Match, field};
    use crate::types::{NodeId, Priority};

    fn add(table: u8, port: u32) -> Step {
        let flow_match = Match::new().with(field::IN_PORT, port);
        Step::add(&Flow { table: TableId(table), priority: Priority(1), flow_match, ..Flow::default() })
    }

    fn tables(steps: &[Step]) -> Vec<u8> {
        steps.iter().map(|step| step.table().0).collect()
    }

    fn target() -> Target {
        Target { segment: SegmentId::Node(NodeId(1)), digest: Some(Digest(5)) }
    }

    #[test]
    fn delivers_before_it_sends_and_adds_before_it_deletes() {
        let changes = vec![add(8, 1).deleting(), add(0, 2), add(0, 1).deleting(), add(6, 2)];
        let bundles = bundles(vec![], changes, &[target()]);
        assert_eq!(bundles.len(), 1);
        assert_eq!(tables(&bundles[0]), [6, 0, 0, 8, 62]);
    }

    #[test]
    fn a_large_change_claims_nothing_before_its_last_bundle() {
        let changes = (0..2500).map(|n| add(5, n)).collect();
        let bundles = bundles(vec![], changes, &[target()]);
        assert_eq!(bundles.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 502]);
        assert_eq!(bundles[0][0], ledger::write_row(target().segment, Digest::IN_PROGRESS));
        assert_eq!(bundles[2].last(), Some(&ledger::write_row(target().segment, Digest(5))));
    }
}
