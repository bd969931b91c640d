//! A switch in software: what becomes of a packet, and why.
//!
//! It follows Open vSwitch, whose own words the trace uses. Flows, groups, meters and ports are given; a packet, or
//! the fields of one, goes through them ([`Switch::run`]) and yields what comes out of which port, what the controller
//! is told, and the way it took ([`Outcome`]).
//!
//! What it leaves out: the timeouts of flows, the rates of meters, mirrors, bonds, spanning trees, and the outer
//! headers of tunnels (an output bears the tunnel's metadata).
//!
//! Promises: no flow and no packet makes it panic, run for ever, recurse without bound or cost more than `limits`
//! says; it knows nothing of the
//! compiler and of what tables are for, so that it cannot share a misunderstanding with them.

mod act;
mod action_set;
mod conntrack;
mod datapath;
mod field;
mod group;
mod hash;
mod learn;
mod limits;
mod liveness;
mod normal;
mod outcome;
mod output;
mod report;
mod resume;
mod step;
mod switch;
mod table;
mod trace;
mod track;
mod translate;

pub use conntrack::{Connection, Connections};
pub use datapath::DatapathAction;
pub use outcome::{Failure, Input, Outcome, Output, Pass, ResumeReason, Resumed, ToController};
pub use switch::{Port, Switch};
pub use table::{Entry, Table};
pub use trace::{Node, NodeKind};
