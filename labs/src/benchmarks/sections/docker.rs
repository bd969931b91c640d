//! `docker run` in a network of Weir's, from its start to the first reply, beside what Docker and Open vSwitch take alone.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::{interval, timeout};
use tools::bench::Percentiles;

use crate::benchmarks::seat::Seat;
use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{NETWORK, World, block_on};
use crate::process::run;
use crate::report::echo::EchoSocket;
use crate::report::floor::Floor;
use crate::report::latency::ping_until_reply;
use crate::report::plain::Plain;

const RUNS: u32 = 50;
/// What a start may take beyond Docker and Open vSwitch alone, in the middle.
const MOST_ABOVE_MS: f64 = 60.0;
/// Endpoints beside which they are started.
const OTHERS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(measured())
}

async fn measured() -> anyhow::Result<Section> {
    let mut world = World::up_docker("vlan").await?;
    world.fill(OTHERS).await?;
    let node = world.nodes.first().context("there are no nodes")?.clone();
    let observer = world.seats().await?.into_iter().find(|seat| seat.node != node);
    let observer = observer.context("no endpoint is on another node")?;
    let on_node = || Plain::on(world.lab.state(), &node);
    let (mut alone, mut bridged, mut plain) = (on_node()?, on_node()?, on_node()?);
    let floor = Floor::open(world.lab.state(), &node)?;
    let option = format!("network={NETWORK}");
    let create = ["network", "create", "-d", "weir", "--ipam-driver", "weir", "-o", &option, DOCKER_NETWORK];
    run(&mut plain.docker(&create))?;
    run(&mut plain.docker(&["network", "create", "-d", "bridge", BRIDGE]))?;
    let (mut without, mut with_bridge, mut bare, mut returned, mut replied) =
        (vec![], vec![], vec![], vec![], vec![]);
    for number in 0..RUNS {
        without.push(alone.run_in("none")?);
        alone.remove()?;
        with_bridge.push(bridged.run_in(BRIDGE)?);
        bridged.remove()?;
        bare.push(floor.add().await?.by_vsctl);
        let reserve = reserve(&world, &node).await?;
        let (ended, reply) = start(&mut plain, &observer, &reserve, number).await?;
        returned.push(ended);
        replied.push(reply);
        plain.remove()?;
    }
    run(&mut plain.docker(&["network", "rm", DOCKER_NETWORK, BRIDGE]))?;
    let all = [
        ("first reply", replied),
        ("end of docker run", returned),
        ("docker run --network none", without),
        ("docker run in a bridge network of Docker's own", with_bridge),
        ("bare ovs-vsctl add-port", bare),
    ];
    Ok(section(all.map(|(what, times)| (what, Percentiles::of(times)))))
}

/// The addresses of which the next start gets one.
async fn reserve(world: &World, node: &str) -> anyhow::Result<Vec<Ipv4Addr>> {
    let mut poll = interval(Duration::from_millis(20));
    let full = async {
        loop {
            poll.tick().await;
            let mut containers = weir_api::client::containers(world.channel.clone());
            let request = weir_api::v1::ListContainersRequest::default();
            let mut endpoints = containers.list_containers(request).await?.into_inner().containers;
            endpoints.retain(|one| one.node == node && one.runtime == "docker-plain");
            let is_reserved =
                |one: &weir_api::v1::Container| one.status.as_ref().is_some_and(|is| is.reason == "Reserved");
            if !endpoints.is_empty() && endpoints.iter().all(is_reserved) {
                return endpoints.iter().map(|one| one.address.parse().context("no address")).collect();
            }
        }
    };
    timeout(PATIENCE, full).await.context("the node has nothing in reserve")?
}

/// Starts one, and says when Docker's client ended and when the first reply came.
async fn start(
    plain: &mut Plain,
    observer: &Seat,
    reserve: &[Ipv4Addr],
    number: u32,
) -> anyhow::Result<(Duration, Duration)> {
    let socket = EchoSocket::open(observer.place.namespace())?;
    let mut command = plain.command_in(DOCKER_NETWORK);
    let start = Instant::now();
    let ended = async {
        tokio::task::spawn_blocking(move || run(&mut command)).await??;
        anyhow::Ok(start.elapsed())
    };
    let replied = async {
        ping_until_reply(&socket, reserve, number).await?;
        anyhow::Ok(start.elapsed())
    };
    timeout(PATIENCE, async { tokio::try_join!(ended, replied) }).await.context("no reply in time")?
}

fn section(all: [(&str, Percentiles); 5]) -> Section {
    let [(_, reply), _, (_, without), _, (_, bare)] = all;
    let above = reply.p50 - without.p50 - bare.p50;
    let what = "first reply above docker run --network none and a bare add-port, p50";
    let rows = all.map(|(what, of)| {
        let figures = [of.p50, of.p95, of.p99, of.max].map(|ms| format!("{ms:.1}"));
        [vec![what.to_owned()], figures.to_vec()].concat()
    });
    Section {
        title: "docker run".to_owned(),
        text: format!(
            "Four nodes with Open vSwitch's userspace datapath, a VLAN network with {OTHERS} endpoints. {RUNS} times one after \
             another, on one node: `docker run --detach --network none`, and in a network of Docker's driver `bridge`; a bare \
             port, added to the same ovs-vswitchd; and `docker run --detach` in a network of the driver `weir`, while an endpoint on another node sends a ping every \
             2 ms to each address that may become the container's. Times in ms, from the start of Docker's client."
        ),
        targets: vec![Target::new(what, Bound::AtMost(MOST_ABOVE_MS), above, "ms")],
        tables: vec![Table::new("Times", ["until", "p50", "p95", "p99", "max"], rows.to_vec())],
        charts: Vec::new(),
        machine: None,
    }
}

const DOCKER_NETWORK: &str = "bench";
const BRIDGE: &str = "bench-bridge";
