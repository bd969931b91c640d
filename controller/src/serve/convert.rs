//! Between the API's messages and the model.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flowlib::compile::model::{Driver, EndpointId};
use flowlib::types::{MacAddr, PortNo};
use ipnet::Ipv4Net;
use tonic::Status;
use weir_api::v1;

use super::fault;

use crate::intent::model::{
    Admission, HealthCheck, Mount, Network, Node, NumberRange, Pool, Probe, Quota, Resources, RestartPolicy,
    Rule, Scheduling, Source, Strategy,
};
use crate::intent::{State, Sum};
use crate::measure::Milestone;
use crate::measure::journey::Journey;
use crate::orchestrate::board::Posted;
use crate::orchestrate::containers::ContainerSpec;
use crate::orchestrate::lifecycle::NodeCondition;
use crate::orchestrate::networks::{NetworkSpec, Route};
use crate::orchestrate::outbox::{Desired, DesiredEndpoint, Goal};
use crate::orchestrate::plain::{Lease, LeaseSpec};
use crate::orchestrate::pools::PoolSpec;
use crate::orchestrate::quota;
use crate::orchestrate::scheduler::{Choice, Placement, Scores, TurnedAway, Verdict};
use crate::orchestrate::status::{Health, Phase, PortReport, PortState, Process, Reason};

/// Reads an address, a prefix, …; the field's name and `example` go into the error.
fn parse<T: std::str::FromStr>(text: &str, what: &str, example: &str) -> Result<T, Status> {
    text.parse().map_err(|_| {
        let shown: String = text.escape_debug().take(80).collect();
        let message =
            format!("the {} `{shown}` is not one: it should look like {example}", what.replace('_', " "));
        fault::invalid(what, message)
    })
}

/// `None` for an empty text.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// `None` for 0.
fn nonzero(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number != 0)
}

pub(super) fn ipv4(text: &str, what: &str) -> Result<Ipv4Addr, Status> {
    parse(text, what, "10.1.0.2")
}

pub(super) fn pool_spec(pool: v1::Pool) -> PoolSpec {
    let range = |range: v1::Range| NumberRange { first: range.first, last: range.last };
    let placement = match pool.placement() {
        v1::pool::Placement::Unspecified | v1::pool::Placement::Spread => Strategy::Spread,
        v1::pool::Placement::Binpack => Strategy::Binpack,
    };
    PoolSpec {
        name: pool.name,
        vlans: pool.vlans.map(range),
        vnis: pool.vnis.map(range),
        placement,
        default_image: pool.default_image,
        quota: pool.quota.map_or_else(Quota::default, |quota| Quota {
            containers: quota.containers,
            cpu_millis: quota.cpu_millis,
            memory_bytes: quota.memory_bytes,
            addresses: quota.addresses,
        }),
        registry_proxies: pool.registry_proxies.into_iter().collect(),
    }
}

pub(super) fn pool(state: &State, pool: &Pool) -> v1::Pool {
    let used = quota::used(state, pool);
    let range = |range: NumberRange| v1::Range { first: range.first, last: range.last };
    v1::Pool {
        name: pool.name.clone(),
        vlans: Some(range(pool.vlans)),
        vnis: Some(range(pool.vnis)),
        default_image: pool.default_image.clone(),
        placement: match pool.placement {
            Strategy::Spread => v1::pool::Placement::Spread,
            Strategy::Binpack => v1::pool::Placement::Binpack,
        }
        .into(),
        registry_proxies: pool.registry_proxies.clone().into_iter().collect(),
        revision: pool.revision,
        quota: Some(v1::Quota {
            containers: pool.quota.containers,
            cpu_millis: pool.quota.cpu_millis,
            memory_bytes: pool.quota.memory_bytes,
            addresses: pool.quota.addresses,
        }),
        used: Some(v1::Quota {
            containers: u32::try_from(used.containers).unwrap_or(u32::MAX),
            cpu_millis: u32::try_from(used.cpu_millis).unwrap_or(u32::MAX),
            memory_bytes: u64::try_from(used.memory_bytes).unwrap_or(u64::MAX),
            addresses: u32::try_from(used.addresses).unwrap_or(u32::MAX),
        }),
    }
}

