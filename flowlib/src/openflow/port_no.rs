//! Port numbers in the 16 bits that OpenFlow 1.0 and Nicira's structures give them.

use crate::types::PortNo;
use crate::wire::{EncodeError, Writer};

/// The 32-bit number of a port: reserved ones move up.
pub(super) fn from_u16(port: u16) -> PortNo {
    if port >= 0xff00 { PortNo(0xffff_0000 | u32::from(port)) } else { PortNo(port.into()) }
}

/// The 16-bit number of a port; one that has none fails the writer.
pub(super) fn to_u16(port: PortNo, w: &mut Writer<'_>) -> u16 {
    if port.0 < 0xff00 || port.0 >= 0xffff_ff00 {
        port.0 as u16
    } else {
        w.fail(EncodeError::PortTooBig(port.0));
        0
    }
}
