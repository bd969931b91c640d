//! The lifecycle's part about nodes that are lost or drained, what time brings, and what is told of it.

use super::*;
use crate::orchestrate::evacuation::{Around, Cause};

impl Lifecycle {
    /// When [`Self::timeout`] has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let all = [self.settling.next(), self.leases.next(), self.evacuation.next(), self.services.next()];
        all.into_iter().flatten().min()
    }

    /// Does what the passing of time calls for.
    pub fn timeout(&mut self, state: &State, now: Now) {
        self.settle(now.clock);
        let over = self.leases.take_over(now.clock);
        for node in over.silent {
            tracing::warn!(node = node.0, "agent has been silent for a lease, its stream is closed");
            self.detached(state, node, now);
        }
        over.lost.iter().for_each(|node| self.set_lost(*node, true));
        self.weigh(state, now);
        for node in over.lost {
            tracing::warn!(node = node.0, "node is lost");
            let message = "neither its agent, for a lease, nor its switch has been heard of";
            self.tell_of_node(state, node, ("NodeLost", message.to_owned()), now);
            self.check_node(state, node, now);
        }
        self.evacuation.pass();
        self.reconcile(state, now);
    }

    /// Takes up what became of an order.
    pub fn done(&mut self, state: &State, done: Done, now: Now) {
        match done {
            Done::Evacuated(endpoint, outcome) => self.evacuated(state, endpoint, outcome, now),
            Done::Replicated(service, refusal) => self.replicated(state, &service, refusal, now),
        }
        self.reconcile(state, now);
    }

    fn evacuated(&mut self, state: &State, endpoint: EndpointId, outcome: Outcome, now: Now) {
        let refusal = match &outcome {
            Outcome::Refused(why) => Some(why.to_string()),
            Outcome::Moved | Outcome::Needless => None,
        };
        let is_new = self.evacuation.outcome(endpoint, outcome, now.clock);
        if let (Some(why), Some(container)) = (refusal, state.container_of(endpoint)) {
            if is_new {
                let name = &container.name;
                tracing::warn!(endpoint = endpoint.0, container = name, why, "container cannot be moved");
                self.tell_of_container(state, container, ("MoveRefused", why), now);
            }
            self.post(state, container, now);
        }
    }

    /// Gives all nodes a lease that have none, and notes which are to be drained.
    pub(super) fn take_up_nodes(&mut self, state: &State, now: Now) {
        for node in state.nodes() {
            self.leases.begin(node.id, now.clock);
            self.evacuation.set_draining(node.id, node.scheduling == Scheduling::Draining);
        }
        self.evacuation.touch(now.clock);
    }

    /// A node's agent has said something.
    pub(super) fn heard(&mut self, state: &State, node: NodeId, now: Now) {
        if self.leases.heard(node, now.clock) {
            self.back(state, node, now);
        }
    }

    /// A node that was lost has been heard of.
    pub(super) fn back(&mut self, state: &State, node: NodeId, now: Now) {
        tracing::info!(node = node.0, "node is back");
        self.set_lost(node, false);
        self.tell_of_node(state, node, ("NodeBack", String::new()), now);
        self.check_node(state, node, now);
    }

    fn set_lost(&mut self, node: NodeId, lost: bool) {
        self.evacuation.set_lost(node, lost);
        self.links.change(node, |link| link.lost = lost);
    }

    /// Looks again at what is on lost nodes, if how much is lost makes another difference than before.
    fn weigh(&mut self, state: &State, now: Now) {
        if self.evacuation.weigh(state, now.clock) {
            self.evacuation.lost().into_iter().for_each(|node| self.check_node(state, node, now));
        }
    }

    /// Orders what evacuations call for now.
    pub(super) fn evacuate(&mut self, state: &State, now: Now) {
        if !self.evacuation.is_due(now.clock) {
            return;
        }
        self.weigh(state, now);
        let is_known = |node: NodeId| {
            let reports = self.nodes.get(&node).filter(|reports| reports.switch.is_some());
            reports.is_some_and(|reports| match &reports.agent {
                Some(agent) => agent.inventory.is_some(),
                None => self.leases.is_over(node),
            })
        };
        let around = Around { state, board: &self.board, is_known: &is_known, clock: now.clock };
        let plan = self.evacuation.plan(around);
        self.orders.extend(plan.orders.into_iter().map(Order::Evacuate));
        for (node, n_stay) in plan.drained {
            let message = match n_stay {
                0 => "it has no containers any more".to_owned(),
                n => format!("it has only {n} containers that are not moved by themselves"),
            };
            self.tell_of_node(state, node, ("Drained", message), now);
        }
    }

    /// Notes what a change of the intent means for leases, evacuations and processes, and tells of it.
    pub(super) fn note(&mut self, state: &State, change: &Change, now: Now) {
        match (&change.before, &change.after) {
            (before, Some(Record::Node(node))) => {
                self.leases.begin(node.id, now.clock);
                self.evacuation.set_draining(node.id, node.scheduling == Scheduling::Draining);
                self.evacuation.touch(now.clock);
                let was = match before {
                    Some(Record::Node(before)) => before.scheduling,
                    _ => Scheduling::Active,
                };
                if was != node.scheduling {
                    let word = match node.scheduling {
                        Scheduling::Active => "Active",
                        Scheduling::Cordoned => "Cordoned",
                        Scheduling::Draining => "Draining",
                    };
                    self.tell_of_node(state, node.id, (word, String::new()), now);
                }
            }
            (None, Some(Record::Container(container))) => self.created(state, container, now),
            // The name was free for a moment within the commit.
            (Some(Record::Container(before)), Some(Record::Container(after)))
                if before.deleting && !after.deleting =>
            {
                self.deleted(state, before, now);
                self.created(state, after, now);
            }
            (Some(Record::Container(before)), Some(Record::Container(after))) => {
                self.evacuation.touch(now.clock);
                self.note_container(state, before, after, now);
            }
            (Some(Record::Container(container)), None) => self.deleted(state, container, now),
            (before, after) => {
                let of = |record: &Option<Record>| match record {
                    Some(Record::Service(service)) => Some(service.clone()),
                    _ => None,
                };
                let (before, after) = (of(before), of(after));
                self.note_service(state, (before.as_deref(), after.as_deref()), now);
            }
        }
    }

    fn created(&mut self, state: &State, container: &Container, now: Now) {
        self.evacuation.touch(now.clock);
        let node = name_of(state, container.endpoint.node);
        let message = format!("on the node {node}, with the address {}", container.endpoint.address);
        self.tell_of_container(state, container, ("Created", message), now);
    }

    fn deleted(&mut self, state: &State, container: &Container, now: Now) {
        self.evacuation.touch(now.clock);
        self.told.remove(&container.endpoint.id);
        self.tell_of_container(state, container, ("Deleted", String::new()), now);
    }

    fn note_container(&mut self, state: &State, before: &Container, after: &Arc<Container>, now: Now) {
        let (old, new) = (&before.endpoint, &after.endpoint);
        if old.id != new.id {
            self.told.remove(&old.id);
            let why = match self.evacuation.cause(old.id) {
                Some(Cause::Lost) => "its node is lost",
                Some(Cause::Drained) => "its node is drained",
                None => "on request",
            };
            let message = format!("from {} to {}, {why}", name_of(state, old.node), name_of(state, new.node));
            self.tell_of_container(state, after, ("Moved", message), now);
        }
        if before.starts != after.starts {
            self.evacuation.set_ended(new.id, false);
            self.told.entry(new.id).or_default().start_over();
        }
    }

    /// Tells that a connection has come or gone, and which ones a node has now.
    pub(super) fn tell_of_links(&self, state: &State, node: NodeId, (word, now): (&'static str, Now)) {
        let link = self.links.of(node);
        let message = match (link.agent, link.switch) {
            (true, true) => "agent and switch are connected",
            (true, false) => "the agent is connected, the switch is not",
            (false, true) => "the switch is connected, the agent is not",
            (false, false) => "neither agent nor switch is connected",
        };
        self.tell_of_node(state, node, (word, message.to_owned()), now);
    }

    fn tell_of_node(&self, state: &State, node: NodeId, (reason, message): (&'static str, String), now: Now) {
        let Some(node) = state.node(node) else { return };
        let pool = state.pool(node.pool).map_or_else(String::new, |pool| pool.name.clone());
        let (time, name) = (now.wall, node.name.clone());
        self.events.note(Event { time, kind: Kind::Node, pool, name, reason, message });
    }

    pub(super) fn tell_of_container(
        &self,
        state: &State,
        container: &Container,
        (reason, message): (&'static str, String),
        now: Now,
    ) {
        let pool = state.pool(container.pool).map_or_else(String::new, |pool| pool.name.clone());
        let (time, name) = (now.wall, container.name.clone());
        self.events.note(Event { time, kind: Kind::Container, pool, name, reason, message });
    }
}

fn name_of(state: &State, node: NodeId) -> &str {
    state.node(node).map_or("a node that is no more", |node| &node.name)
}
