//! Weir's node agent: bridges, ports and containers of one node; and the cache of images that a pool's nodes share.

pub mod agent;
pub mod bridge;
pub mod capacity;
pub mod check;
pub mod config;
pub mod credentials;
pub mod enrol;
pub mod identity;
pub mod join;
pub mod jsonrpc;
pub mod link;
pub mod metrics;
pub mod northbound;
pub mod ovsdb;
pub mod plugin;
pub mod registry;
pub mod relay;
pub mod restore;
pub mod runtime;
pub mod status;
