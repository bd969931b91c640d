//! What the system tests share: a whole system in a lab, its API, and frames made by hand.

#![allow(dead_code, unused_imports, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod counters;
mod fleet;
mod frames;
mod system;

pub(crate) use counters::{Drops, assert_drops};
pub(crate) use frames::{Arp, BROADCAST, VIRTUAL_MAC, ethernet, ipv4_udp, mac, tagged};
pub(crate) use system::{Attached, POOL, System, inside, reaches, vlan, vxlan};
