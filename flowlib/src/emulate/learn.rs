//! Flows that a flow adds.

use super::field;
use crate::openflow::action::{Learn, LearnFlags, LearnSource, LearnTarget};
use crate::openflow::oxm::MatchField;
use crate::openflow::{Action, FieldValue, Flow, FlowModFlags, Instruction, Match, SubField};
use crate::packet::Key;
use crate::types::PortNo;

/// The flow that a packet makes.
///
/// Source: `learn_execute` in `lib/learn.c` of Open vSwitch 3.1.
pub(super) fn flow(learn: &Learn, key: &Key) -> Flow {
    let mut flow_match = Match::new();
    let mut actions = Vec::new();
    if learn.fin_idle_timeout_s != 0 || learn.fin_hard_timeout_s != 0 {
        actions.push(Action::FinTimeout {
            idle_timeout_s: learn.fin_idle_timeout_s,
            hard_timeout_s: learn.fin_hard_timeout_s,
        });
    }
    for spec in &learn.specs {
        let value = match &spec.src {
            LearnSource::Field(src) => field::read(key, *src),
            LearnSource::Value(bytes) => FieldValue::from_be_bytes(bytes).unwrap_or_default(),
        };
        match spec.dst {
            LearnTarget::Match(dst) => narrow(&mut flow_match, dst, value),
            LearnTarget::Load(dst) => actions.push(load(dst, value)),
            LearnTarget::Output => actions.extend(port(value).map(Action::output)),
        }
    }
    Flow {
        table: learn.table,
        priority: learn.priority,
        cookie: learn.cookie,
        flow_match,
        instructions: vec![Instruction::ApplyActions(actions)],
        idle_timeout_s: learn.idle_timeout_s,
        hard_timeout_s: learn.hard_timeout_s,
        flags: if learn.flags.contains(LearnFlags::SEND_FLOW_REM) {
            FlowModFlags::SEND_FLOW_REM
        } else {
            FlowModFlags::empty()
        },
    }
}

/// Bits of a field as value and mask of the whole.
fn placed(sub: SubField, value: FieldValue) -> (u128, u128) {
    let at = |bits: u128| bits.checked_shl(sub.start_bit.into()).unwrap_or(0);
    let ones = FieldValue::ones(sub.n_bits);
    (at(value.and(ones).to_u128()), at(ones.to_u128()))
}

/// Narrows a match by some bits, besides those that it has of the field already.
fn narrow(flow_match: &mut Match, dst: SubField, value: FieldValue) {
    let (mut value, mut mask) = placed(dst, value);
    if let Some(old) = flow_match.get(dst.field) {
        mask |= old.mask.unwrap_or(dst.field.full_mask()).to_u128();
        value |= old.value.to_u128();
    }
    flow_match.set(dst.field, value.into(), Some(mask.into()));
}

fn load(dst: SubField, value: FieldValue) -> Action {
    if dst.n_bits <= 64 {
        return Action::RegLoad { dst, value: value.and(FieldValue::ones(dst.n_bits)).to_u128() as u64 };
    }
    let (value, mask) = placed(dst, value);
    Action::RegLoad2(Box::new(MatchField { field: dst.field, value: value.into(), mask: Some(mask.into()) }))
}

/// The port of that number in 16 bits, if a learned flow may output to it.
fn port(value: FieldValue) -> Option<PortNo> {
    let number = u16::try_from(value.to_u128()).ok()?;
    let port = PortNo(if number >= 0xff00 { 0xffff_0000 | u32::from(number) } else { number.into() });
    let is_allowed = number < 0xff00
        || matches!(port, PortNo::IN_PORT | PortNo::FLOOD | PortNo::TABLE | PortNo::LOCAL | PortNo::ALL);
    is_allowed.then_some(port)
}
