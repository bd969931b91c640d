//! Random histories of requests: what must hold after each, whatever came before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use flowlib::compile::model::{EndpointId, NodeId};
use flowlib::types::{DatapathId, PortNo};
use proptest::prelude::*;
use proptest::sample::Index;

use super::containers::{self, ContainerSpec, Surroundings};
use super::evacuation;
use super::links::Links;
use super::networks::{self, NetworkSpec};
use super::nodes::{self, NodeSpec};
use super::ofport::Ports;
use super::pools::{self, PoolSpec};
use super::services::{self, ServiceSpec, Steps};
use crate::intent::model::{self, Change, Endpoint, Record, Resources, Scheduling};
use crate::intent::store::Store;
use crate::intent::store::embedded::Embedded;
use crate::intent::{Commit, Intent, Refusal, State, Transaction};

const COOL_DOWN_MS: u64 = 60_000;
const SCHEDULINGS: [Scheduling; 3] = [Scheduling::Active, Scheduling::Cordoned, Scheduling::Draining];

#[derive(Clone, Debug)]
enum Step {
    Create {
        network: bool,
        node: Option<u8>,
        address: Option<u8>,
    },
    Delete(Index),
    Move(Index, u8),
    Schedule(u8, Scheduling),
    Evacuate(Index),
    Retired(Index),
    OfportTaken(Index),
    Link(u8, bool),
    DeleteNode(u8),
    /// A service is to have so many replicas; there is one if there was not.
    Scale(u8, u32),
    /// A replica of a service is deleted, if it has any, and so many are made.
    Replicate(u8, Index, usize),
    DeleteService(u8),
    Sweep,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..3u8;
    prop_oneof![
        8 => (any::<bool>(), prop::option::of(node.clone()), prop::option::weighted(0.2, 0..32u8))
            .prop_map(|(network, node, address)| Step::Create { network, node, address }),
        4 => any::<Index>().prop_map(Step::Delete),
        3 => (any::<Index>(), node.clone()).prop_map(|(index, node)| Step::Move(index, node)),
        1 => (node.clone(), prop::sample::select(SCHEDULINGS.to_vec()))
            .prop_map(|(node, scheduling)| Step::Schedule(node, scheduling)),
        3 => any::<Index>().prop_map(Step::Evacuate),
        4 => any::<Index>().prop_map(Step::Retired),
        1 => any::<Index>().prop_map(Step::OfportTaken),
        2 => (node.clone(), prop::bool::weighted(0.8)).prop_map(|(node, up)| Step::Link(node, up)),
        1 => node.prop_map(Step::DeleteNode),
        2 => (0..2u8, 0..4u32).prop_map(|(service, replicas)| Step::Scale(service, replicas)),
        3 => (0..2u8, any::<Index>(), 0..3usize)
            .prop_map(|(service, index, create)| Step::Replicate(service, index, create)),
        1 => (0..2u8).prop_map(Step::DeleteService),
        1 => Just(Step::Sweep),
        2 => (0..50_000u64).prop_map(Step::Wait),
    ]
}

struct World {
    state: State,
    links: Links,
    ports: Ports,
    now_ms: u64,
    created: u32,
}

fn name(node: u8) -> String {
    format!("n{node}")
}

fn register(tx: &mut Transaction<'_>, node: u8) -> Result<NodeId, Refusal> {
    let spec = NodeSpec {
        pool: "p".to_owned(),
        name: name(node),
        datapath_id: DatapathId(u64::from(node) + 1),
        tunnel_address: Ipv4Addr::new(172, 31, 0, node + 1),
        labels: BTreeMap::new(),
        capacity: Resources::default(),
        metrics: None,
    };
    nodes::register(tx, spec).map(|node| node.id)
}

