//! Sets of flows that a switch holds as one, and the ledger by which it remembers which it holds.
//!
//! Does not care what a table is for: a flow has a key (table, priority, match), an owner and its bytes.

pub mod digest;
pub mod fixture;
pub mod id;
mod kept;
mod keys;
pub mod ledger;
pub mod plan;
mod step;
mod store;

pub use step::{Key, Step};
pub use store::{Conflict, Segment};
