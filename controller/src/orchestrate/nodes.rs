//! Requests about nodes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use flowlib::compile::model::NodeId;
use flowlib::types::{DatapathId, MacAddr};

use crate::intent::model::{Key, Node, Pool, Resources, Scheduling};
use crate::intent::{Refusal, State, Transaction};

use super::{admissions, containers, name, pools};

/// A node as its agent describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Whose it is.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Its switch's identity.
    pub datapath_id: DatapathId,
    /// Its VTEP's address.
    pub tunnel_address: Ipv4Addr,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
    /// What containers may use of it, all together; 0 is not counted.
    pub capacity: Resources,
    /// Where its agent serves metrics, if others can reach that.
    pub metrics: Option<SocketAddr>,
}

/// The node of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &Pool, name: &str) -> Result<&'a Arc<Node>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::Invalid("no node is named".to_owned()).of("node"));
    }
    state.node_named(pool.id, name).ok_or_else(|| {
        let name = name.escape_debug();
        Refusal::NotFound(format!("there is no node `{name}` in the pool `{}`", pool.name)).of("node")
    })
}

/// The revision of the node of that name, or of its admission if it has not been seen.
///
/// # Errors
/// As [`find`].
pub fn revision(state: &State, pool: &Pool, name: &str) -> Result<u64, Refusal> {
    match (state.node_named(pool.id, name), state.admission(pool.id, name)) {
        (None, Some(admission)) => Ok(admission.revision),
        _ => find(state, pool, name).map(|node| node.revision),
    }
}

/// Takes up a node, or what has changed about it.
///
/// # Errors
/// [`Refusal::NotFound`]: no such pool. [`Refusal::Exists`]: another node has its datapath id or tunnel address.
/// [`Refusal::Invalid`]: name, labels, datapath id or tunnel address. [`Refusal::Denied`]: it is revoked, or has joined and
/// names a datapath id that is not its own.
pub fn register(tx: &mut Transaction<'_>, spec: NodeSpec) -> Result<Arc<Node>, Refusal> {
    name::check("node", &spec.name)?;
    name::check_labels(&spec.labels)?;
    let pool = pools::find(tx.state(), &spec.pool)?.clone();
    admissions::check(tx.state(), &pool, &spec.name)?;
    check_datapath(tx.state(), &pool, &spec)?;
    check_identity(tx.state(), &pool, &spec)?;
    let known = tx.state().node_named(pool.id, &spec.name).cloned();
    let (id, nat_mac) = match &known {
        Some(node) => (node.id, node.nat_mac),
        None => {
            let id = tx.new_node_id();
            (id, nat_mac(tx.state().settings().mac_salt, id))
        }
    };
    let node = Node {
        id,
        pool: pool.id,
        name: spec.name.clone(),
        datapath_id: spec.datapath_id,
        nat_mac,
        tunnel_address: spec.tunnel_address,
        labels: spec.labels,
        capacity: spec.capacity,
        metrics: spec.metrics,
        scheduling: known.as_ref().map_or_else(Default::default, |node| node.scheduling),
        revision: known.as_ref().map_or(0, |node| node.revision),
    };
    if known.as_deref() != Some(&node) {
        tx.put(node);
    }
    find(tx.state(), &pool, &spec.name).cloned()
}

/// One that has joined may not take the datapath id of another, which may yet come.
fn check_datapath(state: &State, pool: &Pool, spec: &NodeSpec) -> Result<(), Refusal> {
    let own = DatapathId::of_node(&pool.name, &spec.name);
    if state.admission(pool.id, &spec.name).is_none() || spec.datapath_id == own {
        return Ok(());
    }
    Err(Refusal::Denied(format!(
        "the datapath id of the node `{}` of the pool `{}` is {own}, not {}",
        spec.name, pool.name, spec.datapath_id
    )))
}

