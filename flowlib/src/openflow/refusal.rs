//! What a switch refuses although it can be decoded: what is not known in a message.
//!
//! Decoding keeps what it does not know, so that it can be shown, stored and sent on. A switch that is asked to do it
//! answers with an error. Says what Open vSwitch 3.1 answers; whether its tables, groups and ports allow what is asked
//! is for the switch itself to say.

use crate::types::{GroupId, PortNo, TableId};

use super::action::{CheckError, SET_FIELD, Within};
use super::async_config::AsyncProperty;
use super::error::ErrorCode;
use super::group::{Bucket, Group, GroupCommand, GroupMod, GroupType};
use super::instruction::Instruction;
use super::message::Message;
use super::meter::{BandKind, Meter};
use super::multipart::{FlowUpdate, MultipartReplyBody, MultipartRequestBody, TableFeature, TableFeatures};
use super::oxm::{Match, OxmId, Packets, field};
use super::{Action, FlowMod, FlowModCommand, FlowModFlags};

/// What is refused.
type Checked = Result<(), ErrorCode>;

impl Message {
    /// Checks that a switch like Open vSwitch 3.1 knows all that is in the message.
    ///
    /// # Errors
    /// What it would answer.
    pub fn check_known(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Unknown { .. } => Err(ErrorCode::OFPBRC_BAD_TYPE),
            Self::Experimenter { experimenter, .. } => Err(unknown_experimenter(*experimenter)),
            Self::PortStatus(status) => {
                if status.reason.name().is_none() {
                    return Err(ErrorCode::NXBRC_BAD_REASON);
                }
                port(status.port.port)
            }
            Self::FlowRemoved(removed) | Self::NxFlowRemoved(removed) => fields(&removed.flow_match),
            Self::PacketOut(out) => port(out.in_port).and_then(|()| actions(&out.actions)),
            Self::FlowMod(body) | Self::NxFlowMod(body) => flow_mod(body),
            Self::GroupMod(body) => group_mod(body),
            Self::PortMod(body) => port(body.port),
            Self::QueueGetConfigRequest(number) => port(*number),
            Self::QueueGetConfigReply(body) => port(body.port),
            Self::MeterMod(body) => bands(&body.meter),
            Self::MultipartRequest(body) => request(&body.body),
            Self::MultipartReply(body) => reply(&body.body),
            Self::RequestForward(body) => body.request.check_known(),
            Self::BundleAdd(body) => match &*body.message {
                inner @ (Self::FlowMod(_) | Self::NxFlowMod(_) | Self::GroupMod(_)) => inner.check_known(),
                inner @ (Self::PortMod(_) | Self::PacketOut(_)) => inner.check_known(),
                _ => Err(ErrorCode::OFPBFC_MSG_UNSUP),
            },
            Self::NxSetAsyncConfig2(list) => list.iter().try_for_each(|property| match property {
                AsyncProperty::Unknown(raw) if raw.property_type < 0xfffe => {
                    Err(ErrorCode::OFPACFC_UNSUPPORTED)
                }
                AsyncProperty::Unknown(_) => Err(ErrorCode::OFPBPC_BAD_EXP_TYPE),
                AsyncProperty::Mask { .. } => Ok(()),
            }),
            _ => Ok(()),
        }
    }
}

fn unknown_experimenter(experimenter: u32) -> ErrorCode {
    match experimenter {
        OxmId::NICIRA | OxmId::ONF => ErrorCode::OFPBRC_BAD_SUBTYPE,
        _ => ErrorCode::OFPBRC_BAD_VENDOR,
    }
}

/// Ports of Open vSwitch have 16 bits.
fn port(number: PortNo) -> Checked {
    if number <= PortNo::MAX_OVS || number >= PortNo::MAX {
        Ok(())
    } else {
        Err(ErrorCode::OFPBAC_BAD_OUT_PORT)
    }
}

pub(crate) fn fields(flow_match: &Match) -> Checked {
    values(flow_match)?;
    if !flow_match.unknown().is_empty() {
        return Err(ErrorCode::OFPBMC_BAD_FIELD);
    }
    flow_match.check().map_err(|_| ErrorCode::OFPBMC_BAD_PREREQ)
}

/// Some fields are wider than what Open vSwitch has in them.
pub(crate) fn values(flow_match: &Match) -> Checked {
    let is_good = flow_match.iter().all(|entry| match entry.field {
        field::IN_PORT => port(PortNo(entry.value.to_u32())).is_ok(),
        field::ARP_OP => entry.value.to_u16() <= 0xff,
        _ => true,
    });
    if is_good { Ok(()) } else { Err(ErrorCode::OFPBMC_BAD_VALUE) }
}

