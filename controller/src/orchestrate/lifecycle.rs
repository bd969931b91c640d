//! From commits and reports to conditions and orders: pure but for what it writes to the board and the outboxes.
//!
//! It compares states, not events: whatever is reported is set against the intent as it is now, so that a report or a
//! commit that comes late, or twice, does no harm.
//!
//! ```text
//!   commits ───────┐                       ┌──▶ board: how each container is
//!   agents' words ─┼──▶ Lifecycle ─────────┼──▶ outboxes: what each agent should have
//!   switch events ─┘                       ├──▶ events: what happened, for people
//!                                          └──▶ orders: ends of retirements, new port numbers, evacuations, replicas
//! ```

mod absence;
mod replicas;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flowlib::compile::model::{Driver, EndpointId, NetworkId, NodeId, PoolId};
use flowlib::types::PortNo;
use ipnet::Ipv4Net;

use crate::intent::model::{
    Admission, Change, Container, ContainerKey, Endpoint, Node, Record, Scheduling, ServiceKey,
};
use crate::intent::{Commit, Refusal, State};
use crate::measure::Milestone;
use crate::measure::journey::Journal;
use crate::openflow::{Rejection, Subject, SwitchEvent};

use super::board::Board;
use super::evacuation::{Evacuation, Outcome};
use super::events::{Event, Kind, Log, Told};
use super::lease::Leases;
use super::links::{Link, Links, Offer};
use super::ofport::Ports;
use super::outbox::{DesiredEndpoint, Goal, Outbox};
use super::services::{Services, Steps};
use super::settling::Settling;
use super::status::{self, Condition, Evidence, Phase, PortReport, PortState};
use super::volumes;

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For people.
    pub wall: SystemTime,
    /// For durations.
    pub clock: Instant,
}

impl Now {
    /// The present moment.
    #[must_use]
    pub fn read() -> Self {
        Self { wall: SystemTime::now(), clock: Instant::now() }
    }
}

/// What an agent says.
#[derive(Clone, Debug)]
pub enum AgentEvent {
    /// Its stream was opened; what it is to be sent goes into the outbox.
    Attached(Arc<Outbox>),
    /// Its stream has ended.
    Detached,
    /// It is there.
    KeepAlive,
    /// All endpoint ports it has, after it has dealt with the complete desired state of a revision.
    Inventory {
        /// The revision it answers.
        revision: u64,
        /// Its endpoint ports.
        endpoints: Vec<(EndpointId, PortReport)>,
    },
    /// What became of one endpoint.
    Endpoint(EndpointId, PortReport),
    /// How the node is.
    Node {
        /// Ports of the bridge that are not ours.
        foreign: BTreeSet<PortNo>,
        /// What is wrong with the node, a sentence each.
        problems: Vec<String>,
        /// What it has for containers.
        offer: Offer,
    },
}

/// A change of the intent that the reports call for. Carrying one out twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// An endpoint's port and flows are gone.
    Retired(EndpointId),
    /// An endpoint needs another port number than this one.
    ChooseOfport(EndpointId, PortNo),
    /// An endpoint's container is to be placed on another node.
    Evacuate(EndpointId),
    /// A service's replicas are to become more, or fewer.
    Replicate(Steps),
}

/// What became of an order of which the lifecycle is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The endpoint of an [`Order::Evacuate`].
    Evacuated(EndpointId, Outcome),
    /// The service of an [`Order::Replicate`], and why not all of it was done.
    Replicated(ServiceKey, Option<Refusal>),
}

/// How a node is, for readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCondition {
    /// The agent's stream is open.
    pub agent: bool,
    /// The switch's OpenFlow connection is up.
    pub switch: bool,
    /// The switch has confirmed all that is known to concern it.
    pub in_sync: bool,
    /// Neither agent nor switch has been heard of for long enough: what it had is placed elsewhere.
    pub lost: bool,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
    /// The runtimes that work there now, as its agent says.
    pub runtimes: Vec<String>,
    /// Since when the two connections have been as they are.
    pub since: SystemTime,
}

