//! Lost and drained nodes in virtual time: orders are carried out by the test, when it wants.

use std::net::Ipv4Addr;

use flowlib::types::DatapathId;

use super::*;
use crate::intent::model::Resources;
use crate::intent::{Refusal, Transaction};
use crate::orchestrate::containers::{self, ContainerSpec, Surroundings};
use crate::orchestrate::evacuation;
use crate::orchestrate::history;
use crate::orchestrate::networks::{self, NetworkSpec};
use crate::orchestrate::nodes::{self, NodeSpec};
use crate::orchestrate::pools::{self, PoolSpec};

const LEASE: Duration = Duration::from_secs(15);

struct World {
    state: State,
    notes: Notes,
    lifecycle: Lifecycle,
    now: Now,
    start: Now,
    sessions: u64,
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    /// A pool with a network and so many nodes, all connected; the controller has just started.
    fn new(n_nodes: u8) -> Self {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        pools::create(&mut tx, PoolSpec { name: "p".to_owned(), ..PoolSpec::default() }).unwrap();
        let spec = NetworkSpec {
            pool: "p".to_owned(),
            name: "net".to_owned(),
            driver: "vlan".to_owned(),
            subnet: "10.1.0.0/24".parse().unwrap(),
            gateway: None,
            vlan: None,
            vni: None,
            mtu: None,
            block_prefix_len: None,
            within_ranges: false,
        };
        networks::create(&mut tx, &spec).unwrap();
        for n in 1..=n_nodes {
            register(&mut tx, n);
        }
        state.revision = 1;
        let notes = Notes::default();
        let mut lifecycle = Lifecycle::new(notes.clone(), LEASE);
        let now = Now::read();
        lifecycle.resume(&state, now);
        let mut world = Self { state, notes, lifecycle, now, start: now, sessions: 0 };
        (1..=n_nodes).for_each(|n| world.connect(n));
        world
    }

    fn id(&self, n: u8) -> NodeId {
        let pool = self.state.pool_named("p").unwrap().id;
        self.state.node_named(pool, &format!("n{n}")).unwrap().id
    }

    /// A node's agent and switch connect; its agent has nothing that is not reported later.
    fn connect(&mut self, n: u8) {
        let node = self.id(n);
        self.sessions += 1;
        let attached = AgentEvent::Attached(Arc::default());
        self.lifecycle.agent(&self.state, (node, self.sessions), attached, self.now);
        let nothing = AgentEvent::Inventory { revision: self.state.revision, endpoints: Vec::new() };
        self.say(n, nothing);
        let runtimes = BTreeSet::from(["netns".to_owned()]);
        let offer = crate::orchestrate::links::Offer { runtimes, ..Default::default() };
        self.say(n, AgentEvent::Node { foreign: BTreeSet::new(), problems: Vec::new(), offer });
        self.lifecycle.switch(&self.state, SwitchEvent::Connected { node }, self.now);
        self.applied(n);
    }

    fn session(&self, n: u8) -> u64 {
        self.lifecycle.nodes[&self.id(n)].agent.as_ref().map_or(0, |agent| agent.session)
    }

    fn say(&mut self, n: u8, event: AgentEvent) {
        let from = (self.id(n), self.session(n));
        self.lifecycle.agent(&self.state, from, event, self.now);
    }

    fn applied(&mut self, n: u8) {
        let (node, revision) = (self.id(n), self.state.revision);
        let applied = SwitchEvent::Applied { node, revision, rejected: Vec::new() };
        self.lifecycle.switch(&self.state, applied, self.now);
    }

    fn switch_goes(&mut self, n: u8) {
        let node = self.id(n);
        self.lifecycle.switch(&self.state, SwitchEvent::Disconnected { node }, self.now);
    }

    /// Neither a node's agent nor its switch is there any more.
    fn vanish(&mut self, n: u8) {
        self.say(n, AgentEvent::Detached);
        self.switch_goes(n);
    }

