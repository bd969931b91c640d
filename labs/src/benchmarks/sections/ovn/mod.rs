//! OVN beside Weir, the smaller and the larger: flows, what one more port changes, and how long it takes.

mod start;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use tools::bench::Percentiles;
use weir_api::v1;

use super::{changes, flows};
use crate::Lab;
use crate::benchmarks::ovn::{Ovn, Way};
use crate::benchmarks::section::{Bound, Chart, Section, Series, Table, Target};
use crate::benchmarks::world::{World, block_on, container};
use crate::report::{Intent, latency};
use start::Starts;

const SIZES: [usize; 3] = [10, 100, 1000];
const STARTS: u32 = 20;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

/// One contender at one size.
#[derive(Clone, Copy)]
struct Row {
    ports: usize,
    /// The most on a node.
    flows: usize,
    /// Nodes on which one more port changed flows, and flows that differ on all of them.
    changed: usize,
    differ: usize,
    reply: Percentiles,
}

async fn run() -> anyhow::Result<Section> {
    let contenders = [
        ("OVN, Geneve", theirs(Way::Geneve).await.context("OVN, Geneve")?),
        ("Weir, VXLAN", ours("vxlan").await.context("Weir, VXLAN")?),
        ("OVN, VLAN", theirs(Way::Vlan).await.context("OVN, VLAN")?),
        ("Weir, VLAN", ours("vlan").await.context("Weir, VLAN")?),
    ];
    let chart = |title: &str, y: &str, value: fn(&Row) -> f64| Chart {
        title: title.to_owned(),
        x: "ports".to_owned(),
        y: y.to_owned(),
        log_x: true,
        series: contenders
            .iter()
            .map(|(name, rows)| Series {
                name: (*name).to_owned(),
                points: rows.iter().map(|row| (row.ports as f64, value(row))).collect(),
            })
            .collect(),
    };
    let rows = contenders.iter().flat_map(|(name, rows)| rows.iter().map(|row| row.cells(name))).collect();
    Ok(Section {
        title: "OVN beside Weir".to_owned(),
        text: format!(
            "Four nodes, one network; OVN as Debian has it, with default settings. Flows are those of `br-int` on the node \
             that holds the most. What one more port changes is seen by comparing the dumps of all nodes before and after. \
             Then {STARTS} ports are started and removed one after another, while an endpoint on another node sends each a \
             ping every 2 ms. Weir's time runs from the request and holds the making of the endpoint's namespace and link; \
             OVN's runs from two OVSDB transactions, sent at once on open connections, that add the logical port and plug an \
             interface that was made before. Geneve and VXLAN without userspace TSO, which tunnels cannot carry."
        ),
        targets: targets(&contenders),
        tables: vec![Table::new(
            "By size",
            [
                "",
                "ports",
                "flows a node",
                "nodes changed",
                "flows that differ",
                "p50, ms",
                "p95, ms",
                "max, ms",
            ],
            rows,
        )],
        charts: vec![
            chart("Flows a node", "flows", |row| row.flows as f64),
            chart("From the port to the first reply, p50", "ms", |row| row.reply.p50),
        ],
        machine: None,
    })
}

fn targets(contenders: &[(&str, Vec<Row>); 4]) -> Vec<Target> {
    let mut targets = Vec::new();
    for [(peer, theirs), (name, ours)] in contenders.as_chunks().0 {
        let most = ours.iter().map(|row| row.changed).max().unwrap_or_default();
        targets.push(Target::new(
            format!("{name}: nodes changed by a port"),
            Bound::AtMost(1.0),
            most as f64,
            "",
        ));
        let Some((theirs, ours)) = theirs.last().zip(ours.last()) else { continue };
        let what = |what: &str| format!("{name}: {what} at {} ports, beside {peer}", ours.ports);
        if peer.ends_with("Geneve") {
            let third = Bound::AtMost(theirs.flows as f64 / 3.0);
            targets.push(Target::new(what("flows a node"), third, ours.flows as f64, ""));
        }
        let no_slower = Bound::AtMost(theirs.reply.p50);
        targets.push(Target::new(what("first reply, p50"), no_slower, ours.reply.p50, "ms"));
    }
    targets
}

async fn ours(driver: &str) -> anyhow::Result<Vec<Row>> {
    eprintln!("    Weir, {driver}");
    let mut world = World::up_with(driver, driver == "vlan").await?;
    let mut rows = Vec::new();
    for ports in SIZES {
        world.fill(ports).await?;
        let mut client = weir_api::client::containers(world.channel.clone());
        let flows = most_flows(&world.lab, &world.nodes)?;
        let before = changes::tables(&world.lab, &world.nodes)?;
        let name = "one-more".to_owned();
        let more = v1::Container { name: name.clone(), ..container() };
        let request = v1::CreateContainerRequest { container: Some(more), wait: true };
        let pool = client.create_container(request).await?.into_inner().pool;
        let (changed, differ) = difference(&before, &changes::tables(&world.lab, &world.nodes)?);
        client.delete_container(v1::DeleteContainerRequest { pool, name, wait: true }).await?;
        let Intent { containers, networks, .. } = Intent::read(&world.channel).await?;
        let starts = STARTS as usize;
        let times =
            latency::measure(world.lab.state(), &world.channel, &containers, &networks, starts).await?;
        let reply = times.context("no endpoint could see another")?.reply;
        rows.push(Row { ports, flows, changed, differ, reply });
    }
    Ok(rows)
}

async fn theirs(way: Way) -> anyhow::Result<Vec<Row>> {
    let mut ovn = Ovn::up(way, way == Way::Vlan)?;
    let (mut rows, mut seats) = (Vec::new(), Vec::new());
    for ports in SIZES {
        eprintln!("    OVN, {way:?}, {ports} ports");
        seats.extend(ovn.add(u32::try_from(ports - seats.len())?)?);
        let flows = most_flows(&ovn.bare.lab, &ovn.bare.nodes)?;
        let first = ovn.bare.nodes[0].clone();
        let observer = seats.iter().find(|seat| seat.node != first).context("all are on one node")?;
        let mut starts = Starts::open(&mut ovn)?;
        let look = |ovn: &Ovn| changes::tables(&ovn.bare.lab, &ovn.bare.nodes);
        let (before, after) = starts.around(look).await?;
        let (changed, differ) = difference(&before, &after);
        let mut times: Vec<Duration> = Vec::new();
        for number in 0..STARTS {
            times.push(starts.time(observer, number).await?);
        }
        rows.push(Row { ports, flows, changed, differ, reply: Percentiles::of(times) });
    }
    Ok(rows)
}

fn most_flows(lab: &Lab, nodes: &[String]) -> anyhow::Result<usize> {
    let counts =
        nodes.iter().map(|node| flows::count(&lab.node(node)?.ofctl("dump-aggregate", "br-int", [""; 0])?));
    Ok(counts.collect::<anyhow::Result<Vec<_>>>()?.into_iter().max().unwrap_or_default())
}

fn difference(before: &[BTreeSet<String>], after: &[BTreeSet<String>]) -> (usize, usize) {
    let differ = before.iter().zip(after).map(|(before, after)| before.symmetric_difference(after).count());
    (differ.clone().filter(|flows| *flows > 0).count(), differ.sum())
}

impl Row {
    fn cells(&self, name: &str) -> Vec<String> {
        let counts = [self.ports, self.flows, self.changed, self.differ].map(|count| count.to_string());
        let times = [self.reply.p50, self.reply.p95, self.reply.max].map(|ms| format!("{ms:.2}"));
        [vec![name.to_owned()], counts.to_vec(), times.to_vec()].concat()
    }
}
