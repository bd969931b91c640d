//! What can go wrong with an OVSDB connection, by who is wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::{FrameError, MessageError, RpcError};
use crate::ovsdb::value::ValueError;

/// Why a request failed or a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent bytes that are no stream of JSON objects.
    #[error("the peer sent bad bytes: {0}")]
    Frame(#[from] FrameError),
    /// The peer sent an object that is no JSON-RPC message.
    #[error("the peer sent a bad message: {0}")]
    Message(#[from] MessageError),
    /// The peer sent a message whose content is not what RFC 7047 asks for.
    #[error("the peer broke the protocol: {what}: {problem}")]
    Protocol {
        /// Which message or part.
        what: &'static str,
        /// What was expected there, and what came.
        problem: ValueError,
    },
    /// The database lacks a table or column that is monitored.
    #[error("the database lacks {what}")]
    Unsupported {
        /// A table, or `table.column`.
        what: String,
    },
    /// The server refused a call as a whole.
    #[error("the server refused {method}: {error}")]
    Rpc {
        /// For example `get_schema`.
        method: &'static str,
        /// The server's reason.
        error: RpcError,
    },
    /// The server refused a transaction; nothing of it was done.
    #[error("the transaction was refused at operation {index}: {error}")]
    Refused {
        /// Which operation, from 0; one past the last where the commit failed.
        index: usize,
        /// `error` and `details` of RFC 7047 §4.1.3, for example `constraint violation`.
        error: RpcError,
    },
    /// The connection died after the transaction was sent: it may have been done or not. The replica, once the
    /// connection is back, shows which.
    #[error("the connection ended before the answer: the outcome is unknown")]
    OutcomeUnknown,
    /// Nothing was sent: there is no connection that has come as far as taking transactions.
    #[error("not connected to the database")]
    NotConnected,
    /// The peer has been silent for too long, probes included.
    #[error("the peer has been silent for {silence:?}")]
    Silent {
        /// For how long.
        silence: Duration,
    },
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The system could not connect, read or write.
    #[error("{0}")]
    Io(Arc<std::io::Error>),
    /// The caller's client has been stopped.
    #[error("the OVSDB client has stopped")]
    Stopped,
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
