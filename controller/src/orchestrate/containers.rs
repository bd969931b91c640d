//! Requests about containers: what they change in the intent.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use flowlib::compile::model::{EndpointId, NodeId};
use flowlib::types::{MacAddr, PortNo};

use crate::intent::model::{
    Block, Container, Cooling, Endpoint, HealthCheck, Key, Mount, Network, Node, Pool, Probe, ReplicaOf,
    Resources, RestartPolicy, Retiring, Rule,
};
use crate::intent::{Refusal, State, Transaction};
use crate::network::ipam::Grant;

use super::links::Links;
use super::ofport::Ports;
use super::plan::Plan;
use super::scheduler::{self, Choice, Place};
use super::{name, nodes, plain, pools, volumes};

/// The runtime of containers without an image: a network namespace.
pub const NETNS: &str = "netns";
/// The runtime of containers with an image.
pub const DOCKER: &str = "docker";
/// Bytes of a command and an environment together; the kernel takes little more (execve(2)).
const MAX_TEXT: usize = 128 * 1024;
/// Seconds a process is given to end when nothing else is said, as Docker has it.
const STOP_TIMEOUT_S: u32 = 10;
/// The longest it may be given: whoever waits for the end waits no longer.
const MAX_STOP_TIMEOUT_S: u32 = 600;
/// Bytes of a health check's command.
const MAX_CHECK: usize = 4096;
/// The longest time between two health checks.
const MAX_INTERVAL_S: u32 = 3600;
/// The most failures that make unhealthy.
const MAX_RETRIES: u32 = 100;

/// A container as asked for; what is empty is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Whose it is to be.
    pub pool: String,
    /// Its name; empty: one is made up.
    pub name: String,
    /// What it runs; empty: the pool's default.
    pub image: String,
    /// What runs it; empty: [`DOCKER`] if there is an image, otherwise [`NETNS`].
    pub runtime: String,
    /// What it runs instead of the image's own command; may be empty.
    pub command: Vec<String>,
    /// Environment variables, added to the image's.
    pub environment: BTreeMap<String, String>,
    /// Its limits.
    pub resources: Resources,
    /// Whether its process is started again.
    pub restart: RestartPolicy,
    /// Seconds its process is given to end; `None`: 10.
    pub stop_timeout_s: Option<u32>,
    /// What its node's labels must be.
    pub constraints: Vec<Rule>,
    /// What must be on its node, or must not.
    pub affinities: Vec<Rule>,
    /// The network it is attached to.
    pub network: String,
    /// The name it is published under; empty: its own.
    pub service: String,
    /// Its address; `None`: one of a block of its node.
    pub address: Option<Ipv4Addr>,
    /// The node it must be on; empty: the scheduler's choice.
    pub node: String,
    /// How its health is checked; `None`: as its image says, if that does.
    pub health: Option<HealthCheck>,
    /// What is mounted in it.
    pub mounts: Vec<Mount>,
    /// The service that makes it, if one does.
    pub replica_of: Option<ReplicaOf>,
    /// What its owner says of it.
    pub labels: BTreeMap<String, String>,
}

/// What a request needs to know beyond the intent.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Which nodes are connected.
    pub links: &'a Links,
    /// Which port numbers others use.
    pub ports: &'a Ports,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How long a released address is not given again by choice.
    pub cool_down_ms: u64,
}

/// The container of that name.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &str, name: &str) -> Result<&'a Arc<Container>, Refusal> {
    let pool = pools::find(state, pool)?;
    if name.is_empty() {
        return Err(Refusal::Invalid("no container is named".to_owned()).of("name"));
    }
    state.container(&(pool.id, name.to_owned())).ok_or_else(|| {
        Refusal::NotFound(format!(
            "there is no container `{}` in the pool `{}`",
            name.escape_debug(),
            pool.name
        ))
        .of("name")
    })
}

