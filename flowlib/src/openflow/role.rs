//! Roles of controllers.

use crate::wire::{DecodeError, Part, Reader, Wire, Writer, open_enum};

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

/// Shape: role `u32`, 4 zeros, generation `u64`.
impl Wire for Role {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Role);
        let role = ControllerRole(r.u32()?);
        r.skip(4)?;
        Ok(Self { role, generation_id: r.u64()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.role.0);
        w.zeros(4);
        w.u64(self.generation_id);
    }
}
