//! OpenFlow 1.3 with the Open vSwitch extensions, Weir's pipeline and its flow compiler.
//!
//! Pure: no sockets, no clock, no files, no tasks. Rooms, each of which may use those above it:
//!
//! - [`types`]: numbers with a meaning (datapath ids, ports, MAC addresses …)
//! - [`wire`]: bounded reading, writing with patched lengths
//! - [`openflow`]: messages, matches, actions
//! - [`compile`]: from intent to segments

pub mod compile;
pub mod openflow;
pub mod types;
pub mod wire;
