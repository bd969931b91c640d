//! OpenFlow 1.3 messages, with the extensions that Open vSwitch knows.
//!
//! What messages mean to a switch or a controller is for others to say. Promises: decoding never panics and
//! never loses anything that encoding would need; equal values encode to equal bytes.

pub mod action;
pub mod flow;
pub mod flow_mod;
pub mod instruction;
pub mod oxm;
mod port;

pub use action::Action;
pub use flow::Flow;
pub use flow_mod::{FlowMod, FlowModCommand, FlowModFlags};
pub use instruction::Instruction;
pub use oxm::{Field, FieldValue, Match, SubField};
