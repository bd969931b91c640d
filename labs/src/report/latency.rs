//! From the request to create a container to the first reply that another gets from it, and the parts of that time.
//!
//! An endpoint on another node sends a ping to the address every 2 ms from before the request. The floor is what Open
//! vSwitch alone takes: a bare port in the same ovs-vswitchd, after each create, so that both have the same weather.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ipnet::Ipv4Net;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Streaming;
use tonic::transport::Channel;
use tools::bench::Percentiles;
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_client::ContainersClient;

use super::echo::{Echo, EchoSocket};
use super::floor::{Added, Floor};
use super::site;
use crate::state::State;

/// Times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    /// From the request to the first reply.
    #[serde(flatten)]
    pub(crate) reply: Percentiles,
    /// From the request to the answer: the intent is committed.
    pub(crate) committed: Percentiles,
    /// From the request to the news that the switch has confirmed the flows.
    pub(crate) flows_confirmed: Percentiles,
    /// From the request to the news that it is ready: flows confirmed, port up.
    pub(crate) ready: Percentiles,
    /// A bare `ovs-vsctl add-port` in the same Open vSwitch.
    pub(crate) bare_add_port: Percentiles,
    /// The same without starting ovs-vsctl: one OVSDB transaction, until the port has its number.
    pub(crate) bare_transaction: Percentiles,
    pub(crate) creates: usize,
}

/// The parts of one create.
pub(super) struct Times {
    committed: Duration,
    flows_confirmed: Duration,
    pub(super) ready: Duration,
    pub(super) reply: Duration,
}

/// Creates and deletes `creates` containers, one after another, each on another node than the last where there is one.
///
/// Gives `None` if no network has an endpoint on one node and a block on another.
///
/// # Errors
/// If a create fails, or no reply comes within ten seconds.
pub(crate) async fn measure(
    state: &State,
    channel: &Channel,
    containers: &[v1::Container],
    networks: &[v1::Network],
    creates: usize,
) -> anyhow::Result<Option<Latency>> {
    let targets = targets(containers, networks, creates);
    if targets.is_empty() {
        return Ok(None);
    }
    let nodes: BTreeSet<&str> = targets.iter().map(|target| target.node.as_str()).collect();
    let floors = nodes.into_iter().map(|node| Ok((node, Floor::open(state, node)?)));
    let floors: BTreeMap<&str, Floor> = floors.collect::<anyhow::Result<_>>()?;
    let mut times = Vec::with_capacity(targets.len());
    let mut added = Vec::with_capacity(targets.len());
    for (number, target) in (0_u32..).zip(&targets) {
        let name = format!("report-{number}");
        let what = v1::Container { name, ..v1::Container::default() };
        times.push(create(state, channel, target, what, number).await?);
        if let Some(floor) = floors.get(target.node.as_str()) {
            added.push(floor.add().await?);
        }
    }
    let of = |part: fn(&Times) -> Duration| Percentiles::of(times.iter().map(part).collect());
    let bare = |way: fn(&Added) -> Duration| Percentiles::of(added.iter().map(way).collect());
    Ok(Some(Latency {
        reply: of(|times| times.reply),
        committed: of(|times| times.committed),
        flows_confirmed: of(|times| times.flows_confirmed),
        ready: of(|times| times.ready),
        bare_add_port: bare(|added| added.by_vsctl),
        bare_transaction: bare(|added| added.by_transaction),
        creates: times.len(),
    }))
}

/// Where to create a container, and who waits for it.
pub(super) struct Target<'a> {
    observer: &'a v1::Container,
    pub(super) node: String,
    address: Ipv4Addr,
}

/// Free addresses of nodes' own blocks, in turn over the nodes, each with an endpoint of the network on another node.
pub(super) fn targets<'a>(
    containers: &'a [v1::Container],
    networks: &[v1::Network],
    creates: usize,
) -> Vec<Target<'a>> {
    let network = networks.iter().max_by_key(|network| (network.driver == "vlan", network.blocks.len()));
    let Some(network) = network else { return Vec::new() };
    let members: Vec<_> =
        containers.iter().filter(|c| c.pool == network.pool && c.network == network.name).collect();
    let taken: BTreeSet<Ipv4Addr> = members.iter().filter_map(|member| site::address(member).ok()).collect();
    let mut by_block: Vec<_> = network
        .blocks
        .iter()
        .filter_map(|block| {
            let observer = members.iter().copied().find(|member| member.node != block.node)?;
            let prefix: Ipv4Net = block.prefix.parse().ok()?;
            // The scheduler's own choices grow from a block's start.
            let hosts: Vec<Ipv4Addr> = prefix.hosts().filter(|address| !taken.contains(address)).collect();
            Some((observer, block.node.clone(), hosts))
        })
        .collect();
    let mut targets = Vec::with_capacity(creates);
    while targets.len() < creates {
        let before = targets.len();
        for (observer, node, hosts) in &mut by_block {
            if let (true, Some(address)) = (targets.len() < creates, hosts.pop()) {
                targets.push(Target { observer, node: node.clone(), address });
            }
        }
        if targets.len() == before {
            break;
        }
    }
    targets
}