/// Creates a container: place, address, port number. The same one again is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool, network or node. [`Refusal::Exists`]: the name with other content, or a taken address.
/// [`Refusal::Invalid`]: a bad name, or an address that no endpoint may have. [`Refusal::Exhausted`]: the subnet or the
/// nodes are full. [`Refusal::Precondition`]: every node is turned away for another reason. [`Refusal::Unavailable`]: no
/// node is connected.
pub fn create(
    tx: &mut Transaction<'_>,
    spec: &ContainerSpec,
    around: Surroundings<'_>,
) -> Result<Arc<Container>, Refusal> {
    let plan = Plan::new(tx.state(), spec)?;
    if let Some(existing) = plan.existing {
        return Ok(existing);
    }
    let id = tx.new_endpoint_id();
    let name = plan.name(tx.state(), id);
    let Choice { node, grant } = plan.place(tx.state(), &name, around)?.choice?;
    let Plan { pool, network, what, .. } = plan;
    take(tx, &network, node.id, grant);
    volumes::make(tx, &pool, &spec.mounts, node.id)?;
    let ofport = ofport(tx.state(), around.ports, &node)?;
    let mac = container_mac(grant.address);
    let endpoint = Endpoint { id, network: network.id, address: grant.address, mac, node: node.id, ofport };
    tx.put(Container {
        pool: pool.id,
        image: what.image,
        runtime: what.runtime,
        command: spec.command.clone(),
        environment: spec.environment.clone(),
        resources: spec.resources,
        restart: spec.restart,
        stop_timeout_s: spec.stop_timeout_s.unwrap_or(STOP_TIMEOUT_S),
        constraints: spec.constraints.clone(),
        affinities: spec.affinities.clone(),
        pinned: !spec.node.is_empty() || volumes::names(&spec.mounts).next().is_some(),
        stopped: false,
        starts: 0,
        health: spec.health.clone(),
        mounts: spec.mounts.clone(),
        service: or(&spec.service, &name),
        replica_of: spec.replica_of.clone(),
        labels: spec.labels.clone(),
        endpoint,
        deleting: false,
        request_key: String::new(),
        revision: 0,
        name: name.clone(),
    });
    find(tx.state(), &spec.pool, &name).cloned()
}

fn or(value: &str, default: &str) -> String {
    if value.is_empty() { default } else { value }.to_owned()
}

/// What a container runs, and what runs it.
#[derive(Debug)]
pub(super) struct What {
    /// The image; may be empty.
    pub(super) image: String,
    /// The runtime's name.
    pub(super) runtime: String,
}

/// Completes what a request says of image and runtime, and checks that they go together.
pub(super) fn what(spec: &ContainerSpec, pool: &Pool) -> Result<What, Refusal> {
    let needs_no_image = spec.runtime == NETNS;
    let image = if needs_no_image { spec.image.clone() } else { or(&spec.image, &pool.default_image) };
    let runtime = or(&spec.runtime, if image.is_empty() { NETNS } else { DOCKER });
    let invalid = |field, sentence: String| Err(Refusal::Invalid(sentence).of(field));
    let of_process = [
        ("command", "a command", !spec.command.is_empty()),
        ("environment", "an environment", !spec.environment.is_empty()),
        ("resources", "limits", spec.resources != Resources::default()),
        ("restart", "a restart policy", spec.restart != RestartPolicy::No),
        ("stop_timeout_s", "a stop timeout", spec.stop_timeout_s.is_some()),
        ("health", "a health check", spec.health.is_some()),
        ("mounts", "a mount", !spec.mounts.is_empty()),
    ];
    match runtime.as_str() {
        DOCKER if image.is_empty() => {
            invalid("image", "the runtime `docker` needs an image, and the pool has no default".to_owned())
        }
        DOCKER => Ok(What { image, runtime }),
        NETNS if !image.is_empty() => invalid(
            "image",
            format!(
                "the runtime `netns` has no processes and takes no image, but `{}` is given",
                image.escape_debug()
            ),
        ),
        NETNS => match of_process.into_iter().find(|(.., given)| *given) {
            Some((field, what, _)) => invalid(
                field,
                format!("the runtime `netns` has no processes: {what} needs an image and `docker`"),
            ),
            None => Ok(What { image, runtime }),
        },
        other => {
            let other = other.escape_debug();
            invalid("runtime", format!("there is no runtime `{other}`; there are: {DOCKER}, {NETNS}"))
        }
    }
}

