//! The records of the store: what is intended, each with the revision of its last change.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use flowlib::compile::model::{Driver, EndpointId, NetworkId, NodeId, PoolId};
use flowlib::types::{DatapathId, MacAddr, PortNo};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Numbers given by the store, and what identifies the store itself. There is one such record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// 16 random bits, the middle of every NAT MAC that this store gives: two controllers on one fabric differ in them.
    pub mac_salt: u16,
    /// The last number given to a pool.
    pub last_pool: u32,
    /// The last number given to a network.
    pub last_network: u32,
    /// The last number given to a node.
    pub last_node: u32,
    /// The last number given to an endpoint.
    pub last_endpoint: u32,
    /// The last number given to an admission.
    #[serde(default)]
    pub last_admission: u32,
    /// There has been a token of an administrator: from then on users must show who they are, also when it is gone.
    #[serde(default)]
    pub guarded: bool,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// An inclusive range of VLAN ids or VXLAN network identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

/// Which of the nodes that can take a container gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The emptiest.
    #[default]
    Spread,
    /// The fullest.
    Binpack,
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spread => "spread",
            Self::Binpack => "binpack",
        })
    }
}

/// An amount of a node's resources: a container's limits, or what a node has. 0: none is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
}

impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu_millis, memory_bytes, pids } = self;
        write!(
            f,
            "{cpu_millis} thousandths of a cpu, {memory_bytes} bytes of memory, {pids} processes (0: no limit)"
        )
    }
}

/// What a pool may use at most, all together; 0: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Containers.
    pub containers: u32,
    /// Thousandths of a processor, as containers' limits say.
    pub cpu_millis: u32,
    /// Bytes of memory, as containers' limits say.
    pub memory_bytes: u64,
    /// Addresses.
    pub addresses: u32,
}

impl std::fmt::Display for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { containers, cpu_millis, memory_bytes, addresses } = self;
        write!(
            f,
            "{containers} containers, {cpu_millis} thousandths of a cpu, {memory_bytes} bytes of memory, {addresses} \
             addresses (0: no limit)"
        )
    }
}

/// Whether a process that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// It is not.
    #[default]
    No,
    /// If it ended with another code than 0, so many times at most; 0: without end.
    OnFailure(u32),
    /// Whatever it ended with.
    Always,
}

impl std::fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(times) => write!(f, "on-failure:{times}"),
            Self::Always => f.write_str("always"),
        }
    }
}

/// A condition on labels: those of a node, or of the containers on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The label, or `node` or `container` for a name.
    pub key: String,
    /// `==`; otherwise `!=`.
    pub equal: bool,
    /// The value.
    pub value: String,
}

impl Rule {
    /// Whether a label is as the rule wants it; one that is missing is unequal to anything.
    #[must_use]
    pub fn holds(&self, label: Option<&str>) -> bool {
        (label == Some(self.value.as_str())) == self.equal
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.key, if self.equal { "==" } else { "!=" }, self.value)
    }
}

/// Whether a node is given containers, and keeps those it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduling {
    /// It is given containers.
    #[default]
    Active,
    /// It keeps what it has and is given nothing more.
    Cordoned,
    /// It is given nothing more, and what it has is moved elsewhere.
    Draining,
}

/// Nodes under one security boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its number.
    pub id: PoolId,
    /// Its name, unique in the store.
    pub name: String,
    /// VLAN ids for networks that ask for none in particular.
    pub vlans: NumberRange,
    /// VXLAN network identifiers for networks that ask for none in particular.
    pub vnis: NumberRange,
    /// The image of containers created without one; may be empty.
    pub default_image: String,
    /// Where its containers go.
    #[serde(default)]
    pub placement: Strategy,
    /// What it may use at most.
    #[serde(default)]
    pub quota: Quota,
    /// Where its nodes pull images from: addresses of registry proxies, by the registry that each stands for.
    #[serde(default)]
    pub registry_proxies: BTreeMap<String, String>,
    /// The key of the request that made it; empty: it had none.
    #[serde(default)]
    pub request_key: String,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// One L3 segment of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its number.
    pub id: NetworkId,
    /// Whose it is.
    pub pool: PoolId,
    /// Its name, unique in the pool.
    pub name: String,
    /// How it reaches other nodes, with its VLAN id or VXLAN network identifier.
    pub driver: Driver,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// The next hop of what is not in the subnet; VLANs only.
    pub gateway: Option<Ipv4Addr>,
    /// Bytes of an endpoint's largest IP packet.
    pub mtu: u32,
    /// Prefix length of the blocks given to nodes.
    pub block_prefix_len: u8,
    /// The key of the request that made it; empty: it had none.
    #[serde(default)]
    pub request_key: String,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// A host with Open vSwitch and an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Whose it is.
    pub pool: PoolId,
    /// Its name, unique in the pool.
    pub name: String,
    /// Its switch's identity, unique in the store.
    pub datapath_id: DatapathId,
    /// The one address it shows on the fabric.
    pub nat_mac: MacAddr,
    /// Its VTEP's address, unique in the pool.
    pub tunnel_address: Ipv4Addr,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
    /// What containers may use of it, all together; 0 is not counted.
    #[serde(default)]
    pub capacity: Resources,
    /// Where its agent serves metrics, if others can reach that.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// Whether it is given containers.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// The store's revision at the last change.
    pub revision: u64,
}