/// What the lifecycle writes, for others to read.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// How each container is.
    pub board: Arc<Board>,
    /// Which nodes are connected.
    pub links: Arc<Links>,
    /// Which port numbers others use.
    pub ports: Arc<Ports>,
    /// What happened.
    pub events: Arc<Log>,
    /// Where the time of creates goes.
    pub journal: Arc<Journal>,
}

/// Joins intent and reports. The owner feeds it events and carries out its orders.
#[derive(Debug)]
pub struct Lifecycle {
    board: Arc<Board>,
    links: Arc<Links>,
    ports: Arc<Ports>,
    events: Arc<Log>,
    journal: Arc<Journal>,
    nodes: HashMap<NodeId, NodeReports>,
    leases: Leases,
    /// Of nodes whose agent and switch are both connected.
    settling: Settling,
    evacuation: Evacuation,
    services: Services,
    /// What has been told of each container, by its endpoint.
    told: HashMap<EndpointId, Told>,
    /// The revision at which a container of a node, or what is left of one, changed last.
    changed_at: HashMap<NodeId, u64>,
    orders: Vec<Order>,
}

/// What is reported of one node.
#[derive(Debug)]
struct NodeReports {
    agent: Option<AgentReports>,
    switch: Option<SwitchReports>,
    /// The switch has refused this controller, and has not connected since.
    deposed: bool,
    since: SystemTime,
}

#[derive(Debug)]
struct AgentReports {
    session: u64,
    outbox: Arc<Outbox>,
    inventory: Option<u64>,
    endpoints: HashMap<EndpointId, PortReport>,
    problems: Vec<String>,
}

/// What a connected switch has confirmed.
#[derive(Debug, Default)]
struct SwitchReports {
    applied: Option<u64>,
    rejected: HashMap<EndpointId, String>,
    /// Networks some of whose flows the switch refuses: none of their endpoints is ready.
    rejected_networks: HashMap<NetworkId, String>,
    problems: Vec<String>,
}

impl SwitchReports {
    /// Why an endpoint does not have all flows it needs.
    fn refusal(&self, endpoint: &Endpoint) -> Option<&String> {
        self.rejected.get(&endpoint.id).or_else(|| self.rejected_networks.get(&endpoint.network))
    }
}

impl Lifecycle {
    /// Begins with nothing reported. Nodes count as alive for a lease after the last message of their agents.
    #[must_use]
    pub fn new(notes: Notes, lease: Duration) -> Self {
        let Notes { board, links, ports, events, journal } = notes;
        Self {
            board,
            links,
            ports,
            events,
            journal,
            nodes: HashMap::new(),
            leases: Leases::new(lease),
            settling: Settling::default(),
            evacuation: Evacuation::new(lease),
            services: Services::default(),
            told: HashMap::new(),
            changed_at: HashMap::new(),
            orders: Vec::new(),
        }
    }

    /// Takes up the whole intent: at the start, and when too many commits were missed.
    pub fn resume(&mut self, state: &State, now: Now) {
        self.board.advance(state.revision());
        let (_, posted, _) = self.board.subscribe();
        for key in posted.iter().map(|posted| (posted.container.pool, posted.container.name.clone())) {
            if state.container(&key).is_none() {
                self.board.remove(&key);
            }
        }
        self.told.retain(|id, _| state.container_of(*id).is_some());
        for container in state.containers() {
            self.note_change(container.endpoint.node, container.revision);
            // What is there already is no news.
            let condition = self.condition(state, container);
            self.told.entry(container.endpoint.id).or_insert_with(|| Told::before(&condition));
            self.board.post(container, condition, now.wall);
        }
        for retiring in state.all_retiring() {
            self.note_change(retiring.endpoint.node, retiring.revision);
            self.check_retiring(state, retiring.endpoint.id);
        }
        let gone: Vec<NodeId> = self.nodes.keys().filter(|id| state.node(**id).is_none()).copied().collect();
        gone.into_iter().for_each(|id| self.forget_node(id));
        self.take_up_nodes(state, now);
        self.services.touch_all(state);
        for (id, node) in &self.nodes {
            if let Some(agent) = &node.agent {
                agent.outbox.set_proxies(proxies(state, *id));
                agent.outbox.set_all(state.revision(), all_desired(state, *id));
            }
        }
        self.board.finish();
        self.reconcile(state, now);
    }

