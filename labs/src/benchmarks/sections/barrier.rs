//! From a request to the barrier, at more and more endpoints.

use std::time::Duration;

use anyhow::Context;
use tools::bench::{Percentiles, Sample, phases};

use crate::benchmarks::section::{Bound, Chart, Section, Series, Table, Target};
use crate::benchmarks::world::{World, block_on};

const SIZES: [usize; 4] = [10, 100, 1000, 4000];
const CREATES: usize = 100;
/// The most that it may take, in the middle.
const MOST_MS: f64 = 8.0;
/// How much more it may take at the most endpoints than at the fewest, to be flat.
const FLAT: f64 = 1.5;
/// A switch at rest answers within this: it looks at a thousand ports in less.
const AT_REST: Duration = Duration::from_millis(15);
/// How long a switch may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    let (mut by_size, mut by_phase, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines =
        [("confirmed, at rest", vec![]), ("confirmed, in a row", vec![]), ("ready, at rest", vec![])];
    for size in SIZES {
        world.fill(size).await?;
        let in_a_row = world.bench(CREATES).await?.samples;
        let mut at_rest = Vec::with_capacity(CREATES);
        for _ in 0..CREATES {
            until_at_rest(&world)?;
            at_rest.extend(world.bench(1).await?.samples);
        }
        let of = |samples: &[Sample], name: &str| {
            Percentiles::of(samples.iter().filter_map(|sample| sample.at(name)).collect())
        };
        let gone = |samples: &[Sample]| Percentiles::of(samples.iter().map(|sample| sample.gone).collect());
        for (how, samples) in [("at rest", &at_rest), ("in a row", &in_a_row)] {
            for (until, figures) in [
                ("sent", of(samples, "sent")),
                ("confirmed", of(samples, "confirmed")),
                ("ready", of(samples, "ready")),
                ("deleted", gone(samples)),
            ] {
                by_size.push(
                    [vec![size.to_string(), how.to_owned(), until.to_owned()], cells(figures)].concat(),
                );
            }
            for phase in phases(samples) {
                let share = format!("{:.0} %", phase.share_percent);
                let what = vec![size.to_string(), how.to_owned(), phase.name];
                by_phase.push([what, cells(phase.took_ms), vec![share]].concat());
            }
            targets.push(Target::new(
                format!("p50 at {size} endpoints, {how}"),
                Bound::AtMost(MOST_MS),
                of(samples, "confirmed").p50,
                "ms",
            ));
        }
        let shown = [of(&at_rest, "confirmed"), of(&in_a_row, "confirmed"), of(&at_rest, "ready")];
        for ((_, points), figures) in lines.iter_mut().zip(shown) {
            points.push((size as f64, figures.p50));
        }
    }
    for (name, points) in &lines[..2] {
        if let (Some((_, fewest)), Some((_, most))) = (points.first(), points.last()) {
            let what =
                format!("p50 at {} endpoints over that at {}: {name}", SIZES[SIZES.len() - 1], SIZES[0]);
            targets.push(Target::new(what, Bound::AtMost(FLAT), most / fewest, "times"));
        }
    }
    let series = lines.map(|(name, points)| Series { name: name.to_owned(), points }).to_vec();
    let rest = AT_REST.as_millis();
    Ok(Section {
        title: "Request to barrier".to_owned(),
        text: format!(
            "Four nodes with Open vSwitch's userspace datapath, runtime `netns`, a VLAN network. Beside as many endpoints \
             as said, {CREATES} are created and deleted one after another, by the scheduler's choice of node. Times in ms, \
             by the controller's own account since the head of the request was there; `confirmed` is the answered commit \
             of the bundle, which follows its answered barrier; until `sent` is what the controller itself takes. Both answers \
             wait for ovs-vswitchd's main thread. In a row, it may still be at the port of the endpoint that was deleted just \
             before; at rest, each create waits until ten echo requests (`ovs-ofctl ping`) in turn are answered by each switch \
             within {rest} ms."
        ),
        targets,
        tables: vec![
            Table::new("By size", ["endpoints", "switches", "until", "p50", "p95", "p99", "max"], by_size),
            Table::new(
                "By phase",
                ["endpoints", "switches", "phase", "p50", "p95", "p99", "max", "share"],
                by_phase,
            ),
        ],
        charts: vec![Chart {
            title: "Request to confirmed flows and to ready, p50".to_owned(),
            x: "endpoints".to_owned(),
            y: "ms".to_owned(),
            log_x: true,
            series,
        }],
        machine: None,
    })
}

/// Waits until no switch has anything to do but to look at its ports.
fn until_at_rest(world: &World) -> anyhow::Result<()> {
    let rest = || Ok(slowest_echo(world)?.le(&AT_REST).then_some(()));
    world.lab.wait_until(PATIENCE, "the switches to be at rest", rest)
}

/// The slowest of ten echo requests to each node's switch, one after the other.
fn slowest_echo(world: &World) -> anyhow::Result<Duration> {
    let mut slowest = None;
    for node in &world.nodes {
        let said = world.lab.node(node)?.ofctl("ping", "br-int", [""; 0])?;
        let of_line = |line: &str| line.split_once("time=")?.1.strip_suffix(" ms")?.parse::<f64>().ok();
        slowest = said.lines().filter_map(of_line).chain(slowest).reduce(f64::max);
    }
    slowest.map(|ms| Duration::from_secs_f64(ms / 1e3)).context("no echo is answered")
}

fn cells(figures: Percentiles) -> Vec<String> {
    let Percentiles { p50, p95, p99, max } = figures;
    [p50, p95, p99, max].map(|ms| format!("{ms:.2}")).to_vec()
}