impl Node {
    /// What a constraint's key means in this node: its name for `node`, else the label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        if key == "node" { Some(&self.name) } else { self.labels.get(key).map(String::as_str) }
    }
}

/// A slice of a subnet, given to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Whose subnet.
    pub network: NetworkId,
    /// Its addresses.
    pub prefix: Ipv4Net,
    /// The node it was given to.
    pub node: NodeId,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// One attachment of a container to a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its number; a container that moves gets a new endpoint.
    pub id: EndpointId,
    /// The network it is attached to.
    pub network: NetworkId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Where it is.
    pub node: NodeId,
    /// Its port on its node's br-int.
    pub ofport: PortNo,
}

/// How it is found out whether a container's process does its work: by a command inside, as Docker's HEALTHCHECK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Seconds from one check to the next, and for its answer.
    pub interval_s: u32,
    /// After how many failures in a row it is unhealthy.
    pub retries: u32,
}

impl std::fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.probe {
            Probe::Command(line) => f.write_str(line)?,
            Probe::Http(port, path) => write!(f, "http:{port}{path}")?,
        }
        write!(f, " every {} s, {} retries", self.interval_s, self.retries)
    }
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// A line for the container's shell, which ends with 0 if all is well.
    Command(String),
    /// A port and a path, which are to answer HTTP with success.
    Http(u16, String),
}

impl Probe {
    /// The line for the container's shell.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Command(line) => line.clone(),
            Self::Http(port, path) => {
                let url = format!("http://127.0.0.1:{port}{path}");
                // Whichever of the two the image has.
                format!("wget -q -O /dev/null '{url}' || curl -fsS -o /dev/null '{url}'")
            }
        }
    }
}

/// What a container finds at a path, besides what its image has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What it is.
    pub source: Source,
    /// Where it is in the container.
    pub path: String,
    /// The container cannot change it.
    pub read_only: bool,
}

/// As it is asked for on a command line.
impl std::fmt::Display for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Source::Volume(from, _) | Source::Folder(from)) = &self.source;
        write!(f, "{from}:{}", self.path)?;
        if self.read_only { f.write_str(":ro") } else { Ok(()) }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A volume, and how many bytes it is to take when it is made; 0: as many as there are.
    Volume(String, u64),
    /// A folder of the node.
    Folder(String),
}

/// Files that outlive containers, kept by the Docker of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Whose it is.
    pub pool: PoolId,
    /// Its name, unique in the pool.
    pub name: String,
    /// Where it is.
    pub node: NodeId,
    /// How many bytes it takes; 0: as many as there are.
    pub size_bytes: u64,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// A volume's pool and name.
pub type VolumeKey = (PoolId, String);

/// Which service a container is a replica of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaOf {
    /// The service's name.
    pub service: String,
    /// The version of its template that the container was made from.
    pub version: u32,
}

/// What each replica of a service is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its number among all that the service has had.
    pub version: u32,
    /// What it runs; may be empty.
    pub image: String,
    /// What runs it: `docker` or `netns`.
    pub runtime: String,
    /// What it runs instead of the image's own command; may be empty.
    pub command: Vec<String>,
    /// Environment variables, added to the image's.
    pub environment: BTreeMap<String, String>,
    /// Its limits.
    pub resources: Resources,
    /// Whether its process is started again by its node.
    pub restart: RestartPolicy,
    /// Seconds its process is given to end when asked to.
    pub stop_timeout_s: Option<u32>,
    /// What its node's labels must be.
    pub constraints: Vec<Rule>,
    /// What must be on its node, or must not.
    pub affinities: Vec<Rule>,
    /// What its owner says of it.
    pub labels: BTreeMap<String, String>,
    /// How its health is checked; `None`: as its image says, if that does.
    pub health: Option<HealthCheck>,
    /// What is mounted in it.
    #[serde(default)]
    pub mounts: Vec<Mount>,
}