    /// Takes up one commit; `state` has it, and perhaps later ones.
    pub fn commit(&mut self, state: &State, commit: &Commit, now: Now) {
        self.board.advance(commit.revision);
        for change @ Change { before, after } in &commit.changes {
            self.note(state, change, now);
            for record in [before, after].into_iter().flatten() {
                match record {
                    Record::Container(container) => {
                        self.note_change(container.endpoint.node, container.revision);
                        self.services.touch_of(container);
                        self.check_container(state, &(container.pool, container.name.clone()), now);
                        self.tell_agent(state, commit.revision, &container.endpoint);
                    }
                    Record::Retiring(retiring) => {
                        let endpoint = &retiring.endpoint;
                        self.note_change(endpoint.node, retiring.revision);
                        self.tell_agent(state, commit.revision, endpoint);
                        self.check_retiring(state, endpoint.id);
                        if state.retiring(endpoint.id).is_none() {
                            self.forget_endpoint(endpoint.node, endpoint.id);
                        }
                    }
                    Record::Node(node) if state.node(node.id).is_none() => self.forget_node(node.id),
                    Record::Admission(admission) => self.turn_out(state, admission),
                    Record::Pool(pool) => self.tell_of_images(state, pool.id),
                    _ => {}
                }
            }
        }
        self.board.finish();
        self.reconcile(state, now);
    }

    /// Takes up what an agent says; `session` tells the stream from earlier ones of the same node. What it says of endpoints
    /// that are not its node's is not heard.
    pub fn agent(&mut self, state: &State, (node, session): (NodeId, u64), event: AgentEvent, now: Now) {
        if let AgentEvent::Attached(outbox) = event {
            self.attached(state, (node, session), outbox, now);
            return self.reconcile(state, now);
        }
        let current = self.nodes.get(&node).and_then(|node| node.agent.as_ref());
        if current.is_none_or(|agent| agent.session != session) {
            return;
        }
        if matches!(event, AgentEvent::Detached) {
            // That is no word of the agent's: its node may have been gone for a while.
            self.detached(state, node, now);
            return self.reconcile(state, now);
        }
        self.heard(state, node, now);
        let Some(agent) = self.nodes.get_mut(&node).and_then(|node| node.agent.as_mut()) else { return };
        match event {
            AgentEvent::Attached(_) | AgentEvent::Detached | AgentEvent::KeepAlive => {}
            AgentEvent::Node { foreign, problems, offer } => {
                agent.problems = problems;
                self.ports.set_foreign(node, foreign);
                self.links.change(node, |link| link.offer = Some(Arc::new(offer)));
                self.evacuation.touch(now.clock);
            }
            AgentEvent::Endpoint(id, _) if !state.hosted(node).has(id) => {}
            AgentEvent::Endpoint(id, report) => {
                self.evacuation.set_ended(id, has_ended(state, id, &report));
                agent.endpoints.insert(id, report);
                self.check_endpoint(state, node, id, now);
            }
            AgentEvent::Inventory { revision, endpoints } => {
                let newer = |id: &EndpointId| {
                    state.container_of(*id).is_some_and(|container| container.revision > revision)
                };
                agent.endpoints.retain(|id, report| report.state == PortState::Removed || newer(id));
                let hosted = state.hosted(node);
                for (id, report) in endpoints.into_iter().filter(|(id, _)| hosted.has(*id)) {
                    self.evacuation.set_ended(id, has_ended(state, id, &report));
                    agent.endpoints.insert(id, report);
                }
                self.evacuation.touch(now.clock);
                agent.inventory = agent.inventory.max(Some(revision));
                self.check_node(state, node, now);
            }
        }
        self.reconcile(state, now);
    }