    fn transact<T>(
        &mut self,
        request: impl FnOnce(&mut Transaction<'_>, Surroundings<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.state.clone();
        let Notes { links, ports, .. } = &self.notes;
        let around = Surroundings { links, ports, now_ms: 0, cool_down_ms: 0 };
        let mut tx = Transaction::new(&mut self.state);
        let outcome = request(&mut tx, around);
        if outcome.is_err() {
            tx.undo(0);
            return outcome;
        }
        let changes = history::changes(&before, &self.state);
        if !changes.is_empty() {
            self.state.revision += 1;
            let commit = Commit { revision: self.state.revision, changes };
            self.lifecycle.commit(&self.state, &commit, self.now);
        }
        outcome
    }

    /// A container on a node, ready; pinned, if that is asked for.
    fn container(&mut self, n: u8, name: &str, service: &str, pinned: bool) {
        let spec = ContainerSpec {
            pool: "p".to_owned(),
            name: name.to_owned(),
            network: "net".to_owned(),
            service: service.to_owned(),
            node: format!("n{n}"),
            ..ContainerSpec::default()
        };
        self.transact(|tx, around| {
            let container = containers::create(tx, &spec, around)?;
            tx.put(Container { pinned, ..Container::clone(&container) });
            Ok(())
        })
        .unwrap();
        self.ready(name);
    }

    fn get(&self, name: &str) -> Arc<Container> {
        containers::find(&self.state, "p", name).unwrap().clone()
    }

    fn node_of(&self, name: &str) -> u8 {
        let node = self.state.node(self.get(name).endpoint.node).unwrap();
        node.name.trim_start_matches('n').parse().unwrap()
    }

    fn condition(&self, name: &str) -> Condition {
        self.notes.board.look(&self.get(name)).condition
    }

    /// A container's port comes up on its node, and its flows are confirmed.
    fn ready(&mut self, name: &str) {
        self.report(name, PortState::Up, status::Reason::PortRefused);
        assert_eq!(self.condition(name).phase, status::Phase::Ready);
    }

    /// A container's node confirms its flows and says what became of it.
    fn report(&mut self, name: &str, state: PortState, refused: status::Reason) {
        let (endpoint, n) = (self.get(name).endpoint.clone(), self.node_of(name));
        self.applied(n);
        let report = PortReport {
            state,
            ofport: endpoint.ofport,
            message: String::new(),
            refused,
            process: None,
            starts: 0,
        };
        self.say(n, AgentEvent::Endpoint(endpoint.id, report));
    }

    fn put(&mut self, container: Container) {
        let put = |tx: &mut Transaction<'_>, _: Surroundings<'_>| {
            tx.put(container);
            Ok(())
        };
        self.transact(put).unwrap();
    }

    /// A container's process has ended; it answered that request for a start.
    fn ended(&mut self, n: u8, name: &str, starts: u32) {
        let endpoint = self.get(name).endpoint.clone();
        let process = status::Process {
            started: Some(SystemTime::UNIX_EPOCH + s(starts.into())),
            finished: Some(SystemTime::UNIX_EPOCH + s(u64::from(starts) + 1)),
            ..status::Process::default()
        };
        let report = PortReport {
            state: PortState::Ended,
            ofport: endpoint.ofport,
            message: String::new(),
            refused: status::Reason::PortRefused,
            process: Some(process),
            starts,
        };
        self.say(n, AgentEvent::Endpoint(endpoint.id, report));
    }

    fn schedule(&mut self, n: u8, scheduling: Scheduling) {
        self.transact(|tx, _| nodes::schedule(tx, "p", &format!("n{n}"), scheduling)).unwrap();
    }

    /// Carries out what is ordered; gives back the names of the containers that were to be evacuated.
    fn carry_out(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        for order in self.lifecycle.take_orders() {
            let Order::Evacuate(id) = order else { continue };
            names.push(self.state.container_of(id).unwrap().name.clone());
            let outcome = match self.transact(|tx, around| evacuation::evacuate(tx, id, around)) {
                Ok(outcome) => outcome,
                Err(refusal) => Outcome::Refused(refusal),
            };
            self.lifecycle.done(&self.state, Done::Evacuated(id, outcome), self.now);
        }
        names
    }

    /// Lets time pass while the nodes of `alive` keep saying that they are there.
    fn pass(&mut self, time: Duration, alive: &[u8]) {
        let end = self.now.clock + time;
        while self.now.clock < end {
            let due = self.lifecycle.next_timeout().unwrap_or(end);
            let step = due.min(end).min(self.now.clock + s(5)) - self.now.clock;
            self.now = Now { wall: self.now.wall + step, clock: self.now.clock + step };
            alive.iter().for_each(|n| self.say(*n, AgentEvent::KeepAlive));
            self.lifecycle.timeout(&self.state, self.now);
        }
    }

    fn node(&self, n: u8) -> NodeCondition {
        self.lifecycle.node(&self.state, self.id(n)).unwrap()
    }

    fn words(&self, name: &str) -> Vec<&'static str> {
        let (past, _) = self.notes.events.subscribe();
        past.iter().filter(|event| event.name == name).map(|event| event.reason).collect()
    }
}