/// Creates a container of which `what` says all but where, measures, and deletes it.
///
/// # Errors
/// If the controller refuses, or no reply comes in time.
pub(super) async fn create(
    state: &State,
    channel: &Channel,
    target: &Target<'_>,
    what: v1::Container,
    number: u32,
) -> anyhow::Result<Times> {
    let observer = site::endpoint(state, target.observer)?;
    let socket = EchoSocket::open(observer.place.namespace())?;
    let mut client = ContainersClient::new(channel.clone());
    let (pool, name) = (target.observer.pool.clone(), what.name.clone());
    let container = v1::Container {
        pool: pool.clone(),
        network: target.observer.network.clone(),
        address: target.address.to_string(),
        node: target.node.clone(),
        ..what
    };
    let request = v1::WatchContainersRequest { pool: pool.clone() };
    let mut events = client.watch_containers(request).await?.into_inner();
    let mut creator = client.clone();
    let start = Instant::now();
    let created = async {
        let request = v1::CreateContainerRequest { container: Some(container), wait: false };
        creator.create_container(request).await?;
        anyhow::Ok(start.elapsed())
    };
    let ready = until_ready(&mut events, &name, start);
    let reply = async {
        ping_until_reply(&socket, &[target.address], number).await?;
        anyhow::Ok(start.elapsed())
    };
    let measured = timeout(PATIENCE, async { tokio::try_join!(created, ready, reply) }).await;
    let request = v1::DeleteContainerRequest { pool, name: name.clone(), wait: true };
    let deleted = client.delete_container(request).await;
    let measured = measured.context("no reply in time").and_then(|measured| measured);
    let (committed, (flows_confirmed, ready), reply) =
        measured.with_context(|| format!("creating {name}"))?;
    deleted?;
    Ok(Times { committed, flows_confirmed, ready, reply })
}

/// Waits until a container is ready; gives back when the news came that its flows are, and that it is.
async fn until_ready(
    events: &mut Streaming<v1::ContainerEvent>,
    name: &str,
    start: Instant,
) -> anyhow::Result<(Duration, Duration)> {
    let mut flows_confirmed = None;
    while let Some(event) = events.message().await? {
        let Some(container) = event.container.filter(|container| container.name == name) else { continue };
        let Some(status) = container.status else { continue };
        let is_ready = status.phase() == Phase::Ready;
        // The controller names what is missing: flows come before the port.
        if is_ready || status.reason == "PortPending" {
            flows_confirmed.get_or_insert_with(|| start.elapsed());
        }
        if let (true, Some(flows_confirmed)) = (is_ready, flows_confirmed) {
            return Ok((flows_confirmed, start.elapsed()));
        }
    }
    bail!("the watch ended")
}

/// Sends a request to each address every 2 ms until the first reply.
///
/// # Errors
/// If the socket fails.
pub(crate) async fn ping_until_reply(
    socket: &EchoSocket,
    addresses: &[Ipv4Addr],
    number: u32,
) -> anyhow::Result<()> {
    let mut tick = interval(Duration::from_millis(2));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut round = 0;
    loop {
        // Both branches are cancel safe: a tick or a packet that is not taken is there the next time.
        tokio::select! {
            heard = socket.receive() => {
                let echo = heard?;
                if echo.reply && echo.from == number && echo.to == number {
                    return Ok(());
                }
            }
            _ = tick.tick() => {
                for address in addresses {
                    socket.request(*address, Echo { reply: false, from: number, to: number, round }).await;
                }
                round = round.wrapping_add(1);
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_turn_from_the_blocks_of_other_nodes() {
        let container = |node: &str, address: &str| v1::Container {
            pool: "p".into(),
            network: "n".into(),
            node: node.into(),
            address: address.into(),
            ..v1::Container::default()
        };
        let containers = [container("n1", "10.0.0.1/24"), container("n2", "10.0.0.9/24")];
        let block =
            |prefix: &str, node: &str| v1::Block { prefix: prefix.into(), node: node.into(), used: 1 };
        let network = v1::Network {
            pool: "p".into(),
            name: "n".into(),
            driver: "vlan".into(),
            blocks: vec![block("10.0.0.0/29", "n1"), block("10.0.0.8/29", "n2")],
            ..v1::Network::default()
        };
        let targets = targets(&containers, &[network], 100);
        assert_eq!(targets.len(), 10, "six hosts a block, less one each");
        assert!(targets.iter().all(|target| target.observer.node != target.node));
        assert_eq!((targets[0].node.as_str(), targets[1].node.as_str()), ("n1", "n2"));
        assert!(!targets.iter().any(|target| target.address == Ipv4Addr::new(10, 0, 0, 1)));
    }
}
