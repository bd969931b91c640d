//! Packets: from bytes to fields and back.
//!
//! A [`Key`] holds all that a flow can match of a packet: its headers and what is known besides (port, registers,
//! tunnel, connection). [`Packet::parse`] reads one from a frame as Open vSwitch does, [`compose`] writes a frame
//! from one. What the fields are called is `openflow`'s, how they are written down is `text`'s.
//!
//! Promises: no frame makes it panic; a header that is cut short leaves its fields zero; a composed frame has
//! right lengths and checksums and is read back as the same headers.

mod checksum;
mod compose;
mod field;
mod headers;
mod key;
mod network;
mod parse;
mod transport;

pub use compose::{compose, compose_with_payload};
pub use key::{Conntrack, Key, Nsh, Tunnel, TunnelOption, VlanTag, ethertype, protocol};
pub use parse::Packet;
