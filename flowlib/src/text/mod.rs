//! Flows in the syntax of ovs-ofctl(8): as `dump-flows` prints them, and read back.
//!
//! Promises: what is printed reads back as the same value, but for instructions that say nothing (an
//! empty list of actions is `drop`, and so is no instruction at all), for what ovs-ofctl does not print of a match
//! (some fields of tunnels and NSH headers), and for names that it does not have (`pbb_isid`). Values are never
//! changed to fit the text.
//! An error says at which column.

mod action;
mod color;
mod error;
mod field_value;
mod flow;
mod flow_match;
mod flow_mod;
mod instruction;
pub mod message;
mod names;
mod nearest;
mod packet;
mod part;
mod port;
mod printer;
mod protocol_words;
mod protocols;
mod subfield;

pub use action::{format_action, parse_actions};
pub use color::Colors;
pub use error::{ParseError, Problem};
pub use field_value::{format_field_value, format_port};
pub use flow::{format_flow, format_flow_stats, parse_flow, print_flow, print_flow_stats};
pub use flow_match::{Normalized, format_match};
pub use flow_mod::{ParsedFlowMod, format_flow_mod, parse_flow_filter, parse_flow_mod, print_flow_mod};
pub use instruction::format_instructions;
pub use message::{
    ParsedGroupMod, TableFeaturesList, Verbosity, parse_ct_tuple, parse_flow_monitor, parse_group,
    parse_group_mod, parse_meter, parse_meter_mod, parse_packet, parse_packet_out, parse_tlv_maps,
    print_message,
};
pub use names::Names;
pub use packet::{format_frame, format_key, print_key};
pub use part::{find_field, parse_port, parse_table, print_instructions, print_match};
pub use printer::Style;
pub use protocols::Protocols;
pub use subfield::format_subfield;
