//! Between intent and flows: addresses, external neighbours, and what the switches report.

pub mod compile;
pub mod fabric;
mod facts;
pub mod frame;
pub mod ipam;
pub mod resolver;
pub mod routes;
pub mod run;
pub mod timetable;
mod tunnels;
