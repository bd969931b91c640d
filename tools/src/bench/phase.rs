//! Where the time of many creates went, by phase.

use std::time::Duration;

use serde::Serialize;

use super::load::Sample;
use super::percentiles::{Percentiles, milliseconds};

/// One phase over all samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// What it ends with.
    pub name: String,
    /// How long it took, in milliseconds.
    #[serde(flatten)]
    pub took_ms: Percentiles,
    /// When it began, since the request was there, in milliseconds: the median.
    pub begins_ms: f64,
    /// Its part of all the time until the answer, in per cent. Those of phases at the same time come to more than 100.
    pub share_percent: f64,
}

/// The phases in the controller's order, and last of all what the controller does not see: what lies between the caller
/// and the controller, both ways.
#[must_use]
pub fn phases(samples: &[Sample]) -> Vec<Phase> {
    let mut names: Vec<&str> = Vec::new();
    for milestone in samples.iter().flat_map(|sample| &sample.milestones) {
        if !names.contains(&milestone.name.as_str()) {
            names.push(&milestone.name);
        }
    }
    let total: Duration = samples.iter().map(|sample| sample.answered).sum();
    let phase = |name: &str, spans: Vec<(Duration, Duration)>| {
        let sum: Duration = spans.iter().map(|(_, took)| *took).sum();
        let mut begins: Vec<Duration> = spans.iter().map(|(begins, _)| *begins).collect();
        begins.sort_unstable();
        let begins = begins.get(begins.len() / 2).copied().unwrap_or_default();
        Phase {
            name: name.to_owned(),
            took_ms: Percentiles::of(spans.into_iter().map(|(_, took)| took).collect()),
            begins_ms: milliseconds(begins),
            share_percent: share(sum, total),
        }
    };
    let of = |name: &str| {
        let same = |sample: &Sample| {
            let milestone = sample.milestones.iter().find(|milestone| milestone.name == name)?;
            let (at, took) =
                (Duration::from_micros(milestone.at_us), Duration::from_micros(milestone.took_us));
            Some((at.saturating_sub(took), took))
        };
        phase(name, samples.iter().filter_map(same).collect())
    };
    let mut phases: Vec<Phase> = names.into_iter().map(of).collect();
    let ends = |sample: &Sample| {
        let seen = sample.at("ready")?;
        Some((seen, sample.answered.saturating_sub(seen)))
    };
    phases.push(phase("answered", samples.iter().filter_map(ends).collect()));
    phases
}

/// In per cent, to a tenth.
fn share(part: Duration, total: Duration) -> f64 {
    if total.is_zero() { 0.0 } else { (part.as_secs_f64() / total.as_secs_f64() * 1000.0).round() / 10.0 }
}

#[cfg(test)]
mod tests {
    use weir_api::v1::Milestone;

    use super::*;

    fn sample(milestones: &[(&str, u64, u64)], answered_us: u64) -> Sample {
        let milestone = |(name, at_us, took_us): &(&str, u64, u64)| Milestone {
            name: (*name).to_owned(),
            at_us: *at_us,
            took_us: *took_us,
        };
        Sample {
            milestones: milestones.iter().map(milestone).collect(),
            answered: Duration::from_micros(answered_us),
            gone: Duration::ZERO,
        }
    }

    #[test]
    fn a_phase_has_its_place_and_its_share() {
        let way = [
            ("committed", 1000, 1000),
            ("confirmed", 3000, 2000),
            ("told", 1500, 500),
            ("ready", 4000, 1000),
        ];
        let phases = phases(&[sample(&way, 5000), sample(&way, 5000), sample(&[], 0)]);
        let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["committed", "confirmed", "told", "ready", "answered"]);
        let begins: Vec<f64> = phases.iter().map(|phase| phase.begins_ms).collect();
        assert_eq!(begins, [0.0, 1.0, 1.0, 3.0, 4.0]);
        let shares: Vec<f64> = phases.iter().map(|phase| phase.share_percent).collect();
        assert_eq!(shares, [20.0, 40.0, 10.0, 20.0, 20.0]);
        assert_eq!(phases[4].took_ms.max, 1.0);
    }
}
