//! Random fleets and requests: whatever came before, a place is right when it is chosen, and refused only if there is none.
//! What is right is found here by walking over everything, without the indexes that placement uses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use flowlib::compile::model::{EndpointId, NodeId};
use flowlib::types::{DatapathId, MacAddr, PortNo};
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::containers::{self, ContainerSpec, Surroundings};
use super::super::history::rebuilt;
use super::super::links::{Links, Offer};
use super::super::networks::{self, NetworkSpec};
use super::super::nodes::{self, NodeSpec};
use super::super::ofport::Ports;
use super::super::plan;
use super::super::pools::{self, PoolSpec};
use super::{Scores, Verdict};
use crate::intent::model::{
    Container, Endpoint, Node, Resources, RestartPolicy, Rule, Scheduling, Strategy as Placing,
};
use crate::intent::{Refusal, State, Transaction};

#[derive(Clone, Debug)]
enum Step {
    Create(Box<ContainerSpec>),
    Delete(Index),
    Move(Index, Option<u8>),
    Retired(Index),
    Node(u8, Trait),
}

/// Something about a node that changes.
#[derive(Clone, Debug)]
enum Trait {
    Scheduling(Scheduling),
    Zone(Option<&'static str>),
    Links(bool, bool),
    Offer(Option<bool>),
}

const N_NODES: u8 = 5;

fn rule(keys: &'static [&'static str], values: &'static [&'static str]) -> impl Strategy<Value = Vec<Rule>> {
    let one = (prop::sample::select(keys), any::<bool>(), prop::sample::select(values));
    let one =
        one.prop_map(|(key, equal, value)| Rule { key: key.to_owned(), equal, value: value.to_owned() });
    prop_oneof![2 => Just(Vec::new()), 2 => one.prop_map(|rule| vec![rule])]
}

fn spec() -> impl Strategy<Value = ContainerSpec> {
    (
        prop::option::weighted(0.5, (0..3u32, 0..3u64)),
        rule(&["zone", "node"], &["a", "b", "n1"]),
        rule(&["app", "container"], &["web", "db", "c3"]),
        prop::option::of(prop::sample::select(&["web", "db"][..])),
        prop::option::weighted(0.2, 0..N_NODES),
        prop::option::weighted(0.2, 0..32u8),
        any::<bool>(),
    )
        .prop_map(|(limits, constraints, affinities, app, node, address, has_name)| ContainerSpec {
            pool: "p".to_owned(),
            name: if has_name { "named" } else { "" }.to_owned(),
            image: if limits.is_some() { "busybox" } else { "" }.to_owned(),
            resources: limits.map_or_else(Resources::default, |(cpu, memory)| Resources {
                cpu_millis: cpu * 500,
                memory_bytes: memory << 20,
                pids: 0,
            }),
            constraints,
            affinities,
            labels: app.map(|app| ("app".to_owned(), app.to_owned())).into_iter().collect(),
            node: node.map(|n| format!("n{n}")).unwrap_or_default(),
            address: address.map(|n| Ipv4Addr::new(10, 1, 0, n)),
            network: "net".to_owned(),
            ..ContainerSpec::default()
        })
}

fn step() -> impl Strategy<Value = Step> {
    let scheduling =
        prop::sample::select(&[Scheduling::Active, Scheduling::Cordoned, Scheduling::Draining][..]);
    let change = prop_oneof![
        scheduling.prop_map(Trait::Scheduling),
        prop::sample::select(&[Some("a"), Some("b"), None][..]).prop_map(Trait::Zone),
        (prop::bool::weighted(0.8), prop::bool::weighted(0.8)).prop_map(|(a, s)| Trait::Links(a, s)),
        any::<Option<bool>>().prop_map(Trait::Offer),
    ];
    prop_oneof![
        8 => spec().prop_map(|spec| Step::Create(Box::new(spec))),
        3 => any::<Index>().prop_map(Step::Delete),
        3 => (any::<Index>(), prop::option::of(0..N_NODES)).prop_map(|(index, node)| Step::Move(index, node)),
        3 => any::<Index>().prop_map(Step::Retired),
        2 => (0..N_NODES, change).prop_map(|(node, change)| Step::Node(node, change)),
    ]
}

