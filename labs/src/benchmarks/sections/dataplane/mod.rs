//! What packets feel: throughput, round trips, first packets, and how many flows the datapath keeps for them.

mod cached;
mod stream;

use std::time::Duration;

use anyhow::Context;
use tools::bench::Percentiles;

use crate::benchmarks::normal::Normal;
use crate::benchmarks::ovn::{Ovn, Way};
use crate::benchmarks::seat::{Cold, Seat, ping_cold};
use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on};
use cached::{Cached, PEERS, SENDERS};
use stream::{round_trips, throughput};

/// In turn over four nodes.
const ENDPOINTS: u32 = 80;
const ROUNDS: usize = 3;
const LASTING: Duration = Duration::from_secs(3);
const ROUND_TRIPS: u32 = 500;
/// From one first packet to the next.
const PACE: Duration = Duration::from_millis(20);
/// How many times as fast large segments are to make it.
const LEAST_TIMES: f64 = 3.0;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

/// Who connects endpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    Normal,
    Ovn(Way),
    Weir(&'static str),
}

/// Contenders that do the same with the same offloads; Weir is the last.
struct Group {
    name: &'static str,
    tso: bool,
    contenders: &'static [Contender],
}

const GROUPS: [Group; 3] = [
    Group {
        name: "VLAN, no TSO",
        tso: false,
        contenders: &[Contender::Normal, Contender::Ovn(Way::Vlan), Contender::Weir("vlan")],
    },
    Group {
        name: "VLAN, TSO",
        tso: true,
        contenders: &[Contender::Normal, Contender::Ovn(Way::Vlan), Contender::Weir("vlan")],
    },
    Group {
        name: "tunnels, no TSO",
        tso: false,
        contenders: &[Contender::Ovn(Way::Geneve), Contender::Weir("vxlan")],
    },
];

/// What packets felt between two endpoints.
struct Felt {
    /// The middle of the rounds, in Gbit/s.
    rate: f64,
    warm: Percentiles,
    cold: Cold,
}

/// On each of [`PATHS`].
type Paths = [Felt; 2];

const PATHS: [&str; 2] = ["on one node", "across two"];