/// Checks that actions are known, and that they stand where they may. Which packets they are for is for
/// [`Instruction::check_list`] to look at.
pub(crate) fn actions(list: &[Action]) -> Checked {
    known_actions(list)?;
    places(Action::check_list(list, Packets::any(), Within::List))
}

/// Only what Open vSwitch finds when it decodes.
fn places(checked: Result<(), CheckError>) -> Checked {
    match checked {
        Err(
            error @ (CheckError::OnlyInCt(_)
            | CheckError::NatOutsideCt
            | CheckError::NotInCt
            | CheckError::NotInActionSet
            | CheckError::BesideConjunction
            | CheckError::NeedsCommit
            | CheckError::CannotDelete(_)),
        ) => Err(error.code()),
        _ => Ok(()),
    }
}

fn known_actions(list: &[Action]) -> Checked {
    list.iter().try_for_each(|action| match action {
        // Open vSwitch has them for its own tests only.
        Action::DebugRecirc | Action::DebugSlow => Err(ErrorCode::OFPBAC_BAD_VENDOR_TYPE),
        Action::PushVlan(ethertype) if !matches!(ethertype, 0x8100 | 0x88a8) => {
            Err(ErrorCode::OFPBAC_BAD_ARGUMENT)
        }
        Action::PushMpls(ethertype) if !matches!(ethertype, 0x8847 | 0x8848) => {
            Err(ErrorCode::OFPBAC_BAD_ARGUMENT)
        }
        Action::Output { port: number, .. } => port(*number).and_then(|()| match number.reserved_name() {
            None if *number >= PortNo::MAX => Err(ErrorCode::OFPBAC_BAD_OUT_PORT),
            _ if *number == PortNo::ANY => Err(ErrorCode::OFPBAC_BAD_OUT_PORT),
            _ => Ok(()),
        }),
        Action::Unknown { action_type: 0xffff, body } => Err(
            if body.starts_with(&OxmId::NICIRA.to_be_bytes()) || body.starts_with(&OxmId::ONF.to_be_bytes()) {
                ErrorCode::OFPBAC_BAD_VENDOR_TYPE
            } else {
                ErrorCode::OFPBAC_BAD_VENDOR
            },
        ),
        Action::Unknown { action_type: SET_FIELD, body } => Err(unknown_field(body)),
        Action::Unknown { .. } => Err(ErrorCode::OFPBAC_BAD_TYPE),
        // Decoding bounds how deep they lie in each other.
        _ => known_actions(action.nested()),
    })
}

/// Open vSwitch looks for the length of an unknown field of a class that it knows.
fn unknown_field(oxm: &[u8]) -> ErrorCode {
    match oxm.first_chunk().map(|class| u16::from_be_bytes(*class)) {
        Some(
            OxmId::NXM_0
            | OxmId::NXM_1
            | OxmId::OPENFLOW_BASIC
            | OxmId::PACKET_REGISTERS
            | OxmId::EXPERIMENTER,
        ) => ErrorCode::OFPBAC_BAD_SET_LEN,
        _ => ErrorCode::OFPBAC_BAD_SET_TYPE,
    }
}

pub(crate) fn instructions(list: &[Instruction]) -> Checked {
    for (n, instruction) in list.iter().enumerate() {
        match instruction {
            Instruction::Unknown { instruction_type: 0xffff, .. } => {
                return Err(ErrorCode::OFPBIC_BAD_EXPERIMENTER);
            }
            Instruction::Unknown { .. } => return Err(ErrorCode::OFPBIC_UNKNOWN_INST),
            _ if list.iter().take(n).any(|before| before.rank() == instruction.rank()) => {
                return Err(ErrorCode::OFPBIC_DUP_INST);
            }
            _ => {}
        }
    }
    // What is applied is looked at before what is written, wherever it stands.
    let applied = list.iter().filter_map(|instruction| match instruction {
        Instruction::ApplyActions(actions) => Some(actions),
        _ => None,
    });
    let written = list.iter().filter_map(|instruction| match instruction {
        Instruction::WriteActions(actions) => Some(actions),
        _ => None,
    });
    applied.chain(written).try_for_each(|actions| known_actions(actions))?;
    places(Instruction::check_list(list, Packets::any(), None))
}

pub(crate) fn flags(flags: FlowModFlags) -> Checked {
    let known = FlowModFlags::SEND_FLOW_REM
        | FlowModFlags::CHECK_OVERLAP
        | FlowModFlags::RESET_COUNTS
        | FlowModFlags::NO_PKT_COUNTS
        | FlowModFlags::NO_BYT_COUNTS;
    if flags.bits() & !known.bits() == 0 { Ok(()) } else { Err(ErrorCode::OFPFMFC_BAD_FLAGS) }
}