pub(super) fn network_spec(network: v1::Network) -> Result<NetworkSpec, Status> {
    if network.subnet.is_empty() {
        return Err(fault::invalid("subnet", "no subnet is given: it should look like 10.1.0.0/16"));
    }
    let subnet: Ipv4Net = parse(&network.subnet, "subnet", "10.1.0.0/16")?;
    let gateway = given(&network.gateway).map(|text| ipv4(text, "gateway")).transpose()?;
    Ok(NetworkSpec {
        pool: network.pool,
        name: network.name,
        driver: network.driver,
        subnet,
        gateway,
        vlan: nonzero(network.vlan),
        vni: nonzero(network.vni),
        mtu: nonzero(network.mtu),
        block_prefix_len: nonzero(network.block_prefix_len),
        within_ranges: false,
    })
}

pub(super) fn network(state: &State, network: &Network) -> v1::Network {
    let (driver, vlan, vni) = match network.driver {
        Driver::Vlan(vid) => ("vlan", u32::from(vid), 0),
        Driver::Vxlan(vni) => ("vxlan", 0, u32::from(vni)),
    };
    let space = state.space(network.id);
    let blocks = space.blocks.values().map(|block| v1::Block {
        prefix: block.prefix.to_string(),
        node: state.node(block.node).map_or_else(String::new, |node| node.name.clone()),
        used: count(space.used_in(&block.prefix)),
    });
    let unresolved = network.gateway.filter(|gateway| !space.neighbours.contains_key(gateway));
    let neighbours = unresolved
        .map(|gateway| v1::Neighbour { address: gateway.to_string(), mac: String::new() })
        .into_iter()
        .chain(
            space
                .neighbours
                .values()
                .map(|host| v1::Neighbour { address: host.address.to_string(), mac: host.mac.to_string() }),
        );
    v1::Network {
        pool: pool_name(state, network.pool),
        name: network.name.clone(),
        driver: driver.to_owned(),
        subnet: network.subnet.to_string(),
        gateway: network.gateway.map_or_else(String::new, |gateway| gateway.to_string()),
        vlan,
        vni,
        mtu: network.mtu,
        block_prefix_len: network.block_prefix_len.into(),
        id: network.id.0,
        revision: network.revision,
        blocks: blocks.collect(),
        neighbours: neighbours.collect(),
        routes: Vec::new(),
    }
}

pub(super) fn route(state: &State, route: Route) -> v1::Route {
    v1::Route {
        prefix: route.prefix.to_string(),
        via: route.via.map_or_else(String::new, |via| via.to_string()),
        node: state.node(route.node).map_or_else(String::new, |node| node.name.clone()),
    }
}

