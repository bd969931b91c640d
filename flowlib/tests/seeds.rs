//! The inputs that fuzzing has found worth keeping, replayed: nothing that was mended breaks again unseen.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

#[path = "../fuzz/src/oracle.rs"]
mod oracle;

/// One target at a time, because some look at how much memory is in use.
static TURN: Mutex<()> = Mutex::new(());

/// The inputs of a target: one a line, in hex.
fn replay(target: &str, check: fn(&[u8])) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/seeds/{target}.hex"));
    let lines = fs::read_to_string(&path).unwrap();
    assert!(lines.lines().count() > 10, "{} holds next to nothing", path.display());
    for line in lines.lines() {
        check(&bytes(line));
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn messages() {
    replay("message", oracle::message);
}

#[test]
fn matches() {
    replay("flow_match", oracle::flow_match);
}

#[test]
fn actions() {
    replay("actions", oracle::actions);
}

#[test]
fn text() {
    replay("text", oracle::text);
}

#[test]
fn packets() {
    replay("packet", oracle::packet);
}

#[test]
fn software_switches() {
    replay("emulate", oracle::emulate);
}

#[test]
fn channels() {
    replay("channel", oracle::channel);
}
