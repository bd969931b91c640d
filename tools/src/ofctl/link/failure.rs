//! Why talking to a switch failed.

use std::io;
use std::time::Duration;

use flowlib::channel::CloseReason;

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
    /// What belongs to the request did not come in time.
    #[error("talking to {place} (no answer within {} s)", after.as_secs())]
    NoAnswer {
        /// Where.
        place: Place,
        /// For how long.
        after: Duration,
    },
    /// What came is no OpenFlow 1.3, or the peer does not read.
    #[error("talking to {place} ({reason})")]
    Channel {
        /// Where.
        place: Place,
        /// What is wrong with it.
        reason: CloseReason,
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

impl Failure {
    pub(super) fn broken(place: &Place, error: io::Error) -> Self {
        Self::Broken { place: place.clone(), error }
    }

    pub(super) fn channel(place: &Place, reason: impl Into<CloseReason>) -> Self {
        Self::Channel { place: place.clone(), reason: reason.into() }
    }
}