fn register(tx: &mut Transaction<'_>, n: u8) {
    let spec = NodeSpec {
        pool: "p".to_owned(),
        name: format!("n{n}"),
        datapath_id: DatapathId(n.into()),
        tunnel_address: Ipv4Addr::new(172, 31, 0, n),
        labels: BTreeMap::new(),
        capacity: Resources::default(),
        metrics: None,
    };
    nodes::register(tx, spec).unwrap();
}

#[test]
fn an_agent_that_only_crashes_moves_nothing() {
    let mut world = World::new(2);
    world.container(1, "a", "a", false);
    world.say(1, AgentEvent::Detached);
    world.pass(s(100), &[2]);
    assert!(!world.node(1).lost && world.carry_out().is_empty());
    assert_eq!(world.condition("a").reason, status::Reason::NodeUnreachable);
    world.switch_goes(1);
    world.pass(s(4), &[2]);
    assert!(!world.node(1).lost, "its switch may only connect anew");
    world.pass(s(1), &[2]);
    assert!(world.node(1).lost);
    assert_eq!(world.carry_out(), ["a"]);
    assert_eq!(world.node_of("a"), 2);
}

#[tokio::test]
async fn agents_are_told_of_their_pools_registry_proxies_when_they_connect_and_when_that_changes() {
    use crate::orchestrate::outbox::Outgoing;
    let mut world = World::new(1);
    let outbox = world.lifecycle.outbox(world.id(1)).unwrap();
    assert_eq!(outbox.next().await, Some(Outgoing::Images(BTreeMap::new())));
    let proxies = BTreeMap::from([("docker.io".to_owned(), "http://10.0.0.1:5000".to_owned())]);
    let change = pools::Change { registry_proxies: proxies.clone(), ..pools::Change::default() };
    world.transact(|tx, _| pools::update(tx, "p", change)).unwrap();
    assert_eq!(outbox.next().await, Some(Outgoing::Images(proxies.clone())));
    world.connect(1);
    let outbox = world.lifecycle.outbox(world.id(1)).unwrap();
    assert_eq!(outbox.next().await, Some(Outgoing::Images(proxies)));
}

#[test]
fn a_silent_stream_counts_as_closed_after_a_lease() {
    let mut world = World::new(1);
    let outbox = world.lifecycle.outbox(world.id(1)).unwrap();
    world.pass(LEASE - Duration::from_millis(1), &[]);
    assert!(world.node(1).agent);
    world.pass(Duration::from_millis(1), &[]);
    assert!(!world.node(1).agent && !world.node(1).lost && !world.notes.links.of(world.id(1)).agent);
    assert!(!outbox.log(crate::orchestrate::outbox::LogOrder {
        id: String::new(),
        endpoint: EndpointId(1),
        follow: false,
        tail: None,
        timestamps: false,
        since: None,
    }));
    world.connect(1);
    assert!(world.node(1).agent);
}

#[test]
fn the_end_of_a_stream_is_no_word_of_its_agent() {
    let mut world = World::new(1);
    world.pass(s(10), &[]);
    world.say(1, AgentEvent::Detached);
    world.switch_goes(1);
    world.pass(s(4), &[]);
    assert!(!world.node(1).lost);
    world.pass(s(1), &[]);
    assert!(world.node(1).lost);
}

