//! `weir-sim`: a fleet of switches and agents in one process against a real controller, and what it measures.
//!
//! ```text
//!  scenario ─▶ run ─▶ controller (a process of its own)
//!               │        ▲ gRPC, OpenFlow over loopback
//!               ├─▶ fleet: a node = agent + flowlib::switch, each with its own connections
//!               └─▶ client: what a PaaS would ask for      ─▶ figures ─▶ table, JSON, picture
//! ```
//!
//! Switches store every flow that they acknowledge; agents register, take what is desired, and say that each port is up
//! with the number asked for. No packet is sent anywhere.

mod agent;
pub mod cli;
mod client;
mod controller;
pub(crate) mod descriptors;
mod figures;
mod fleet;
mod node;
mod pause;
mod picture;
mod run;
pub mod scenario;

pub use figures::Figures;
pub use run::run;
