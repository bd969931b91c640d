//! Command-line tools: weir and ofctl.
