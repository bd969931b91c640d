//! Whole flow tables: those of files and switches, compared and made equal.

mod diff;
mod replace;
mod view;

pub(super) use diff::diff;
pub(super) use replace::replace;
