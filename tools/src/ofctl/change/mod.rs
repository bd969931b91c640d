//! Commands that change a switch, by what they change: text is read into messages, which are delivered.

pub(super) mod bundle;
pub(super) mod conntrack;
pub(super) mod flow;
pub(super) mod group;
pub(super) mod meter;
pub(super) mod packet_out;
pub(super) mod tlv_map;

use super::deliver::Manner;
use super::switch::Switch;

/// As a bundle if that is asked for.
fn manner(switch: &Switch<'_>) -> Manner {
    if switch.globals.bundle { Manner::Bundle } else { Manner::Each }
}
