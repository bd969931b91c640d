//! Commands that need no switch: they print messages, and check text.

mod capture;
mod flows;
mod messages;
mod parts;

pub(super) use capture::parse_capture;
pub(super) use flows::{parse_flow, parse_flows, parse_group};
pub(super) use messages::{parse_messages, print_hex};
pub(super) use parts::{Kind, print_parts};
