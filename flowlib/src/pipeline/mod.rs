//! What the tables, registers, priorities and drop reasons of br-int mean: each declared once.
//!
//! Knows nothing of containers or policies; `compile` fills the tables. `docs/pipeline.md` is checked against
//! what [`render`] prints.

pub mod drop_reason;
pub mod port;
pub mod priority;
pub mod register;
pub mod render;
pub mod table;

use crate::types::MacAddr;

/// The address every endpoint is told for every peer, so that one cached datapath flow serves all of a block.
pub const VIRTUAL_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xfe]);
