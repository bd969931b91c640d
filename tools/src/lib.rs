//! Command-line tools: `weir` talks to the controller, `ofctl` to a switch.
//!
//! Each has a folder here and a thin `main` in `bin`. Nothing else may depend on this crate, but the labs on `bench`:
//! what they measure and what `weir bench` measures is one thing.

pub mod bench;
pub mod connect;
pub mod ofctl;
pub mod weir;
