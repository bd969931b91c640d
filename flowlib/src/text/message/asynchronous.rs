//! Which asynchronous messages a controller gets.

use super::super::printer::Printer;
use super::{Received, Result, put};
use crate::openflow::action::PacketInReason;
use crate::openflow::async_config::{AsyncProperty, AsyncPropertyType};
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::{AsyncConfig, AsyncMask, ErrorCode};

/// A kind of message: how its line begins, which reasons it may have, and their names.
struct Kind {
    name: &'static str,
    allowed: u32,
    reason: fn(u8) -> Option<&'static str>,
}

const PACKET_IN: Kind =
    Kind { name: "       PACKET_IN:", allowed: 7, reason: |reason| PacketInReason(reason).name() };
const PORT_STATUS: Kind = Kind {
    name: "     PORT_STATUS:",
    allowed: 7,
    reason: |reason| match reason {
        0 => Some("add"),
        1 => Some("delete"),
        2 => Some("modify"),
        _ => None,
    },
};
const FLOW_REMOVED: Kind =
    Kind { name: "    FLOW_REMOVED:", allowed: 0x3f, reason: |reason| FlowRemovedReason(reason).name() };
const ROLE_STATUS: Kind = Kind {
    name: "     ROLE_STATUS:",
    allowed: 7,
    reason: |reason| match reason {
        0 => Some("primary_request"),
        1 => Some("configuration_changed"),
        2 => Some("experimenter_data_changed"),
        _ => None,
    },
};
const TABLE_STATUS: Kind = Kind {
    name: "    TABLE_STATUS:",
    allowed: 0x18,
    reason: |reason| match reason {
        3 => Some("vacancy_down"),
        4 => Some("vacancy_up"),
        _ => None,
    },
};
const REQUEST_FORWARD: Kind = Kind {
    name: "  REQUESTFORWARD:",
    allowed: 3,
    reason: |reason| match reason {
        0 => Some("group_mod_request"),
        1 => Some("meter_mod_request"),
        _ => None,
    },
};

const KINDS: [Kind; 6] = [PACKET_IN, PORT_STATUS, FLOW_REMOVED, ROLE_STATUS, TABLE_STATUS, REQUEST_FORWARD];

/// What is on, by kind.
type Masks = [AsyncMask; KINDS.len()];

/// Reasons that a message of that kind cannot have are left out.
pub(super) fn format_config(p: &mut Printer<'_>, config: &AsyncConfig) -> Result {
    let off = AsyncMask::default();
    let mut masks = [config.packet_in, config.port_status, config.flow_removed, off, off, off];
    for (mask, kind) in masks.iter_mut().zip(&KINDS) {
        mask.primary &= kind.allowed;
        mask.secondary &= kind.allowed;
    }
    format_masks(p, &masks);
    Ok(())
}

/// What is not said stays as it was, for which ovs-ofctl prints that it is off.
pub(super) fn format_properties(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let mut masks = Masks::default();
    message.read_list(|property: AsyncProperty| {
        let AsyncProperty::Mask { property_type: AsyncPropertyType(number), mask } = property else {
            return Err(match property {
                AsyncProperty::Unknown(raw) if raw.property_type >= 0xfffe => ErrorCode::OFPBPC_BAD_EXP_TYPE,
                _ => ErrorCode::OFPACFC_UNSUPPORTED,
            });
        };
        let n = usize::from(number / 2);
        let (Some(place), Some(kind)) = (masks.get_mut(n), KINDS.get(n)) else { return Ok(()) };
        if mask & !kind.allowed != 0 {
            return Err(ErrorCode::OFPACFC_INVALID);
        }
        if number % 2 == 0 {
            place.secondary = mask;
        } else {
            place.primary = mask;
        }
        Ok(())
    })?;
    format_masks(p, &masks);
    Ok(())
}

fn format_masks(p: &mut Printer<'_>, masks: &Masks) {
    type Side = fn(&AsyncMask) -> u32;
    let sides: [(&str, Side); 2] =
        [("\n primary:\n", |mask| mask.primary), ("\n secondary:\n", |mask| mask.secondary)];
    for (title, side) in sides {
        p.push_str(title);
        for (mask, kind) in masks.iter().zip(&KINDS) {
            format_line(p, kind, side(mask));
        }
    }
}

fn format_line(p: &mut Printer<'_>, kind: &Kind, mask: u32) {
    p.push_str(kind.name);
    for reason in (0..32).filter(|reason| mask >> reason & 1 == 1) {
        match (kind.reason)(reason) {
            Some(name) => put(p, format_args!(" {name}")),
            None => put(p, format_args!(" {reason}")),
        }
    }
    if mask == 0 {
        p.push_str(" (off)");
    }
    p.push_str("\n");
}
