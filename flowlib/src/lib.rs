//! OpenFlow 1.3 with the Open vSwitch extensions, Weir's pipeline and its flow compiler.
//!
//! Pure: no sockets, no clock, no files, no tasks. Rooms, each of which may use those above it:
//!
//! - [`types`]: numbers with a meaning (datapath ids, ports, MAC addresses …)
//! - [`wire`]: bounded reading, writing with patched lengths
//! - [`openflow`]: messages, matches, actions
//! - [`packet`]: frames to fields and back
//! - [`text`]: flows in ovs-ofctl(8) syntax
//! - [`emulate`]: a switch in software, and its traces
//! - [`channel`]: an OpenFlow channel as a state machine
//! - [`switch`]: a switch without a data plane, which holds what it is sent
//! - [`segment`]: sets of flows a switch holds as one, and its ledger of them
//! - [`pipeline`]: what tables, registers, priorities and drop reasons mean
//! - [`compile`]: from intent to flows

pub mod channel;
pub mod compile;
pub mod emulate;
pub mod openflow;
pub mod packet;
pub mod pipeline;
pub mod segment;
pub mod switch;
pub mod text;
pub mod types;
pub mod wire;
