//! What 200 endpoints cost the fabric, and how long a first packet takes between any two of them.

mod watch;

use std::time::Duration;

use tokio::time::sleep;

use crate::Lab;
use crate::benchmarks::normal::Normal;
use crate::benchmarks::ovn::{Ovn, Way};
use crate::benchmarks::seat::{Cold, Seat, ping_cold, random_pairs};
use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on};
use watch::{Seen, Watch};

const ENDPOINTS: u32 = 200;
const PEERS: usize = 10;
/// From one first packet to the next.
const PACE: Duration = Duration::from_millis(10);
/// From the last start to the first ping: announcements are over then.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

/// What came of one contender.
struct Outcome {
    seen: Seen,
    cold: Cold,
}

async fn run() -> anyhow::Result<Section> {
    let normal = {
        eprintln!("    NORMAL");
        let mut normal = Normal::up(true)?;
        let watch = Watch::start(&normal.bare.lab)?;
        let seats = normal.add(ENDPOINTS)?;
        outcome(&normal.bare.lab, watch, &seats).await?
    };
    let mut rows = vec![row("Open vSwitch, NORMAL, VLAN", &normal)];
    for (name, way, tso) in [("OVN, VLAN", Way::Vlan, true), ("OVN, Geneve", Way::Geneve, false)] {
        eprintln!("    {name}");
        let mut ovn = Ovn::up(way, tso)?;
        let watch = Watch::start(&ovn.bare.lab)?;
        let seats = ovn.add(ENDPOINTS)?;
        rows.push(row(name, &outcome(&ovn.bare.lab, watch, &seats).await?));
    }
    let ours = {
        let mut world = World::up("vlan").await?;
        let watch = Watch::start(&world.lab)?;
        world.fill(ENDPOINTS as usize).await?;
        outcome(&world.lab, watch, &world.seats().await?).await?
    };
    rows.push(row("Weir, VLAN", &ours));
    let at_most =
        |what: &str, most: f64, value: f64, unit| Target::new(what, Bound::AtMost(most), value, unit);
    Ok(Section {
        title: "Two hundred endpoints on a fabric".to_owned(),
        text: format!(
            "{ENDPOINTS} endpoints on four nodes. {} s after the last has started each pings {PEERS} others, chosen at random \
             but always the same, once: a packet every {} ms, mixed over all endpoints, sent and received on raw sockets that \
             one process has open in the endpoints' namespaces. What is not answered within 3 s is lost. MAC addresses are \
             those that the physical switch learned on nodes' ports on VLANs; ARP is what was seen on the nodes' cables from \
             before the first endpoint to after the last ping, broadcast or not, with an endpoint's MAC or IP address as its \
             sender. Peers' endpoints have no IPv6, so that their fabric is spared what Weir drops. With userspace TSO, but \
             for Geneve, which cannot carry it.",
            SETTLE.as_secs(),
            PACE.as_millis()
        ),
        targets: vec![
            at_most("MAC addresses of containers' side on the switch", 4.0, ours.seen.macs as f64, ""),
            at_most("ARP requests of containers on the fabric", 0.0, ours.seen.requests as f64, ""),
            at_most("first reply, p50", 4.0, ours.cold.times.p50, "ms"),
            at_most("first reply, p99", 10.0, ours.cold.times.p99, "ms"),
            at_most("lost", 0.0, ours.cold.lost as f64, ""),
        ],
        tables: vec![Table::new(
            "Beside others",
            ["", "MACs", "ARP requests", "announcements", "p50, ms", "p95, ms", "p99, ms", "max, ms", "lost"],
            rows,
        )],
        charts: Vec::new(),
        machine: None,
    })
}

async fn outcome(lab: &Lab, watch: Watch, seats: &[Seat]) -> anyhow::Result<Outcome> {
    sleep(SETTLE).await;
    let cold = ping_cold(seats, &random_pairs(seats.len(), PEERS), PACE).await?;
    Ok(Outcome { seen: watch.seen(lab, seats)?, cold })
}

fn row(name: &str, Outcome { seen, cold }: &Outcome) -> Vec<String> {
    let counts = [seen.macs, seen.requests, seen.announcements].map(|count| count.to_string());
    let times = [cold.times.p50, cold.times.p95, cold.times.p99, cold.times.max].map(|ms| format!("{ms:.2}"));
    [vec![name.to_owned()], counts.to_vec(), times.to_vec(), vec![cold.lost.to_string()]].concat()
}
