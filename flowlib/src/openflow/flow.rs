//! A flow as it is wanted, before it is a message.

use crate::types::{Cookie, Priority, TableId};

use super::flow_mod::FlowModFlags;
use super::instruction::Instruction;
use super::oxm::Match;

/// A flow as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flow {
    /// Its table.
    pub table: TableId,
    /// Its priority.
    pub priority: Priority,
    /// Its cookie.
    pub cookie: Cookie,
    /// The packets it is for.
    pub flow_match: Match,
    /// What it does with them.
    pub instructions: Vec<Instruction>,
    /// Seconds without a packet after which the switch removes it; 0: never.
    pub idle_timeout_s: u16,
    /// Seconds after which the switch removes it; 0: never.
    pub hard_timeout_s: u16,
    /// What the switch should do with it besides.
    pub flags: FlowModFlags,
}