impl World {
    fn new() -> Self {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        let pool = PoolSpec { name: "p".to_owned(), ..PoolSpec::default() };
        pools::create(&mut tx, pool).unwrap();
        for (name, driver, subnet, gateway) in
            [("a", "vlan", "10.1.0.0/28", Some("10.1.0.1")), ("b", "vxlan", "10.2.0.0/29", None)]
        {
            let spec = NetworkSpec {
                pool: "p".to_owned(),
                name: name.to_owned(),
                driver: driver.to_owned(),
                subnet: subnet.parse().unwrap(),
                gateway: gateway.map(|text| text.parse().unwrap()),
                vlan: None,
                vni: None,
                mtu: None,
                block_prefix_len: Some(30),
                within_ranges: false,
            };
            networks::create(&mut tx, &spec).unwrap();
        }
        let links = Links::default();
        for node in 0..3 {
            let id = register(&mut tx, node).unwrap();
            links.change(id, |link| (link.agent, link.switch) = (true, true));
        }
        state.revision = 1;
        Self { state, links, ports: Ports::default(), now_ms: 1_000_000, created: 0 }
    }

    /// Makes one step, in one transaction of its own; says whether it was refused.
    fn run(&mut self, step: &Step) -> Option<Refusal> {
        let Self { state, links, ports, now_ms, created } = self;
        let around = Surroundings { links, ports, now_ms: *now_ms, cool_down_ms: COOL_DOWN_MS };
        let containers: Vec<(String, Endpoint)> =
            state.containers().map(|c| (c.name.clone(), c.endpoint.clone())).collect();
        let pick = |index: &Index| (!containers.is_empty()).then(|| index.get(&containers).clone());
        let retiring: Vec<EndpointId> = state.all_retiring().map(|retiring| retiring.endpoint.id).collect();
        let mut tx = Transaction::new(state);
        let outcome = match step {
            Step::Create { network, node, address } => {
                *created += 1;
                let (network, base) = if *network { ("a", [10, 1, 0]) } else { ("b", [10, 2, 0]) };
                let spec = ContainerSpec {
                    pool: "p".to_owned(),
                    name: format!("c{created}"),
                    network: network.to_owned(),
                    address: address.map(|n| Ipv4Addr::new(base[0], base[1], base[2], n)),
                    node: node.map(name).unwrap_or_default(),
                    ..ContainerSpec::default()
                };
                containers::create(&mut tx, &spec, around).map(drop)
            }
            Step::Delete(index) => {
                pick(index).map_or(Ok(()), |(name, _)| containers::delete(&mut tx, "p", &name).map(drop))
            }
            Step::Move(index, node) => pick(index).map_or(Ok(()), |(container, _)| {
                containers::migrate(&mut tx, ("p", &container), &name(*node), around).map(drop)
            }),
            Step::Schedule(node, scheduling) => {
                nodes::schedule(&mut tx, "p", &name(*node), *scheduling).map(drop)
            }
            Step::Evacuate(index) => pick(index)
                .map_or(Ok(()), |(_, endpoint)| evacuation::evacuate(&mut tx, endpoint.id, around).map(drop)),
            Step::Retired(index) => {
                if !retiring.is_empty() {
                    containers::retired(&mut tx, *index.get(&retiring), *now_ms);
                }
                Ok(())
            }
            Step::OfportTaken(index) => pick(index).map_or(Ok(()), |(_, endpoint)| {
                ports.note_taken(endpoint.node, endpoint.ofport);
                containers::choose_ofport(&mut tx, endpoint.id, endpoint.ofport, ports)
            }),
            Step::Link(node, up) => register(&mut tx, *node)
                .map(|id| links.change(id, |link| (link.agent, link.switch) = (*up, *up))),
            Step::DeleteNode(node) => {
                nodes::delete(&mut tx, "p", &name(*node), |id| links.of(id).agent, *now_ms)
            }
            Step::Scale(service, replicas) => {
                let name = format!("s{service}");
                let (pool, network) = ("p".to_owned(), "a".to_owned());
                let spec = ServiceSpec { pool, name, network, replicas: *replicas, ..ServiceSpec::default() };
                if services::find(tx.state(), "p", &spec.name).is_ok() {
                    services::scale(&mut tx, ("p", &spec.name), *replicas).map(drop)
                } else {
                    services::create(&mut tx, &spec).map(drop)
                }
            }
            Step::Replicate(service, index, create) => {
                let found = services::find(tx.state(), "p", &format!("s{service}")).cloned();
                found.and_then(|found| {
                    let key = (found.pool, found.name.clone());
                    let ids: Vec<EndpointId> = tx.state().replicas(&key).map(|c| c.endpoint.id).collect();
                    let delete = if ids.is_empty() { vec![] } else { vec![*index.get(&ids)] };
                    let steps = Steps { service: key, revision: found.revision, delete, create: *create };
                    services::carry_out(&mut tx, &steps, around).map(drop)
                })
            }
            Step::DeleteService(service) => services::delete(&mut tx, "p", &format!("s{service}")),
            Step::Sweep => {
                containers::sweep_cooling(&mut tx, *now_ms, COOL_DOWN_MS, 3);
                Ok(())
            }
            Step::Wait(ms) => {
                *now_ms += ms;
                Ok(())
            }
        };
        if outcome.is_err() {
            tx.undo(0);
        }
        outcome.err()
    }