struct World {
    state: State,
    links: Links,
    ports: Ports,
    created: u32,
}

fn offer(docker: bool) -> Arc<Offer> {
    let runtimes = if docker { vec!["netns", "docker"] } else { vec!["netns"] };
    let images = if docker { vec!["busybox:latest".to_owned()] } else { Vec::new() };
    Arc::new(Offer {
        runtimes: runtimes.into_iter().map(str::to_owned).collect(),
        images: images.into_iter().collect(),
        ..Offer::default()
    })
}

fn node_spec(n: u32, capacity: Resources) -> NodeSpec {
    let [_, _, high, low] = n.to_be_bytes();
    NodeSpec {
        pool: "p".to_owned(),
        name: format!("n{n}"),
        datapath_id: DatapathId(u64::from(n) + 1),
        tunnel_address: Ipv4Addr::new(172, 31, high, low),
        labels: BTreeMap::new(),
        capacity,
        metrics: None,
    }
}

fn network_spec(subnet: &str, block_prefix_len: u32) -> NetworkSpec {
    NetworkSpec {
        pool: "p".to_owned(),
        name: "net".to_owned(),
        driver: "vlan".to_owned(),
        subnet: subnet.parse().unwrap(),
        gateway: None,
        vlan: None,
        vni: None,
        mtu: None,
        block_prefix_len: Some(block_prefix_len),
        within_ranges: false,
    }
}

impl World {
    fn new(placement: Placing, subnet: &str, block_prefix_len: u32, capacities: &[Resources]) -> Self {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        pools::create(&mut tx, PoolSpec { name: "p".to_owned(), placement, ..PoolSpec::default() }).unwrap();
        networks::create(&mut tx, &network_spec(subnet, block_prefix_len)).unwrap();
        let links = Links::default();
        for (n, capacity) in (0..).zip(capacities) {
            let node = nodes::register(&mut tx, node_spec(n, *capacity)).unwrap();
            links.change(node.id, |link| {
                (link.agent, link.switch, link.offer) = (true, true, Some(offer(true)));
            });
        }
        Self { state, links, ports: Ports::default(), created: 0 }
    }

    fn around<'a>(links: &'a Links, ports: &'a Ports) -> Surroundings<'a> {
        Surroundings { links, ports, now_ms: 1_000_000, cool_down_ms: 0 }
    }