fn check_identity(state: &State, pool: &Pool, spec: &NodeSpec) -> Result<(), Refusal> {
    if spec.datapath_id.0 == 0 {
        return Err(Refusal::Invalid("a datapath id of 0 is none".to_owned()));
    }
    let address = spec.tunnel_address;
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast() {
        return Err(Refusal::Invalid(format!(
            "{address} is no tunnel address: other nodes must be able to reach it"
        )));
    }
    let is_other = |node: &Node| node.pool != pool.id || node.name != spec.name;
    if let Some(other) = state.node_of_datapath(spec.datapath_id).filter(|node| is_other(node)) {
        let whose = if other.pool == pool.id {
            format!("the node `{}` of the pool `{}`", other.name, pool.name)
        } else {
            "a node of another pool".to_owned()
        };
        return Err(Refusal::Exists(format!("the datapath id {} is that of {whose}", spec.datapath_id)));
    }
    // The address that it has already is no other's: thousands come again after a restart.
    let own = state.node_named(pool.id, &spec.name);
    if own.is_some_and(|node| node.tunnel_address == address) {
        return Ok(());
    }
    let mut members = state.members(pool.id).nodes.iter().filter_map(|id| state.node(*id));
    match members.find(|node| node.tunnel_address == address && is_other(node)) {
        Some(other) => Err(Refusal::Exists(format!(
            "the tunnel address {address} is that of the node `{}` of the pool `{}`",
            other.name, pool.name
        ))),
        None => Ok(()),
    }
}

/// Says whether a node is given containers, and keeps those it has. The same again changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`]: pool or node.
pub fn schedule(
    tx: &mut Transaction<'_>,
    pool: &str,
    name: &str,
    scheduling: Scheduling,
) -> Result<Arc<Node>, Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    let node = find(tx.state(), &pool, name).map_err(|refusal| refusal.of("name"))?.clone();
    if node.scheduling != scheduling {
        tx.put(Node { scheduling, ..Node::clone(&node) });
    }
    find(tx.state(), &pool, name).cloned()
}

/// A locally administered address: 0e, the store's 16 random bits, the node's number.
fn nat_mac(salt: u16, id: NodeId) -> MacAddr {
    let [s, t] = salt.to_be_bytes();
    let [_, a, b, c] = id.0.to_be_bytes();
    MacAddr([0x0e, s, t, a, b, c])
}

/// Forgets a node, its blocks, its volumes, and what is left of containers that were deleted from it; or that one has joined
/// that has not been seen.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`] while it has containers, or its agent is connected and has no certificate,
/// or if all that is known of it is that it is revoked.
pub fn delete(
    tx: &mut Transaction<'_>,
    pool: &str,
    name: &str,
    agent_connected: impl FnOnce(NodeId) -> bool,
    now_ms: u64,
) -> Result<(), Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    let Some(node) = tx.state().node_named(pool.id, name).cloned() else {
        return admissions::forget_unseen(tx, &pool, name);
    };
    let hosted = tx.state().hosted(node.id).clone();
    if !hosted.live.is_empty() {
        return Err(Refusal::Precondition(format!(
            "the node `{name}` of the pool `{}` has {} containers: delete or move them first",
            pool.name,
            hosted.live.len()
        )));
    }
    // One that was admitted by a certificate is so no longer, and does not come back.
    let is_admitted = tx.state().admission(pool.id, name).is_some();
    if !is_admitted && agent_connected(node.id) {
        return Err(Refusal::Precondition(format!(
            "the agent of the node `{name}` of the pool `{}` is connected: stop it first, or it comes back",
            pool.name
        )));
    }
    for endpoint in hosted.retiring {
        containers::retired(tx, endpoint, now_ms);
    }
    for (network, prefix) in hosted.blocks {
        tx.delete(&Key::Block(network, prefix));
    }
    // What is in its volumes stays on its disk; nobody reaches it there.
    let volumes = tx.state().volumes().filter(|volume| volume.node == node.id);
    let volumes: Vec<Key> = volumes.map(|volume| Key::Volume((volume.pool, volume.name.clone()))).collect();
    volumes.iter().for_each(|volume| tx.delete(volume));
    tx.delete(&Key::Node(node.id));
    admissions::forget(tx, &pool, name);
    Ok(())
}
