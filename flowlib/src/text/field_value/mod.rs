//! Values of fields, as matches and actions show them and as they are read.

mod flags;
mod format;
mod parse;
mod wide;

pub(super) use format::{Use, format, packet_type};
pub use format::{format_field_value, format_port};
pub(super) use parse::{parse, parse_integer, parse_mac};
pub(super) use wide::{format_wide, parse_wide, parse_wide_number, wide_bits};