/// Checks what can be checked without the state.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Refusal> {
    if !spec.name.is_empty() {
        name::check("container", &spec.name)?;
    }
    if !spec.service.is_empty() {
        name::check("service", &spec.service).map_err(|refusal| refusal.of("service"))?;
    }
    name::check_labels(&spec.labels)?;
    name::check_rules("constraint", &spec.constraints).map_err(|refusal| refusal.of("constraints"))?;
    name::check_rules("affinity", &spec.affinities).map_err(|refusal| refusal.of("affinities"))?;
    if spec.image.len() > 4096 {
        return Err(Refusal::Invalid("the image's name is longer than 4096 bytes".to_owned()).of("image"));
    }
    for name in spec.environment.keys() {
        if name.is_empty() || name.contains(['=', '\0']) {
            let name = name.escape_debug();
            let sentence = format!("`{name}` is no name of an environment variable");
            return Err(Refusal::Invalid(sentence).of("environment"));
        }
    }
    if let Some(seconds) = spec.stop_timeout_s.filter(|seconds| *seconds > MAX_STOP_TIMEOUT_S) {
        return Err(Refusal::Invalid(format!(
            "{seconds} s is too long a stop timeout: a process is given {MAX_STOP_TIMEOUT_S} s at most"
        ))
        .of("stop_timeout_s"));
    }
    spec.health.as_ref().map_or(Ok(()), check_health)?;
    volumes::check(&spec.mounts)?;
    let texts = spec.command.iter().chain(spec.environment.iter().flat_map(|(name, value)| [name, value]));
    let n_bytes: usize = texts.clone().map(String::len).sum();
    if n_bytes > MAX_TEXT || texts.clone().any(|text| text.contains('\0')) {
        return Err(Refusal::Invalid(format!(
            "command and environment hold at most {MAX_TEXT} bytes together, and no zero bytes"
        ))
        .of("command"));
    }
    Ok(())
}

fn check_health(health: &HealthCheck) -> Result<(), Refusal> {
    let invalid = |sentence: String| Err(Refusal::Invalid(sentence).of("health"));
    match &health.probe {
        Probe::Command(line) if line.is_empty() || line.len() > MAX_CHECK || line.contains('\0') => {
            invalid(format!("a health check's command has 1 to {MAX_CHECK} bytes, and no zero bytes"))
        }
        Probe::Http(0, _) => invalid("a health check by HTTP needs a port: 1 to 65535".to_owned()),
        Probe::Http(_, path) if !is_path(path) => invalid(
            "a health check's path begins with `/` and has at most 1024 of the characters that a URL has"
                .to_owned(),
        ),
        _ if !(1..=MAX_INTERVAL_S).contains(&health.interval_s) => {
            let seconds = health.interval_s;
            invalid(format!("{seconds} s is no interval of health checks: 1 to {MAX_INTERVAL_S} s are"))
        }
        _ if !(1..=MAX_RETRIES).contains(&health.retries) => {
            let retries = health.retries;
            invalid(format!("{retries} is no number of failures that make unhealthy: 1 to {MAX_RETRIES} are"))
        }
        _ => Ok(()),
    }
}

/// Whether a path can stand in a URL, and between quotes of a shell.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~?=&%+,:@".contains(&byte);
    path.starts_with('/') && path.len() <= 1024 && path.bytes().all(plain)
}

