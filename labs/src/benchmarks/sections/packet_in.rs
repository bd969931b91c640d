//! Packet-ins answered in learning mode: what `labs/bench-packet-in` measures, as a section.

use std::process::Command;

use anyhow::Context;

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::packet_in::Figures;
use crate::process::run;

/// How many times its answers a second ours are to be at a window of 64.
const LEAST: f64 = 3.0;
/// ovs-testcontroller takes no more switches.
const PEER_SWITCHES: usize = 16;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench-packet-in");

pub(super) fn measure() -> anyhow::Result<Section> {
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("figures.json");
    run(Command::new(SCRIPT).arg("--json").arg(&json))?;
    let all: Vec<Figures> = serde_json::from_slice(&std::fs::read(&json)?)?;
    section(&all)
}

fn section(all: &[Figures]) -> anyhow::Result<Section> {
    let mut targets = Vec::new();
    for theirs in all.iter().filter(|row| row.peer == "ovs-testcontroller" && row.switches <= PEER_SWITCHES) {
        let (switches, window) = (theirs.switches, theirs.window);
        let ours = all
            .iter()
            .find(|row| row.peer == "weir" && (row.switches, row.window) == (switches, window))
            .with_context(|| format!("no figures of ours for {switches} switches and window {window}"))?;
        let times = ours.answers_per_s as f64 / theirs.answers_per_s as f64;
        let mut target = |what: &str, bound, value, unit| {
            let what = format!("{what}, {switches} switches, window {window}");
            targets.push(Target::new(what, bound, value, unit));
        };
        if window == 1 {
            target("answers a second", Bound::AtLeast(1.0), times, "times ovs-testcontroller's");
            target("p50", Bound::AtMost(theirs.p50_us), ours.p50_us, "µs");
        } else {
            target("answers a second", Bound::AtLeast(LEAST), times, "times ovs-testcontroller's");
        }
    }
    let rows = all.iter().map(|row| {
        let mut cells = vec![row.switches_text(), row.window.to_string(), row.peer.clone()];
        match row.cells() {
            Ok(figures) => cells.extend(figures),
            Err(why) => cells.extend([why, "", "", ""].map(str::to_owned)),
        }
        cells
    });
    let header = ["switches", "window", "controller", "answers/s", "p50 µs", "p99 µs", "without an answer"];
    Ok(Section {
        title: "Packet-ins answered by a learning switch".to_owned(),
        text: "Switches that `weir-lab packet-in` plays, on the same machine and in one thread, show packets between 200 \
               addresses each; a packet counts when it is sent on. A window is how many packets of a switch wait for \
               their answers at once. `16 of 64`: the controller let the others wait."
            .to_owned(),
        targets,
        tables: vec![Table::new("By switches and window", header, rows.collect())],
        charts: Vec::new(),
        machine: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(peer: &str, switches: usize, window: u32, answers_per_s: u64) -> Figures {
        let value = serde_json::json!({
            "peer": peer, "switches": switches, "served": switches.min(16), "window": window, "carried": false,
            "failed": null, "answers_per_s": answers_per_s, "p50_us": 5.0, "p99_us": 9.0, "unanswered": 0,
            "flow_mods": 1, "switches_cpu_percent": 10.0,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn holds_us_to_what_the_peer_does_with_as_many_switches() {
        let all = [
            figures("weir", 1, 1, 90),
            figures("ovs-testcontroller", 1, 1, 100),
            figures("weir", 16, 64, 300),
            figures("ovs-testcontroller", 16, 64, 100),
            figures("weir", 64, 64, 300),
            figures("ovs-testcontroller", 64, 64, 100),
        ];
        let section = section(&all).unwrap();
        assert_eq!(section.targets.iter().map(Target::is_met).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(section.tables[0].rows[5][..4], ["16 of 64", "64", "ovs-testcontroller", "100"]);
        assert!(super::section(&all[1..2]).is_err());
    }
}
