//! Weir's controller: intent, orchestration, compilation to segments, OpenFlow sessions.

pub mod intent;
pub mod network;
