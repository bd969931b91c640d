//! All records in memory, with the indexes that requests need. Changed only by [`State::apply`], so that a change can be
//! undone exactly by applying its inverse. Every index is a function of the records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use flowlib::compile::model::{Driver, EndpointId, NetworkId, NodeId, PoolId};
use flowlib::types::{DatapathId, VlanVid, Vni};

use super::hosted::{Hosted, NOTHING_HOSTED, Sum};
use super::model::{
    Admission, Change, Container, ContainerKey, Endpoint, Key, Network, Node, Pool, Record, Retiring,
    Service, ServiceKey, Settings, Token, Volume, VolumeKey,
};
use super::space::{NO_SPACE, Space};

/// The intent at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) revision: u64,
    settings: Arc<Settings>,
    pools: BTreeMap<PoolId, Arc<Pool>>,
    networks: BTreeMap<NetworkId, Arc<Network>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    containers: BTreeMap<ContainerKey, Arc<Container>>,
    services: BTreeMap<ServiceKey, Arc<Service>>,
    volumes: BTreeMap<VolumeKey, Arc<Volume>>,
    retiring: BTreeMap<EndpointId, Arc<Retiring>>,
    tokens: BTreeMap<String, Arc<Token>>,
    admissions: BTreeMap<(PoolId, String), Arc<Admission>>,
    pool_names: HashMap<String, PoolId>,
    network_names: HashMap<(PoolId, String), NetworkId>,
    node_names: HashMap<(PoolId, String), NodeId>,
    datapaths: HashMap<DatapathId, NodeId>,
    endpoints: HashMap<EndpointId, Arc<Container>>,
    /// By service, the names of the containers that it has made and that are not being deleted.
    replicas: HashMap<ServiceKey, BTreeSet<String>>,
    vlans: BTreeMap<VlanVid, NetworkId>,
    vnis: BTreeMap<Vni, NetworkId>,
    members: HashMap<PoolId, Members>,
    spaces: HashMap<NetworkId, Space>,
    hosted: HashMap<NodeId, Hosted>,
    /// By pool and key, what was made by a request with that key: what it is, and its name.
    made_with: HashMap<(PoolId, String), (&'static str, String)>,
}

/// What belongs to a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Its networks.
    pub networks: BTreeSet<NetworkId>,
    /// Its nodes.
    pub nodes: BTreeSet<NodeId>,
    /// How many containers it has, deleting ones included.
    pub containers: usize,
    /// The limits of these together.
    pub allocated: Sum,
}

static NO_MEMBERS: Members = Members {
    networks: BTreeSet::new(),
    nodes: BTreeSet::new(),
    containers: 0,
    allocated: Sum { cpu_millis: 0, memory_bytes: 0 },
};