    /// Takes up what a switch's session says.
    pub fn switch(&mut self, state: &State, event: SwitchEvent, now: Now) {
        // What is said of a node that has been deleted would bring it back.
        let (SwitchEvent::Connected { node }
        | SwitchEvent::Disconnected { node }
        | SwitchEvent::Applied { node, .. }
        | SwitchEvent::Deposed { node }) = &event;
        if state.node(*node).is_none() {
            return;
        }
        match event {
            SwitchEvent::Connected { node } => {
                let reports = self.reports(node, now);
                (reports.switch, reports.deposed) = (Some(SwitchReports::default()), false);
                self.settling.cancel(node);
                self.links.change(node, |link| link.switch = true);
                if self.leases.switch_up(node, now.clock) {
                    self.back(state, node, now);
                }
                self.node_changed(state, node, ("Connected", now));
            }
            SwitchEvent::Disconnected { node } => {
                self.reports(node, now).switch = None;
                self.settling.cancel(node);
                self.links.change(node, |link| link.switch = false);
                self.leases.switch_down(node, now.clock);
                self.node_changed(state, node, ("Disconnected", now));
            }
            SwitchEvent::Applied { node, revision, rejected } => {
                self.applied(state, node, revision, rejected, now);
            }
            SwitchEvent::Deposed { node } => self.reports(node, now).deposed = true,
        }
        self.reconcile(state, now);
    }

    /// Says to the agents of tables that have come to rest that they have.
    fn settle(&mut self, clock: Instant) {
        for node in self.settling.take_over(clock) {
            if let Some(agent) = self.nodes.get(&node).and_then(|node| node.agent.as_ref()) {
                agent.outbox.settled();
            }
        }
    }

    /// The orders since the last call.
    #[must_use]
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// How a node is.
    #[must_use]
    pub fn node(&self, state: &State, id: NodeId) -> Option<NodeCondition> {
        let node = state.node(id)?;
        let reports = self.nodes.get(&id);
        let agent = reports.and_then(|reports| reports.agent.as_ref());
        let switch = reports.and_then(|reports| reports.switch.as_ref());
        let mut problems = Vec::new();
        if agent.is_none() {
            problems.push("the agent is not connected".to_owned());
        }
        if switch.is_none() {
            problems.push("the switch is not connected".to_owned());
        }
        if reports.is_some_and(|reports| reports.deposed) {
            problems.push(
                "the switch obeys a controller that was started later: is another weir-controller running?"
                    .to_owned(),
            );
        }
        let lost = self.leases.is_lost(id);
        if lost {
            let what = self.evacuation.held(state, id);
            let what = what.unwrap_or_else(|| "what it had is placed elsewhere".to_owned());
            problems.push(format!("the node is lost: {what}"));
        }
        problems.extend(self.evacuation.problems(state, &self.board, id));
        problems.extend(agent.into_iter().flat_map(|agent| agent.problems.clone()));
        problems.extend(switch.into_iter().flat_map(|switch| switch.problems.clone()));
        Some(NodeCondition {
            agent: agent.is_some(),
            switch: switch.is_some(),
            in_sync: switch.is_some_and(|switch| self.is_in_sync(node, switch)),
            lost,
            problems,
            runtimes: self
                .links
                .of(id)
                .offer
                .map_or_else(Vec::new, |offer| offer.runtimes.iter().cloned().collect()),
            since: reports.map_or(SystemTime::UNIX_EPOCH, |reports| reports.since),
        })
    }

    /// The outbox of a node's agent, if it is connected.
    #[must_use]
    pub fn outbox(&self, node: NodeId) -> Option<Arc<Outbox>> {
        Some(self.nodes.get(&node)?.agent.as_ref()?.outbox.clone())
    }

    fn reports(&mut self, node: NodeId, now: Now) -> &mut NodeReports {
        self.nodes.entry(node).or_insert(NodeReports {
            agent: None,
            switch: None,
            deposed: false,
            since: now.wall,
        })
    }

    fn attached(&mut self, state: &State, (node, session): (NodeId, u64), outbox: Arc<Outbox>, now: Now) {
        if state.node(node).is_none_or(|node| is_revoked(state, node)) {
            return outbox.close();
        }
        outbox.set_proxies(proxies(state, node));
        outbox.set_all(state.revision(), all_desired(state, node));
        let switch = self.nodes.get(&node).and_then(|node| node.switch.as_ref());
        if let Some(applied) = switch.and_then(|switch| switch.applied) {
            outbox.confirm(applied);
            self.settling.touch(node, now.clock);
        }
        let agent = AgentReports {
            session,
            outbox,
            inventory: None,
            endpoints: HashMap::new(),
            problems: Vec::new(),
        };
        if let Some(before) = self.reports(node, now).agent.replace(agent) {
            tracing::info!(node = node.0, "agent has opened a new stream, the old one is closed");
            before.outbox.close();
        }
        self.ports.forget_reports(node);
        self.links.change(node, |link| (link.agent, link.offer) = (true, None));
        self.heard(state, node, now);
        self.node_changed(state, node, ("Connected", now));
    }

