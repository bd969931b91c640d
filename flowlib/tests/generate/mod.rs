//! Values of every kind, at random, that a switch could take: for properties that must hold of all of them.

#![allow(dead_code, unreachable_pub)]

pub mod action;
pub mod flow_match;
pub mod message;
pub mod multipart;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// So many values of a strategy, the same each time.
pub fn sample<S: Strategy>(strategy: &S, n: usize) -> Vec<S::Value> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut value = || strategy.new_tree(&mut runner).map(|tree| tree.current());
    (0..n).map(|_| value().unwrap_or_else(|reason| panic!("{reason}"))).collect()
}
