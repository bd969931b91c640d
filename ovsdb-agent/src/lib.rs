//! Weir's node agent: bridges, ports and containers of one node.

pub mod bridge;
pub mod jsonrpc;
pub mod link;
pub mod ovsdb;
pub mod runtime;