#[test]
fn a_controller_that_has_just_started_gives_every_node_a_whole_lease() {
    let mut world = World::new(1);
    world.container(1, "a", "a", false);
    world.lifecycle = Lifecycle::new(Notes::default(), LEASE);
    world.lifecycle.resume(&world.state, world.now);
    assert_eq!(world.lifecycle.next_timeout(), Some(world.start.clock + LEASE));
    world.pass(LEASE - s(1), &[]);
    assert!(!world.node(1).lost);
    world.pass(s(1), &[]);
    assert!(world.node(1).lost);
}

#[test]
fn a_lost_nodes_containers_move_at_once_and_keep_their_addresses_but_for_pinned_ones() {
    let mut world = World::new(3);
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.container(1, name, "web", false);
    }
    world.container(1, "pinned", "pinned", true);
    let address = world.get("a").endpoint.address;
    world.say(1, AgentEvent::Detached);
    world.switch_goes(1);
    world.pass(LEASE, &[2, 3]);
    assert_eq!(world.carry_out(), ["a", "b", "c", "d", "e", "f"]);
    assert!(["a", "b", "c", "d", "e", "f"].iter().all(|name| world.node_of(name) != 1));
    assert_eq!((world.get("a").endpoint.address, world.get("a").pinned), (address, false));
    let pinned = world.condition("pinned");
    assert_eq!((world.node_of("pinned"), pinned.reason), (1, status::Reason::NodeLost));
    assert!(pinned.message.contains("must run here (--node)"), "{}", pinned.message);
    let problems = world.node(1).problems.join("; ");
    assert!(problems.contains("the container `pinned` must run here (--node)"), "{problems}");
    assert_eq!(world.words("n1"), ["Connected", "Connected", "Disconnected", "Disconnected", "NodeLost"]);
    assert!(world.words("a").ends_with(&["Moved"]), "{:?}", world.words("a"));
    let (past, _) = world.notes.events.subscribe();
    let moved = past.iter().find(|event| event.reason == "Moved").unwrap();
    assert!(moved.message.starts_with("from n1 to n") && moved.message.ends_with("its node is lost"));
}

#[test]
fn what_no_node_takes_is_remembered_and_tried_again() {
    let mut world = World::new(2);
    world.container(1, "a", "a", false);
    world.say(2, AgentEvent::Detached);
    world.vanish(1);
    world.pass(LEASE, &[]);
    assert_eq!(world.carry_out(), ["a"]);
    let condition = world.condition("a");
    assert_eq!(condition.reason, status::Reason::NodeLost);
    assert!(condition.message.contains("cannot be placed elsewhere: no other node"), "{}", condition.message);
    let problems = world.node(1).problems.join("; ");
    assert!(problems.contains("the container `a` cannot be moved: no other node"), "{problems}");
    assert!(world.words("a").ends_with(&["MoveRefused"]));
    world.pass(s(4), &[]);
    assert!(world.carry_out().is_empty());
    world.pass(s(1), &[]);
    assert_eq!(world.carry_out(), ["a"], "whatever happens, after 5 s");
    world.pass(s(2), &[]);
    world.connect(2);
    world.lifecycle.timeout(&world.state, world.now);
    assert_eq!(world.carry_out(), ["a"], "and when a node attaches");
    assert_eq!(world.node_of("a"), 2);
    world.pass(s(20), &[2]);
    assert_eq!((world.carry_out(), world.lifecycle.evacuation.next()), (Vec::new(), None));
}

