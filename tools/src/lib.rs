//! Command-line tools: `weir` talks to the controller, `ofctl` to a switch.
//!
//! Each has a folder here and a thin `main` in `bin`. Nothing else may depend on this crate.

pub mod connect;
pub mod ofctl;
pub mod weir;