/// So many containers alike, under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Whose it is.
    pub pool: PoolId,
    /// Its name, unique in the pool; its replicas are published under it.
    pub name: String,
    /// The network its replicas are attached to.
    pub network: NetworkId,
    /// How many there are to be.
    pub replicas: u32,
    /// What they are to be.
    pub template: Template,
    /// What they were to be before; what a rollback goes back to.
    pub previous: Option<Template>,
    /// The highest version that a template of it has had.
    pub last_version: u32,
    /// Seconds that a replica of a new version is given to become healthy.
    pub patience_s: u32,
    /// The key of the request that made it; empty: it had none.
    pub request_key: String,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// A service's pool and name.
pub type ServiceKey = (PoolId, String);

/// A container as intended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Whose it is.
    pub pool: PoolId,
    /// Its name, unique in the pool.
    pub name: String,
    /// What it runs; may be empty.
    pub image: String,
    /// What runs it: `docker` or `netns`.
    pub runtime: String,
    /// What it runs instead of the image's own command; may be empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables, added to the image's.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Its limits.
    #[serde(default)]
    pub resources: Resources,
    /// Whether its process is started again by its node.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Seconds its process is given to end when asked to.
    #[serde(default)]
    pub stop_timeout_s: u32,
    /// What its node's labels must be.
    #[serde(default)]
    pub constraints: Vec<Rule>,
    /// What must be on its node, or must not.
    #[serde(default)]
    pub affinities: Vec<Rule>,
    /// Its owner chose its node, or it has a volume there: it is never placed elsewhere by itself.
    #[serde(default)]
    pub pinned: bool,
    /// Its process is not to run.
    #[serde(default)]
    pub stopped: bool,
    /// How often it was asked to be started again.
    #[serde(default)]
    pub starts: u32,
    /// How its health is checked; `None`: as its image says, if that does.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// What is mounted in it.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// The name it is published under in its network.
    pub service: String,
    /// The service that made it, if one did.
    #[serde(default)]
    pub replica_of: Option<ReplicaOf>,
    /// What its owner says of it.
    pub labels: BTreeMap<String, String>,
    /// Its attachment.
    pub endpoint: Endpoint,
    /// It is being removed: its endpoint is intended no longer, and a [`Retiring`] of the same number says what is
    /// left of it. The record goes with that.
    pub deleting: bool,
    /// The key of the request that made it; empty: it had none.
    #[serde(default)]
    pub request_key: String,
    /// The store's revision at the last change.
    pub revision: u64,
}

impl Container {
    /// What a rule's key means in this container: its name for `container`, else the label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        label(&self.name, &self.labels, key)
    }

    /// The endpoint, if it is intended to be there: flows and port are for this one.
    #[must_use]
    pub fn live(&self) -> Option<&Endpoint> {
        (!self.deleting).then_some(&self.endpoint)
    }
}

/// What the key of an affinity means in a container of that name and labels: the name for `container`, else the label.
#[must_use]
pub fn label<'a>(name: &'a str, labels: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    if key == "container" { Some(name) } else { labels.get(key).map(String::as_str) }
}

/// An endpoint that is intended no longer, but whose port or flows may still be on its node. Its port number is not
/// used again before the record is gone, nor is its address, unless the container itself moved and kept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// What it was.
    pub endpoint: Endpoint,
    /// Whose it was.
    pub pool: PoolId,
    /// Whose container it was.
    pub container: String,
    /// What ran it.
    #[serde(default)]
    pub runtime: String,
    /// Its limits: the node's until it is gone.
    #[serde(default)]
    pub resources: Resources,
    /// The store's revision at the last change: from here on the endpoint is to be gone.
    pub revision: u64,
}

/// An address that was released and is not given again by choice for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooling {
    /// Whose subnet.
    pub network: NetworkId,
    /// The address.
    pub address: Ipv4Addr,
    /// When it was released: milliseconds since the Unix epoch.
    pub released_ms: u64,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// A host of a VLAN that is no endpoint, as last resolved: the gateway, a bare host. Stored, so that a controller that
/// starts again finds its flows as they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Whose VLAN.
    pub network: NetworkId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Have nodes join a pool.
    Join,
    /// See and change what is in a pool.
    Pool,
    /// See and change everything.
    Admin,
}

/// A token: lets nodes join, or a user in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is called, unique in the store.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// Of which pool; none with [`Role::Admin`].
    pub pool: Option<PoolId>,
    /// The SHA-256 of its secret, which itself is not stored.
    pub hash: [u8; 32],
    /// What its owner says of it.
    pub description: String,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// From when on it is good for nothing; `None`: never.
    pub expires_ms: Option<u64>,
    /// How many nodes may still join with it; `None`: any number.
    pub uses_left: Option<u32>,
    /// The store's revision at the last change.
    pub revision: u64,
}

