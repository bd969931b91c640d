//! Labs in network namespaces, the quickstart's report and the system tests.
//!
//! [`Lab::up`] builds a lab from a [`Topology`]: a physical switch (a bridge of its own Open vSwitch), hosts on its
//! VLANs, nodes with their own network and mount namespace, Open vSwitch and agent, and the controller. A supervisor
//! process owns the daemons; [`Lab`] talks to it, and runs commands in the lab's places.
//!
//! Rooms: `topology` (the file), `state` (names that follow from it), `registry` (what labs on one machine share),
//! `supervisor` (builds and keeps), `cleanup` and `cgroup` (remove), `lab` and `place` (use), `ovs` (a machine's Open
//! vSwitch), `docker` (a node's Docker), `endpoint` (finds containers),
//! `capture` and `ping` (what really happened on the wire), `report` (whether all is as it should be),
//! `benchmarks` (how fast and how large it is), `packet_in` (how fast a controller answers packet-ins), `cli` (the
//! command). Apart from them `sim`: a fleet of simulated switches and agents, the command `weir-sim`.

#![deny(clippy::await_holding_refcell_ref)]

pub mod api;
pub mod benchmarks;
pub mod capture;
mod cgroup;
mod cleanup;
pub mod cli;
mod docker;
pub mod endpoint;
mod lab;
pub mod log;
pub mod ovs;
pub mod packet_in;
pub mod ping;
pub mod place;
pub mod process;
pub mod protocol;
pub mod registry;
pub mod report;
pub mod sim;
pub mod state;
mod status;
pub mod supervisor;
pub mod topology;
mod up;
pub mod wait;

pub use lab::Lab;
pub use place::Place;
pub use state::Daemon;
pub use topology::Topology;
pub use wait::wait_until;
