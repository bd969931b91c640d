//! Which lengths a message of each type can have, known before its body is read.
//!
//! A switch checks these first, so that a message that is cut is a bad request, wherever the cut fell. Source:
//! `include/openvswitch/ofp-msgs.h` of Open vSwitch 3.1.

use super::message::*;
use super::oxm::OxmId;
use super::{bundle, multipart, nicira};

/// The lengths that a message can have.
#[derive(Clone, Copy)]
struct Lengths {
    /// The shortest, in bytes from the start of the message.
    min: usize,
    /// What longer ones are a multiple of beyond that; 0: none is longer.
    step: usize,
}

const fn exactly(min: usize) -> Lengths {
    Lengths { min, step: 0 }
}

const fn from(min: usize, step: usize) -> Lengths {
    Lengths { min, step }
}

/// Whether a message of that type can be all of `bytes`. Types that are not known can have any length.
#[inline]
pub(super) fn is_possible(message_type: u8, bytes: &[u8]) -> bool {
    let found = match message_type {
        EXPERIMENTER => experimenter(bytes),
        MULTIPART_REQUEST => multipart_request(bytes),
        MULTIPART_REPLY => multipart_reply(bytes),
        _ => standard(message_type),
    };
    let Some(beyond) = bytes.len().checked_sub(found.min) else { return false };
    match found.step {
        0 => beyond == 0,
        // These need no division.
        1 => true,
        8 => beyond.is_multiple_of(8),
        step => beyond.is_multiple_of(step),
    }
}

fn standard(message_type: u8) -> Lengths {
    match message_type {
        FEATURES_REQUEST | GET_CONFIG_REQUEST | BARRIER_REQUEST | BARRIER_REPLY | GET_ASYNC_REQUEST => {
            exactly(8)
        }
        ERROR => from(12, 1),
        GET_CONFIG_REPLY | SET_CONFIG => exactly(12),
        FEATURES_REPLY | GET_ASYNC_REPLY | SET_ASYNC => exactly(32),
        PACKET_IN | PACKET_OUT => from(24, 1),
        FLOW_REMOVED | FLOW_MOD => from(48, 8),
        PORT_STATUS => exactly(80),
        GROUP_MOD | QUEUE_GET_CONFIG_REPLY | METER_MOD => from(16, 8),
        PORT_MOD => exactly(40),
        TABLE_MOD | QUEUE_GET_CONFIG_REQUEST => exactly(16),
        ROLE_REQUEST | ROLE_REPLY => exactly(24),
        _ => from(8, 1),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn experimenter(bytes: &[u8]) -> Lengths {
    let (Some(experimenter), Some(subtype)) = (u32_at(bytes, 8), u32_at(bytes, 12)) else {
        return from(16, 1);
    };
    match experimenter {
        OxmId::NICIRA => nicira(subtype),
        OxmId::ONF => match subtype {
            FLOW_MONITOR_CANCEL => exactly(20),
            FLOW_MONITOR_PAUSED | FLOW_MONITOR_RESUMED => exactly(16),
            ROLE_STATUS => from(32, 8),
            bundle::CONTROL | REQUEST_FORWARD => from(24, 8),
            bundle::ADD => from(24, 1),
            _ => from(16, 1),
        },
        _ => from(16, 1),
    }
}

fn nicira(subtype: u32) -> Lengths {
    match subtype {
        nicira::ROLE_REQUEST | nicira::ROLE_REPLY | nicira::SET_PACKET_IN_FORMAT => exactly(20),
        nicira::FLOW_MOD => from(48, 8),
        nicira::FLOW_REMOVED => from(56, 8),
        nicira::FLOW_MOD_TABLE_ID | nicira::SET_CONTROLLER_ID | nicira::CT_FLUSH_ZONE => exactly(24),
        nicira::PACKET_IN => from(40, 1),
        nicira::FLOW_AGE | nicira::TLV_TABLE_REQUEST => exactly(16),
        nicira::SET_ASYNC_CONFIG => exactly(40),
        nicira::TLV_TABLE_MOD | nicira::CT_FLUSH => from(24, 8),
        nicira::TLV_TABLE_REPLY => from(32, 8),
        nicira::SET_ASYNC_CONFIG2 | nicira::RESUME | nicira::PACKET_IN2 => from(16, 8),
        _ => from(16, 1),
    }
}

/// The type of a multipart message, and whose it is if it is an experimenter's.
fn multipart_type(bytes: &[u8]) -> Option<(u16, u32, u32)> {
    let multipart_type = u16::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    if multipart_type != multipart::EXPERIMENTER {
        return Some((multipart_type, 0, 0));
    }
    Some((multipart_type, u32_at(bytes, 16)?, u32_at(bytes, 20)?))
}

fn multipart_request(bytes: &[u8]) -> Lengths {
    use multipart::*;
    match multipart_type(bytes) {
        Some((FLOW | AGGREGATE, ..)) => from(48, 8),
        Some((PORT_STATS | QUEUE_STATS | GROUP_STATS | METER_STATS | METER_CONFIG, ..)) => exactly(24),
        Some((DESC | TABLE | GROUP_DESC | GROUP_FEATURES | METER_FEATURES | PORT_DESC, ..)) => exactly(16),
        Some((TABLE_FEATURES, ..)) => from(16, 8),
        Some((EXPERIMENTER, OxmId::NICIRA, IPFIX_BRIDGE | IPFIX_FLOW)) => exactly(24),
        Some((EXPERIMENTER, OxmId::ONF, FLOW_MONITOR)) => from(24, 8),
        Some((EXPERIMENTER, ..)) => from(24, 1),
        Some(_) => from(16, 1),
        None => from(24, 1),
    }
}

fn multipart_reply(bytes: &[u8]) -> Lengths {
    use multipart::*;
    match multipart_type(bytes) {
        Some((DESC, ..)) => exactly(1072),
        Some((AGGREGATE, ..)) => exactly(40),
        Some((TABLE, ..)) => from(16, 24),
        Some((PORT_STATS, ..)) => from(16, 112),
        Some((QUEUE_STATS, ..)) => from(16, 40),
        Some((GROUP_STATS | GROUP_DESC | METER_STATS | METER_CONFIG, ..)) => from(16, 8),
        Some((GROUP_FEATURES, ..)) => exactly(56),
        Some((METER_FEATURES, ..)) => exactly(32),
        Some((TABLE_FEATURES, ..)) => from(80, 8),
        Some((PORT_DESC, ..)) => from(16, 64),
        Some((EXPERIMENTER, OxmId::NICIRA, IPFIX_BRIDGE)) => exactly(112),
        Some((EXPERIMENTER, OxmId::NICIRA, IPFIX_FLOW)) => from(24, 88),
        Some((EXPERIMENTER, OxmId::ONF, FLOW_MONITOR)) => from(24, 8),
        Some((EXPERIMENTER, ..)) => from(24, 1),
        Some(_) => from(16, 1),
        None => from(24, 1),
    }
}