    fn detached(&mut self, state: &State, node: NodeId, now: Now) {
        if let Some(agent) = self.reports(node, now).agent.take() {
            agent.outbox.close();
        }
        self.settling.cancel(node);
        self.links.change(node, |link| (link.agent, link.offer) = (false, None));
        self.leases.closed(node);
        self.node_changed(state, node, ("Disconnected", now));
    }

    /// One of a node's connections has come or gone, as the word says.
    fn node_changed(&mut self, state: &State, node: NodeId, (word, now): (&'static str, Now)) {
        let link = self.links.of(node);
        tracing::info!(node = node.0, agent = link.agent, switch = link.switch, "node's connections changed");
        self.reports(node, now).since = now.wall;
        self.evacuation.touch(now.clock);
        self.tell_of_links(state, node, (word, now));
        self.check_node(state, node, now);
    }

    fn applied(&mut self, state: &State, node: NodeId, revision: u64, rejected: Vec<Rejection>, now: Now) {
        // A session may report before its Connected has been seen only by a defect; its word is good all the same.
        let switch = self.reports(node, now).switch.get_or_insert_default();
        let earlier = std::mem::take(&mut switch.rejected);
        let earlier_networks = std::mem::take(&mut switch.rejected_networks);
        let before = switch.applied;
        switch.applied = Some(revision);
        switch.problems.clear();
        if let Some(agent) = self.nodes.get(&node).and_then(|node| node.agent.as_ref()) {
            agent.outbox.confirm(revision);
            // Also with something refused: that may last, and the rest of the table is worth keeping as it is now.
            self.settling.touch(node, now.clock);
        }
        let switch = self.reports(node, now).switch.get_or_insert_default();
        for Rejection { subject, message } in rejected {
            match subject {
                Subject::Endpoint(id) => drop(switch.rejected.insert(id, message)),
                Subject::Network(id) => {
                    switch.problems.push(message.clone());
                    switch.rejected_networks.insert(id, message);
                }
                Subject::Node => switch.problems.push(message),
            }
        }
        for (id, message) in switch.rejected.iter().filter(|(id, message)| earlier.get(id) != Some(message)) {
            let container = state.container_of(*id).map(|container| container.name.as_str());
            tracing::warn!(
                node = node.0,
                endpoint = id.0,
                container,
                message,
                "an endpoint's flows are refused"
            );
        }
        let mut changed: HashSet<EndpointId> =
            earlier.keys().chain(switch.rejected.keys()).copied().collect();
        if earlier_networks != switch.rejected_networks {
            changed.extend(&state.hosted(node).live);
        }
        for id in self.waiting_since(state, node, before).chain(changed).collect::<Vec<_>>() {
            self.check_endpoint(state, node, id, now);
        }
    }

    /// The endpoints of a node that a newly applied revision may concern: those that are not ready yet.
    fn waiting_since(
        &self,
        state: &State,
        node: NodeId,
        before: Option<u64>,
    ) -> impl Iterator<Item = EndpointId> + use<> {
        let hosted = state.hosted(node);
        let is_news = before.is_none_or(|before| self.changed_at.get(&node).is_some_and(|at| *at > before));
        let waits = |id: &&EndpointId| {
            state.container_of(**id).is_some_and(|c| before.is_none_or(|before| c.revision > before))
        };
        let live = is_news.then_some(&hosted.live).into_iter().flatten();
        let live: Vec<EndpointId> = live.filter(waits).copied().collect();
        live.into_iter().chain(hosted.retiring.clone())
    }

    fn note_change(&mut self, node: NodeId, revision: u64) {
        let at = self.changed_at.entry(node).or_default();
        *at = (*at).max(revision);
    }

    /// Whether a switch has confirmed, and not refused, all that is known to concern it.
    fn is_in_sync(&self, node: &Node, switch: &SwitchReports) -> bool {
        let newest = node.revision.max(self.changed_at.get(&node.id).copied().unwrap_or(0));
        switch.applied.is_some_and(|applied| applied >= newest)
            && switch.rejected.is_empty()
            && switch.problems.is_empty()
    }

    /// Looks again at everything on a node.
    fn check_node(&mut self, state: &State, node: NodeId, now: Now) {
        let hosted = state.hosted(node);
        for id in hosted.live.iter().chain(&hosted.retiring) {
            self.check_endpoint(state, node, *id, now);
        }
    }

    /// Looks again at an endpoint: how its container is, whether it needs another port, whether it is gone.
    fn check_endpoint(&mut self, state: &State, node: NodeId, id: EndpointId, now: Now) {
        if let Some(container) = state.container_of(id) {
            self.post(state, container, now);
            let report = self.nodes.get(&node).and_then(|node| node.agent.as_ref()?.endpoints.get(&id));
            if let Some(PortReport { state: PortState::OfportTaken, ofport, .. }) = report
                && *ofport == container.endpoint.ofport
                && !container.deleting
            {
                self.ports.note_taken(node, *ofport);
                self.orders.push(Order::ChooseOfport(id, *ofport));
            }
        }
        self.check_retiring(state, id);
    }

    fn check_container(&mut self, state: &State, key: &ContainerKey, now: Now) {
        match state.container(key) {
            Some(container) => self.post(state, container, now),
            None => self.board.remove(key),
        }
    }

    fn post(&mut self, state: &State, container: &Arc<Container>, now: Now) {
        let condition = self.condition(state, container);
        if condition.phase == Phase::Ready {
            // Before anybody can see it, so that who waits finds the whole way.
            self.journal.reach(container.endpoint.id, Milestone::Ready, now.clock);
        }
        if !self.board.post(container, condition.clone(), now.wall) {
            return;
        }
        for (reason, message) in self.told.entry(container.endpoint.id).or_default().news(&condition) {
            self.tell_of_container(state, container, (reason, message), now);
        }
        self.services.touch_of(container);
        if self.evacuation.waits_for(&(container.pool, container.name.clone())) {
            self.evacuation.touch(now.clock);
        }
    }

    fn condition(&self, state: &State, container: &Container) -> Condition {
        let endpoint = &container.endpoint;
        let reports = self.nodes.get(&endpoint.node);
        let agent = reports.and_then(|reports| reports.agent.as_ref());
        let switch = reports.and_then(|reports| reports.switch.as_ref());
        let lost = self.leases.is_lost(endpoint.node).then(|| self.evacuation.why_there(container));
        let evidence = Evidence {
            lost: lost.as_deref(),
            node: state.node(endpoint.node).map_or("", |node| &node.name),
            agent: agent.is_some(),
            applied: switch.map(|switch| switch.applied.unwrap_or(0)),
            rejected: switch.and_then(|switch| switch.refusal(endpoint)).map(String::as_str),
            port: agent.and_then(|agent| agent.endpoints.get(&endpoint.id)),
        };
        status::derive(container, evidence)
    }

    /// Ends a retirement when the port is reported gone and the switch has confirmed that the flows are.
    fn check_retiring(&mut self, state: &State, id: EndpointId) {
        let Some(retiring) = state.retiring(id) else { return };
        let Some(reports) = self.nodes.get(&retiring.endpoint.node) else { return };
        let (Some(agent), Some(switch)) = (&reports.agent, &reports.switch) else { return };
        let port_gone = match agent.endpoints.get(&id) {
            Some(report) => report.state == PortState::Removed,
            None => agent.inventory.is_some_and(|revision| revision >= retiring.revision),
        };
        let flows_gone = switch.applied.is_some_and(|applied| applied >= retiring.revision)
            && !switch.rejected.contains_key(&id);
        if port_gone && flows_gone {
            self.orders.push(Order::Retired(id));
        }
    }

    /// Notes for an endpoint's agent how the endpoint is to be now. The revision is that of the commit, not of the state,
    /// which may hold later ones whose changes the agent has not been told.
    fn tell_agent(&self, state: &State, revision: u64, endpoint: &Endpoint) {
        let Some(agent) = self.nodes.get(&endpoint.node).and_then(|node| node.agent.as_ref()) else { return };
        if let Some(goal) = goal(state, endpoint.id) {
            agent.outbox.set(revision, endpoint.id, goal);
        }
    }

    /// Tells a pool's agents where to pull images from.
    fn tell_of_images(&self, state: &State, pool: PoolId) {
        for node in &state.members(pool).nodes {
            if let Some(agent) = self.nodes.get(node).and_then(|node| node.agent.as_ref()) {
                agent.outbox.set_proxies(proxies(state, *node));
            }
        }
    }

    fn forget_endpoint(&mut self, node: NodeId, id: EndpointId) {
        self.journal.forget(id);
        self.evacuation.set_ended(id, false);
        if let Some(agent) = self.nodes.get_mut(&node).and_then(|node| node.agent.as_mut()) {
            agent.endpoints.remove(&id);
        }
    }

    /// Closes the stream of a revoked node's agent.
    fn turn_out(&self, state: &State, admission: &Admission) {
        let node = state.node_named(admission.pool, &admission.node);
        let agent = node.and_then(|node| self.nodes.get(&node.id)?.agent.as_ref());
        if let Some(agent) = agent
            && node.is_some_and(|node| is_revoked(state, node))
        {
            agent.outbox.close();
        }
    }

    fn forget_node(&mut self, node: NodeId) {
        if let Some(agent) = self.nodes.remove(&node).and_then(|node| node.agent) {
            agent.outbox.close();
        }
        self.settling.cancel(node);
        self.ports.forget(node);
        self.links.change(node, |link| *link = Link::default());
        self.leases.forget(node);
        self.evacuation.forget(node);
        self.changed_at.remove(&node);
    }
}

fn is_revoked(state: &State, node: &Node) -> bool {
    state.admission(node.pool, &node.name).is_some_and(|admission| admission.revoked)
}

/// Whether a report says that the process that a container is to have now has ended.
fn has_ended(state: &State, id: EndpointId, report: &PortReport) -> bool {
    let container = state.container_of(id).filter(|container| !report.is_late(container));
    report.state == PortState::Ended && container.is_some()
}

/// The registry proxies of a node's pool.
fn proxies(state: &State, node: NodeId) -> BTreeMap<String, String> {
    let pool = state.node(node).and_then(|node| state.pool(node.pool));
    pool.map(|pool| pool.registry_proxies.clone()).unwrap_or_default()
}

/// All that a node's agent should have, and what it should remove.
fn all_desired(state: &State, node: NodeId) -> BTreeMap<EndpointId, Goal> {
    let hosted = state.hosted(node);
    hosted.live.iter().chain(&hosted.retiring).filter_map(|id| Some((*id, goal(state, *id)?))).collect()
}

/// What the agent is to make of an endpoint; `None`: nothing is known of it.
fn goal(state: &State, id: EndpointId) -> Option<Goal> {
    if let Some(present) = state.container_of(id).and_then(|container| desired(state, container)) {
        return Some(Goal::Present(Box::new(present)));
    }
    state.retiring(id).map(|retiring| Goal::Removed { runtime: retiring.runtime.clone() })
}

/// An endpoint as its agent is told to make it; `None` if it is not intended to be there.
pub(super) fn desired(state: &State, container: &Arc<Container>) -> Option<DesiredEndpoint> {
    let endpoint = container.live()?;
    let network = state.network(endpoint.network)?;
    let pool = state.pool(container.pool)?;
    Some(DesiredEndpoint {
        id: endpoint.id,
        pool: pool.name.clone(),
        mounts: volumes::told(state, pool, &container.mounts),
        network: network.name.clone(),
        address: Ipv4Net::new(endpoint.address, network.subnet.prefix_len()).ok()?,
        mac: endpoint.mac,
        gateway: network.gateway,
        mtu: network.mtu,
        ofport: endpoint.ofport,
        tunnelled: matches!(network.driver, Driver::Vxlan(_)),
        intended: container.clone(),
    })
}