fn pool_name(state: &State, pool: flowlib::compile::model::PoolId) -> String {
    state.pool(pool).map_or_else(String::new, |pool| pool.name.clone())
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub(super) fn node(state: &State, node: &Node, condition: Option<&NodeCondition>) -> v1::Node {
    let status = condition.map(|condition| v1::NodeStatus {
        agent_connected: condition.agent,
        switch_connected: condition.switch,
        in_sync: condition.in_sync,
        endpoints: count(state.hosted(node.id).live.len()),
        problems: condition.problems.clone(),
        lost: condition.lost,
        allocated: Some(allocated(state.hosted(node.id).allocated)),
        runtimes: condition.runtimes.clone(),
        since: Some(condition.since.into()),
    });
    v1::Node {
        pool: pool_name(state, node.pool),
        name: node.name.clone(),
        id: node.id.0,
        datapath_id: node.datapath_id.0,
        nat_mac: node.nat_mac.to_string(),
        tunnel_address: node.tunnel_address.to_string(),
        labels: node.labels.clone().into_iter().collect(),
        revision: node.revision,
        status,
        capacity: Some(resources(node.capacity)),
        scheduling: match node.scheduling {
            Scheduling::Active => v1::node::Scheduling::Active,
            Scheduling::Cordoned => v1::node::Scheduling::Cordoned,
            Scheduling::Draining => v1::node::Scheduling::Draining,
        }
        .into(),
        admission: admission(state.admission(node.pool, &node.name).map(Arc::as_ref)).into(),
    }
}

/// A node of which there is its admission alone.
pub(super) fn unseen(pool: &Pool, admitted: &Admission) -> v1::Node {
    v1::Node {
        pool: pool.name.clone(),
        name: admitted.node.clone(),
        revision: admitted.revision,
        admission: admission(Some(admitted)).into(),
        ..v1::Node::default()
    }
}

fn admission(admission: Option<&Admission>) -> v1::node::Admission {
    match admission {
        None => v1::node::Admission::Unspecified,
        Some(admission) if admission.revoked => v1::node::Admission::Revoked,
        Some(_) => v1::node::Admission::Admitted,
    }
}

/// What a node is to be given.
///
/// # Errors
/// It is none that this version knows.
pub(super) fn scheduling_of(scheduling: i32) -> Result<Scheduling, Status> {
    use v1::node::Scheduling as Asked;
    match Asked::try_from(scheduling) {
        Ok(Asked::Unspecified | Asked::Active) => Ok(Scheduling::Active),
        Ok(Asked::Cordoned) => Ok(Scheduling::Cordoned),
        Ok(Asked::Draining) => Ok(Scheduling::Draining),
        Err(_) => {
            let message = format!("{scheduling} is no scheduling: there are ACTIVE, CORDONED and DRAINING");
            Err(fault::invalid("scheduling", message))
        }
    }
}

/// A sum of limits as the API has it; processes are not added up.
fn allocated(sum: Sum) -> v1::Resources {
    v1::Resources {
        cpu_millis: u32::try_from(sum.cpu_millis).unwrap_or(u32::MAX),
        memory_bytes: u64::try_from(sum.memory_bytes).unwrap_or(u64::MAX),
        pids: 0,
    }
}

/// An amount as the API has it.
pub(super) fn resources(resources: Resources) -> v1::Resources {
    let Resources { cpu_millis, memory_bytes, pids } = resources;
    v1::Resources { cpu_millis, memory_bytes, pids }
}

/// An amount as the model has it; absent: none is named.
pub(super) fn resources_of(resources: Option<v1::Resources>) -> Resources {
    let v1::Resources { cpu_millis, memory_bytes, pids } = resources.unwrap_or_default();
    Resources { cpu_millis, memory_bytes, pids }
}

/// A restart policy as the API has it.
fn restart(policy: RestartPolicy) -> v1::RestartPolicy {
    use v1::restart_policy::Mode;
    let (mode, max_retries) = match policy {
        RestartPolicy::No => (Mode::No, 0),
        RestartPolicy::OnFailure(max_retries) => (Mode::OnFailure, max_retries),
        RestartPolicy::Always => (Mode::Always, 0),
    };
    v1::RestartPolicy { mode: mode.into(), max_retries }
}

fn restart_of(policy: Option<v1::RestartPolicy>) -> Result<RestartPolicy, Status> {
    use v1::restart_policy::Mode;
    let policy = policy.unwrap_or_default();
    match (policy.mode(), policy.max_retries) {
        (Mode::OnFailure, max_retries) => Ok(RestartPolicy::OnFailure(max_retries)),
        (Mode::Always, 0) => Ok(RestartPolicy::Always),
        (Mode::No | Mode::Unspecified, 0) => Ok(RestartPolicy::No),
        _ => Err(fault::invalid("restart", "only the restart policy ON_FAILURE takes a number of retries")),
    }
}

/// Reads rules: `KEY==VALUE` or `KEY!=VALUE`.
fn rules(texts: &[String], field: &str) -> Result<Vec<Rule>, Status> {
    let read = |text: &String| {
        let equal = text.find("==");
        let at = [equal, text.find("!=")].into_iter().flatten().min().filter(|at| *at > 0);
        let split = at.and_then(|at| Some((text.get(..at)?, text.get(at + 2..)?, at)));
        split.map(|(key, value, at)| Rule {
            key: key.to_owned(),
            equal: equal == Some(at),
            value: value.to_owned(),
        })
    };
    let read = |text| {
        read(text).ok_or_else(|| {
            let shown: String = text.escape_debug().take(80).collect();
            let what = if field == "constraints" { "constraint" } else { "affinity" };
            fault::invalid(field, format!("the {what} `{shown}` is neither KEY==VALUE nor KEY!=VALUE"))
        })
    };
    texts.iter().map(read).collect()
}

pub(super) fn container_spec(container: v1::Container) -> Result<ContainerSpec, Status> {
    let address = given(&container.address).map(|text| ipv4(text, "address")).transpose()?;
    Ok(ContainerSpec {
        pool: container.pool,
        name: container.name,
        image: container.image,
        runtime: container.runtime,
        network: container.network,
        service: container.service,
        address,
        node: container.node,
        labels: labels(container.labels),
        command: container.command,
        environment: labels(container.environment),
        resources: resources_of(container.resources),
        restart: restart_of(container.restart)?,
        stop_timeout_s: container.stop_timeout_s,
        constraints: rules(&container.constraints, "constraints")?,
        affinities: rules(&container.affinities, "affinities")?,
        health: container.health.map(health_of).transpose()?,
        mounts: container.mounts.into_iter().map(mount_of).collect::<Result<_, _>>()?,
        replica_of: None,
    })
}

/// Seconds from one health check to the next, and the failures that make unhealthy, where nothing else is said.
const HEALTH_INTERVAL_S: u32 = 10;
const HEALTH_RETRIES: u32 = 3;

fn health_of(health: v1::HealthCheck) -> Result<HealthCheck, Status> {
    let v1::HealthCheck { command, http, interval_s, retries } = health;
    let or = |value, default| if value == 0 { default } else { value };
    let probe = match (command.is_empty(), http.split_once('/')) {
        (false, None) if http.is_empty() => Probe::Command(command),
        (true, Some((port, path))) => match port.parse() {
            Ok(port) => Probe::Http(port, format!("/{path}")),
            Err(_) => {
                let message = "a health check by HTTP is PORT/PATH, for example 8080/healthz";
                return Err(fault::invalid("health", message));
            }
        },
        _ => {
            let message = "a health check has either a command or a PORT/PATH for HTTP, such as 8080/healthz";
            return Err(fault::invalid("health", message));
        }
    };
    Ok(HealthCheck {
        probe,
        interval_s: or(interval_s, HEALTH_INTERVAL_S),
        retries: or(retries, HEALTH_RETRIES),
    })
}

fn health(health: &HealthCheck) -> v1::HealthCheck {
    let HealthCheck { probe, interval_s, retries } = health.clone();
    let (command, http) = match probe {
        Probe::Command(command) => (command, String::new()),
        Probe::Http(port, path) => (String::new(), format!("{port}{path}")),
    };
    v1::HealthCheck { command, http, interval_s, retries }
}

fn mount_of(mount: v1::Mount) -> Result<Mount, Status> {
    let v1::Mount { volume, host_path, path, read_only, size_bytes } = mount;
    let source = match (volume.is_empty(), host_path.is_empty()) {
        (false, true) => Source::Volume(volume, size_bytes),
        (true, false) if size_bytes == 0 => Source::Folder(host_path),
        (true, false) => {
            return Err(fault::invalid(
                "mounts",
                "a folder of the node has the size it has: only volumes take one",
            ));
        }
        _ => return Err(fault::invalid("mounts", "a mount has either a volume or a host_path")),
    };
    Ok(Mount { source, path, read_only })
}

fn mounts(mounts: &[Mount]) -> Vec<v1::Mount> {
    let mount = |Mount { source, path, read_only }: &Mount| {
        let (volume, host_path, size_bytes) = match source.clone() {
            Source::Volume(name, size) => (name, String::new(), size),
            Source::Folder(folder) => (String::new(), folder, 0),
        };
        v1::Mount { volume, host_path, path: path.clone(), read_only: *read_only, size_bytes }
    };
    mounts.iter().map(mount).collect()
}

/// What is asked of a container, as the API has it.
pub(super) fn specified(spec: ContainerSpec) -> v1::Container {
    let texts = |rules: &[Rule]| rules.iter().map(ToString::to_string).collect();
    v1::Container {
        image: spec.image,
        runtime: spec.runtime,
        command: spec.command,
        environment: spec.environment.into_iter().collect(),
        resources: Some(resources(spec.resources)),
        restart: Some(restart(spec.restart)),
        stop_timeout_s: spec.stop_timeout_s,
        constraints: texts(&spec.constraints),
        affinities: texts(&spec.affinities),
        labels: spec.labels.into_iter().collect(),
        health: spec.health.as_ref().map(health),
        mounts: mounts(&spec.mounts),
        ..v1::Container::default()
    }
}

/// An endpoint that a node asks for.
pub(super) fn lease_spec(request: v1::LeaseEndpointRequest) -> Result<LeaseSpec, Status> {
    let v1::LeaseEndpointRequest { pool, node, network, address } = request;
    let address = given(&address).map(|text| ipv4(text, "address")).transpose()?;
    Ok(LeaseSpec { pool, node, network, address })
}

/// An endpoint that a node was given, and the MAC address it is to have.
pub(super) fn lease_mac(request: v1::SetEndpointMacRequest) -> Result<(Lease, MacAddr), Status> {
    let v1::SetEndpointMacRequest { pool, node, endpoint_id, mac } = request;
    Ok((Lease { pool, node, id: EndpointId(endpoint_id) }, parse(&mac, "MAC address", "02:42:0a:01:00:02")?))
}

pub(super) fn labels(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    labels.into_iter().collect()
}

pub(super) fn container(state: &State, posted: &Posted) -> v1::Container {
    let Posted { container, condition, since } = posted;
    let endpoint = &container.endpoint;
    let phase = match condition.phase {
        Phase::Starting => v1::container_status::Phase::Starting,
        Phase::Ready => v1::container_status::Phase::Ready,
        Phase::Degraded => v1::container_status::Phase::Degraded,
        Phase::Deleting => v1::container_status::Phase::Deleting,
        Phase::Ended => v1::container_status::Phase::Ended,
    };
    v1::Container {
        pool: pool_name(state, container.pool),
        name: container.name.clone(),
        image: container.image.clone(),
        runtime: container.runtime.clone(),
        network: state.network(endpoint.network).map_or_else(String::new, |network| network.name.clone()),
        service: container.service.clone(),
        address: endpoint.address.to_string(),
        node: state.node(endpoint.node).map_or_else(String::new, |node| node.name.clone()),
        labels: container.labels.clone().into_iter().collect(),
        mac: endpoint.mac.to_string(),
        ofport: endpoint.ofport.0,
        endpoint_id: endpoint.id.0,
        revision: container.revision,
        status: Some(v1::ContainerStatus {
            phase: phase.into(),
            reason: condition.reason.word().to_owned(),
            message: condition.message.clone(),
            since: Some(timestamp(*since)),
            process: condition.process.map(process),
        }),
        command: container.command.clone(),
        environment: container.environment.clone().into_iter().collect(),
        resources: Some(resources(container.resources)),
        restart: Some(restart(container.restart)),
        stop_timeout_s: Some(container.stop_timeout_s),
        constraints: container.constraints.iter().map(ToString::to_string).collect(),
        affinities: container.affinities.iter().map(ToString::to_string).collect(),
        pinned: container.pinned,
        stopped: container.stopped,
        creation: None,
        health: container.health.as_ref().map(health),
        mounts: mounts(&container.mounts),
        replica_of: container.replica_of.as_ref().map_or_else(String::new, |replica| replica.service.clone()),
        service_version: container.replica_of.as_ref().map_or(0, |replica| replica.version),
    }
}

pub(super) fn journey(Journey { trace, reached }: Journey) -> v1::Journey {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let milestone = |milestone: Milestone| {
        Some(v1::Milestone {
            name: milestone.word().to_owned(),
            at_us: us(reached.since_received(milestone)?),
            took_us: us(reached.took(milestone)?),
        })
    };
    let milestones = Milestone::ALL.into_iter().filter_map(milestone).collect();
    v1::Journey { trace_id: trace.to_string(), milestones }
}

/// Where a container would go: first the node that is chosen, then those that could take it by points, then the others.
pub(super) fn placement(placement: Placement) -> v1::Placement {
    let Placement { mut verdicts, choice } = placement;
    let chosen = choice.as_ref().ok().map(|choice| choice.node.id);
    let rank = |Verdict { node, outcome, .. }: &Verdict| {
        (chosen == Some(node.id), outcome.as_ref().ok().map(Scores::sum))
    };
    verdicts.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.node.name.cmp(&b.node.name)));
    let (node, address, refusal) = match choice {
        Ok(Choice { node, grant }) => (node.name.clone(), grant.address.to_string(), String::new()),
        Err(refusal) => (String::new(), String::new(), refusal.to_string()),
    };
    v1::Placement { node, address, candidates: verdicts.into_iter().map(candidate).collect(), refusal }
}

