//! Simulated switches and agents against a real controller, as `weir-sim` does it.

use std::path::Path;

use anyhow::Context;

use crate::benchmarks::section::{Bound, Chart, Section, Series, Table, Target};
use crate::sim::descriptors::at_most;
use crate::sim::scenario::Scenario;
use crate::sim::{Figures, run};

const FLEETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fleets");
/// What a switch may hold of 10,000 endpoints on 100 nodes.
const MOST_FLOWS: f64 = 1500.0;

/// What is to be reached with some number of switches, in seconds.
struct Goals {
    cold_start: f64,
    restart: f64,
}

pub(super) fn measure_thousand() -> anyhow::Result<Section> {
    let runs = sizes("thousand.toml", &[10, 100, 1000])?;
    let most = runs.last().context("nothing was run")?;
    let mut targets = goals(most, &Goals { cold_start: 30.0, restart: 3.0 })?;
    targets.push(within(most, "new block", "a new block in sync everywhere", 2.0)?);
    if let Some(hundred) = runs.iter().find(|run| run.switches == 100) {
        let what =
            format!("flows of a switch, {} endpoints on {} nodes", hundred.endpoints, hundred.switches);
        targets.push(Target::new(what, Bound::AtMost(MOST_FLOWS), hundred.flows[2] as f64, ""));
    }
    Ok(section("A thousand switches", targets, &runs))
}

pub(super) fn measure_ten_thousand() -> anyhow::Result<Section> {
    let runs = sizes("ten-thousand.toml", &[at_most(10_000)?])?;
    let run = runs.last().context("nothing was run")?;
    let mut targets = goals(run, &Goals { cold_start: 600.0, restart: 20.0 })?;
    let gib = run.controller_peak_mib / 1024.0;
    targets.push(Target::new("the controller's memory at most", Bound::AtMost(2.0), gib, "GiB"));
    let what = "create to ready at 100 creates a second, p99";
    targets.push(Target::new(what, Bound::AtMost(50.0), run.creates.p99_ms, "ms"));
    Ok(section("Ten thousand switches", targets, &runs))
}

fn sizes(file: &str, sizes: &[u32]) -> anyhow::Result<Vec<Figures>> {
    let scenario = Scenario::read(&Path::new(FLEETS).join(file))?;
    let mut runs = Vec::new();
    for size in sizes {
        let scenario = scenario.with_size(*size);
        // On all cores, as `weir-sim` runs it.
        let fleet = tokio::runtime::Runtime::new()?;
        let figures = fleet.block_on(run(&scenario, &|what| eprintln!("    {size} switches: {what}")))?;
        eprintln!("{}", figures.table());
        runs.push(figures);
    }
    Ok(runs)
}

fn goals(run: &Figures, goals: &Goals) -> anyhow::Result<Vec<Target>> {
    let mods = run.phase("restart").context("there was no restart")?.flow_mods;
    Ok(vec![
        within(run, "cold start", "cold start", goals.cold_start)?,
        within(run, "restart", "restart with equal ledgers", goals.restart)?,
        Target::new("flow mods of that restart", Bound::AtMost(0.0), mods as f64, ""),
    ])
}

fn within(run: &Figures, phase: &str, what: &str, seconds: f64) -> anyhow::Result<Target> {
    let took = run.phase(phase).with_context(|| format!("there was no phase {phase}"))?.wall_s;
    Ok(Target::new(format!("{what}, {} switches", run.switches), Bound::AtMost(seconds), took, "s"))
}

fn section(title: &str, targets: Vec<Target>, runs: &[Figures]) -> Section {
    let (mut phases, mut others) = (Vec::new(), Vec::new());
    for run in runs {
        for phase in &run.phases {
            phases.push(vec![
                run.switches.to_string(),
                phase.name.to_owned(),
                format!("{:.2}", phase.wall_s),
                format!("{:.2}", phase.controller_cpu_s),
                format!("{:.2}", phase.fleet_cpu_s),
                phase.flow_mods.to_string(),
                phase.errors.to_string(),
            ]);
        }
        others.push(vec![
            run.switches.to_string(),
            run.endpoints.to_string(),
            format!("{} to {}", run.flows[0], run.flows[2]),
            format!("{:.1}, {:.1}, {:.1}", run.creates.p50_ms, run.creates.p99_ms, run.creates.max_ms),
            format!("{} of {}", run.failed, run.creates.n + run.failed),
            format!("{:.0}", run.controller_peak_mib),
            format!("{:.0}", run.fleet_peak_mib),
        ]);
    }
    let line = |name: &str, value: &dyn Fn(&Figures) -> Option<f64>| Series {
        name: name.to_owned(),
        points: runs.iter().filter_map(|run| Some((run.switches as f64, value(run)?))).collect(),
    };
    let seconds = |name: &'static str| line(name, &move |run| Some(run.phase(name)?.wall_s));
    let chart = |title: &str, y: &str, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x: "switches".to_owned(),
        y: y.to_owned(),
        log_x: true,
        series,
    };
    let is_curve = runs.len() > 1;
    let charts = vec![
        chart("Time", "s", ["cold start", "restart", "new block"].map(seconds).to_vec()),
        chart("Memory", "MiB", vec![line("controller", &|run| Some(run.controller_peak_mib))]),
        chart(
            "Create to ready",
            "ms",
            vec![line("p50", &|run| Some(run.creates.p50_ms)), line("p99", &|run| Some(run.creates.p99_ms))],
        ),
    ];
    Section {
        title: title.to_owned(),
        text: "A real controller, and in another process as many switches (flowlib's channel and flow tables) and agents, \
               each with connections of its own over loopback; both share the machine. *Cold start*: the controller is \
               killed and every switch has lost all it held. *Restart*: the controller is killed. *New block*: from the \
               create on a new node until each switch of its pool has committed. Creates are timed from when they are due."
            .to_owned(),
        targets,
        tables: vec![
            Table::new(
                "By phase",
                ["switches", "phase", "seconds", "controller CPU s", "fleet CPU s", "flow mods", "errors"],
                phases,
            ),
            Table::new(
                "By size",
                [
                    "switches",
                    "endpoints",
                    "flows a switch",
                    "create p50, p99, max, ms",
                    "requests failed",
                    "controller MiB",
                    "fleet MiB",
                ],
                others,
            ),
        ],
        charts: if is_curve { charts } else { Vec::new() },
        machine: None,
    }
}
