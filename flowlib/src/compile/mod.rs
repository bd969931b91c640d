//! From intent to segments: a function, one file a table or driver.

pub mod model;