async fn run() -> anyhow::Result<Section> {
    let (mut rows, mut targets, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for group in &GROUPS {
        let mut cases = Vec::new();
        for contender in group.contenders {
            eprintln!("    {}: {}", group.name, contender.name());
            let paths = contender.measure(group.tso).await.with_context(|| contender.name().to_owned())?;
            rows.extend(PATHS.iter().zip(&paths).map(|(path, felt)| felt.cells(group, *contender, path)));
            cases.push(paths);
        }
        targets.extend(no_slower(group, &cases));
        rates.push(
            cases
                .first()
                .zip(cases.last())
                .map(|(first, last)| [0, 1].map(|path| (first[path].rate, last[path].rate))),
        );
    }
    // NORMAL without, Weir with: the first of the first group, the last of the second.
    if let [Some(without), Some(with), ..] = rates.as_slice() {
        for ((path, (normal, _)), (_, ours)) in PATHS.iter().zip(without).zip(with) {
            let what = format!("throughput with TSO {path}, beside NORMAL without");
            targets.push(Target::new(what, Bound::AtLeast(LEAST_TIMES), ours / normal, "times"));
        }
    }
    let mut kept = Vec::new();
    for driver in ["vlan", "vxlan"] {
        eprintln!("    cached flows, {driver}");
        let Cached { from_senders, back, pairs } = cached::count(driver).await?;
        kept.push(
            [driver.to_owned(), pairs.to_string(), from_senders.to_string(), back.to_string()].to_vec(),
        );
        let what = format!("cached flows from {SENDERS} senders in each of two networks, {driver}");
        targets.push(Target::new(what, Bound::AtMost(2.0 * SENDERS as f64), from_senders as f64, ""));
    }
    let header =
        ["", "", "path", "Gbit/s", "RTT p50, ms", "RTT p99, ms", "cold p50, ms", "cold max, ms", "cold lost"];
    Ok(Section {
        title: "Data plane".to_owned(),
        text: text(),
        targets,
        tables: vec![
            Table::new("By offload and contender", header, rows),
            Table::new("Flows in the datapath", ["driver", "pairs", "from senders", "back"], kept),
        ],
        charts: Vec::new(),
        machine: None,
    })
}

/// Weir, the last, beside the best of the others.
fn no_slower(group: &Group, cases: &[Paths]) -> Vec<Target> {
    let Some((ours, peers)) = cases.split_last() else { return Vec::new() };
    let target = |path: usize| {
        let ours = &ours[path];
        let of = |value: fn(&Felt) -> f64| peers.iter().map(move |peer| value(&peer[path]));
        let most = of(|felt| felt.rate).fold(0.0, f64::max);
        let what =
            |what: &str| format!("{}, {}: {what} beside the best of the others", group.name, PATHS[path]);
        let least = |value| Bound::AtMost(of(value).fold(f64::MAX, f64::min));
        [
            Target::new(what("throughput"), Bound::AtLeast(most), ours.rate, "Gbit/s"),
            Target::new(what("RTT, p50,"), least(|felt| felt.warm.p50), ours.warm.p50, "ms"),
            Target::new(
                what("first packets, p50,"),
                least(|felt| felt.cold.times.p50),
                ours.cold.times.p50,
                "ms",
            ),
        ]
    };
    [target(0), target(1)].into_iter().flatten().collect()
}

fn text() -> String {
    format!(
        "{ENDPOINTS} endpoints on four nodes with Open vSwitch's userspace datapath, which share the machine's cores with \
         the physical switch and the endpoints. Throughput is that of one TCP connection over {} s, the middle of {ROUNDS} \
         rounds; sender and receiver are threads with a socket in an endpoint's namespace each. RTT is that of {ROUND_TRIPS} \
         pings one after another on a warm path. First packets are those between pairs of which neither has heard of the other, \
         one an endpoint of one node and path, every {} ms; what resolving an address takes is part of them. *TSO*: \
         `userspace-tso-enable`, endpoints leave checksums and segmentation to the switch; otherwise none does. Cached \
         flows: {SENDERS} endpoints on one node have each pinged {PEERS} on another, in a network of the driver and in a \
         VXLAN network with the same addresses; counted are those for IPv4 in the senders' datapath, by whether they come \
         from a sender. All pings have one ECN value.",
        LASTING.as_secs(),
        PACE.as_millis()
    )
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Normal => "NORMAL",
            Contender::Ovn(_) => "OVN",
            Contender::Weir(_) => "Weir",
        }
    }

    async fn measure(self, tso: bool) -> anyhow::Result<Paths> {
        match self {
            Contender::Normal => {
                let mut normal = Normal::up(tso)?;
                paths(&normal.add(ENDPOINTS)?).await
            }
            Contender::Ovn(way) => {
                let mut ovn = Ovn::up(way, tso)?;
                paths(&ovn.add(ENDPOINTS)?).await
            }
            Contender::Weir(driver) => {
                let mut world = World::up_with(driver, tso).await?;
                world.fill(ENDPOINTS as usize).await?;
                paths(&world.seats().await?).await
            }
        }
    }
}

async fn paths(seats: &[Seat]) -> anyhow::Result<Paths> {
    let first = &seats.first().context("there are no endpoints")?.node;
    let (here, there): (Vec<usize>, Vec<usize>) = (0..seats.len()).partition(|at| seats[*at].node == *first);
    // Each sends once on either path.
    let within = here.iter().copied().zip(here.iter().copied().cycle().skip(1));
    let across = here.iter().copied().zip(there);
    Ok([felt(seats, within.collect()).await?, felt(seats, across.collect()).await?])
}

/// Of pairs that have never met; the first of them then sends what it can.
async fn felt(seats: &[Seat], pairs: Vec<(usize, usize)>) -> anyhow::Result<Felt> {
    let cold = ping_cold(seats, &pairs, PACE).await?;
    let (from, to) = *pairs.first().context("there are no pairs")?;
    let warm = round_trips(&seats[from], &seats[to], ROUND_TRIPS).await?;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(throughput(&seats[from], &seats[to], LASTING).await?);
    }
    rates.sort_by(f64::total_cmp);
    Ok(Felt { rate: rates[ROUNDS / 2], warm, cold })
}

impl Felt {
    fn cells(&self, group: &Group, contender: Contender, path: &str) -> Vec<String> {
        let Felt { rate, warm, cold } = self;
        let times = [warm.p50, warm.p99, cold.times.p50, cold.times.max].map(|ms| format!("{ms:.3}"));
        let names = [contender.name(), group.name, path].map(str::to_owned);
        [names.to_vec(), vec![format!("{rate:.2}")], times.to_vec(), vec![cold.lost.to_string()]].concat()
    }
}
