//! An OVSDB client (RFC 7047, ovsdb-server(7)).
//!
//! ```text
//!  callers ── Client::transact, wait_for ──▶ conn (one task: socket, backoff) ──bytes, time──▶ session (pure)
//!     ▲                                          │                                              │ monitor, message
//!     └────────── watch: Arc<Replica> ───────────┘◀───────────── events ────────────────────────┘ replica
//! ```
//!
//! `session` decides everything and touches nothing; `conn` owns the socket and decides nothing. `replica` is what the
//! monitored columns hold, `operation` what a transaction does, `value` and `schema` the types of both.

pub mod conn;
pub mod error;
pub mod monitor;
pub mod operation;
pub mod replica;
pub mod schema;
pub mod session;
pub mod value;

pub use conn::{Address, Client, Config, Link};
pub use error::Error;
pub use operation::{Condition, Function, Mutation, Mutator, Operation, Outcome};
pub use replica::{Change, ChangeKind, Replica, Row};
pub use session::Settings;
pub use value::{Atom, Datum, Uuid};
