//! Why talking to a switch failed.

use std::io;
use std::time::Duration;

use super::target::Place;

/// What the system says, without its number.
pub(in crate::ofctl) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Why talking to a switch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::ofctl) enum Failure {
    /// No socket is where the word may point.
    #[error("{0} is not a bridge or a socket")]
    NoSwitch(String),
    /// A method that is none of ours.
    #[error("{0} is none of unix:PATH, tcp:HOST[:PORT] and ssl:HOST[:PORT]")]
    NoMethod(Place),
    /// No connection.
    #[error("connecting to {place} ({})", reason(error))]
    Connect {
        /// Where.
        place: Place,
        /// Why.
        error: io::Error,
    },
    /// No TLS with those files.
    #[error("{0}")]
    Identity(String),
    /// The connection broke.
    #[error("talking to {place} ({})", reason(error))]
    Broken {
        /// Where.
        place: Place,
        /// Why.
        error: io::Error,
    },
    /// The peer closed the connection.
    #[error("talking to {0} (the switch closed the connection)")]
    Closed(Place),
    /// Nothing that belongs to the request came.
    #[error("talking to {place} (no answer within {} s)", after.as_secs())]
    NoAnswer {
        /// Where.
        place: Place,
        /// For how long.
        after: Duration,
    },
    /// A length below that of a header: the stream cannot be cut any more.
    #[error("talking to {place} (a message of {len} bytes, less than its header)")]
    BadFrame {
        /// Where.
        place: Place,
        /// The length.
        len: u16,
    },
    /// The peer does not begin with a HELLO.
    #[error("talking to {place} (it began with a message of type {message_type}, not with a hello)")]
    NoHello {
        /// Where.
        place: Place,
        /// With what it began.
        message_type: u8,
    },
    /// The versions do not meet.
    #[error(
        "{place}: version negotiation failed (only OpenFlow 1.3, 0x04, is spoken here, up to {version:#04x} there)"
    )]
    Version {
        /// Where.
        place: Place,
        /// The highest of the peer.
        version: u8,
    },
    /// An answer that is none.
    #[error("received bad reply: {0}")]
    BadReply(String),
    /// An answer beyond the limit.
    #[error("talking to {place} (an answer without end: {parts} parts)")]
    Endless {
        /// Where.
        place: Place,
        /// How many parts came.
        parts: u64,
    },
}