    /// What must hold at any time.
    fn check(&self) {
        let mut addresses = HashSet::new();
        let mut ofports: HashMap<(NodeId, PortNo), EndpointId> = HashMap::new();
        let live: Vec<&Endpoint> = self.state.containers().filter_map(|c| c.live()).collect();
        let retiring = self.state.all_retiring().map(|retiring| &retiring.endpoint);
        for endpoint in &live {
            let network = self.state.network(endpoint.network).unwrap();
            let subnet = network.subnet;
            assert!(addresses.insert((endpoint.network, endpoint.address)), "{endpoint:?} twice");
            assert!(subnet.contains(&endpoint.address) && endpoint.address != subnet.network());
            assert!(endpoint.address != subnet.broadcast() && Some(endpoint.address) != network.gateway);
            assert!(self.state.node(endpoint.node).is_some(), "its node is there");
        }
        for endpoint in live.into_iter().chain(retiring) {
            let other = ofports.insert((endpoint.node, endpoint.ofport), endpoint.id);
            assert_eq!(other, None, "port number of {endpoint:?} is in use by another");
        }
        for network in self.state.networks() {
            let space = self.state.space(network.id);
            for block in space.blocks.values() {
                assert!(self.state.node(block.node).is_some(), "{} is nobody's", block.prefix);
            }
            for address in space.cooling.keys() {
                assert!(!space.used.contains_key(address), "{address} cools down while in use");
            }
        }
        for service in self.state.services() {
            let is_its = |replica: &&std::sync::Arc<model::Container>| {
                let of = replica.replica_of.as_ref().map(|of| &of.service);
                of == Some(&service.name) && replica.pool == service.pool && !replica.deleting
            };
            let its: HashSet<EndpointId> =
                self.state.containers().filter(is_its).map(|replica| replica.endpoint.id).collect();
            let key = (service.pool, service.name.clone());
            let indexed: HashSet<EndpointId> = self.state.replicas(&key).map(|c| c.endpoint.id).collect();
            assert_eq!(indexed, its, "replicas of {}", service.name);
        }
        assert_eq!(rebuilt(&self.state), self.state, "the indexes follow from the records");
    }
}

