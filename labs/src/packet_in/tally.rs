//! Answers and how long they took.

use std::time::Duration;

/// What one switch, or all, have counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of each answer, in tenths of a microsecond; the longest that fit are seven minutes.
    times: Vec<u32>,
    /// How many switches the controller has taken up.
    pub(super) served: usize,
    pub(super) unanswered: u64,
    pub(super) flow_mods: u64,
}

impl Tally {
    /// Counts an answer.
    pub(super) fn answer(&mut self, took: Duration) {
        self.times.push(u32::try_from(took.as_nanos() / 100).unwrap_or(u32::MAX));
    }

    /// Adds another's to these.
    pub(super) fn add(&mut self, mut other: Tally) {
        self.times.append(&mut other.times);
        self.served += other.served;
        self.unanswered += other.unanswered;
        self.flow_mods += other.flow_mods;
    }

    /// How many there were.
    pub(super) fn answers(&self) -> usize {
        self.times.len()
    }

    /// The time within which that share of the answers came (nearest rank); 0 if there were none.
    pub(super) fn percentile_us(&mut self, percent: usize) -> f64 {
        let index = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        if index >= self.times.len() {
            return 0.0;
        }
        let (_, time, _) = self.times.select_nth_unstable(index);
        f64::from(*time) / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_ranks() {
        let (mut tally, mut other) = (Tally::default(), Tally::default());
        (1..=50).rev().for_each(|n| tally.answer(Duration::from_micros(n)));
        (51..=100).for_each(|n| other.answer(Duration::from_micros(n)));
        tally.add(other);
        assert_eq!((tally.answers(), tally.percentile_us(50), tally.percentile_us(99)), (100, 50.0, 99.0));
        assert_eq!(Tally::default().percentile_us(50), 0.0);
    }
}