    /// Carries out a request, or leaves everything as it was; takes it back once, to see that nothing stays of it.
    fn run<T>(
        &mut self,
        request: impl Fn(&mut Transaction<'_>, Surroundings<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.state.clone();
        let around = Self::around(&self.links, &self.ports);
        let mut tx = Transaction::new(&mut self.state);
        if request(&mut tx, around).is_ok() {
            assert_eq!(rebuilt(tx.state()), *tx.state(), "the indexes follow from the records");
        }
        tx.undo(0);
        assert_eq!(self.state, before, "what is taken back leaves nothing");
        let mut tx = Transaction::new(&mut self.state);
        request(&mut tx, around).inspect_err(|_| tx.undo(0))
    }

    fn node(&self, n: u8) -> Arc<Node> {
        let pool = self.state.pool_named("p").unwrap().id;
        self.state.node_named(pool, &format!("n{n}")).unwrap().clone()
    }

    fn change(&mut self, n: u8, change: &Trait) {
        let mut node = Node::clone(&self.node(n));
        let id = node.id;
        match change {
            Trait::Scheduling(scheduling) => node.scheduling = *scheduling,
            Trait::Zone(zone) => {
                node.labels = zone.map(|zone| ("zone".to_owned(), zone.to_owned())).into_iter().collect();
            }
            Trait::Links(agent, switch) => {
                return self.links.change(id, |link| (link.agent, link.switch) = (*agent, *switch));
            }
            Trait::Offer(docker) => return self.links.change(id, |link| link.offer = docker.map(offer)),
        }
        Transaction::new(&mut self.state).put(node);
    }

    /// The limits of all that is on a node, in use or being removed, but for the container of one name.
    fn load(&self, node: NodeId, but_for: &str) -> (u64, u64) {
        let live = self.state.containers().filter(|c| c.live().is_some_and(|e| e.node == node));
        let live = live.filter(|c| c.name != but_for);
        let retiring = self.state.all_retiring().filter(|retiring| retiring.endpoint.node == node);
        let all = live.map(|c| c.resources).chain(retiring.map(|retiring| retiring.resources));
        all.fold((0, 0), |(cpu, memory), limits| {
            (cpu + u64::from(limits.cpu_millis), memory + limits.memory_bytes)
        })
    }

    /// Whether a container may go to a node. Its own record, if it is somewhere, does not count.
    fn may_go(&self, wanted: &Container, node: &Node, is_named: bool) -> bool {
        let link = self.links.of(node.id);
        let Resources { cpu_millis: cpu, memory_bytes: memory, .. } = wanted.resources;
        let (used_cpu, used_memory) = self.load(node.id, &wanted.name);
        let fits = |asked: u64, used: u64, most: u64| asked == 0 || most == 0 || used + asked <= most;
        let company = self.state.containers().filter(|other| {
            other.live().is_some_and(|endpoint| endpoint.node == node.id) && other.name != wanted.name
        });
        let company: Vec<_> = company.collect();
        let alike = |rule: &Rule, other: &Container| match rule.key.as_str() {
            "container" => other.name == rule.value,
            key => other.labels.get(key) == Some(&rule.value),
        };
        let goes_with = |rule: &Rule| company.iter().any(|other| alike(rule, other)) == rule.equal;
        let labels_fit = |rule: &Rule| {
            let value = if rule.key == "node" { Some(&node.name) } else { node.labels.get(&rule.key) };
            (value == Some(&rule.value)) == rule.equal
        };
        let objected =
            company.iter().flat_map(|c| &c.affinities).any(|rule| !rule.equal && alike(rule, wanted));
        let runs = link.offer.map_or(wanted.runtime == "netns", |o| o.runtimes.contains(&wanted.runtime));
        let space = self.state.space(wanted.endpoint.network);
        let is_kept = !wanted.endpoint.address.is_unspecified();
        let has_address = is_kept || (1..31).any(|n| !space.used.contains_key(&Ipv4Addr::new(10, 1, 0, n)));
        link.agent
            && link.switch
            && (is_named || node.scheduling == Scheduling::Active)
            && wanted.constraints.iter().all(labels_fit)
            && wanted.affinities.iter().all(goes_with)
            && !objected
            && runs
            && fits(cpu.into(), used_cpu, node.capacity.cpu_millis.into())
            && fits(memory, used_memory, node.capacity.memory_bytes)
            && has_address
    }

    /// Whether any node may take a container: all but one, or only the one that is named.
    fn any_may_take(&self, wanted: &Container, named: Option<&str>, except: Option<NodeId>) -> bool {
        let mut nodes = self.state.nodes().filter(|node| except != Some(node.id));
        nodes.any(|node| named.is_none_or(|n| n == node.name) && self.may_go(wanted, node, named.is_some()))
    }

    fn create(&mut self, spec: &ContainerSpec) {
        self.created += 1;
        let named = format!("c{}", self.created);
        let name = if spec.name.is_empty() { String::new() } else { format!("x{named}") };
        let spec = ContainerSpec { name, ..spec.clone() };
        let seen = self.preview(&spec, &self.wanted(&spec));
        let before = self.state.clone();
        let created = self.run(|tx, around| containers::create(tx, &spec, around));
        assert_eq!(seen, created.clone().map(|c| (c.endpoint.node, c.endpoint.address)), "as previewed");
        if let Ok(container) = &created {
            let again = ContainerSpec { name: container.name.clone(), ..spec.clone() };
            assert_eq!(
                self.preview(&again, container),
                seen,
                "it is there and does not count against itself"
            );
        }
        let after = std::mem::replace(&mut self.state, before);
        let node = Some(spec.node.as_str()).filter(|node| !node.is_empty());
        match created {
            Ok(container) => {
                let node = self.state.node(container.endpoint.node).unwrap();
                let wanted = self.wanted(&spec);
                assert_eq!((&wanted.name, &wanted.runtime), (&container.name, &container.runtime));
                assert!(self.may_go(&wanted, node, !spec.node.is_empty()), "{wanted:?} to {node:?}");
                self.state = after;
            }
            Err(Refusal::Field { field: "address", .. }) => assert!(spec.address.is_some(), "{spec:?}"),
            Err(refusal) => {
                let wanted = self.wanted(&spec);
                assert!(!self.any_may_take(&wanted, node, None), "{refusal} for {spec:?}");
                assert_eq!(self.state, after, "a refusal changes nothing");
            }
        }
    }

    /// The node and the address that a preview chooses; what it says of each node is what a walk finds.
    fn preview(&self, spec: &ContainerSpec, wanted: &Container) -> Result<(NodeId, Ipv4Addr), Refusal> {
        let before = self.state.clone();
        let placement = plan::preview(&self.state, spec, Self::around(&self.links, &self.ports))?;
        assert_eq!(self.state, before);
        for Verdict { node, outcome, .. } in &placement.verdicts {
            let may_go = self.may_go(wanted, node, spec.node == node.name);
            assert_eq!(outcome.is_ok(), may_go, "{wanted:?} to {node:?}: {outcome:?}");
        }
        let possible = placement.verdicts.iter().filter(|v| spec.node.is_empty() || v.node.name == spec.node);
        let points = |verdict: &Verdict| verdict.outcome.as_ref().map(Scores::sum).ok();
        let best = possible.filter_map(points).max();
        let choice = placement.choice?;
        let chosen = placement.verdicts.iter().find(|verdict| verdict.node.id == choice.node.id);
        if self.state.container(&(wanted.pool, spec.name.clone())).is_none() {
            assert_eq!(chosen.and_then(points), best);
        }
        Ok((choice.node.id, choice.grant.address))
    }

    /// A container as a request asks for it, before it has a place.
    fn wanted(&self, spec: &ContainerSpec) -> Container {
        let pool = self.state.pool_named("p").unwrap().id;
        let next = EndpointId(self.state.settings().last_endpoint + 1);
        Container {
            pool,
            name: if spec.name.is_empty() { format!("c{}", next.0) } else { spec.name.clone() },
            image: spec.image.clone(),
            runtime: if spec.image.is_empty() { "netns" } else { "docker" }.to_owned(),
            command: Vec::new(),
            environment: BTreeMap::new(),
            resources: spec.resources,
            restart: RestartPolicy::No,
            stop_timeout_s: 10,
            constraints: spec.constraints.clone(),
            affinities: spec.affinities.clone(),
            pinned: false,
            stopped: false,
            starts: 0,
            health: None,
            mounts: Vec::new(),
            replica_of: None,
            service: String::new(),
            labels: spec.labels.clone(),
            endpoint: Endpoint {
                id: next,
                network: self.state.network_named(pool, "net").unwrap().id,
                address: spec.address.unwrap_or(Ipv4Addr::UNSPECIFIED),
                mac: MacAddr::ZERO,
                node: NodeId(0),
                ofport: PortNo(0),
            },
            deleting: false,
            request_key: String::new(),
            revision: 0,
        }
    }

    fn migrate(&mut self, container: &Container, to: Option<u8>) {
        let node = to.map(|n| format!("n{n}"));
        let before = self.state.clone();
        let moved = self.run(|tx, around| {
            containers::migrate(tx, ("p", &container.name), node.as_deref().unwrap_or(""), around)
        });
        let after = std::mem::replace(&mut self.state, before);
        let except = node.is_none().then_some(container.endpoint.node);
        match moved {
            Ok(moved) if moved.endpoint == container.endpoint => assert!(node.is_some(), "it has to move"),
            Ok(moved) => {
                let to = self.state.node(moved.endpoint.node).unwrap();
                assert!(self.may_go(container, to, node.is_some()), "{container:?} to {to:?}");
                assert_ne!(Some(to.id), except);
                self.state = after;
            }
            Err(_) if container.deleting => {}
            Err(refusal) => {
                assert!(
                    !self.any_may_take(container, node.as_deref(), except),
                    "{refusal} for {container:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_place_is_right_and_refused_only_if_there_is_none(
        placement in prop::sample::select(&[Placing::Spread, Placing::Binpack][..]),
        capacities in prop::collection::vec((0..4u32, 0..5u64), usize::from(N_NODES)),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let capacities: Vec<Resources> = capacities
            .into_iter()
            .map(|(cpu, memory)| Resources { cpu_millis: cpu * 1000, memory_bytes: memory << 20, pids: 0 })
            .collect();
        let mut world = World::new(placement, "10.1.0.0/27", 30, &capacities);
        for step in steps {
            let containers: Vec<Arc<Container>> = world.state.containers().cloned().collect();
            let retiring: Vec<_> = world.state.all_retiring().map(|retiring| retiring.endpoint.id).collect();
            match step {
                Step::Create(spec) => world.create(&spec),
                Step::Node(node, change) => world.change(node, &change),
                Step::Retired(index) if !retiring.is_empty() => {
                    world.run(|tx, _| {
                        containers::retired(tx, *index.get(&retiring), 1_000_000);
                        Ok(())
                    }).unwrap();
                }
                Step::Delete(index) if !containers.is_empty() => {
                    let name = &index.get(&containers).name;
                    world.run(|tx, _| containers::delete(tx, "p", name)).unwrap();
                }
                Step::Move(index, node) if !containers.is_empty() => {
                    let container: &Arc<Container> = index.get(&containers);
                    world.migrate(container, node);
                }
                Step::Retired(_) | Step::Delete(_) | Step::Move(..) => {}
            }
            for node in world.state.nodes() {
                let sum = world.state.hosted(node.id).allocated;
                let (cpu, memory) = world.load(node.id, "");
                prop_assert_eq!((sum.cpu_millis, sum.memory_bytes), (cpu, u128::from(memory)));
                let Resources { cpu_millis: most_cpu, memory_bytes: most_memory, .. } = node.capacity;
                prop_assert!(most_cpu == 0 || cpu <= most_cpu.into(), "{} is over its capacity", node.name);
                prop_assert!(most_memory == 0 || memory <= most_memory, "{} is over its capacity", node.name);
            }
        }
    }
}

/// Also says how long it took; what it takes in a release build is measured by `benches/placement.rs`.
#[test]
fn a_thousand_containers_spread_evenly_over_a_thousand_nodes() {
    let capacity = Resources { cpu_millis: 64_000, memory_bytes: 256 << 30, pids: 0 };
    let mut world = World::new(Placing::Spread, "10.0.0.0/8", 26, &vec![capacity; 1000]);
    let shy = Rule { key: "app".to_owned(), equal: false, value: "db".to_owned() };
    let begun = Instant::now();
    for n in 0..1000 {
        let spec = ContainerSpec {
            pool: "p".to_owned(),
            name: format!("c{n}"),
            image: "busybox".to_owned(),
            resources: Resources { cpu_millis: 500, memory_bytes: 512 << 20, pids: 0 },
            affinities: if n % 2 == 0 { vec![shy.clone()] } else { Vec::new() },
            labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            network: "net".to_owned(),
            ..ContainerSpec::default()
        };
        let around = World::around(&world.links, &world.ports);
        containers::create(&mut Transaction::new(&mut world.state), &spec, around).unwrap();
    }
    println!("1000 containers placed on 1000 nodes in {:?}", begun.elapsed());
    assert!(world.state.nodes().all(|node| world.state.hosted(node.id).live.len() == 1));
}