fn candidate(verdict: Verdict) -> v1::Candidate {
    let node = verdict.node.name.clone();
    match verdict.outcome {
        Ok(Scores { load, image, block }) => v1::Candidate {
            node,
            load_score: load,
            image_score: image,
            block_score: block,
            ..v1::Candidate::default()
        },
        Err(TurnedAway { filter, sentence }) => v1::Candidate {
            node,
            filter: filter.word().to_owned(),
            message: sentence,
            ..v1::Candidate::default()
        },
    }
}

pub(super) fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
}

fn process(process: Process) -> v1::ProcessStatus {
    use v1::process_status::Health as Shown;
    let Process { started, finished, exit_code, oom_killed, restarts, health } = process;
    let running = started.is_some() && finished.is_none();
    v1::ProcessStatus {
        running,
        started: started.map(timestamp),
        finished: finished.map(timestamp),
        exit_code,
        oom_killed,
        restarts,
        health: match health {
            Health::Unchecked => Shown::Unspecified,
            Health::Checking => Shown::Checking,
            Health::Healthy => Shown::Healthy,
            Health::Unhealthy => Shown::Unhealthy,
        }
        .into(),
    }
}

fn process_of(process: v1::ProcessStatus) -> Result<Process, Status> {
    let time = |time: prost_types::Timestamp| {
        SystemTime::try_from(time).map_err(|_| Status::invalid_argument("a process's time is none"))
    };
    use v1::process_status::Health as Said;
    let health = match process.health() {
        Said::Unspecified => Health::Unchecked,
        Said::Checking => Health::Checking,
        Said::Healthy => Health::Healthy,
        Said::Unhealthy => Health::Unhealthy,
    };
    Ok(Process {
        health,
        started: process.started.map(time).transpose()?,
        finished: process.finished.map(time).transpose()?.filter(|_| !process.running),
        exit_code: process.exit_code,
        oom_killed: process.oom_killed,
        restarts: process.restarts,
    })
}