/// A request for a name that is there: the same container, or an error that says how it differs.
pub(super) fn again(
    state: &State,
    existing: &Arc<Container>,
    spec: &ContainerSpec,
    what: &What,
    network: &Network,
) -> Result<Arc<Container>, Refusal> {
    let exists = |field, what: String| {
        let sentence = format!("the container `{}` of the pool `{}` {what}", spec.name, spec.pool);
        Err(Refusal::Exists(sentence).of(field))
    };
    if existing.deleting {
        return exists("name", "is being deleted: its name is free when that is done".to_owned());
    }
    let endpoint = &existing.endpoint;
    let node = state.node(endpoint.node).map_or("", |node| &node.name);
    let its_network = state.network(endpoint.network).map_or("", |network| &network.name);
    let differs = [
        ("network", endpoint.network != network.id, its_network.to_owned()),
        ("image", existing.image != what.image, existing.image.clone()),
        ("runtime", existing.runtime != what.runtime, existing.runtime.clone()),
        ("command", existing.command != spec.command, existing.command.join(" ")),
        ("environment", existing.environment != spec.environment, pairs(&existing.environment)),
        ("limits", existing.resources != spec.resources, existing.resources.to_string()),
        ("restart policy", existing.restart != spec.restart, existing.restart.to_string()),
        (
            "stop timeout",
            spec.stop_timeout_s.is_some_and(|s| s != existing.stop_timeout_s),
            format!("{} s", existing.stop_timeout_s),
        ),
        ("constraints", existing.constraints != spec.constraints, list(&existing.constraints)),
        ("affinities", existing.affinities != spec.affinities, list(&existing.affinities)),
        ("health check", existing.health != spec.health, list(&existing.health)),
        ("mounts", existing.mounts != spec.mounts, list(&existing.mounts)),
        ("service", existing.service != or(&spec.service, &spec.name), existing.service.clone()),
        ("address", spec.address.is_some_and(|a| a != endpoint.address), endpoint.address.to_string()),
        ("node", !spec.node.is_empty() && spec.node != node, node.to_owned()),
        ("labels", existing.labels != spec.labels, pairs(&existing.labels)),
    ];
    match differs.into_iter().find(|(_, differs, _)| *differs) {
        Some((what, _, is)) => {
            let there =
                if is.is_empty() { format!("it has no {what}") } else { format!("its {what} is `{is}`") };
            exists(field_of(what), format!("exists with other content: {there}"))
        }
        None => Ok(existing.clone()),
    }
}

/// What the API calls what people call so.
fn field_of(what: &'static str) -> &'static str {
    match what {
        "limits" => "resources",
        "restart policy" => "restart",
        "stop timeout" => "stop_timeout_s",
        "health check" => "health",
        same => same,
    }
}

fn list<'a, T: ToString + 'a>(all: impl IntoIterator<Item = &'a T>) -> String {
    all.into_iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// As people write them, `KEY=VALUE, KEY=VALUE`.
pub(super) fn pairs(all: &BTreeMap<String, String>) -> String {
    list(&all.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>())
}

/// Records what a grant brings along: the node's new block, and the end of a cool-down.
pub(super) fn take(tx: &mut Transaction<'_>, network: &Network, node: NodeId, grant: Grant) {
    if let Some(prefix) = grant.new_block {
        tx.put(Block { network: network.id, prefix, node, revision: 0 });
    }
    tx.delete(&Key::Cooling(network.id, grant.address));
}

pub(super) fn ofport(state: &State, ports: &Ports, node: &Node) -> Result<PortNo, Refusal> {
    let chosen = ports.choose(node.id, &state.hosted(node.id).ofports);
    chosen.ok_or_else(|| Refusal::Exhausted(format!("the node `{}` has no port number left", node.name)))
}

/// The address's own MAC address: it stays the same wherever the container goes, and whoever has the address next.
pub(super) fn container_mac(address: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = address.octets();
    MacAddr([0x02, 0x42, a, b, c, d])
}

/// Marks a container as deleting and its endpoint as retiring; again is not an error.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn delete(tx: &mut Transaction<'_>, pool: &str, name: &str) -> Result<Arc<Container>, Refusal> {
    let container = find(tx.state(), pool, name)?.clone();
    if container.deleting {
        return Ok(container);
    }
    tx.put(Container { deleting: true, ..Container::clone(&container) });
    retire(tx, &container);
    find(tx.state(), pool, name).cloned()
}

pub(super) fn retire(tx: &mut Transaction<'_>, container: &Container) {
    let Container { pool, name, runtime, resources, endpoint, .. } = container;
    tx.put(Retiring {
        endpoint: endpoint.clone(),
        pool: *pool,
        container: name.clone(),
        runtime: runtime.clone(),
        resources: *resources,
        revision: 0,
    });
}

/// Moves a container to the node of that name, or if it is empty to another of the scheduler's choice. Name, address and
/// MAC stay; endpoint and port number are new. To where it is already is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool, container or node. [`Refusal::Precondition`]: it is being deleted, or no node may take
/// it. [`Refusal::Exhausted`]: no node has room. [`Refusal::Unavailable`]: the node is not connected.
pub fn migrate(
    tx: &mut Transaction<'_>,
    (pool, name): (&str, &str),
    node: &str,
    around: Surroundings<'_>,
) -> Result<Arc<Container>, Refusal> {
    let container = find(tx.state(), pool, name)?.clone();
    let its_pool = pools::find(tx.state(), pool)?.clone();
    if container.deleting {
        return Err(Refusal::Precondition(format!(
            "the container `{name}` of the pool `{pool}` is being deleted"
        )));
    }
    plain::check(&container)?;
    let here = container.endpoint.node;
    let named = Some(node).filter(|node| !node.is_empty());
    let named = named.map(|node| nodes::find(tx.state(), &its_pool, node)).transpose()?.map(|node| node.id);
    if named == Some(here) {
        return Ok(container);
    }
    let network = tx.state().network(container.endpoint.network).cloned().ok_or_else(|| {
        Refusal::Precondition(format!("the network of the container `{name}` of the pool `{pool}` is gone"))
    })?;
    let except = named.is_none().then_some(here);
    let place = Place { named, except, ..place_of(&container, &its_pool, &network, around) };
    let Choice { node, grant } = scheduler::place(tx.state(), around.links, &place).choice?;
    let ofport = ofport(tx.state(), around.ports, &node)?;
    take(tx, &network, node.id, grant);
    let id = tx.new_endpoint_id();
    let endpoint = Endpoint { id, node: node.id, ofport, ..container.endpoint.clone() };
    tx.put(Container { endpoint, pinned: named.is_some(), ..Container::clone(&container) });
    retire(tx, &container);
    find(tx.state(), pool, name).cloned()
}

/// What a container that is somewhere asks of another place.
fn place_of<'a>(
    container: &'a Container,
    pool: &'a Pool,
    network: &'a Network,
    around: Surroundings<'_>,
) -> Place<'a> {
    Place {
        pool,
        network,
        address: Some(container.endpoint.address),
        name: &container.name,
        labels: &container.labels,
        image: &container.image,
        runtime: &container.runtime,
        resources: container.resources,
        constraints: &container.constraints,
        affinities: &container.affinities,
        mounts: &container.mounts,
        replica_of: container.replica_of.as_ref(),
        itself: Some(container),
        named: None,
        except: None,
        now_ms: around.now_ms,
        cool_down_ms: around.cool_down_ms,
    }
}

