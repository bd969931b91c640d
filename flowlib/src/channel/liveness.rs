//! Whether the peer still answers.

use std::time::{Duration, Instant};

/// What a deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet.
    Nothing,
    /// An echo request.
    Probe,
    /// The peer was asked and did not answer.
    Dead,
}

/// Sends for an echo after an interval without a message, and gives up after another.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    last_heard: Instant,
    probed: bool,
}

impl Liveness {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self { interval, last_heard: now, probed: false }
    }

    /// A message came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.probed = false;
    }

    /// When [`Liveness::due`] should be asked again.
    pub(super) fn deadline(&self) -> Instant {
        self.last_heard + self.interval * if self.probed { 2 } else { 1 }
    }

    /// What is to be done now.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now < self.deadline() {
            Due::Nothing
        } else if self.probed {
            Due::Dead
        } else {
            self.probed = true;
            // Someone who comes late gives the peer a whole interval all the same.
            self.last_heard = self.last_heard.max(now.checked_sub(self.interval).unwrap_or(now));
            Due::Probe
        }
    }
}
