//! The audit: every segment of every switch is compared with what it should be, again and again, at a bounded rate.
//!
//! All sessions stand in one line, and whoever is at its front waits until what the one before reads is paid for. So a
//! fleet is gone through in (flows + 100 × segments) / rate, however many switches it has, and costs no more than that
//! rate; a small one is gone through once an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, sleep_until};

/// What a dump costs besides its flows, in flows.
const DUMP: u32 = 100;

/// The line. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Audit {
    next: Arc<Mutex<Instant>>,
    interval: Duration,
    flows_per_second: u32,
}

/// The front of the line.
#[derive(Debug)]
pub(super) struct Turn {
    next: OwnedMutexGuard<Instant>,
    flows_per_second: u32,
}

impl Audit {
    /// Compares a segment of a switch once an interval, and at most so many flows a second of all switches together.
    #[must_use]
    pub fn new(interval: Duration, flows_per_second: u32) -> Self {
        Self { next: Arc::new(Mutex::new(Instant::now())), interval, flows_per_second }
    }

    /// Waits for one of `n` turns that a session takes in an interval. One that is given up loses its place.
    pub(super) fn turn(&self, n: usize) -> impl Future<Output = Turn> + Send + use<> {
        let Self { next, interval, flows_per_second } = self.clone();
        let pause = interval / u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        async move {
            sleep(pause).await;
            // Who waits for a tokio mutex gets it in the order of asking.
            let next = next.lock_owned().await;
            sleep_until(*next).await;
            Turn { next, flows_per_second }
        }
    }
}

impl Turn {
    /// Lets the next one come when a dump of so many flows is paid for.
    pub(super) fn spend(mut self, n_flows: usize) {
        let flows = u32::try_from(n_flows).unwrap_or(u32::MAX).saturating_add(DUMP);
        let cost = Duration::from_secs_f64(f64::from(flows) / f64::from(self.flows_per_second.max(1)));
        *self.next = Instant::now() + cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fleet_is_gone_through_at_the_rate_and_everybody_gets_a_turn() {
        let audit = Audit::new(Duration::from_secs(1), 2000);
        let begun = Instant::now();
        let mut sessions = tokio::task::JoinSet::new();
        for n in 0..500 {
            let audit = audit.clone();
            sessions.spawn(async move {
                for _ in 0..2 {
                    audit.turn(1).await.spend(100);
                }
                (n, begun.elapsed())
            });
        }
        let ends: Vec<_> = sessions.join_all().await;
        // 1,000 dumps of 100 flows, at 200 flows of cost each.
        let last = ends.iter().map(|(_, end)| *end).max().unwrap();
        assert!((Duration::from_secs(100)..Duration::from_secs(103)).contains(&last), "{last:?}");
        let first = ends.iter().map(|(_, end)| *end).min().unwrap();
        assert!(first > Duration::from_secs(45), "nobody is served twice before all were once: {first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_switch_is_gone_through_once_an_interval() {
        let audit = Audit::new(Duration::from_secs(60), 20_000);
        let begun = Instant::now();
        for _ in 0..6 {
            audit.turn(3).await.spend(10);
        }
        assert!((Duration::from_secs(120)..Duration::from_secs(121)).contains(&begun.elapsed()));
    }
}
