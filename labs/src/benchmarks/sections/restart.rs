//! What packets feel when the controller, or the agents, are killed and started again.

use std::time::{Duration, Instant};

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on, place};
use crate::ping::{Ping, PingReport};
use crate::state::Daemon;

const ENDPOINTS: usize = 1000;
/// Endpoints that ping, each the next one of another node: 500 pings a second all together.
const PINGS: usize = 50;
const EVERY: Duration = Duration::from_millis(100);
/// Replies before the kill, and after all is in sync again.
const REPLIES: usize = 30;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    world.fill(ENDPOINTS).await?;
    let agents: Vec<_> = world.nodes.iter().map(|node| (node.as_str(), Daemon::WeirAgent)).collect();
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (what, victims) in [("controller", vec![("controller", Daemon::WeirController)]), ("agents", agents)]
    {
        let pings = pings(&world).await?;
        replied(&pings)?;
        let (before, killed) = (world.counted("flow_mods_sent").await?, Instant::now());
        victims.iter().try_for_each(|(machine, daemon)| world.lab.kill(machine, *daemon))?;
        world.in_sync().await?;
        let took = killed.elapsed();
        replied(&pings)?;
        // A controller that has just started has counted only its own.
        let before = if what == "controller" { 0 } else { before };
        let mods = world.counted("flow_mods_sent").await? - before;
        let reports = pings.into_iter().map(Ping::stop).collect::<anyhow::Result<Vec<PingReport>>>()?;
        let sent: u64 = reports.iter().map(|report| report.sent).sum();
        let lost: usize = reports.iter().map(|report| report.lost.len()).sum();
        let gap = reports.iter().map(|report| report.longest_gap).max().unwrap_or_default();
        rows.push(vec![
            what.to_owned(),
            sent.to_string(),
            lost.to_string(),
            format!("{:.0}", gap.as_secs_f64() * 1e3),
            mods.to_string(),
            format!("{:.2}", took.as_secs_f64()),
        ]);
        targets.push(Target::new(format!("pings lost, {what} killed"), Bound::AtMost(0.0), lost as f64, ""));
        targets.push(Target::new(format!("flow mods, {what} killed"), Bound::AtMost(0.0), mods as f64, ""));
    }
    Ok(Section {
        title: "Restarts under traffic".to_owned(),
        text: format!(
            "{ENDPOINTS} endpoints of a VLAN network on four nodes. {PINGS} of them ping another node's endpoint, ten times a \
             second each, while daemons are killed with SIGKILL and started again by their supervisor. In sync: all nodes \
             connected, and all they hold compared with what they should."
        ),
        targets,
        tables: vec![Table::new(
            "By what was killed",
            ["killed", "pings", "lost", "longest gap, ms", "flow mods", "in sync again after, s"],
            rows,
        )],
        charts: Vec::new(),
        machine: None,
    })
}

/// Waits for replies to all of them: as many as said to the first, and meanwhile some to the others.
fn replied(pings: &[Ping]) -> anyhow::Result<()> {
    pings
        .iter()
        .zip([REPLIES].into_iter().chain(std::iter::repeat(1)))
        .try_for_each(|(ping, n)| ping.wait_for_replies(n, PATIENCE))
}

/// Endpoints are in turn over the nodes, so the next one is another node's.
async fn pings(world: &World) -> anyhow::Result<Vec<Ping>> {
    let endpoints = world.endpoints().await?;
    let apart = endpoints.len() / PINGS;
    let ping = |pair: &[weir_api::v1::Container]| {
        let [from, to] = pair else { anyhow::bail!("there is one endpoint only") };
        Ping::start_every(&place(&world.lab, from)?.0, &place(&world.lab, to)?.1.to_string(), EVERY)
    };
    endpoints.windows(2).step_by(apart.max(1)).take(PINGS).map(ping).collect()
}
