//! The report on a lab: who reaches whom, what the fabric saw, how large the flow tables are, whether pages come, how long
//! a start takes.
//!
//! Nothing here is taken from Weir's own counters: packets are sent and received in the endpoints' namespaces, frames are
//! captured on the nodes' uplinks, addresses are read from the physical switch, flows from the nodes' switches. What the
//! controller says is only used to know what there should be.

mod arp;
pub(crate) mod bench;
pub(crate) mod bench_text;
mod captures;
mod docker;
pub(crate) mod echo;
pub(crate) mod fdb;
pub(crate) mod floor;
mod flows;
mod http;
mod idle;
pub(crate) mod latency;
pub(crate) mod plain;
mod reach;
mod site;
pub(crate) mod socket;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::time::timeout;
use tonic::transport::Channel;
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::networks_client::NetworksClient;
use weir_api::v1::nodes_client::NodesClient;

use crate::Lab;
use crate::api::connect;
pub use bench::{BenchOptions, bench};

use arp::{ArpCounts, Known, MacBytes};
use captures::Captures;
use fdb::Learned;
use flows::NodeFlows;
use http::Fetched;
use latency::Latency;
use reach::{Outcome, Pairs, Reach};

/// What to report, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to write the report as JSON too.
    pub json: Option<PathBuf>,
    /// How many containers to create and delete to measure the time it takes.
    pub creates: usize,
    /// A command to run first, while frames are captured; it finds the controller in `WEIR_SERVER`.
    pub command: Vec<String>,
}

/// The report for programs. Its keys are only ever added to.
#[derive(Debug, Serialize)]
struct Report {
    /// Nothing below is other than it should be.
    ok: bool,
    /// What is, a sentence each.
    problems: Vec<String>,
    /// Ordered pairs of endpoints.
    pairs: Pairs,
    /// Ordered pairs of an endpoint and a host outside.
    outside: Pairs,
    /// Pairs that reach each other, but lost the first packet.
    first_packet_lost: usize,
    fabric: Fabric,
    nodes: Vec<NodeFlows>,
    /// The pages of containers labelled `http=PORT`.
    http: Vec<Fetched>,
    create_to_reply_ms: Option<Latency>,
}

#[derive(Debug, Serialize)]
struct Fabric {
    /// What the physical switch learned on the VLANs of networks.
    macs: Vec<String>,
    /// How many it would have learned there if each endpoint showed its own.
    macs_without_nat: usize,
    /// All it learned.
    mac_table: Vec<Learned>,
    arp_from_containers: usize,
    announcements: usize,
    nat_mac_refreshes: usize,
    resolutions: usize,
    answers: usize,
}

/// Who reaches whom, and whether that is as intended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Ordered pairs that were tried, those included that must not reach each other.
    pub tried: usize,
    /// Those that are not as they should be, a sentence each.
    pub wrong: Vec<String>,
}

/// What the controller says there should be; containers that have ended are left out.
pub(crate) struct Intent {
    pub(crate) containers: Vec<v1::Container>,
    pub(crate) networks: Vec<v1::Network>,
    pub(crate) nodes: Vec<v1::Node>,
}

/// Makes the report, prints it, and says whether all is as it should be.
///
/// # Errors
/// If the lab, its controller or the command fails; a lab that does not do what it should is a report, not an error.
pub fn run(lab: &Lab, options: &Options) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let captures = Captures::start(lab)?;
    if let Some((program, arguments)) = options.command.split_first() {
        let status = Command::new(program).args(arguments).env("WEIR_SERVER", lab.server()).status();
        let status = status.with_context(|| format!("cannot run {program}"))?;
        if !status.success() {
            bail!("{program} failed: {status}");
        }
    }
    let (report, text) = runtime.block_on(examine(lab, &captures, options.creates))?;
    if !options.command.is_empty() {
        println!();
    }
    print!("{text}");
    for problem in &report.problems {
        println!("PROBLEM: {problem}");
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.ok)
}

/// Tries all pairs of endpoints, and of endpoints and hosts outside, as they should be now.
///
/// # Errors
/// If the controller does not answer, or an endpoint has no namespace.
pub async fn matrix(lab: &Lab) -> anyhow::Result<Matrix> {
    let Intent { containers, networks, .. } = Intent::read(&connect(&lab.server()).await?).await?;
    let sites = site::all(lab.state(), &containers, &networks)?;
    let reach = reach::measure(&sites).await?;
    let name = |number: u32| sites.get(number as usize).map_or("?", |site| &site.name);
    let wrong = |((from, to), outcome): (&(u32, u32), &Outcome)| {
        let verb = match outcome {
            Outcome::Missing => "does not reach",
            Outcome::Leaked => "gets through to",
            Outcome::Reached | Outcome::Late | Outcome::Silent => return None,
        };
        Some(format!("{} {verb} {}", name(*from), name(*to)))
    };
    Ok(Matrix { tried: reach.outcomes.len(), wrong: reach.outcomes.iter().filter_map(wrong).collect() })
}

