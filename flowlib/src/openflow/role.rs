//! Roles of controllers.

use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

open_enum! {
    /// What a controller may do. Source: OpenFlow 1.3.5 §7.3.9.
    pub struct ControllerRole(u32) {
        /// Asks for the role without changing it.
        NO_CHANGE = 0 => "nochange",
        /// Full access, like others.
        EQUAL = 1 => "equal",
        /// Full access; all others of that role become secondary.
        PRIMARY = 2 => "primary",
        /// May only read.
        SECONDARY = 3 => "secondary",
    }
}

/// A role asked for or granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// The role.
    pub role: ControllerRole,
    /// The election it comes from: a switch refuses older ones.
    pub generation_id: u64,
}

/// Strict: a role that does not exist is an error, since it says what a controller may do.
///
/// Shape: role `u32`, 4 zeros, generation `u64`.
impl Wire for Role {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Role);
        let role = decode_role(r)?;
        r.skip(4)?;
        Ok(Self { role, generation_id: r.u64()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.role.0);
        w.zeros(4);
        w.u64(self.generation_id);
    }
}

fn decode_role(r: &mut Reader<'_>) -> Result<ControllerRole, DecodeError> {
    let at = r.clone();
    let role = ControllerRole(r.u32()?);
    match role.name() {
        Some(_) => Ok(role),
        None => Err(at.error(Problem::BadValue { found: role.0.into() })),
    }
}

open_enum! {
    /// A role in Nicira's messages. Source: NXT_ROLE_REQUEST in `nicira-ext.h` of Open vSwitch 3.1.
    pub struct NxRole(u32) {
        /// Full access, like others.
        OTHER = 0 => "other",
        /// Full access; all others of that role become secondary.
        PRIMARY = 1 => "primary",
        /// May only read.
        SECONDARY = 2 => "secondary",
    }
}

/// Strict, as [`Role`].
///
/// Shape: role `u32`.
impl Wire for NxRole {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Role);
        let at = r.clone();
        let role = Self(r.u32()?);
        match role.name() {
            Some(_) => Ok(role),
            None => Err(at.error(Problem::BadValue { found: role.0.into() })),
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.0);
    }
}

open_enum! {
    /// Why a role changed. Source: OpenFlow 1.4.1 §7.4.4.
    pub struct RoleReason(u8) {
        /// Another controller asked to be primary.
        PRIMARY_REQUEST = 0 => "primary_request",
        /// The switch was set up differently.
        CONFIG = 1 => "configuration_changed",
        /// An experimenter's reason.
        EXPERIMENTER = 2 => "experimenter_data_changed",
    }
}

/// The controller's role has changed without its asking.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleStatus {
    /// The role it has now.
    pub role: ControllerRole,
    /// Why.
    pub reason: RoleReason,
    /// The election it comes from.
    pub generation_id: u64,
    /// Properties, byte for byte.
    pub properties: Box<[u8]>,
}

/// Shape: role `u32`, reason `u8`, 3 zeros, generation `u64`, properties.
///
/// Source: ONF EXT-191; OpenFlow 1.4.1 §7.4.4.
impl Wire for RoleStatus {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Role);
        let role = decode_role(r)?;
        let reason = RoleReason(r.u8()?);
        r.skip(3)?;
        Ok(Self { role, reason, generation_id: r.u64()?, properties: r.rest().into() })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.role.0);
        w.u8(self.reason.0);
        w.zeros(3);
        w.u64(self.generation_id);
        w.bytes(&self.properties);
    }
}