#[test]
fn nothing_is_moved_while_most_of_a_pool_is_lost_and_for_a_lease_after_it() {
    let mut world = World::new(5);
    for n in 1..=5 {
        world.container(n, &format!("c{n}"), "c", false);
        world.vanish(n);
    }
    world.pass(s(100), &[]);
    assert!(world.carry_out().is_empty() && world.node(1).lost);
    let sentence = "more than half of the pool's nodes are lost at once: nothing is moved before fewer have been for 15s";
    let problems = world.node(1).problems.join("; ");
    assert!(problems.contains(&format!("the node is lost: {sentence}")), "{problems}");
    let message = world.condition("c2").message;
    assert!(message.contains(sentence), "{message}");
    for n in [1, 2] {
        world.connect(n);
        world.pass(s(100), &[1, 2]);
        assert!(world.carry_out().is_empty(), "the first ones back are not given all the others'");
    }
    world.connect(3);
    world.pass(s(10), &[1, 2, 3]);
    assert!(world.carry_out().is_empty());
    world.connect(4);
    world.pass(s(4), &[1, 2, 3, 4]);
    assert!(world.carry_out().is_empty(), "a lease is not over");
    world.pass(s(1), &[1, 2, 3, 4]);
    assert_eq!(world.carry_out(), ["c5"]);
    assert!(world.node(5).problems.join("; ").contains("what it had is placed elsewhere"));
}

#[test]
fn of_a_pool_of_two_one_may_be_lost() {
    let mut world = World::new(2);
    world.container(1, "a", "a", false);
    world.vanish(1);
    world.pass(LEASE, &[2]);
    assert_eq!(world.carry_out(), ["a"]);
}

#[test]
fn of_many_that_no_node_takes_a_few_are_tried_again_at_a_time_and_all_in_turn() {
    let mut world = World::new(2);
    let names: Vec<String> = (0..150).map(|n| format!("c{n:03}")).collect();
    names.iter().for_each(|name| world.container(1, name, name, false));
    world.schedule(2, Scheduling::Cordoned);
    world.vanish(1);
    world.pass(LEASE, &[2]);
    assert_eq!(world.carry_out(), names, "each is tried once");
    let third = [&names[..42], &names[128..]].concat();
    for expected in [&names[..64], &names[64..128], &third, &names[42..106]] {
        assert!(!world.lifecycle.evacuation.is_due(world.now.clock), "a refusal calls for nothing at once");
        world.pass(s(5), &[2]);
        assert_eq!(world.carry_out(), expected);
    }
}

