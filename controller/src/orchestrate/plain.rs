//! Endpoints of nodes' own Dockers: containers that somebody else runs there, with Weir's network.
//!
//! A node's agent asks for them, ahead of time, and gives them back; Docker decides what becomes of the containers. So each is
//! a container record of a runtime of its own, which the controller neither starts nor stops nor moves.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use flowlib::compile::model::EndpointId;
use flowlib::pipeline::VIRTUAL_MAC;
use flowlib::types::MacAddr;

use crate::intent::model::{Container, Endpoint, Pool, Resources, RestartPolicy};
use crate::intent::{Refusal, State, Transaction};
use crate::network::ipam::Ask;

use super::containers::{self, Surroundings};
use super::outbox::DesiredEndpoint;
use super::{admissions, lifecycle, networks, nodes, plan, pools, quota};

/// The runtime of these endpoints.
pub const PLAIN: &str = "docker-plain";

/// An endpoint as a node asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSpec {
    /// The node's pool.
    pub pool: String,
    /// The node.
    pub node: String,
    /// The network.
    pub network: String,
    /// Its address; `None`: one of a block of the node.
    pub address: Option<Ipv4Addr>,
}

/// Which of a node's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The node's pool.
    pub pool: String,
    /// The node.
    pub node: String,
    /// The endpoint.
    pub id: EndpointId,
}

/// Whether a container is one of a node's own Docker.
#[must_use]
pub fn is_plain(container: &Container) -> bool {
    container.runtime == PLAIN
}

/// Refuses what only Docker may do.
///
/// # Errors
/// [`Refusal::Precondition`]: the container is one of a node's own Docker.
pub fn check(container: &Container) -> Result<(), Refusal> {
    if !is_plain(container) {
        return Ok(());
    }
    Err(Refusal::Precondition(format!(
        "the container `{}` is of its node's own Docker: start, stop, move and look into it there, with `docker`",
        container.name
    )))
}

/// Gives a node an endpoint, and says how the node is to make it.
///
/// # Errors
/// [`Refusal::NotFound`]: pool, node or network. [`Refusal::Denied`]: the node is revoked. [`Refusal::Exists`]: the address
/// is taken. [`Refusal::Invalid`]: no endpoint may have it. [`Refusal::Exhausted`]: there is no address, or no port number,
/// left, or the pool may have no more.
pub fn lease(
    tx: &mut Transaction<'_>,
    spec: &LeaseSpec,
    around: Surroundings<'_>,
) -> Result<DesiredEndpoint, Refusal> {
    let pool = pools::find(tx.state(), &spec.pool)?.clone();
    let node = nodes::find(tx.state(), &pool, &spec.node)?.clone();
    admissions::check(tx.state(), &pool, &node.name)?;
    quota::check(tx.state(), &pool, PLAIN, Resources::default())?;
    let network = networks::find(tx.state(), &pool, &spec.network)?.clone();
    let state = tx.state();
    let ask = Ask {
        network: &network,
        space: state.space(network.id),
        now_ms: around.now_ms,
        cool_down_ms: around.cool_down_ms,
    };
    let grant = match spec.address {
        Some(address) => ask.fixed(address),
        None => ask.any(&state.hosted(node.id).blocks),
    };
    let grant = grant.map_err(|error| plan::address_refusal(state, &network, error))?;
    let ofport = containers::ofport(state, around.ports, &node)?;
    containers::take(tx, &network, node.id, grant);
    let id = tx.new_endpoint_id();
    let mac = containers::container_mac(grant.address);
    let name = plan::made_up_name(tx.state(), &pool, format!("plain-{}", id.0));
    tx.put(Container {
        pool: pool.id,
        name: name.clone(),
        image: String::new(),
        runtime: PLAIN.to_owned(),
        command: Vec::new(),
        environment: BTreeMap::new(),
        resources: Resources::default(),
        restart: RestartPolicy::No,
        stop_timeout_s: 0,
        constraints: Vec::new(),
        affinities: Vec::new(),
        pinned: true,
        stopped: false,
        starts: 0,
        health: None,
        mounts: Vec::new(),
        replica_of: None,
        service: name,
        labels: BTreeMap::new(),
        endpoint: Endpoint { id, network: network.id, address: grant.address, mac, node: node.id, ofport },
        deleting: false,
        request_key: String::new(),
        revision: 0,
    });
    desired(tx.state(), id)
}

/// Gives an endpoint another MAC address. The same again changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`]: the node has no such endpoint. [`Refusal::Invalid`]: it cannot be had.
pub fn set_mac(tx: &mut Transaction<'_>, lease: &Lease, mac: MacAddr) -> Result<DesiredEndpoint, Refusal> {
    check_mac(tx.state(), pools::find(tx.state(), &lease.pool)?, mac)?;
    let container = find(tx.state(), lease)?.ok_or_else(|| {
        Refusal::NotFound(format!("the node `{}` has no endpoint {} for its Docker", lease.node, lease.id.0))
    })?;
    if container.endpoint.mac != mac {
        let endpoint = Endpoint { mac, ..container.endpoint.clone() };
        tx.put(Container { endpoint, ..Container::clone(&container) });
    }
    desired(tx.state(), lease.id)
}

/// What the translation of MAC addresses cannot have: those that mean something else to it.
fn check_mac(state: &State, pool: &Pool, mac: MacAddr) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::Invalid(format!("the MAC address {mac} cannot be had: {why}")));
    if mac.is_multicast() || mac == MacAddr::ZERO {
        return invalid("it is no interface's");
    }
    if mac == VIRTUAL_MAC {
        return invalid("all containers know each other by it");
    }
    match state.nodes().find(|node| node.nat_mac == mac) {
        Some(node) if node.pool == pool.id => {
            invalid(&format!("the node `{}` shows it to the fabric", node.name))
        }
        // Whoever asks need not know another pool's nodes.
        Some(_) => invalid("a node of another pool shows it to the fabric"),
        None => Ok(()),
    }
}

/// Takes an endpoint back: it is retiring from now on. One that is gone is no error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool or node.
pub fn release(tx: &mut Transaction<'_>, lease: &Lease) -> Result<(), Refusal> {
    if let Some(container) = find(tx.state(), lease)? {
        tx.put(Container { deleting: true, ..Container::clone(&container) });
        containers::retire(tx, &container);
    }
    Ok(())
}

/// The record of an endpoint that a node has for its Docker, if it is intended to be there.
fn find(state: &State, lease: &Lease) -> Result<Option<Arc<Container>>, Refusal> {
    let pool = pools::find(state, &lease.pool)?;
    let node = nodes::find(state, pool, &lease.node)?.id;
    let is_its = |c: &&Arc<Container>| is_plain(c) && !c.deleting && c.endpoint.node == node;
    Ok(state.container_of(lease.id).filter(is_its).cloned())
}

fn desired(state: &State, id: EndpointId) -> Result<DesiredEndpoint, Refusal> {
    let container = state.container_of(id);
    let desired = container.and_then(|container| lifecycle::desired(state, container));
    desired.ok_or_else(|| Refusal::NotFound(format!("the network of the endpoint {} is gone", id.0)))
}