/// An agent's word on an endpoint.
///
/// # Errors
/// The state is none that this version knows.
pub(super) fn port_report(report: v1::EndpointReport) -> Result<(EndpointId, PortReport), Status> {
    use v1::endpoint_report::State;
    let state = match report.state() {
        State::Up => PortState::Up,
        State::Failed => PortState::Failed,
        State::OfportTaken => PortState::OfportTaken,
        State::Removed => PortState::Removed,
        State::Ended => PortState::Ended,
        State::Reserved => PortState::Reserved,
        State::Unspecified => {
            let (id, state) = (report.endpoint_id, report.state);
            return Err(Status::invalid_argument(format!(
                "endpoint {id} is reported in the unknown state {state}"
            )));
        }
    };
    let v1::EndpointReport { endpoint_id, ofport, message, reason, process, starts, .. } = report;
    let refused = match reason.as_str() {
        "FlowsPending" => Reason::FlowsPending,
        "ImageMissing" => Reason::ImageMissing,
        "Pulling" => Reason::Pulling,
        "StartRefused" => Reason::StartRefused,
        "RuntimeUnreachable" => Reason::RuntimeUnreachable,
        "Restarting" => Reason::Restarting,
        _ => Reason::PortRefused,
    };
    let process = process.map(process_of).transpose()?;
    let ofport = PortNo(ofport);
    Ok((EndpointId(endpoint_id), PortReport { state, ofport, message, refused, process, starts }))
}

