//! What was measured: for people a table, for programs JSON.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Usage {
    /// Seconds of processor time.
    pub(super) cpu_s: f64,
    /// The most memory that it had at once, in MiB.
    pub(super) peak_mib: f64,
}

impl Usage {
    /// Of the process of that number, or `self`. Source: proc(5).
    pub(super) fn of(process: &str) -> Self {
        let read =
            |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let status = read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
        // A hundred ticks are a second on Linux, whatever the kernel's own clock.
        Self { cpu_s: (ticks(11) + ticks(12)) as f64 / 100.0, peak_mib: kib / 1024.0 }
    }

    /// What two processes, one after the other, have used.
    pub(super) fn and(self, later: Self) -> Self {
        Self { cpu_s: self.cpu_s + later.cpu_s, peak_mib: self.peak_mib.max(later.peak_mib) }
    }
}

/// One part of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// How long it took, in seconds.
    pub wall_s: f64,
    /// Processor time of the controller meanwhile, in seconds.
    pub controller_cpu_s: f64,
    /// Processor time of the fleet itself, which shares the machine.
    pub fleet_cpu_s: f64,
    /// Flow mods that the switches carried out.
    pub flow_mods: u64,
    /// Messages that the switches refused.
    pub errors: u64,
}

/// How long creates took, from when they were due until they were ready.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Creates {
    /// How many.
    pub n: usize,
    /// The middle one, in milliseconds.
    pub p50_ms: f64,
    /// One in a hundred took longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Creates {
    /// Of times, the shortest first.
    pub(super) fn of(sorted: &[Duration]) -> Self {
        let rank = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(place).map_or(0.0, |time| (time.as_micros() as f64 / 10.0).round() / 100.0)
        };
        Self { n: sorted.len(), p50_ms: rank(50), p99_ms: rank(99), max_ms: rank(100) }
    }
}

/// What a run with one size measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Switches, and as many agents.
    pub switches: usize,
    /// Endpoints, before the churn.
    pub endpoints: usize,
    /// Its parts, in order.
    pub phases: Vec<Phase>,
    /// Creates during the churn.
    pub creates: Creates,
    /// Requests during the churn that failed.
    pub failed: usize,
    /// Why the last of them did.
    pub failure: Option<String>,
    /// Flows of the switch that has fewest, of the middle one and of the one that has most.
    pub flows: [usize; 3],
    /// The most memory that the controller had, in MiB.
    pub controller_peak_mib: f64,
    /// The most memory that the fleet had, in MiB.
    pub fleet_peak_mib: f64,
}

impl Figures {
    /// The part of that name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["phase", "seconds", "controller CPU s", "fleet CPU s", "flow mods", "errors"]);
        for phase in &self.phases {
            table.add_row([
                phase.name.to_owned(),
                format!("{:.3}", phase.wall_s),
                format!("{:.2}", phase.controller_cpu_s),
                format!("{:.2}", phase.fleet_cpu_s),
                phase.flow_mods.to_string(),
                phase.errors.to_string(),
            ]);
        }
        let [least, middle, most] = self.flows;
        let Creates { n, p50_ms, p99_ms, max_ms } = self.creates;
        let failure =
            self.failure.as_ref().map_or_else(String::new, |failure| format!(", the last: {failure}"));
        format!(
            "{} switches, {} endpoints\n{table}\n\
             {n} creates: p50 {p50_ms} ms, p99 {p99_ms} ms, longest {max_ms} ms; {} requests failed{failure}\n\
             flows a switch: {least} to {most}, the middle {middle}\n\
             memory at most: controller {:.0} MiB, fleet {:.0} MiB\n",
            self.switches, self.endpoints, self.failed, self.controller_peak_mib, self.fleet_peak_mib,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of("self");
        assert!(usage.peak_mib > 1.0 && usage.cpu_s >= 0.0, "{usage:?}");
        let twice = usage.and(usage);
        assert!((twice.peak_mib - usage.peak_mib).abs() < 0.01);
    }

    #[test]
    fn percentiles_are_the_nearest_ranks() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let creates = Creates::of(&times);
        assert_eq!((creates.p50_ms, creates.p99_ms, creates.max_ms), (100.0, 198.0, 200.0));
        assert_eq!(Creates::of(&[]).p50_ms, 0.0);
    }
}
