//! What containers cost to create and delete, measured at a running controller: by its own account of each create, and by
//! the caller's clock for the ends.

mod fill;
mod load;
mod percentiles;
mod phase;

pub use fill::{empty, fill};
pub use load::{Failed, Load, Outcome, Sample, run};
pub use percentiles::{Percentiles, milliseconds};
pub use phase::{Phase, phases};