#[test]
fn a_refusal_is_told_again_only_if_it_is_of_another_kind() {
    let mut world = World::new(4);
    world.container(1, "a", "a", false);
    [2, 3].iter().for_each(|n| world.schedule(*n, Scheduling::Cordoned));
    world.say(4, AgentEvent::Detached);
    world.vanish(1);
    world.pass(LEASE, &[2, 3]);
    let refused = |world: &mut World, part: &str| {
        assert_eq!(world.carry_out(), ["a"]);
        let message = world.condition("a").message;
        assert!(message.contains(part), "{message}");
        world.words("a").into_iter().filter(|word| *word == "MoveRefused").count()
    };
    assert_eq!(refused(&mut world, "n2, n3: cordon"), 1);
    world.say(3, AgentEvent::Detached);
    world.pass(s(5), &[2]);
    assert_eq!(refused(&mut world, "n2: cordon"), 1, "for the same, with other words");
    world.say(2, AgentEvent::Detached);
    world.pass(s(5), &[]);
    assert_eq!(refused(&mut world, "no other node of the pool `p` is connected"), 2);
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_containers() {
    let mut world = World::new(2);
    world.container(1, "a", "a", false);
    world.say(1, AgentEvent::Detached);
    world.switch_goes(1);
    world.pass(LEASE, &[2]);
    world.connect(1);
    assert_eq!(world.carry_out(), ["a"], "it was ordered");
    assert_eq!(world.node_of("a"), 1, "but the node is back");
    assert!(!world.node(1).lost && world.words("n1").contains(&"NodeBack"));
    assert!(world.carry_out().is_empty());
}

#[test]
fn a_drained_node_gives_up_one_of_a_service_at_a_time_and_four_at_most() {
    let mut world = World::new(2);
    for name in ["a1", "a2", "b", "c", "d", "e"] {
        world.container(1, name, &name[..1], false);
    }
    world.container(1, "pinned", "pinned", true);
    world.schedule(1, Scheduling::Draining);
    assert_eq!(world.carry_out(), ["a1", "b", "c", "d"]);
    assert!(world.carry_out().is_empty(), "none of them is ready elsewhere yet");
    world.ready("b");
    assert_eq!(world.carry_out(), ["e"], "a2 waits for a1");
    world.ready("a1");
    assert!(world.carry_out().is_empty(), "a2 goes on waiting: a1 may not listen yet");
    world.pass(s(2), &[1, 2]);
    assert!(world.carry_out().is_empty());
    world.pass(s(1), &[1, 2]);
    assert_eq!(world.carry_out(), ["a2"]);
    ["c", "d", "e"].iter().for_each(|name| world.ready(name));
    assert!(!world.words("n1").contains(&"Drained"));
    world.ready("a2");
    assert!(world.carry_out().is_empty());
    assert_eq!(world.words("n1").last(), Some(&"Drained"));
    assert_eq!((world.node_of("pinned"), world.node_of("a2")), (1, 2));
    let problems = world.node(1).problems.join("; ");
    assert!(problems.contains("the container `pinned` must run here"), "{problems}");
    world.schedule(1, Scheduling::Active);
    assert_eq!(world.words("n1").last(), Some(&"Active"));
    assert_eq!(world.node(1).problems, Vec::<String>::new());
}

#[test]
fn what_cannot_become_ready_elsewhere_does_not_hold_up_a_drain() {
    let mut world = World::new(2);
    for name in ["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"] {
        world.container(1, name, &name[..1], false);
    }
    world.report("c1", PortState::Failed, status::Reason::Restarting);
    world.schedule(1, Scheduling::Draining);
    assert_eq!(world.carry_out(), ["a1", "b1", "c1", "d1"]);
    assert_eq!(world.carry_out(), ["c2"], "c1 was not ready before");
    world.report("a1", PortState::Failed, status::Reason::ImageMissing);
    assert_eq!(world.carry_out(), ["a2"]);
    world.report("b1", PortState::Failed, status::Reason::Restarting);
    assert_eq!(world.carry_out(), ["b2"]);
    world.report("d1", PortState::Failed, status::Reason::PortRefused);
    world.pass(s(29), &[1, 2]);
    assert!(world.carry_out().is_empty(), "that may pass");
    world.pass(s(1), &[1, 2]);
    assert_eq!(world.carry_out(), ["d2"]);
    world.pass(s(30), &[1, 2]);
    assert_eq!(world.words("n1").last(), Some(&"Drained"));
}

#[test]
fn a_drained_nodes_container_that_is_refused_elsewhere_does_not_hold_up_the_others() {
    let mut world = World::new(2);
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.container(1, name, name, false);
    }
    world.say(2, AgentEvent::Detached);
    world.schedule(1, Scheduling::Draining);
    assert_eq!(world.carry_out(), ["a", "b", "c", "d"]);
    assert_eq!(world.carry_out(), ["e", "f"]);
    assert!(world.carry_out().is_empty());
    assert_eq!(world.condition("a").phase, status::Phase::Ready, "it runs on where it is");
    assert!(world.node(1).problems[0].contains("the container `a` cannot be moved"));
    world.pass(s(5), &[1]);
    assert_eq!(world.carry_out(), ["a", "b", "c", "d"]);
    assert_eq!(world.carry_out(), ["e", "f"]);
}

#[test]
fn idle_nodes_cost_no_timers_but_their_leases() {
    let mut world = World::new(2);
    world.container(1, "a", "a", false);
    world.pass(s(10), &[1, 2]);
    assert_eq!(world.lifecycle.next_timeout(), Some(world.now.clock + LEASE));
    assert!(!world.lifecycle.evacuation.is_due(world.now.clock + s(1000)));
    world.container(2, "b", "b", false);
    assert!(!world.lifecycle.evacuation.is_due(world.now.clock + s(1000)));
}

