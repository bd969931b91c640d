//! Between the API's messages and the model.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::SystemTime;

use flowlib::compile::model::{Driver, EndpointId};
use flowlib::types::PortNo;
use ipnet::Ipv4Net;
use tonic::Status;
use weir_api::v1;

use crate::intent::State;
use crate::intent::model::{Network, Node, NumberRange, Pool};
use crate::orchestrate::board::Posted;
use crate::orchestrate::containers::ContainerSpec;
use crate::orchestrate::lifecycle::NodeCondition;
use crate::orchestrate::networks::NetworkSpec;
use crate::orchestrate::outbox::{Desired, DesiredEndpoint};
use crate::orchestrate::pools::PoolSpec;
use crate::orchestrate::status::{Phase, PortReport, PortState};

/// Reads an address, a prefix, …; `what` and `example` go into the error.
fn parse<T: std::str::FromStr>(text: &str, what: &str, example: &str) -> Result<T, Status> {
    text.parse().map_err(|_| {
        let shown: String = text.escape_debug().take(80).collect();
        Status::invalid_argument(format!("the {what} `{shown}` is not one: it should look like {example}"))
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
    PoolSpec {
        name: pool.name,
        vlans: pool.vlans.map(range),
        vnis: pool.vnis.map(range),
        default_image: pool.default_image,
    }
}

pub(super) fn pool(pool: &Pool) -> v1::Pool {
    let range = |range: NumberRange| v1::Range { first: range.first, last: range.last };
    v1::Pool {
        name: pool.name.clone(),
        vlans: Some(range(pool.vlans)),
        vnis: Some(range(pool.vnis)),
        default_image: pool.default_image.clone(),
        revision: pool.revision,
    }
}

pub(super) fn network_spec(network: v1::Network) -> Result<NetworkSpec, Status> {
    if network.subnet.is_empty() {
        return Err(Status::invalid_argument("no subnet is given: it should look like 10.1.0.0/16"));
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
        used: count(space.used.range(block.prefix.network()..=block.prefix.broadcast()).count()),
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
    }
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
    })
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
        }),
    }
}

pub(super) fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
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
        State::Unspecified => {
            let (id, state) = (report.endpoint_id, report.state);
            return Err(Status::invalid_argument(format!(
                "endpoint {id} is reported in the unknown state {state}"
            )));
        }
    };
    let ofport = PortNo(report.ofport);
    Ok((EndpointId(report.endpoint_id), PortReport { state, ofport, message: report.message }))
}

pub(super) fn desired(desired: Desired) -> v1::Desired {
    let mut message =
        v1::Desired { revision: desired.revision, complete: desired.complete, ..Default::default() };
    for (id, endpoint) in desired.endpoints {
        match endpoint {
            Some(endpoint) => message.endpoints.push(desired_endpoint(endpoint)),
            None => message.removed.push(id.0),
        }
    }
    message
}

fn desired_endpoint(endpoint: DesiredEndpoint) -> v1::DesiredEndpoint {
    v1::DesiredEndpoint {
        endpoint_id: endpoint.id.0,
        pool: endpoint.pool,
        container: endpoint.container,
        runtime: endpoint.runtime,
        image: endpoint.image,
        network: endpoint.network,
        address: endpoint.address.to_string(),
        mac: endpoint.mac.to_string(),
        gateway: endpoint.gateway.map_or_else(String::new, |gateway| gateway.to_string()),
        mtu: endpoint.mtu,
        ofport: endpoint.ofport.0,
        tunnelled: endpoint.tunnelled,
    }
}