fn flow_mod(flow_mod: &FlowMod) -> Checked {
    fields(&flow_mod.flow_match)?;
    flow_mod.out_port.map_or(Ok(()), port)?;
    let is_delete = matches!(flow_mod.command, FlowModCommand::DELETE | FlowModCommand::DELETE_STRICT);
    if flow_mod.table == TableId::ALL && !is_delete {
        return Err(ErrorCode::OFPFMFC_BAD_TABLE_ID);
    }
    if flow_mod.command.name().is_none() {
        return Err(ErrorCode::OFPFMFC_BAD_COMMAND);
    }
    flags(flow_mod.flags)?;
    instructions(&flow_mod.instructions)?;
    let packets = Packets::of(&flow_mod.flow_match);
    let table = Some(flow_mod.table).filter(|table| *table != TableId::ALL);
    // They are looked at in the order in which they are carried out.
    let mut list = std::borrow::Cow::Borrowed(&flow_mod.instructions);
    if !list.is_sorted_by_key(Instruction::rank) {
        list.to_mut().sort_by_key(Instruction::rank);
    }
    Instruction::check_list(&list, packets, table).map_err(CheckError::code)
}

/// Whether there is such a command and such a type, and the type can have these buckets; in Open vSwitch's order.
pub(crate) fn group_mod(group_mod: &GroupMod) -> Checked {
    let Group { group_type, buckets: list, .. } = &group_mod.group;
    buckets(list)?;
    let is_delete = group_mod.command == GroupCommand::DELETE;
    if is_delete && !list.is_empty() {
        return Err(ErrorCode::OFPGMFC_INVALID_GROUP);
    }
    if group_type.name().is_none() {
        return Err(ErrorCode::OFPGMFC_BAD_TYPE);
    }
    if *group_type == GroupType::INDIRECT && !is_delete && list.len() != 1 {
        return Err(ErrorCode::OFPGMFC_INVALID_GROUP);
    }
    if group_mod.command.name().is_none() {
        return Err(ErrorCode::OFPGMFC_BAD_COMMAND);
    }
    if group_mod.command == GroupCommand::REMOVE_BUCKET && !list.is_empty() {
        return Err(ErrorCode::OFPGMFC_BAD_BUCKET);
    }
    list.iter().try_for_each(|bucket| {
        let is_watching = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
        match *group_type {
            GroupType::SELECT => Ok(()),
            _ if bucket.weight != 0 && group_mod.command != GroupCommand::INSERT_BUCKET => {
                Err(ErrorCode::OFPGMFC_INVALID_GROUP)
            }
            GroupType::FAST_FAILOVER if is_watching => Ok(()),
            GroupType::FAST_FAILOVER => Err(ErrorCode::OFPGMFC_INVALID_GROUP),
            _ if is_watching => Err(ErrorCode::OFPGMFC_WATCH_UNSUPPORTED),
            _ => Ok(()),
        }
    })
}

fn buckets(list: &[Bucket]) -> Checked {
    list.iter().try_for_each(bucket)
}

pub(crate) fn bucket(bucket: &Bucket) -> Checked {
    actions(&bucket.actions)?;
    port(bucket.watch_port).map_err(|_| ErrorCode::OFPGMFC_BAD_WATCH)
}

fn bands(meter: &Meter) -> Checked {
    meter.bands.iter().try_for_each(|band| match &band.kind {
        BandKind::Unknown { body, .. } if body.len() != 4 => Err(ErrorCode::OFPBRC_BAD_LEN),
        BandKind::Unknown { .. } => Err(ErrorCode::OFPMMFC_BAD_BAND),
        BandKind::Drop | BandKind::DscpRemark(_) => Ok(()),
    })
}

fn request(body: &MultipartRequestBody) -> Checked {
    use MultipartRequestBody as Body;
    match body {
        Body::Unknown { .. } => Err(ErrorCode::OFPBRC_BAD_STAT),
        Body::Experimenter { experimenter, .. } => Err(unknown_experimenter(*experimenter)),
        Body::Flow(body) | Body::Aggregate(body) => {
            body.out_port.map_or(Ok(()), port)?;
            fields(&body.flow_match)
        }
        Body::PortStats(number) => port(*number),
        Body::QueueStats(body) => port(body.port),
        Body::TableFeatures(list) => list.iter().try_for_each(table_features),
        Body::FlowMonitor(list) => list.iter().try_for_each(|monitor| {
            monitor.out_port.map_or(Ok(()), port)?;
            fields(&monitor.flow_match)
        }),
        _ => Ok(()),
    }
}