/// Ends an endpoint's retirement: its port and flows are gone. Its container goes too if it was deleted, and the address
/// cools down if nothing else has it.
pub fn retired(tx: &mut Transaction<'_>, endpoint: EndpointId, now_ms: u64) {
    let Some(retiring) = tx.state().retiring(endpoint).cloned() else { return };
    tx.delete(&Key::Retiring(endpoint));
    if let Some(container) = tx.state().container_of(endpoint).filter(|container| container.deleting) {
        let key = Key::Container((container.pool, container.name.clone()));
        tx.delete(&key);
    }
    let Endpoint { network, address, .. } = retiring.endpoint;
    if !tx.state().space(network).used.contains_key(&address) {
        tx.put(Cooling { network, address, released_ms: now_ms, revision: 0 });
    }
}

/// Gives an endpoint another port number, if it still has the one that was refused.
///
/// # Errors
/// [`Refusal::Exhausted`]: no number is left on the node.
pub fn choose_ofport(
    tx: &mut Transaction<'_>,
    endpoint: EndpointId,
    refused: PortNo,
    ports: &Ports,
) -> Result<(), Refusal> {
    let Some(container) = tx.state().container_of(endpoint).cloned() else { return Ok(()) };
    if container.deleting || container.endpoint.ofport != refused {
        return Ok(());
    }
    let Some(node) = tx.state().node(container.endpoint.node) else { return Ok(()) };
    let ofport = ofport(tx.state(), ports, node)?;
    let endpoint = Endpoint { ofport, ..container.endpoint.clone() };
    tx.put(Container { endpoint, ..Container::clone(&container) });
    Ok(())
}

/// Forgets cool-downs that are over, at most `limit` of them; says how many it forgot.
pub fn sweep_cooling(tx: &mut Transaction<'_>, now_ms: u64, cool_down_ms: u64, limit: usize) -> usize {
    let state = tx.state();
    let all = state.networks().flat_map(|network| state.space(network.id).cooling.values());
    let over = all.filter(|cooling| now_ms.saturating_sub(cooling.released_ms) >= cool_down_ms);
    let over: Vec<Key> =
        over.take(limit).map(|cooling| Key::Cooling(cooling.network, cooling.address)).collect();
    for key in &over {
        tx.delete(key);
    }
    over.len()
}