/// The state that follows from a state's records.
pub(super) fn rebuilt(state: &State) -> State {
    let mut rebuilt = State::default();
    for record in state.records() {
        rebuilt.apply(&Change { before: None, after: Some(record) });
    }
    rebuilt.revision = state.revision;
    rebuilt
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_given_twice_and_refusals_change_nothing(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            let before = world.state.clone();
            let cooling: Vec<_> = cooling(&before, world.now_ms);
            let refusal = world.run(step);
            if refusal.is_some() {
                prop_assert_eq!(&world.state, &before, "refused: {:?}", step);
            }
            if let Step::Create { address: None, .. } = step {
                let taken = |record: &&(_, Ipv4Addr)| world.state.space(record.0).used.contains_key(&record.1);
                prop_assert_eq!(cooling.iter().find(taken), None, "given while it cools down");
            }
            world.check();
        }
    }

    #[test]
    fn net_changes_bring_another_there_and_back(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            let before = world.state.clone();
            world.run(step);
            let changes = changes(&before, &world.state);
            let mut follower = before.clone();
            for change in &changes {
                follower.apply(change);
            }
            prop_assert_eq!(&follower, &world.state);
            for change in changes.iter().rev() {
                follower.apply(&Change { before: change.after.clone(), after: change.before.clone() });
            }
            prop_assert_eq!(&follower, &before);
        }
    }
}

fn cooling(state: &State, now_ms: u64) -> Vec<(flowlib::compile::model::NetworkId, Ipv4Addr)> {
    let all = state.networks().flat_map(|network| state.space(network.id).cooling.values());
    let still = all.filter(|cooling| now_ms - cooling.released_ms < COOL_DOWN_MS);
    still.map(|cooling| (cooling.network, cooling.address)).collect()
}

/// The difference of two states, by their records alone.
pub(super) fn changes(before: &State, after: &State) -> Vec<Change> {
    let records = |state: &State| -> HashMap<_, Record> {
        state.records().into_iter().map(|record| (record.key(), record)).collect()
    };
    let (old, new) = (records(before), records(after));
    let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
    let gone = gone.map(|(_, record)| Change { before: Some(record.clone()), after: None });
    let changed = new.iter().filter(|(key, record)| old.get(key) != Some(record));
    let changed =
        changed.map(|(key, record)| Change { before: old.get(key).cloned(), after: Some(record.clone()) });
    gone.chain(changed).collect()
}

#[tokio::test]
async fn reopening_the_store_gives_the_same_state_and_commits_tell_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("intent.redb");
    let intent = Intent::start(Embedded::open(&path).unwrap()).unwrap();
    let (snapshot, mut commits) = intent.subscribe();
    let requests = (0..200u32).map(|n| {
        let intent = intent.clone();
        tokio::spawn(async move {
            let pool = PoolSpec {
                name: format!("p{}", n % 150),
                default_image: if n < 150 { "a" } else { "b" }.to_owned(),
                placement: model::Strategy::Spread,
                ..PoolSpec::default()
            };
            let created = intent.transact(move |tx| pools::create(tx, pool)).await.is_ok();
            let name = format!("p{}", n % 150);
            let deleted = n % 3 == 0 && intent.transact(move |tx| pools::delete(tx, &name)).await.is_ok();
            (created, deleted)
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap();
    }
    let state = intent.read(State::clone);
    let mut follower = State::default();
    for record in &snapshot.records {
        follower.apply(&Change { before: None, after: Some(record.clone()) });
    }
    follower.revision = snapshot.revision;
    while let Ok(commit) = commits.try_recv() {
        let Commit { revision, changes } = commit.as_ref();
        assert_eq!(*revision, follower.revision + 1, "no commit is left out");
        for change in changes {
            assert_eq!(change.key().and_then(|key| follower.find(&key)), change.before);
            follower.apply(change);
        }
        follower.revision = *revision;
    }
    assert_eq!(follower, state);
    assert!(state.revision() < 250, "{} commits for 200 requests: they share commits", state.revision());
    drop(intent);
    let contents = reopened(&path).await;
    assert_eq!(contents.revision, state.revision());
    let mut again = State::default();
    for record in contents.records {
        again.apply(&Change { before: None, after: Some(record) });
    }
    again.revision = contents.revision;
    assert_eq!(again, state);
}

/// Opens the store as soon as its owner has let go of it.
async fn reopened(path: &std::path::Path) -> crate::intent::Contents {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
    let open = async {
        loop {
            if let Ok(mut store) = Embedded::open(path) {
                return store.load().unwrap();
            }
            tick.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), open).await.expect("the owner lets go")
}