impl State {
    /// The number of the last commit.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The store's own record.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All pools.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// A pool by number.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.get(&id)
    }

    /// A pool by name.
    #[must_use]
    pub fn pool_named(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(self.pool_names.get(name)?)
    }

    /// What belongs to a pool.
    #[must_use]
    pub fn members(&self, pool: PoolId) -> &Members {
        self.members.get(&pool).unwrap_or(&NO_MEMBERS)
    }

    /// What was made with a key in a pool, if it is there: what it is, and its name. The keys of pools are in pool 0.
    #[must_use]
    pub fn made_with(&self, pool: PoolId, key: &str) -> Option<(&'static str, &str)> {
        let (kind, name) = self.made_with.get(&(pool, key.to_owned()))?;
        Some((kind, name))
    }

    /// All networks.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = &Arc<Network>> {
        self.networks.values()
    }

    /// A network by number.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }

    /// A network by name.
    #[must_use]
    pub fn network_named(&self, pool: PoolId, name: &str) -> Option<&Arc<Network>> {
        self.networks.get(self.network_names.get(&(pool, name.to_owned()))?)
    }

    /// The network that has a VLAN.
    #[must_use]
    pub fn network_of_vlan(&self, vid: VlanVid) -> Option<&Arc<Network>> {
        self.networks.get(self.vlans.get(&vid)?)
    }

    /// The network that has a VXLAN network identifier.
    #[must_use]
    pub fn network_of_vni(&self, vni: Vni) -> Option<&Arc<Network>> {
        self.networks.get(self.vnis.get(&vni)?)
    }

    /// A network's addresses.
    #[must_use]
    pub fn space(&self, network: NetworkId) -> &Space {
        self.spaces.get(&network).unwrap_or(&NO_SPACE)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// A node by number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// A node by name.
    #[must_use]
    pub fn node_named(&self, pool: PoolId, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(self.node_names.get(&(pool, name.to_owned()))?)
    }

    /// The node whose switch has a datapath id.
    #[must_use]
    pub fn node_of_datapath(&self, datapath_id: DatapathId) -> Option<&Arc<Node>> {
        self.nodes.get(self.datapaths.get(&datapath_id)?)
    }

    /// What is on a node.
    #[must_use]
    pub fn hosted(&self, node: NodeId) -> &Hosted {
        self.hosted.get(&node).unwrap_or(&NOTHING_HOSTED)
    }

    /// All containers, deleting ones included, by pool and name.
    pub fn containers(&self) -> impl ExactSizeIterator<Item = &Arc<Container>> {
        self.containers.values()
    }

    /// All containers after that of a pool and name, by pool and name.
    pub fn containers_after(&self, pool: PoolId, name: &str) -> impl Iterator<Item = &Arc<Container>> {
        let after = (Bound::Excluded((pool, name.to_owned())), Bound::Unbounded);
        self.containers.range(after).map(|(_, container)| container)
    }

    /// A pool's containers, deleting ones included, by name.
    pub fn containers_of(&self, pool: PoolId) -> impl Iterator<Item = &Arc<Container>> {
        self.containers.range((pool, String::new())..).map(|(_, c)| c).take_while(move |c| c.pool == pool)
    }

    /// A container by pool and name.
    #[must_use]
    pub fn container(&self, key: &ContainerKey) -> Option<&Arc<Container>> {
        self.containers.get(key)
    }

    /// All services, by pool and name.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// A service by pool and name.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All volumes, by pool and name.
    pub fn volumes(&self) -> impl ExactSizeIterator<Item = &Arc<Volume>> {
        self.volumes.values()
    }

    /// A volume by pool and name.
    #[must_use]
    pub fn volume(&self, key: &VolumeKey) -> Option<&Arc<Volume>> {
        self.volumes.get(key)
    }

    /// The containers that a service has made and that are not being deleted, by name.
    pub fn replicas(&self, key: &ServiceKey) -> impl Iterator<Item = &Arc<Container>> {
        let names = self.replicas.get(key).into_iter().flatten();
        let pool = key.0;
        names.filter_map(move |name| self.containers.get(&(pool, name.clone())))
    }

    /// The container that an endpoint is of; not that of an endpoint it left behind when it moved.
    #[must_use]
    pub fn container_of(&self, endpoint: EndpointId) -> Option<&Arc<Container>> {
        self.endpoints.get(&endpoint)
    }

    /// An endpoint that is being removed.
    #[must_use]
    pub fn retiring(&self, endpoint: EndpointId) -> Option<&Arc<Retiring>> {
        self.retiring.get(&endpoint)
    }

    /// All endpoints that are being removed.
    pub fn all_retiring(&self) -> impl Iterator<Item = &Arc<Retiring>> {
        self.retiring.values()
    }

    /// All tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.values()
    }

    /// A token by what it is called.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<&Arc<Token>> {
        self.tokens.get(id)
    }

    /// A node's admission.
    #[must_use]
    pub fn admission(&self, pool: PoolId, node: &str) -> Option<&Arc<Admission>> {
        self.admissions.get(&(pool, node.to_owned()))
    }

    /// The admissions of a pool's nodes.
    pub fn admissions_of(&self, pool: PoolId) -> impl Iterator<Item = &Arc<Admission>> {
        self.admissions.range((pool, String::new())..).map(|(_, a)| a).take_while(move |a| a.pool == pool)
    }

    /// Every record, in an order in which what is referred to comes before what refers to it.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Settings(self.settings.clone())];
        records.extend(self.pools.values().cloned().map(Record::Pool));
        records.extend(self.networks.values().cloned().map(Record::Network));
        records.extend(self.nodes.values().cloned().map(Record::Node));
        for (network, space) in self.spaces.iter().collect::<BTreeMap<_, _>>() {
            records
                .extend(space.blocks.keys().filter_map(|prefix| self.find(&Key::Block(*network, *prefix))));
            records.extend(space.cooling.keys().filter_map(|at| self.find(&Key::Cooling(*network, *at))));
            records.extend(space.neighbours.values().cloned().map(Record::Neighbour));
        }
        records.extend(self.services.values().cloned().map(Record::Service));
        records.extend(self.volumes.values().cloned().map(Record::Volume));
        records.extend(self.containers.values().cloned().map(Record::Container));
        records.extend(self.retiring.values().cloned().map(Record::Retiring));
        records.extend(self.tokens.values().cloned().map(Record::Token));
        records.extend(self.admissions.values().cloned().map(Record::Admission));
        records
    }

    /// The record of a key.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Settings => Some(Record::Settings(self.settings.clone())),
            Key::Pool(id) => self.pools.get(id).cloned().map(Record::Pool),
            Key::Network(id) => self.networks.get(id).cloned().map(Record::Network),
            Key::Node(id) => self.nodes.get(id).cloned().map(Record::Node),
            Key::Container(key) => self.containers.get(key).cloned().map(Record::Container),
            Key::Service(key) => self.services.get(key).cloned().map(Record::Service),
            Key::Volume(key) => self.volumes.get(key).cloned().map(Record::Volume),
            Key::Retiring(id) => self.retiring.get(id).cloned().map(Record::Retiring),
            Key::Token(id) => self.tokens.get(id).cloned().map(Record::Token),
            Key::Admission(pool, node) => self.admission(*pool, node).cloned().map(Record::Admission),
            Key::Block(network, prefix) => {
                self.space(*network).blocks.get(prefix).cloned().map(Record::Block)
            }
            Key::Cooling(network, address) => {
                self.space(*network).cooling.get(address).cloned().map(Record::Cooling)
            }
            Key::Neighbour(network, address) => {
                self.space(*network).neighbours.get(address).cloned().map(Record::Neighbour)
            }
        }
    }

    /// Makes a change: what was there under its key is replaced, or removed.
    pub(crate) fn apply(&mut self, change: &Change) {
        if let Some(record) = change.key().and_then(|key| self.find(&key)) {
            self.remove(&record);
        }
        if let Some(record) = &change.after {
            self.insert(record);
        }
    }

    fn insert(&mut self, record: &Record) {
        if let Some((pool, key, kind, name)) = record.made_with() {
            self.made_with.insert((pool, key.to_owned()), (kind, name.to_owned()));
        }
        match record {
            Record::Settings(settings) => self.settings = settings.clone(),
            Record::Pool(pool) => {
                self.pool_names.insert(pool.name.clone(), pool.id);
                self.pools.insert(pool.id, pool.clone());
            }
            Record::Network(network) => {
                match network.driver {
                    Driver::Vlan(vid) => self.vlans.insert(vid, network.id),
                    Driver::Vxlan(vni) => self.vnis.insert(vni, network.id),
                };
                self.network_names.insert((network.pool, network.name.clone()), network.id);
                self.members.entry(network.pool).or_default().networks.insert(network.id);
                self.networks.insert(network.id, network.clone());
            }
            Record::Node(node) => {
                self.node_names.insert((node.pool, node.name.clone()), node.id);
                self.datapaths.insert(node.datapath_id, node.id);
                self.members.entry(node.pool).or_default().nodes.insert(node.id);
                self.nodes.insert(node.id, node.clone());
            }
            Record::Block(block) => {
                self.hosted.entry(block.node).or_default().blocks.insert((block.network, block.prefix));
                self.spaces.entry(block.network).or_default().give(block.clone());
            }
            Record::Container(container) => {
                let key = (container.pool, container.name.clone());
                self.endpoints.insert(container.endpoint.id, container.clone());
                let members = self.members.entry(container.pool).or_default();
                members.containers += 1;
                members.allocated = members.allocated.with(container.resources);
                if let Some(endpoint) = container.live() {
                    let hosted = self.hosted.entry(endpoint.node).or_default();
                    hosted.live.insert(endpoint.id);
                    hosted.allocate(container.resources);
                    hosted.shun(&container.affinities);
                    self.occupy(endpoint);
                }
                if let Some(service) = service_of(container) {
                    self.replicas.entry(service).or_default().insert(container.name.clone());
                }
                self.containers.insert(key, container.clone());
            }
            Record::Service(service) => {
                self.services.insert((service.pool, service.name.clone()), service.clone());
            }
            Record::Volume(volume) => {
                self.volumes.insert((volume.pool, volume.name.clone()), volume.clone());
            }
            Record::Retiring(retiring) => {
                let endpoint = &retiring.endpoint;
                let hosted = self.hosted.entry(endpoint.node).or_default();
                hosted.retiring.insert(endpoint.id);
                hosted.allocate(retiring.resources);
                self.occupy(endpoint);
                self.retiring.insert(endpoint.id, retiring.clone());
            }
            Record::Cooling(cooling) => {
                let space = self.spaces.entry(cooling.network).or_default();
                space.cooling.insert(cooling.address, cooling.clone());
            }
            Record::Neighbour(host) => {
                self.spaces.entry(host.network).or_default().neighbours.insert(host.address, host.clone());
            }
            Record::Token(token) => drop(self.tokens.insert(token.id.clone(), token.clone())),
            Record::Admission(admission) => {
                self.admissions.insert((admission.pool, admission.node.clone()), admission.clone());
            }
        }
    }

    fn remove(&mut self, record: &Record) {
        if let Some((pool, key, ..)) = record.made_with() {
            self.made_with.remove(&(pool, key.to_owned()));
        }
        match record {
            Record::Settings(_) => {}
            Record::Pool(pool) => {
                self.pool_names.remove(&pool.name);
                self.pools.remove(&pool.id);
            }
            Record::Network(network) => {
                match network.driver {
                    Driver::Vlan(vid) => self.vlans.remove(&vid),
                    Driver::Vxlan(vni) => self.vnis.remove(&vni),
                };
                self.network_names.remove(&(network.pool, network.name.clone()));
                prune(&mut self.members, network.pool, |members| members.networks.remove(&network.id));
                self.networks.remove(&network.id);
            }
            Record::Node(node) => {
                self.node_names.remove(&(node.pool, node.name.clone()));
                self.datapaths.remove(&node.datapath_id);
                prune(&mut self.members, node.pool, |members| members.nodes.remove(&node.id));
                self.nodes.remove(&node.id);
            }
            Record::Block(block) => {
                let key = (block.network, block.prefix);
                prune(&mut self.hosted, block.node, |hosted| hosted.blocks.remove(&key));
                prune(&mut self.spaces, block.network, |space| space.take_back(&block.prefix));
            }
            Record::Container(container) => {
                self.endpoints.remove(&container.endpoint.id);
                prune(&mut self.members, container.pool, |members| {
                    members.containers -= 1;
                    members.allocated = members.allocated.without(container.resources);
                });
                if let Some(endpoint) = container.live() {
                    prune(&mut self.hosted, endpoint.node, |hosted| {
                        hosted.live.remove(&endpoint.id);
                        hosted.release(container.resources);
                        hosted.admit(&container.affinities);
                    });
                    if !self.retiring.contains_key(&endpoint.id) {
                        self.vacate(endpoint);
                    }
                }
                if let Some(service) = service_of(container) {
                    prune(&mut self.replicas, service, |names| names.remove(&container.name));
                }
                self.containers.remove(&(container.pool, container.name.clone()));
            }
            Record::Service(service) => {
                self.services.remove(&(service.pool, service.name.clone()));
            }
            Record::Volume(volume) => {
                self.volumes.remove(&(volume.pool, volume.name.clone()));
            }
            Record::Retiring(retiring) => {
                let endpoint = &retiring.endpoint;
                prune(&mut self.hosted, endpoint.node, |hosted| {
                    hosted.retiring.remove(&endpoint.id);
                    hosted.release(retiring.resources);
                });
                self.retiring.remove(&endpoint.id);
                // Undoing a deletion, the container may be live again before its retirement is undone.
                if self.container_of(endpoint.id).is_none_or(|container| container.deleting) {
                    self.vacate(endpoint);
                }
            }
            Record::Cooling(cooling) => {
                prune(&mut self.spaces, cooling.network, |space| space.cooling.remove(&cooling.address));
            }
            Record::Neighbour(host) => {
                prune(&mut self.spaces, host.network, |space| space.neighbours.remove(&host.address));
            }
            Record::Token(token) => drop(self.tokens.remove(&token.id)),
            Record::Admission(admission) => {
                self.admissions.remove(&(admission.pool, admission.node.clone()));
            }
        }
    }

    /// Notes an endpoint's address and port number as used.
    fn occupy(&mut self, endpoint: &Endpoint) {
        self.hosted.entry(endpoint.node).or_default().ofports.insert(endpoint.ofport, endpoint.id);
        self.spaces.entry(endpoint.network).or_default().occupy(endpoint.address, endpoint.id);
    }

    fn vacate(&mut self, endpoint: &Endpoint) {
        prune(&mut self.hosted, endpoint.node, |hosted| {
            if hosted.ofports.get(&endpoint.ofport) == Some(&endpoint.id) {
                hosted.ofports.remove(&endpoint.ofport);
            }
        });
        prune(&mut self.spaces, endpoint.network, |space| space.vacate(endpoint.address, endpoint.id));
    }
}

/// The service that counts a container among its replicas.
fn service_of(container: &Container) -> Option<ServiceKey> {
    let replica = container.replica_of.as_ref().filter(|_| !container.deleting)?;
    Some((container.pool, replica.service.clone()))
}

/// Changes an entry, and takes it out of the map if nothing is left in it.
fn prune<K: Hash + Eq, V: Default + PartialEq, R>(
    map: &mut HashMap<K, V>,
    key: K,
    change: impl FnOnce(&mut V) -> R,
) {
    if let Some(entry) = map.get_mut(&key) {
        change(entry);
        if *entry == V::default() {
            map.remove(&key);
        }
    }
}
