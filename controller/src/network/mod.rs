//! Between intent and flows: addresses, external neighbours, and what the switches report.

pub mod ipam;
pub mod neighbours;
pub mod switch_event;

pub use neighbours::Neighbours;
pub use switch_event::{Rejection, SwitchEvent};
