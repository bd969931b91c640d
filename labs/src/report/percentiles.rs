//! The middle and the slow end of some times.

use std::time::Duration;

use serde::Serialize;

/// The middle and the slow end of some times, in milliseconds (nearest rank).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
}

impl Percentiles {
    /// Those of some times; zero of none.
    pub(super) fn of(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        let rank = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            milliseconds(times.get(index).copied().unwrap_or_default())
        };
        Percentiles { p50: rank(50), p95: rank(95) }
    }

    /// How much more these are than others, each than its like.
    pub(super) fn above(self, others: Percentiles) -> Percentiles {
        let difference = |this: f64, other: f64| ((this - other) * 100.0).round() / 100.0;
        Percentiles { p50: difference(self.p50, others.p50), p95: difference(self.p95, others.p95) }
    }
}

/// To a hundredth of a millisecond: more would be noise.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_micros() as f64 / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let times = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(Percentiles::of(times), Percentiles { p50: 10.0, p95: 19.0 });
        assert_eq!(Percentiles::of(vec![Duration::from_micros(1500)]), Percentiles { p50: 1.5, p95: 1.5 });
        assert_eq!(Percentiles::of(Vec::new()), Percentiles { p50: 0.0, p95: 0.0 });
    }

    #[test]
    fn a_difference_may_be_negative() {
        let (fast, slow) = (Percentiles { p50: 1.1, p95: 2.0 }, Percentiles { p50: 3.4, p95: 1.0 });
        assert_eq!(fast.above(slow), Percentiles { p50: -2.3, p95: 1.0 });
    }
}
