//! What is measured while the controller runs: for Prometheus, for `GetStatus`, and for whoever asks where the time of a
//! create went.
//!
//! [`Metrics`], which the agents use too, is all that is exposed. No series has a label whose values grow with what is
//! managed, but for the names of pools. [`journey`] follows each create from its request until it is ready.

pub mod journey;
pub mod lag;
mod milestone;
mod trace;

pub use milestone::{Milestone, Milestones};
pub use trace::TraceId;
pub use weir_metrics::{
    Counter, Exposition, Family, Gauge, Histogram, Labels, Metrics, Reading, Unit, Value,
};
