//! What a flow does, as a list of steps.

use std::sync::Arc;

use crate::openflow::{Action, Instruction};
use crate::types::{Cookie, TableId};

/// One step. Lists within actions are taken apart once, when a flow is added; then steps are cheap to copy.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An action, and the steps within it.
    Action(Arc<Action>, Arc<[Step]>),
    /// An instruction, but for those that apply actions.
    Instruction(Instruction),
    /// After a pause: the table and cookie that what follows belongs to.
    Restore(TableId, Option<Cookie>),
}

/// The steps of a flow, in the order in which instructions are carried out.
///
/// Source: OpenFlow 1.3.5 §5.9.
pub(super) fn compile(instructions: &[Instruction]) -> Arc<[Step]> {
    let mut steps = Vec::new();
    for rank in 0..=5 {
        for instruction in instructions.iter().filter(|instruction| self::rank(instruction) == rank) {
            match instruction {
                Instruction::ApplyActions(actions) => steps.extend(actions.iter().map(Step::of)),
                // Nothing is known of what it would do.
                Instruction::Unknown { .. } => {}
                _ => steps.push(Step::Instruction(instruction.clone())),
            }
        }
    }
    steps.into()
}

fn rank(instruction: &Instruction) -> u8 {
    match instruction {
        Instruction::Meter(_) => 0,
        Instruction::ApplyActions(_) => 1,
        Instruction::ClearActions => 2,
        Instruction::WriteActions(_) => 3,
        Instruction::WriteMetadata { .. } => 4,
        _ => 5,
    }
}

/// The steps of a list of actions.
pub(super) fn of_actions(actions: &[Action]) -> Arc<[Step]> {
    actions.iter().map(Step::of).collect()
}

impl Step {
    /// What it is when it is put off: instructions become actions, and what does nothing is left out.
    pub(super) fn put_off(&self) -> Option<Self> {
        let action = match self {
            Self::Action(action, _) if matches!(**action, Action::Note(_) | Action::Conjunction { .. }) => {
                return None;
            }
            Self::Instruction(Instruction::GotoTable(table)) => Action::resubmit(*table),
            Self::Instruction(Instruction::WriteMetadata { metadata, mask }) => {
                Action::WriteMetadata { metadata: *metadata, mask: *mask }
            }
            _ => return Some(self.clone()),
        };
        Some(Self::of(&action))
    }

    /// Whether it may tell the controller in which table it stands, or depends on that.
    pub(super) fn tells_where(&self) -> bool {
        let Self::Action(action, _) = self else { return false };
        matches!(
            **action,
            Action::Output { .. }
                | Action::OutputReg { .. }
                | Action::OutputTrunc { .. }
                | Action::Group(_)
                | Action::Controller(_)
                | Action::DecNwTtl
                | Action::DecTtlCntIds(_)
                | Action::DecMplsTtl
                | Action::DecNshTtl
                | Action::Resubmit { table: None | Some(TableId::ALL), .. }
        )
    }

    fn of(action: &Action) -> Self {
        Self::Action(Arc::new(action.clone()), of_actions(action.nested()))
    }
}

/// Whether all that they do to the packet can be undone by other actions of a datapath.
///
/// Source: `reversible_actions` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
pub(super) fn are_reversible(steps: &[Step]) -> bool {
    !steps.iter().any(|step| match step {
        Step::Action(action, _) => matches!(
            **action,
            Action::Ct(_)
                | Action::Nat(_)
                | Action::OutputTrunc { .. }
                | Action::Encap(_)
                | Action::Decap { .. }
                | Action::DecNshTtl
        ),
        Step::Instruction(instruction) => matches!(instruction, Instruction::Meter(_)),
        Step::Restore(..) => false,
    })
}