#[test]
fn a_job_that_has_ended_is_not_run_again_elsewhere() {
    let mut world = World::new(2);
    for name in ["job", "stopped"] {
        world.container(1, name, name, false);
        world.ended(1, name, 0);
    }
    let stopped = Container { stopped: true, ..Container::clone(&world.get("stopped")) };
    world.put(stopped);
    world.schedule(1, Scheduling::Draining);
    assert_eq!(world.carry_out(), ["stopped"], "that one does not run elsewhere either");
    assert!(world.carry_out().is_empty());
    let problems = world.node(1).problems.join("; ");
    assert!(problems.contains("`job` has ended, and would run again elsewhere"), "{problems}");
    world.say(1, AgentEvent::Detached);
    world.switch_goes(1);
    world.pass(LEASE, &[2]);
    assert!(world.node(1).lost && world.carry_out().is_empty());
    assert!(world.condition("job").message.contains("has ended"), "{}", world.condition("job").message);
    let again = Container { starts: 1, ..Container::clone(&world.get("job")) };
    world.put(again);
    assert_eq!(world.carry_out(), ["job"], "it is to run again");
}

#[test]
fn a_node_whose_agent_is_gone_can_be_drained_once_its_lease_is_over() {
    let mut world = World::new(2);
    for name in ["a", "b"] {
        world.container(1, name, "web", false);
    }
    world.say(1, AgentEvent::Detached);
    world.schedule(1, Scheduling::Draining);
    world.pass(LEASE - s(1), &[2]);
    assert!(world.carry_out().is_empty(), "it may come back and say what has ended there");
    world.pass(s(1), &[2]);
    assert!(!world.node(1).lost);
    assert_eq!(world.carry_out(), ["a"]);
    assert!(world.carry_out().is_empty(), "it may have been ready: that is waited for");
    world.ready("a");
    world.pass(s(3), &[2]);
    assert_eq!(world.carry_out(), ["b"]);
}

#[test]
fn a_node_is_heard_of_its_own_endpoints_only() {
    let mut world = World::new(2);
    world.container(1, "a", "", false);
    let endpoint = world.get("a").endpoint.clone();
    assert_eq!(world.lifecycle.take_orders(), []);
    for state in [PortState::OfportTaken, PortState::Ended, PortState::Removed] {
        let report = PortReport {
            state,
            ofport: endpoint.ofport,
            message: String::new(),
            refused: status::Reason::PortRefused,
            process: None,
            starts: 0,
        };
        for id in [endpoint.id, EndpointId(4711)] {
            world.say(2, AgentEvent::Endpoint(id, report.clone()));
            let (revision, endpoints) = (world.state.revision, vec![(id, report.clone())]);
            world.say(2, AgentEvent::Inventory { revision, endpoints });
        }
    }
    assert_eq!(world.lifecycle.take_orders(), []);
    assert_eq!(world.condition("a").phase, status::Phase::Ready);
    let agent = world.lifecycle.nodes[&world.id(2)].agent.as_ref().unwrap();
    assert!(agent.endpoints.is_empty(), "{:?}", agent.endpoints);
    world.schedule(1, Scheduling::Draining);
    assert_eq!(world.carry_out(), ["a"], "one that had ended would stay");
}

#[test]
fn a_node_that_was_deleted_does_not_come_back_by_what_its_switch_says() {
    let mut world = World::new(2);
    let node = world.id(1);
    world.say(1, AgentEvent::Detached);
    world.transact(|tx, _| nodes::delete(tx, "p", "n1", |_| false, 0)).unwrap();
    assert!(!world.notes.links.of(node).switch);
    let rejected = Vec::new();
    for event in [
        SwitchEvent::Applied { node, revision: 9, rejected },
        SwitchEvent::Disconnected { node },
        SwitchEvent::Connected { node },
        SwitchEvent::Disconnected { node },
    ] {
        world.lifecycle.switch(&world.state, event, world.now);
    }
    world.pass(s(100), &[2]);
    assert!(!world.lifecycle.nodes.contains_key(&node) && !world.lifecycle.leases.is_lost(node));
    assert_eq!(world.words("n1"), ["Connected", "Connected", "Disconnected"]);
}

#[test]
fn a_switch_that_refuses_this_controller_is_a_problem_of_its_node_until_it_connects() {
    let mut world = World::new(1);
    let node = world.id(1);
    let has_problem = |world: &World| {
        let condition = world.lifecycle.node(&world.state, node).unwrap();
        condition.problems.iter().any(|problem| problem.contains("another weir-controller"))
    };
    for (event, expected) in [(SwitchEvent::Deposed { node }, true), (SwitchEvent::Connected { node }, false)]
    {
        world.lifecycle.switch(&world.state, event, world.now);
        assert_eq!(has_problem(&world), expected);
    }
}

