//! A bench's figures: a table of the phases with a picture of their places, or JSON.

use comfy_table::Cell;
use serde::Serialize;

use super::super::output::{self, View};
use crate::bench::{Load, Outcome, Percentiles, Phase, Sample, phases};

/// The figures. In JSON, its keys are only ever added to.
#[derive(Serialize)]
pub(super) struct BenchView {
    /// How many creates these figures are of.
    count: usize,
    warmup: usize,
    /// Begun in a second; null: one after another.
    rate: Option<f64>,
    pool: String,
    network: String,
    node: Option<String>,
    runtime: String,
    /// It was interrupted before all were begun.
    stopped: bool,
    took_s: f64,
    /// In the controller's order. Flows (published to confirmed) and port (told, port_up) go their ways at the same time.
    phases: Vec<Phase>,
    request_to_barrier_ms: Percentiles,
    request_to_ready_ms: Percentiles,
    /// By the clock here, there and back.
    request_to_answer_ms: Percentiles,
    delete_to_gone_ms: Percentiles,
}

impl BenchView {
    pub(super) fn new(load: &Load, outcome: &Outcome) -> BenchView {
        let samples = &outcome.samples;
        let at = |name: &str| Percentiles::of(samples.iter().filter_map(|sample| sample.at(name)).collect());
        let of = |time: fn(&Sample) -> _| Percentiles::of(samples.iter().map(time).collect());
        BenchView {
            count: samples.len(),
            warmup: load.warmup,
            rate: load.rate,
            pool: load.container.pool.clone(),
            network: load.container.network.clone(),
            node: output::present(load.container.node.clone()),
            runtime: load.container.runtime.clone(),
            stopped: outcome.stopped,
            took_s: (outcome.took.as_secs_f64() * 1000.0).round() / 1000.0,
            phases: phases(samples),
            request_to_barrier_ms: at("confirmed"),
            request_to_ready_ms: at("ready"),
            request_to_answer_ms: of(|sample| sample.answered),
            delete_to_gone_ms: of(|sample| sample.gone),
        }
    }

    fn introduction(&self) -> String {
        let node = self.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let pace =
            self.rate.map_or_else(|| "one after another".to_owned(), |rate| format!("{rate} begun a second"));
        let Self { count, runtime, network, took_s, .. } = self;
        format!("{count} creates of {runtime}{node}, network {network}, {pace}: {took_s:.1} s\n")
    }
}

impl View for BenchView {
    fn to_text(&self) -> String {
        let mut text = self.introduction();
        if self.count == 0 {
            return text;
        }
        text.push('\n');
        let end = self.phases.iter().map(|phase| phase.begins_ms + phase.took_ms.p50).fold(0.0, f64::max);
        let phases = self.phases.iter().map(|phase| {
            let bar = bar(phase.begins_ms / end, phase.took_ms.p50 / end);
            let share = format!("{:>4.0} %", phase.share_percent);
            [vec![Cell::new(&phase.name)], times(phase.took_ms), vec![Cell::new(share), Cell::new(bar)]]
                .concat()
        });
        text.push_str(&output::rows(&[&HEAD[..], &["SHARE", "WHEN"]].concat(), phases));
        text.push('\n');
        let ends = [
            ("to barrier", self.request_to_barrier_ms),
            ("to ready", self.request_to_ready_ms),
            ("to answer", self.request_to_answer_ms),
            ("delete", self.delete_to_gone_ms),
        ];
        let ends = ends.map(|(name, figures)| [vec![Cell::new(name)], times(figures)].concat());
        text.push_str(&output::rows(&[&["REQUEST"], &HEAD[1..]].concat(), ends));
        text
    }
}

const HEAD: [&str; 5] = ["PHASE", "P50 ms", "P95 ms", "P99 ms", "MAX ms"];

fn times(times: Percentiles) -> Vec<Cell> {
    let Percentiles { p50, p95, p99, max } = times;
    [p50, p95, p99, max].map(|ms| Cell::new(number(ms))).to_vec()
}

/// Right-aligned, with as many digits as say something.
fn number(ms: f64) -> String {
    let digits = if ms < 10.0 { 2 } else { usize::from(ms < 1000.0) };
    format!("{ms:>6.digits$}")
}

/// Where in the whole time a phase lies: its begin and its length as parts of 1.
fn bar(begins: f64, took: f64) -> String {
    if !(begins.is_finite() && took.is_finite()) {
        return String::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither is less than 0")]
    let eighths = |part: f64| (part.max(0.0) * (WIDTH * 8) as f64).round() as usize;
    let first = (eighths(begins) / 8).min(WIDTH - 1);
    // The shortest is a line.
    let n = eighths(took).clamp(1, (WIDTH - first) * 8);
    let whole = std::iter::repeat_n(BLOCKS[8], n / 8);
    let rest = (n % 8 > 0).then_some(BLOCKS[n % 8]);
    " ".repeat(first).chars().chain(whole).chain(rest).collect()
}

const WIDTH: usize = 24;
/// A block's eighths, from the left.
const BLOCKS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_api::v1;

    use super::*;

    fn sample(ms: u64) -> Sample {
        let milestone = |name: &str, at, took| {
            let name = name.to_owned();
            v1::Milestone { name, at_us: at * ms * 1000, took_us: took * ms * 1000 }
        };
        let milestones = vec![
            milestone("committed", 1, 1),
            milestone("confirmed", 3, 2),
            milestone("port_up", 8, 7),
            milestone("ready", 9, 1),
        ];
        Sample { milestones, answered: Duration::from_millis(10 * ms), gone: Duration::from_millis(1234) }
    }

    fn view(rate: Option<f64>) -> BenchView {
        let container = v1::Container {
            runtime: "netns".to_owned(),
            network: "n".to_owned(),
            ..v1::Container::default()
        };
        let timeout = Duration::from_secs(1);
        let load = Load {
            container,
            prefix: "b".to_owned(),
            count: 2,
            warmup: 0,
            rate,
            timeout,
            authorization: None,
        };
        let samples = vec![sample(1), sample(2)];
        BenchView::new(&load, &Outcome { samples, took: Duration::from_millis(30), stopped: false })
    }

    #[test]
    fn every_phase_has_a_line_that_fits_a_terminal_and_a_bar_in_its_place() {
        let text = view(Some(50.0)).to_text();
        assert!(text.starts_with("2 creates of netns, network n, 50 begun a second: 0.0 s\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
        assert!(line("confirmed").contains("  2.00    4.00    4.00    4.00    20 %"), "{text}");
        assert!(line("committed").contains("█") && !line("committed").contains(" █ "), "{text}");
        assert!(line("delete").contains("  1234"), "{text}");
        let begins = |name: &str| line(name).chars().position(|c| BLOCKS[1..].contains(&c)).expect(name);
        assert!(begins("committed") < begins("confirmed") && begins("port_up") < begins("ready"), "{text}");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_field_nor_empty() {
        for (begins, took) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.99, 0.5), (0.5, 0.5), (f64::NAN, 1.0)] {
            let n = bar(begins, took).chars().count();
            assert!(n <= WIDTH && (n > 0 || begins.is_nan()), "{begins} {took}: {n}");
        }
    }
}
