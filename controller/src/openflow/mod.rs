//! Switches: listening for them, a session each, and bringing each to what it should hold.
//!
//! ```text
//!                 listener ── accepts ──▶ session (one a switch) ──▶ SwitchEvent ──▶ orchestrate
//!                                          │   ▲ dirty mark (Board)
//!                                 Switch   │   │                ──▶ FabricEvent ──▶ network
//!                              (requests)  ▼   │ packet-ins
//!                                       connection: socket ⇄ flowlib::channel
//! ```
//!
//! A switch that no node has is refused, or, if wanted, goes from the listener to `learning`.
//!
//! Leaves what flows mean to flowlib, and what is intended to `network`.

mod audit;
pub mod board;
pub mod complaints;
mod connection;
pub mod converge;
mod counts;
mod event;
mod fixtures;
pub mod learning;
mod listener;
mod places;
mod segments;
mod session;
mod suspicion;
mod switch;
mod turns;
mod watch;

pub use audit::Audit;
pub use counts::Counts;
pub use event::{FabricEvent, Rejection, Subject, SwitchEvent};
pub use listener::{listen, listen_tls};
pub use session::Surroundings;
pub use switch::{Committed, Outcome, Refusal, Switch, SwitchError};