#[test]
fn the_word_for_a_connection_says_whether_it_has_come_or_gone() {
    let mut world = World::new(1);
    world.vanish(1);
    let (past, _) = world.notes.events.subscribe();
    let told: Vec<_> = past.iter().map(|event| (event.reason, event.message.as_str())).collect();
    let expected = [
        ("Connected", "the agent is connected, the switch is not"),
        ("Connected", "agent and switch are connected"),
        ("Disconnected", "the switch is connected, the agent is not"),
        ("Disconnected", "neither agent nor switch is connected"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn neither_a_new_stream_nor_a_new_controller_makes_news_of_what_was_so_already() {
    let mut world = World::new(1);
    world.container(1, "a", "a", false);
    assert_eq!(world.words("a"), ["Created", "Ready"]);
    world.connect(1);
    assert_eq!(world.condition("a").phase, status::Phase::Starting, "the new stream has said nothing of it");
    world.ready("a");
    assert_eq!(world.words("a"), ["Created", "Ready"]);
    world.notes = Notes::default();
    world.lifecycle = Lifecycle::new(world.notes.clone(), LEASE);
    world.lifecycle.resume(&world.state, world.now);
    world.connect(1);
    world.ready("a");
    assert!(world.words("a").is_empty(), "{:?}", world.words("a"));
    world.vanish(1);
    world.connect(1);
    world.ready("a");
    assert_eq!(world.words("a"), ["Degraded", "Ready"]);
}

#[test]
fn a_name_that_is_free_for_a_moment_within_a_commit_is_another_container() {
    let mut world = World::new(1);
    world.container(1, "a", "a", false);
    world.transact(|tx, _| containers::delete(tx, "p", "a")).unwrap();
    let (pool, name, network) = ("p".to_owned(), "a".to_owned(), "net".to_owned());
    let spec = ContainerSpec { pool, name, network, ..ContainerSpec::default() };
    let endpoint = world.get("a").endpoint.id;
    world
        .transact(|tx, around| {
            containers::retired(tx, endpoint, 0);
            containers::create(tx, &spec, around)
        })
        .unwrap();
    assert_eq!(world.words("a"), ["Created", "Ready", "Deleting", "Deleted", "Created"]);
}

#[test]
fn a_drained_node_is_asked_first_what_has_ended_there() {
    let mut world = World::new(2);
    world.container(1, "job", "job", false);
    world.schedule(1, Scheduling::Draining);
    world.lifecycle = Lifecycle::new(world.notes.clone(), LEASE);
    world.lifecycle.resume(&world.state, world.now);
    let node = world.id(1);
    world.lifecycle.agent(&world.state, (node, 9), AgentEvent::Attached(Arc::default()), world.now);
    world.lifecycle.switch(&world.state, SwitchEvent::Connected { node }, world.now);
    assert!(world.carry_out().is_empty());
    world.ended(1, "job", 0);
    world.say(1, AgentEvent::Inventory { revision: world.state.revision, endpoints: Vec::new() });
    assert!(world.carry_out().is_empty() && world.words("n1").ends_with(&["Drained"]));
}

#[test]
fn a_report_of_the_end_of_an_earlier_process_is_late() {
    let mut world = World::new(1);
    world.container(1, "a", "a", true);
    world.ended(1, "a", 0);
    assert_eq!(world.condition("a").phase, status::Phase::Ended);
    let again = Container { starts: 1, ..Container::clone(&world.get("a")) };
    world.put(again);
    assert_eq!(world.condition("a").phase, status::Phase::Starting);
    world.ended(1, "a", 0);
    assert_eq!(world.condition("a").phase, status::Phase::Starting, "that was the process before");
    world.ended(1, "a", 1);
    assert_eq!(world.condition("a").phase, status::Phase::Ended);
    assert_eq!(world.words("a"), ["Created", "Ready", "Exited", "Exited"]);
}
