//! JSON-RPC 1.0 as OVSDB speaks it: a stream of JSON objects with nothing between them.
//!
//! `frame` cuts the stream into objects, `message` gives them meaning. Neither knows what the methods mean.

pub mod frame;
pub mod message;

pub use frame::{FrameError, Framer};
pub use message::{Message, MessageError, RpcError};
