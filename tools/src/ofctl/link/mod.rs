//! The connection to a switch: where it is, the socket, the messages on it.
//!
//! ```text
//!  target ─▶ transport (unix, TCP, TLS; never blocks) ─▶ connection (one poll loop: bytes ⇄ messages, xids, patience)
//! ```
//!
//! A connection hands out whole messages as bytes: most commands print them, and some copy them. How the stream is cut,
//! what HELLOs say, and echoes, is `flowlib::channel`'s. It keeps at most one message and what waits to be sent.
//! Whatever the peer does, a request ends in bounded time and room.

mod connection;
mod failure;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub(super) use connection::{Connection, Next, Patience, header};
pub(super) use failure::{Failure, reason};
pub(super) use target::Target;
pub(super) use tls::Identity;