pub(super) fn desired(desired: Desired) -> v1::Desired {
    let mut message =
        v1::Desired { revision: desired.revision, complete: desired.complete, ..Default::default() };
    for (id, endpoint) in desired.endpoints {
        match endpoint {
            Goal::Present(endpoint) => message.endpoints.push(desired_endpoint(*endpoint)),
            Goal::Removed { runtime } => {
                message.removed.push(v1::RemovedEndpoint { endpoint_id: id.0, runtime });
            }
        }
    }
    message
}

pub(super) fn desired_endpoint(endpoint: DesiredEndpoint) -> v1::DesiredEndpoint {
    let intended = &endpoint.intended;
    v1::DesiredEndpoint {
        endpoint_id: endpoint.id.0,
        pool: endpoint.pool,
        container: intended.name.clone(),
        runtime: intended.runtime.clone(),
        image: intended.image.clone(),
        command: intended.command.clone(),
        environment: intended.environment.clone().into_iter().collect(),
        resources: Some(resources(intended.resources)),
        restart: Some(restart(intended.restart)),
        stop_timeout_s: intended.stop_timeout_s,
        health: intended.health.as_ref().map(|health| v1::DesiredHealthCheck {
            line: health.probe.line(),
            interval_s: health.interval_s,
            retries: health.retries,
        }),
        mounts: mounts(&endpoint.mounts),
        stopped: intended.stopped,
        starts: intended.starts,
        flows_revision: intended.revision,
        network: endpoint.network,
        address: endpoint.address.to_string(),
        mac: endpoint.mac.to_string(),
        gateway: endpoint.gateway.map_or_else(String::new, |gateway| gateway.to_string()),
        mtu: endpoint.mtu,
        ofport: endpoint.ofport.0,
        tunnelled: endpoint.tunnelled,
    }
}
