//! Values of every kind, at random, that a switch could take: for properties that must hold of all of them.

#![allow(dead_code, unreachable_pub)]

pub mod message;
pub mod multipart;
