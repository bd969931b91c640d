//! Pauses between tries to connect, longer and longer: thousands that try all the time would keep the controller from
//! starting. They are shorter than those of a real node, so that it is the controller that is measured: `weir-agent` waits 2 s
//! at most, Open vSwitch 8 s unless it is told otherwise.

use std::time::Duration;

/// Tries that have failed since one succeeded, by the next pause.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// A try has succeeded.
    pub(super) fn reset(&mut self) {
        self.0 = FIRST;
    }

    /// Waits for the next try.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LAST);
    }
}

const FIRST: Duration = Duration::from_millis(50);
/// Short beside a restart of the controller with so many switches that this matters.
const LAST: Duration = Duration::from_secs(1);
