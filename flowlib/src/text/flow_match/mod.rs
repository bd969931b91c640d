//! Matches in text: printed as a switch's flow key, and read a word at a time.

mod format;
mod meaning;
mod order;
mod words;

pub use format::format_match;
pub(super) use format::{DEFAULT_PRIORITY, format};
pub use meaning::Normalized;
pub(super) use words::MatchWords;