fn reply(body: &MultipartReplyBody) -> Checked {
    use MultipartReplyBody as Body;
    match body {
        Body::Unknown { .. } => Err(ErrorCode::OFPBRC_BAD_STAT),
        Body::Experimenter { experimenter, .. } => Err(unknown_experimenter(*experimenter)),
        Body::Flow(list) => list.iter().try_for_each(|stats| {
            fields(&stats.flow.flow_match)?;
            instructions(&stats.flow.instructions)
        }),
        Body::PortStats(list) => list.iter().try_for_each(|stats| port(stats.port)),
        Body::QueueStats(list) => list.iter().try_for_each(|stats| port(stats.port)),
        Body::PortDesc(list) => list.iter().try_for_each(|found| port(found.port)),
        Body::GroupDesc(list) => list.iter().try_for_each(|group| buckets(&group.buckets)),
        Body::MeterConfig(list) => list.iter().try_for_each(bands),
        Body::TableFeatures(list) => list.iter().try_for_each(table_features),
        Body::FlowMonitor(list) => list.iter().try_for_each(|update| match update {
            FlowUpdate::Full { flow_match, instructions: list, .. } => {
                fields(flow_match)?;
                instructions(list)
            }
            FlowUpdate::Abbreviated(_) => Ok(()),
        }),
        _ => Ok(()),
    }
}

/// The types of properties that a table must have, each once.
const REQUIRED: [u16; 8] = [0, 2, 4, 6, 8, 10, 12, 14];

/// The types of properties whose fields must not have a mask.
const EXACT: [u16; 5] = [10, 12, 13, 14, 15];

fn table_features(features: &TableFeatures) -> Checked {
    if features.table == TableId::ALL {
        return Err(ErrorCode::OFPTFFC_BAD_TABLE);
    }
    let mut seen = 0u16;
    for property in &features.properties {
        let property_type = match property {
            TableFeature::Tables { tables, .. } if tables.contains(&TableId::ALL) => {
                return Err(ErrorCode::OFPBPC_BAD_VALUE);
            }
            TableFeature::Fields { feature_type, fields }
                if EXACT.contains(&feature_type.0) && fields.iter().any(|field| field.has_mask()) =>
            {
                return Err(ErrorCode::OFPBMC_BAD_MASK);
            }
            TableFeature::Codes { feature_type, .. }
            | TableFeature::Tables { feature_type, .. }
            | TableFeature::Fields { feature_type, .. } => feature_type.0,
            TableFeature::Unknown(_) => continue,
        };
        let bit = 1u16.checked_shl(property_type.into()).unwrap_or(0);
        if seen & bit != 0 {
            return Err(BAD_FEATURES);
        }
        seen |= bit;
    }
    if REQUIRED.iter().all(|required| seen & 1 << required != 0) { Ok(()) } else { Err(BAD_FEATURES) }
}

/// Open vSwitch's OFPTFFC_BAD_FEATURES, of which OpenFlow 1.3 has no code.
const BAD_FEATURES: ErrorCode = ErrorCode::NXBRC_UNENCODABLE_ERROR;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_that_is_not_known_is_found_in_other_actions() {
        let unknown = Action::Unknown { action_type: 99, body: [0; 4].into() };
        let apply = |action| Instruction::ApplyActions(vec![Action::SetQueue(1), action]);
        let flow_mod =
            |action| Message::FlowMod(FlowMod { instructions: vec![apply(action)], ..FlowMod::default() });
        let refused = Err(ErrorCode::OFPBAC_BAD_TYPE);
        assert_eq!(flow_mod(Action::SetQueue(2)).check_known(), Ok(()));
        assert_eq!(flow_mod(unknown.clone()).check_known(), refused);
        assert_eq!(flow_mod(Action::Clone(vec![unknown])).check_known(), refused);
    }

    #[test]
    fn tags_and_labels_are_pushed_under_their_own_ethertypes_only() {
        let push_of = [Action::PushVlan, Action::PushMpls];
        for (push, good) in push_of.into_iter().zip([[0x8100, 0x88a8], [0x8847, 0x8848]]) {
            assert_eq!(good.map(|ethertype| known_actions(&[push(ethertype)])), [Ok(()), Ok(())]);
            assert_eq!(known_actions(&[push(0x0800)]), Err(ErrorCode::OFPBAC_BAD_ARGUMENT));
        }
    }

    #[test]
    fn an_experimenter_is_told_from_its_message() {
        let of =
            |experimenter| Message::Experimenter { experimenter, experimenter_type: 9999, body: [].into() };
        assert_eq!(of(OxmId::NICIRA).check_known(), Err(ErrorCode::OFPBRC_BAD_SUBTYPE));
        assert_eq!(of(7).check_known(), Err(ErrorCode::OFPBRC_BAD_VENDOR));
    }
}
