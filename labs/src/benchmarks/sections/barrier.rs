//! From a request to the barrier, at more and more endpoints.

use std::time::Duration;

use tools::bench::{Percentiles, Sample, phases};

use crate::benchmarks::section::{Bound, Chart, Section, Series, Table, Target};
use crate::benchmarks::world::{World, block_on};

const SIZES: [usize; 4] = [10, 100, 1000, 4000];
const CREATES: usize = 100;
/// The most that it may take, in the middle.
const MOST_MS: f64 = 8.0;
/// How much more it may take at the most endpoints than at the fewest, to be flat.
const FLAT: f64 = 1.5;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    let (mut by_size, mut by_phase, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = [("confirmed p50", vec![]), ("confirmed p95", vec![]), ("ready p50", vec![])];
    for size in SIZES {
        world.fill(size).await?;
        let samples = world.bench(CREATES).await?.samples;
        let of = |name: &str| {
            Percentiles::of(samples.iter().filter_map(|sample: &Sample| sample.at(name)).collect())
        };
        let (barrier, ready) = (of("confirmed"), of("ready"));
        let echoes = Percentiles::of(echoes(&world)?);
        let gone = Percentiles::of(samples.iter().map(|sample| sample.gone).collect::<Vec<Duration>>());
        let rows = [
            ("sent", of("sent")),
            ("confirmed", barrier),
            ("ready", ready),
            ("deleted", gone),
            ("an echo of an idle switch", echoes),
        ];
        for (what, figures) in rows {
            by_size.push([vec![size.to_string(), what.to_owned()], cells(figures)].concat());
        }
        for phase in phases(&samples) {
            let share = format!("{:.0} %", phase.share_percent);
            by_phase.push([vec![size.to_string(), phase.name], cells(phase.took_ms), vec![share]].concat());
        }
        for ((_, points), ms) in lines.iter_mut().zip([barrier.p50, barrier.p95, ready.p50]) {
            points.push((size as f64, ms));
        }
        targets.push(Target::new(
            format!("p50 at {size} endpoints"),
            Bound::AtMost(MOST_MS),
            barrier.p50,
            "ms",
        ));
    }
    let middle = &lines[0].1;
    if let (Some((_, fewest)), Some((_, most))) = (middle.first(), middle.last()) {
        let what = format!("p50 at {} endpoints over that at {}", SIZES[SIZES.len() - 1], SIZES[0]);
        targets.push(Target::new(what, Bound::AtMost(FLAT), most / fewest, "times"));
    }
    let series = lines.map(|(name, points)| Series { name: name.to_owned(), points }).to_vec();
    Ok(Section {
        title: "Request to barrier".to_owned(),
        text: format!(
            "Four nodes with Open vSwitch's userspace datapath, runtime `netns`, a VLAN network. Beside as many endpoints \
             as said, {CREATES} are created and deleted one after another, by the scheduler's choice of node. Times in ms, \
             by the controller's own account since the head of the request was there; `confirmed` is the answered commit \
             of the bundle, which follows its answered barrier; until `sent` is what the controller itself takes. Both answers \
             wait for ovs-vswitchd's main thread, which may be at the port of the endpoint before; beside them, what that thread \
             takes for an echo request (`ovs-ofctl ping`) when it has nothing to do but to look at its ports."
        ),
        targets,
        tables: vec![
            Table::new("By size", ["endpoints", "until", "p50", "p95", "p99", "max"], by_size),
            Table::new("By phase", ["endpoints", "phase", "p50", "p95", "p99", "max", "share"], by_phase),
        ],
        charts: vec![Chart {
            title: "Request to confirmed flows and to ready".to_owned(),
            x: "endpoints".to_owned(),
            y: "ms".to_owned(),
            log_x: true,
            series,
        }],
        machine: None,
    })
}

/// Echo requests to each node's switch, one after the other.
fn echoes(world: &World) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for node in &world.nodes {
        let said = world.lab.node(node)?.ofctl("ping", "br-int", [""; 0])?;
        let of_line = |line: &str| line.split_once("time=")?.1.strip_suffix(" ms")?.parse::<f64>().ok();
        times.extend(said.lines().filter_map(of_line).map(|ms| Duration::from_secs_f64(ms / 1e3)));
    }
    anyhow::ensure!(!times.is_empty(), "no echo is answered");
    Ok(times)
}

fn cells(figures: Percentiles) -> Vec<String> {
    let Percentiles { p50, p95, p99, max } = figures;
    [p50, p95, p99, max].map(|ms| format!("{ms:.2}")).to_vec()
}
