//! The action set: in which order the actions of a set are carried out.

use crate::openflow::Action;

/// The actions of a set as a list: of those that may stand in it once, the last; then those that set fields, as they
/// came; then one that sends the packet away.
///
/// Source: OpenFlow 1.3.5 §5.10; `ofpacts_execute_action_set` in `lib/ofp-actions.c` of Open vSwitch 3.1.
pub(super) fn ordered(set: &[Action]) -> Vec<Action> {
    let mut list = Vec::new();
    for slot in 0..N_SLOTS {
        list.extend(set.iter().rev().find(|action| place(action) == Place::Slot(slot)).cloned());
    }
    list.extend(set.iter().filter(|action| place(action) == Place::Set).cloned());
    let last = |rank| set.iter().rev().find(move |action| place(action) == Place::Final(rank));
    list.extend((0..N_FINAL).find_map(last).cloned());
    list
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Once, in this order.
    Slot(u8),
    /// As often and in the order in which they came.
    Set,
    /// One of these, the first wins.
    Final(u8),
    /// Nowhere.
    None,
}

const N_SLOTS: u8 = 11;
const N_FINAL: u8 = 5;

fn place(action: &Action) -> Place {
    match action {
        Action::PopVlan => Place::Slot(0),
        Action::PopMpls(_) => Place::Slot(1),
        Action::Decap { .. } => Place::Slot(2),
        Action::Encap(_) => Place::Slot(3),
        Action::PushMpls(_) => Place::Slot(4),
        Action::PushVlan(_) => Place::Slot(5),
        Action::DecNwTtl | Action::DecTtlCntIds(_) => Place::Slot(8),
        Action::DecMplsTtl => Place::Slot(9),
        Action::DecNshTtl => Place::Slot(10),
        Action::SetField { .. }
        | Action::SetWideField(_)
        | Action::RegLoad2(_)
        | Action::WideRegLoad2(_)
        | Action::RegLoad { .. }
        | Action::RegMove { .. }
        | Action::CopyField { .. }
        | Action::SetMplsTtl(_)
        | Action::SetNwTtl(_)
        | Action::SetQueue(_)
        | Action::Legacy(_) => Place::Set,
        Action::Group(_) => Place::Final(0),
        Action::Output { .. } => Place::Final(1),
        Action::Resubmit { .. } => Place::Final(2),
        Action::CtClear => Place::Final(3),
        Action::Ct(_) => Place::Final(4),
        _ => Place::None,
    }
}
