//! The middle and the slow end of some times.

use std::time::Duration;

use serde::Serialize;

/// The middle and the slow end of some times, in milliseconds (nearest rank).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them are no longer.
    pub p50: f64,
    /// Nineteen of twenty are no longer.
    pub p95: f64,
    /// Ninety-nine of a hundred are no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// Those of some times; zero of none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        let rank = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            milliseconds(times.get(index).copied().unwrap_or_default())
        };
        Percentiles { p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) }
    }

    /// How much more these are than others, each than its like.
    #[must_use]
    pub fn above(self, others: Percentiles) -> Percentiles {
        let difference = |this: f64, other: f64| ((this - other) * 1000.0).round() / 1000.0;
        Percentiles {
            p50: difference(self.p50, others.p50),
            p95: difference(self.p95, others.p95),
            p99: difference(self.p99, others.p99),
            max: difference(self.max, others.max),
        }
    }
}

/// To a thousandth of a millisecond: more would be noise.
#[must_use]
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_nanos() as f64 / 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let times = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(Percentiles::of(times), Percentiles { p50: 10.0, p95: 19.0, p99: 20.0, max: 20.0 });
        let one = Percentiles::of(vec![Duration::from_micros(1500)]);
        assert_eq!(one, Percentiles { p50: 1.5, p95: 1.5, p99: 1.5, max: 1.5 });
        assert_eq!(Percentiles::of(Vec::new()).max, 0.0);
    }

    #[test]
    fn a_difference_may_be_negative() {
        let fast = Percentiles { p50: 1.1, p95: 2.0, p99: 3.0, max: 4.0 };
        let slow = Percentiles { p50: 3.4, p95: 1.0, p99: 3.0, max: 5.0 };
        assert_eq!(fast.above(slow), Percentiles { p50: -2.3, p95: 1.0, p99: 0.0, max: -1.0 });
    }
}