async fn examine(lab: &Lab, captures: &Captures, creates: usize) -> anyhow::Result<(Report, String)> {
    let state = lab.state();
    let channel = connect(&lab.server()).await?;
    timeout(PATIENCE, until_all_ready(&channel)).await.context("not all containers became ready")??;
    let intent = Intent::read(&channel).await?;
    let Intent { containers, networks, nodes } = &intent;

    let sites = site::all(state, containers, networks)?;
    let reach = reach::measure(&sites).await?;
    let learned = fdb::read(state)?;
    let known = intent.known();
    let arp = captures.settled(&known, 3 * intent.on_vlans().count()).await;
    let flows = flows::read(state, nodes, containers, networks)?;
    let http = http::fetch(state, containers).await?;
    let latency = match creates {
        0 => None,
        _ => latency::measure(state, &channel, containers, networks, creates).await?,
    };
    let fabric = fabric(&intent, &learned, &arp);
    let mut problems = problems(&reach, &fabric, &intent);
    problems.extend(http.iter().filter_map(Fetched::complaint));
    let report = Report {
        ok: problems.is_empty(),
        problems,
        pairs: reach.pairs,
        outside: reach.outside,
        first_packet_lost: reach.first_packet_lost,
        fabric,
        nodes: flows,
        http,
        create_to_reply_ms: latency,
    };
    let text = text::render(&report, &sites, &reach);
    Ok((report, text))
}

/// Waits until the controller calls every container ready, but for those that have ended or are not to run.
async fn until_all_ready(channel: &Channel) -> anyhow::Result<()> {
    let mut client = ContainersClient::new(channel.clone());
    let mut events = client.watch_containers(v1::WatchContainersRequest::default()).await?.into_inner();
    let mut waiting = BTreeSet::new();
    let mut synced = false;
    while let Some(event) = events.message().await? {
        synced |= event.kind() == v1::container_event::Kind::Synced;
        let deleted = event.kind() == v1::container_event::Kind::Deleted;
        if let Some(container) = event.container {
            let ready = [Phase::Ready, Phase::Ended].contains(&phase(&container));
            let key = (container.pool, container.name);
            if ready || deleted {
                waiting.remove(&key);
            } else {
                waiting.insert(key);
            }
        }
        if synced && waiting.is_empty() {
            return Ok(());
        }
    }
    bail!("the watch ended")
}

impl Intent {
    pub(crate) async fn read(channel: &Channel) -> anyhow::Result<Intent> {
        let mut containers = ContainersClient::new(channel.clone());
        let mut networks = NetworksClient::new(channel.clone());
        let mut nodes = NodesClient::new(channel.clone());
        let containers = containers.list_containers(v1::ListContainersRequest::default()).await?;
        let networks =
            networks.list_networks(v1::ListNetworksRequest::default()).await?.into_inner().networks;
        let nodes = nodes.list_nodes(v1::ListNodesRequest::default()).await?;
        let (mut containers, mut nodes) = (containers.into_inner().containers, nodes.into_inner().nodes);
        // What has ended has no namespace.
        containers.retain(|container| phase(container) != Phase::Ended);
        containers.sort_by(|a, b| (&a.pool, &a.network, &a.name).cmp(&(&b.pool, &b.network, &b.name)));
        nodes.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        Ok(Intent { containers, networks, nodes })
    }

    /// Containers whose packets appear on a VLAN.
    fn on_vlans(&self) -> impl Iterator<Item = &v1::Container> {
        self.containers.iter().filter(|container| {
            let network = |n: &&v1::Network| n.pool == container.pool && n.name == container.network;
            self.networks.iter().find(network).is_some_and(|network| network.vlan != 0)
        })
    }

    fn known(&self) -> Known {
        let address = |c: &v1::Container| c.address.split('/').next()?.parse().ok();
        Known {
            container_macs: self.containers.iter().filter_map(|c| mac(&c.mac)).collect(),
            container_addresses: self.containers.iter().filter_map(address).collect(),
            nat_macs: self.nodes.iter().filter_map(|n| Some((mac(&n.nat_mac)?, n.name.clone()))).collect(),
        }
    }
}

fn phase(container: &v1::Container) -> Phase {
    container.status.as_ref().map_or(Phase::Unspecified, v1::ContainerStatus::phase)
}

/// Reads `aa:bb:cc:dd:ee:ff`.
fn mac(text: &str) -> Option<MacBytes> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn fabric(intent: &Intent, learned: &[Learned], arp: &ArpCounts) -> Fabric {
    let known = intent.known();
    let on_networks =
        |learned: &&Learned| intent.networks.iter().any(|n| n.vlan != 0 && n.vlan == u32::from(learned.vlan));
    let macs: Vec<String> = learned.iter().filter(on_networks).map(|learned| learned.mac.clone()).collect();
    let by_nat =
        macs.iter().filter(|text| mac(text).is_some_and(|mac| known.nat_macs.contains_key(&mac))).count();
    Fabric {
        macs_without_nat: macs.len() - by_nat + intent.on_vlans().count(),
        macs,
        mac_table: learned.to_vec(),
        arp_from_containers: arp.from_containers,
        announcements: arp.announcements,
        nat_mac_refreshes: arp.nat_mac_refreshes,
        resolutions: arp.resolutions,
        answers: arp.answers,
    }
}

/// What is not as it should be.
fn problems(reach: &Reach, fabric: &Fabric, intent: &Intent) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, pairs) in [("endpoints", reach.pairs), ("endpoints and hosts outside", reach.outside)] {
        if pairs.reached < pairs.expected {
            problems.push(format!(
                "{} of {} pairs of {what} do not reach each other",
                pairs.expected - pairs.reached,
                pairs.expected
            ));
        }
        if pairs.leaked > 0 {
            problems.push(format!("packets pass between networks for {} pairs of {what}", pairs.leaked));
        }
    }
    if fabric.arp_from_containers > 0 {
        problems.push(format!("{} ARP frames of containers reached the fabric", fabric.arp_from_containers));
    }
    let known = intent.known();
    let exposed =
        fabric.macs.iter().filter(|text| mac(text).is_some_and(|mac| known.container_macs.contains(&mac)));
    problems
        .extend(exposed.map(|mac| format!("the physical switch learned a container's own address, {mac}")));
    problems
}

/// How long containers may take to become ready.
const PATIENCE: Duration = Duration::from_secs(30);
