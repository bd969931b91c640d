//! From a request to the first reply, beside what Open vSwitch alone takes to add a port.

use anyhow::Context;

use crate::benchmarks::section::{Bound, Chart, Section, Series, Table, Target};
use crate::benchmarks::world::{World, block_on};
use crate::report::{Intent, latency};

const SIZES: [usize; 3] = [30, 100, 1000];
const CREATES: usize = 50;
/// What Weir may take beyond the bare port, in the middle.
const MOST_ABOVE_MS: f64 = 8.0;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    let mut lines = [("first reply", vec![]), ("bare add-port", vec![]), ("flows confirmed", vec![])];
    for size in SIZES {
        world.fill(size).await?;
        let Intent { containers, networks, .. } = Intent::read(&world.channel).await?;
        let times =
            latency::measure(world.lab.state(), &world.channel, &containers, &networks, CREATES).await?;
        let times = times.context("the nodes have no endpoints that could see another")?;
        for (what, figures) in [
            ("committed", times.committed),
            ("flows confirmed", times.flows_confirmed),
            ("ready", times.ready),
            ("first reply", times.reply),
            ("bare ovs-vsctl add-port", times.bare_add_port),
            ("bare OVSDB transaction", times.bare_transaction),
        ] {
            let figures = [figures.p50, figures.p95, figures.p99, figures.max].map(|ms| format!("{ms:.2}"));
            rows.push([vec![size.to_string(), what.to_owned()], figures.to_vec()].concat());
        }
        let above = times.reply.p50 - times.bare_add_port.p50;
        let what = format!("first reply above a bare add-port, p50, {size} endpoints");
        targets.push(Target::new(what, Bound::AtMost(MOST_ABOVE_MS), above, "ms"));
        let points = [times.reply.p50, times.bare_add_port.p50, times.flows_confirmed.p50];
        for ((_, line), ms) in lines.iter_mut().zip(points) {
            line.push((size as f64, ms));
        }
    }
    let series = lines.map(|(name, points)| Series { name: name.to_owned(), points }).to_vec();
    Ok(Section {
        title: "Request to first reply".to_owned(),
        text: format!(
            "Four nodes with Open vSwitch's userspace datapath, a VLAN network. Beside as many endpoints as said, {CREATES} \
             are created and deleted one after another; another endpoint, on another node, sends each a ping every 2 ms \
             from before the request. After each, a bare port is added to the same ovs-vswitchd: that is what nothing \
             built on it can be faster than. Times in ms, from the request."
        ),
        targets,
        tables: vec![Table::new("By size", ["endpoints", "until", "p50", "p95", "p99", "max"], rows)],
        charts: vec![Chart {
            title: "Request to first reply, p50".to_owned(),
            x: "endpoints".to_owned(),
            y: "ms".to_owned(),
            log_x: true,
            series,
        }],
        machine: None,
    })
}
