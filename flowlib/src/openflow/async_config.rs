//! Which asynchronous messages a controller gets.

use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

use super::property::{self, RawProperty};

/// Which asynchronous messages a controller gets: a bit for each reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct AsyncConfig {
    /// Packet-ins.
    pub packet_in: AsyncMask,
    /// Changes of ports.
    pub port_status: AsyncMask,
    /// Flows that are gone.
    pub flow_removed: AsyncMask,
}

/// The reasons for which a message is sent; bit `n` is reason `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct AsyncMask {
    /// To an equal or primary controller.
    pub primary: u32,
    /// To a secondary one.
    pub secondary: u32,
}

/// Shape: packet-ins, port status, flows removed: `u32` for equal and primary, `u32` for secondary each. The same
/// in NXT_SET_ASYNC_CONFIG.
///
/// Source: OpenFlow 1.3.5 §7.3.10.
impl Wire for AsyncConfig {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            packet_in: Wire::decode(r)?,
            port_status: Wire::decode(r)?,
            flow_removed: Wire::decode(r)?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        self.packet_in.encode(w);
        self.port_status.encode(w);
        self.flow_removed.encode(w);
    }
}

impl Wire for AsyncMask {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { primary: r.u32()?, secondary: r.u32()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.primary);
        w.u32(self.secondary);
    }
}

open_enum! {
    /// Which message, to whom, a mask is for. Source: OpenFlow 1.4.1 §7.3.10.
    pub struct AsyncPropertyType(u16) {
        /// Packet-ins to a secondary.
        PACKET_IN_SECONDARY = 0 => "packet_in_secondary",
        /// Packet-ins to an equal or primary.
        PACKET_IN_PRIMARY = 1 => "packet_in_primary",
        /// Changes of ports to a secondary.
        PORT_STATUS_SECONDARY = 2 => "port_status_secondary",
        /// Changes of ports to an equal or primary.
        PORT_STATUS_PRIMARY = 3 => "port_status_primary",
        /// Flows that are gone to a secondary.
        FLOW_REMOVED_SECONDARY = 4 => "flow_removed_secondary",
        /// Flows that are gone to an equal or primary.
        FLOW_REMOVED_PRIMARY = 5 => "flow_removed_primary",
        /// Changes of roles to a secondary.
        ROLE_STATUS_SECONDARY = 6 => "role_status_secondary",
        /// Changes of roles to an equal or primary.
        ROLE_STATUS_PRIMARY = 7 => "role_status_primary",
        /// Changes of tables to a secondary.
        TABLE_STATUS_SECONDARY = 8 => "table_status_secondary",
        /// Changes of tables to an equal or primary.
        TABLE_STATUS_PRIMARY = 9 => "table_status_primary",
        /// Requests of other controllers to a secondary.
        REQUESTFORWARD_SECONDARY = 10 => "requestforward_secondary",
        /// Requests of other controllers to an equal or primary.
        REQUESTFORWARD_PRIMARY = 11 => "requestforward_primary",
    }
}

impl AsyncPropertyType {
    /// The reasons that there are for its message.
    #[must_use]
    pub fn reasons(self) -> u32 {
        match self.0 / 2 {
            // Flows go for six reasons, tables change for the third and the fourth, requests are of two kinds.
            2 => 0x3f,
            4 => 0x18,
            5 => 3,
            _ => 7,
        }
    }
}

/// One setting of NXT_SET_ASYNC_CONFIG2; what is not set stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AsyncProperty {
    /// The reasons for which a message is sent.
    Mask {
        /// Which message, to whom.
        property_type: AsyncPropertyType,
        /// Bit `n` is reason `n`.
        mask: u32,
    },
    /// Anything else, byte for byte.
    Unknown(RawProperty),
}

/// The first type of an experimenter's setting.
const EXPERIMENTERS: u32 = 0xfffe;

impl AsyncProperty {
    pub(super) fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut list = Vec::new();
        while !r.is_empty() {
            list.push(Self::decode(r)?);
        }
        Ok(list)
    }
}

/// Strict: a reason that does not exist is an error. A type that is not known is kept.
///
/// Shape: a property of the mask's `u32`.
///
/// Source: `lib/ofp-connection.c` of Open vSwitch 3.1.
impl Wire for AsyncProperty {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (property_type, mut value) = property::take(r, EXPERIMENTERS)?;
        let property_type = AsyncPropertyType(property_type);
        if property_type.name().is_none() {
            return Ok(Self::Unknown(RawProperty::keep(property_type.0, value)));
        }
        let mut at = value.clone();
        at.set_part(Part::Async);
        let mask = value.u32()?;
        value.finish()?;
        if mask & !property_type.reasons() != 0 {
            return Err(at.error(Problem::BadValue { found: mask.into() }));
        }
        Ok(Self::Mask { property_type, mask })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Mask { property_type, mask } => property::put(w, property_type.0, |w| w.u32(*mask)),
            Self::Unknown(raw) => raw.encode(w),
        }
    }
}
