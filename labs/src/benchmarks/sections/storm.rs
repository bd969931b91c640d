//! One endpoint that floods its node with ARP: what it costs ovs-vswitchd, and what others feel.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Context;
use pnet_datalink::MacAddr;

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on, place};
use crate::capture::send;
use crate::ping::{Ping, PingReport};
use crate::place::Place;
use crate::process::cpu_time;
use crate::protocol::Phase;
use crate::state::Daemon;

const ENDPOINTS: usize = 8;
const ROUNDS: usize = 3;
/// A flood is bursts of so many frames, so far apart: 20,000 a second.
const BURST: usize = 1000;
const APART: Duration = Duration::from_millis(50);
const BURSTS: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// What an endpoint sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    Nothing,
    /// Frames of an EtherType that nobody speaks, which the pipeline drops.
    Dropped,
    /// The same question again and again.
    Same,
    /// A question for each address there is.
    Any,
}

const FLOODS: [(Flood, &str); 4] = [
    (Flood::Nothing, "nothing"),
    (Flood::Dropped, "frames that are dropped"),
    (Flood::Same, "ARP, one question"),
    (Flood::Any, "ARP, another question each"),
];

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    world.fill(ENDPOINTS).await?;
    let endpoints = world.endpoints().await?;
    let node = &world.nodes[0];
    let mut local = endpoints.iter().filter(|container| container.node == *node);
    let (flooder, other) = local.next().zip(local.next()).context("the node has less than two endpoints")?;
    let remote = endpoints.iter().find(|container| container.node != *node).context("all are on a node")?;
    let mac: MacAddr = flooder.mac.parse().context("the endpoint has no MAC address")?;
    let (from, own) = place(&world.lab, flooder)?;
    let (other, (_, remote)) = (place(&world.lab, other)?.0, place(&world.lab, remote)?);
    let vswitchd = pid(&world, node)?;

    let (mut rows, mut costs) = (Vec::new(), FLOODS.map(|_| Vec::new()));
    let mut slowest = Duration::ZERO;
    for round in 1..=ROUNDS {
        eprintln!("    round {round} of {ROUNDS}");
        for ((flood, what), costs) in FLOODS.iter().zip(&mut costs) {
            let ping = Ping::start_every(&other, &remote.to_string(), Duration::from_millis(5))?;
            ping.wait_for_replies(100, PATIENCE)?;
            let (begun, before) = (Instant::now(), cpu_time(vswitchd)?);
            let sent = storm(&from, |n| frame(*flood, mac, own, remote, n), *flood != Flood::Nothing).await?;
            let percent =
                (cpu_time(vswitchd)? - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
            let rate = f64::from(sent) / begun.elapsed().as_secs_f64();
            let PingReport { slowest: rtt, lost, .. } = ping.stop()?;
            costs.push(percent);
            if matches!(flood, Flood::Same | Flood::Any) {
                slowest = slowest.max(rtt);
            }
            let cells = [
                format!("{rate:.0}"),
                format!("{percent:.1}"),
                format!("{:.1}", ms(rtt)),
                lost.len().to_string(),
            ];
            rows.push([vec![round.to_string(), (*what).to_owned()], cells.to_vec()].concat());
        }
    }
    let [_, dropped, same, any] = costs.map(middle);
    Ok(Section {
        title: "A storm of ARP".to_owned(),
        text: format!(
            "One of {ENDPOINTS} endpoints on four nodes sends {} frames in {:.0} s, {BURST} at a time, each as long as an ARP \
             request. CPU is that of its node's ovs-vswitchd, which forwards all packets there is, in per cent of a core; \
             meanwhile another endpoint of the node pings one of another node every 5 ms. {ROUNDS} rounds; the middle of each \
             counts.",
            BURSTS as usize * BURST,
            (APART * BURSTS).as_secs_f64(),
        ),
        targets: vec![
            Target::new(
                "CPU of one question, over dropped frames",
                Bound::AtMost(1.3),
                same / dropped,
                "times",
            ),
            Target::new(
                "CPU of all questions, over dropped frames",
                Bound::AtMost(1.3),
                any / dropped,
                "times",
            ),
            Target::new("the slowest ping of another endpoint", Bound::AtMost(10.0), ms(slowest), "ms"),
        ],
        tables: vec![Table::new(
            "By round",
            ["round", "what is sent", "frames a second", "CPU, %", "slowest ping, ms", "pings lost"],
            rows,
        )],
        charts: Vec::new(),
        machine: None,
    })
}

/// Sends, and says how many frames.
async fn storm(from: &Place, frame: impl Fn(u32) -> Vec<u8>, is_any: bool) -> anyhow::Result<u32> {
    let (begun, mut sent) = (Instant::now(), 0);
    for burst in 0..BURSTS {
        let due = APART * burst;
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        if is_any {
            let frames: Vec<Vec<u8>> = (sent..).take(BURST).map(&frame).collect();
            send(from, "eth0", &frames)?;
            sent += u32::try_from(BURST)?;
        }
    }
    Ok(sent)
}

fn frame(flood: Flood, mac: MacAddr, own: Ipv4Addr, remote: Ipv4Addr, n: u32) -> Vec<u8> {
    let (ethertype, target) = match flood {
        Flood::Any => (0x0806_u16, Ipv4Addr::from(0x0a80_0000 + n % 0x1_0000)),
        Flood::Same => (0x0806, remote),
        // For local experiments, IEEE Std 802.
        Flood::Nothing | Flood::Dropped => (0x88b5, remote),
    };
    let source = &mac.octets()[..];
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1], source, &own.octets(), &[0; 6], &target.octets(), &[0; 18]];
    [&[0xff; 6], source, &ethertype.to_be_bytes(), &arp.concat()].concat()
}

fn pid(world: &World, node: &str) -> anyhow::Result<i32> {
    let daemons = world.lab.status()?.daemons;
    let is_it = |phase: &Phase| match phase {
        Phase::Running(pid) => Some(*pid),
        _ => None,
    };
    let mut of_node = daemons.iter().filter(|it| it.machine == node && it.daemon == Daemon::OvsVswitchd);
    of_node.find_map(|it| is_it(&it.phase)).context("ovs-vswitchd does not run")
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