/// That a node may act, by the certificates that bear its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The node's pool.
    pub pool: PoolId,
    /// The node's name; its record may be yet to come.
    pub node: String,
    /// Its number: a node that joins again gets another one. 0: it has not joined, and was revoked all the same.
    pub number: u32,
    /// The SHA-256 of the public key that it joined with: the same request again is known by that.
    pub key: [u8; 32],
    /// What the token is called that it joined with.
    #[serde(default)]
    pub token: String,
    /// When the last of its certificates ends: milliseconds since the Unix epoch; `None`: that is not known.
    #[serde(default)]
    pub not_after_ms: Option<u64>,
    /// It may act no longer.
    pub revoked: bool,
    /// The store's revision at the last change.
    pub revision: u64,
}

impl Admission {
    /// Whether its certificates have all ended.
    #[must_use]
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.not_after_ms.is_some_and(|end| end <= now_ms)
    }

    /// Whether it is all that keeps a node out that has never had a certificate.
    #[must_use]
    pub fn is_ban(&self) -> bool {
        self.revoked && self.number == 0
    }
}

/// What identifies a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The variants are those of `Record`, and hold what its types call unique.
pub enum Key {
    Settings,
    Pool(PoolId),
    Network(NetworkId),
    Node(NodeId),
    Block(NetworkId, Ipv4Net),
    Container(ContainerKey),
    Service(ServiceKey),
    Volume(VolumeKey),
    Retiring(EndpointId),
    Cooling(NetworkId, Ipv4Addr),
    Neighbour(NetworkId, Ipv4Addr),
    Token(String),
    Admission(PoolId, String),
}

/// A container's pool and name.
pub type ContainerKey = (PoolId, String);

/// One record. Copies are cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is the type it holds.
pub enum Record {
    Settings(Arc<Settings>),
    Pool(Arc<Pool>),
    Network(Arc<Network>),
    Node(Arc<Node>),
    Block(Arc<Block>),
    Container(Arc<Container>),
    Service(Arc<Service>),
    Volume(Arc<Volume>),
    Retiring(Arc<Retiring>),
    Cooling(Arc<Cooling>),
    Neighbour(Arc<Neighbour>),
    Token(Arc<Token>),
    Admission(Arc<Admission>),
}

impl Record {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Settings(_) => Key::Settings,
            Self::Pool(pool) => Key::Pool(pool.id),
            Self::Network(network) => Key::Network(network.id),
            Self::Node(node) => Key::Node(node.id),
            Self::Block(block) => Key::Block(block.network, block.prefix),
            Self::Container(container) => Key::Container((container.pool, container.name.clone())),
            Self::Service(service) => Key::Service((service.pool, service.name.clone())),
            Self::Volume(volume) => Key::Volume((volume.pool, volume.name.clone())),
            Self::Retiring(retiring) => Key::Retiring(retiring.endpoint.id),
            Self::Cooling(cooling) => Key::Cooling(cooling.network, cooling.address),
            Self::Neighbour(host) => Key::Neighbour(host.network, host.address),
            Self::Token(token) => Key::Token(token.id.clone()),
            Self::Admission(admission) => Key::Admission(admission.pool, admission.node.clone()),
        }
    }

    /// Where the key of the request that made it is known, the key, what it is, and its name; `None` if it had no key.
    #[must_use]
    pub(super) fn made_with(&self) -> Option<(PoolId, &str, &'static str, &str)> {
        let (pool, key, kind, name) = match self {
            Self::Pool(record) => (PoolId(0), &record.request_key, "pool", &record.name),
            Self::Network(record) => (record.pool, &record.request_key, "network", &record.name),
            Self::Container(record) => (record.pool, &record.request_key, "container", &record.name),
            Self::Service(record) => (record.pool, &record.request_key, "service", &record.name),
            _ => return None,
        };
        (!key.is_empty()).then_some((pool, key, kind, name))
    }

    /// The store's revision at its last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            Self::Settings(record) => record.revision,
            Self::Pool(record) => record.revision,
            Self::Network(record) => record.revision,
            Self::Node(record) => record.revision,
            Self::Block(record) => record.revision,
            Self::Container(record) => record.revision,
            Self::Service(record) => record.revision,
            Self::Volume(record) => record.revision,
            Self::Retiring(record) => record.revision,
            Self::Cooling(record) => record.revision,
            Self::Neighbour(record) => record.revision,
            Self::Token(record) => record.revision,
            Self::Admission(record) => record.revision,
        }
    }
}

/// What a commit did to one record: `before` is `None` if it is new, `after` if it is gone; never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record as it was.
    pub before: Option<Record>,
    /// The record as it is.
    pub after: Option<Record>,
}

impl Change {
    /// What identifies the record.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.after.as_ref().or(self.before.as_ref()).map(Record::key)
    }
}
