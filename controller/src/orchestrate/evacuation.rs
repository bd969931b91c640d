//! Which containers are to leave their nodes: all at once from nodes that are lost, a few at a time from nodes that are
//! drained. Pure but for what it reads; the owner carries out its orders and tells it what became of them.
//!
//! ```text
//!             ┌── not long ready elsewhere: its service waits (drained nodes only) ◀──┐
//!   plan ──▶ ordered ──▶ moved ────────────────────────────────────────────────────────┘
//!             ▲    └───▶ refused: remembered, shown, tried again
//!             └─────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use flowlib::compile::model::{EndpointId, NetworkId, NodeId};

use crate::intent::model::{Container, ContainerKey, Scheduling};
use crate::intent::{Refusal, State, Transaction};

use super::board::Board;
use super::containers::{self, Surroundings};
use super::holds::Holds;
use super::plain;
use super::status::{Condition, Phase, Reason};
use super::volumes;

/// Containers of drained nodes that are on their way at a time.
const AT_A_TIME: usize = 4;
/// How long a container of a drained node has been ready elsewhere when the next of its service leaves: until then its
/// program may only begin to listen, and who has found it gone may still wait for it before they turn to the next.
const CALM: Duration = Duration::from_secs(3);
/// How long one of them is waited for that does not become ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how long what was refused is tried again, whatever happens, and at the earliest when something changes.
const RETRY: Duration = Duration::from_secs(5);
const EARLIEST_RETRY: Duration = Duration::from_secs(1);
/// How many are tried again at a time, those first that have waited the longest.
const RETRIED_AT_A_TIME: usize = 64;
/// A plan looks at all steps: with many, it is made so much later than the one before for each, up to this.
const EACH_STEP: Duration = Duration::from_micros(10);
const RAREST: Duration = Duration::from_secs(1);
/// So many steps are nothing to wait for.
const FEW: usize = 1000;
/// Containers that a node's problems name one by one.
const NAMED: usize = 20;

/// Why a container leaves its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The node is lost.
    Lost,
    /// The node is drained.
    Drained,
}

/// What became of an order to move a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has another endpoint now.
    Moved,
    /// It need not be moved any more.
    Needless,
    /// No other node takes it, for that reason.
    Refused(Refusal),
}

/// What the planning looks at.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) state: &'a State,
    pub(super) board: &'a Board,
    /// Whether a node's switch is connected, and its agent has said what is there, or nothing for a lease.
    pub(super) is_known: &'a dyn Fn(NodeId) -> bool,
    pub(super) clock: Instant,
}

/// What there is to do, and what is done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Endpoints that are to be moved elsewhere.
    pub(super) orders: Vec<EndpointId>,
    /// Nodes that have become empty, but for so many containers that stay.
    pub(super) drained: Vec<(NodeId, usize)>,
}

/// The state of all evacuations.
#[derive(Debug)]
pub(super) struct Evacuation {
    lost: BTreeSet<NodeId>,
    /// Pools of which too much is lost to move anything.
    holds: Holds,
    draining: BTreeSet<NodeId>,
    /// Those of `draining` of which it has been told that they are done.
    drained: BTreeSet<NodeId>,
    /// What was ordered for endpoints of either, until nothing is left of them.
    steps: BTreeMap<EndpointId, Step>,
    /// Those of `steps` that rest, and perhaps some that are no more, in the order of their refusals.
    resting: VecDeque<EndpointId>,
    /// Endpoints whose processes have ended, as their agents last said: elsewhere they would run again.
    ended: BTreeSet<EndpointId>,
    /// Containers of drained nodes that are waited for until they are ready elsewhere.
    under_way: BTreeMap<ContainerKey, Move>,
    /// Services of which one has become ready elsewhere, and until when the next one waits.
    calm: BTreeMap<(NetworkId, String), Instant>,
    /// Something has changed since the last plan.
    due: bool,
    /// When that was made.
    planned: Option<Instant>,
    /// When refused orders were given again last, and when they are next.
    retried: Option<Instant>,
    retry: Option<Instant>,
}

#[derive(Debug)]
struct Step {
    cause: Cause,
    /// The order is being carried out.
    ordered: bool,
    /// Why the last one was not carried out.
    refusal: Option<Refusal>,
    /// After a refusal: it is not time yet to try again.
    rests: bool,
}

#[derive(Debug)]
struct Move {
    from: NodeId,
    endpoint: EndpointId,
    service: (NetworkId, String),
    /// When it is waited for no longer; `None`: it is not at all, since it was not ready before.
    until: Option<Instant>,
}

impl Move {
    /// Whether a container that has moved is waited for no longer.
    fn has_arrived(&self, condition: &Condition, clock: Instant) -> bool {
        matches!(condition.phase, Phase::Ready | Phase::Ended)
            || condition.is_definite()
            || condition.reason == Reason::Restarting
            || self.until.is_none_or(|until| until <= clock)
    }
}

impl Evacuation {
    /// Nothing is lost, and nothing drained. `lease` is that of the nodes.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lost: BTreeSet::new(),
            holds: Holds::new(lease),
            draining: BTreeSet::new(),
            drained: BTreeSet::new(),
            steps: BTreeMap::new(),
            resting: VecDeque::new(),
            ended: BTreeSet::new(),
            under_way: BTreeMap::new(),
            calm: BTreeMap::new(),
            due: false,
            planned: None,
            retried: None,
            retry: None,
        }
    }

    /// A node is lost, or is not any more.
    pub(super) fn set_lost(&mut self, node: NodeId, lost: bool) {
        self.due |= if lost { self.lost.insert(node) } else { self.lost.remove(&node) };
    }

    /// Looks again at how much is lost; `true` if that makes a difference to any pool.
    pub(super) fn weigh(&mut self, state: &State, clock: Instant) -> bool {
        let differs = self.holds.weigh(state, &self.lost, clock);
        self.due |= differs;
        differs
    }

    /// The nodes that are lost.
    pub(super) fn lost(&self) -> Vec<NodeId> {
        self.lost.iter().copied().collect()
    }

    /// Why nothing is moved off a node although it is lost, if so.
    pub(super) fn held(&self, state: &State, node: NodeId) -> Option<String> {
        let pool = state.node(node).filter(|node| self.lost.contains(&node.id))?.pool;
        self.holds.why(pool)
    }

    /// A node is to be drained, or is not any more.
    pub(super) fn set_draining(&mut self, node: NodeId, draining: bool) {
        if !draining {
            self.drained.remove(&node);
        }
        self.due |= if draining { self.draining.insert(node) } else { self.draining.remove(&node) };
    }

    /// An endpoint's process has ended, or has not.
    pub(super) fn set_ended(&mut self, id: EndpointId, ended: bool) {
        self.due |= if ended { self.ended.insert(id) } else { self.ended.remove(&id) };
    }

    /// A node is no more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.set_lost(node, false);
        self.set_draining(node, false);
    }

    /// Time has passed that drained nodes may have waited for.
    pub(super) fn pass(&mut self) {
        self.due |= !self.draining.is_empty();
    }

    /// Something has changed that may help, or is in the way no longer.
    pub(super) fn touch(&mut self, clock: Instant) {
        if self.lost.is_empty() && self.draining.is_empty() {
            return;
        }
        // While much is lost, much changes; what there is to do for it is found once for many changes.
        self.due |= !self.draining.is_empty();
        let earliest = self.retried.map_or(clock, |retried| clock.max(retried + EARLIEST_RETRY));
        self.retry = Some(self.retry.map_or(earliest, |retry| retry.min(earliest)));
    }

    /// Whether a change of how that container is may be waited for.
    pub(super) fn waits_for(&self, key: &ContainerKey) -> bool {
        self.under_way.contains_key(key)
    }

    /// When [`Self::plan`] has something to do without a change.
    pub(super) fn next(&self) -> Option<Instant> {
        let calm = self.calm.values().copied();
        let due = self.planned.filter(|_| self.due);
        let next =
            calm.chain(self.retry).chain(self.holds.next()).chain(self.next_arrival()).chain(due).min()?;
        Some(self.earliest().map_or(next, |earliest| next.max(earliest)))
    }

    /// Before when no other plan is made.
    fn earliest(&self) -> Option<Instant> {
        let many = u32::try_from(self.steps.len().saturating_sub(FEW)).unwrap_or(u32::MAX);
        Some(self.planned? + EACH_STEP.saturating_mul(many).min(RAREST))
    }

    /// When a container that has moved is waited for no longer.
    fn next_arrival(&self) -> Option<Instant> {
        let moved = self.under_way.values().filter(|under_way| !self.is_ordered(under_way.endpoint));
        moved.filter_map(|under_way| under_way.until).min()
    }

    fn is_ordered(&self, id: EndpointId) -> bool {
        self.steps.get(&id).is_some_and(|step| step.ordered)
    }

    /// Whether [`Self::plan`] has something to do.
    pub(super) fn is_due(&self, clock: Instant) -> bool {
        let is_early = self.earliest().is_some_and(|earliest| clock < earliest);
        !is_early && (self.due || self.next().is_some_and(|next| next <= clock))
    }

    /// Says what is to be moved now.
    pub(super) fn plan(&mut self, around: Around<'_>) -> Plan {
        (self.due, self.planned) = (false, Some(around.clock));
        self.forget_done(around);
        if self.retry.is_some_and(|retry| retry <= around.clock) {
            (self.retried, self.retry) = (Some(around.clock), None);
            self.wake();
        }
        let mut plan = Plan::default();
        for node in self.lost() {
            if self.held(around.state, node).is_some() {
                continue;
            }
            for (id, ..) in self.to_move(around, node) {
                plan.orders.push(self.order(id, Cause::Lost));
            }
        }
        for node in self.draining.difference(&self.lost).copied().collect::<Vec<_>>() {
            if (around.is_known)(node) {
                self.drain(around, node, &mut plan);
            }
        }
        let any_refused = self.steps.values().any(|step| step.refusal.is_some());
        self.retry = self.retry.or(Some(around.clock + RETRY)).filter(|_| any_refused);
        plan
    }

    /// Ends the rest of those that have rested the longest.
    fn wake(&mut self) {
        let mut n_woken = 0;
        while n_woken < RETRIED_AT_A_TIME
            && let Some(id) = self.resting.pop_front()
        {
            if let Some(step) = self.steps.get_mut(&id).filter(|step| step.rests) {
                step.rests = false;
                n_woken += 1;
            }
        }
    }

    /// Forgets orders for endpoints of which nothing is left, and moves that have come to an end.
    fn forget_done(&mut self, Around { state, board, clock, .. }: Around<'_>) {
        let (lost, draining) = (&self.lost, &self.draining);
        self.steps.retain(|id, step| {
            let leaves = |container: &Container| {
                let node = container.endpoint.node;
                movable(container) && (lost.contains(&node) || draining.contains(&node))
            };
            step.ordered
                || state.container_of(*id).is_some_and(|container| leaves(container))
                || state.retiring(*id).is_some()
        });
        self.calm.retain(|_, until| *until > clock);
        let (steps, calm) = (&self.steps, &mut self.calm);
        self.under_way.retain(|key, under_way| {
            if steps.get(&under_way.endpoint).is_some_and(|step| step.ordered) {
                return true;
            }
            let moved = state
                .container(key)
                .filter(|container| !container.deleting && container.endpoint.id != under_way.endpoint);
            let Some(container) = moved else { return false };
            let condition = board.look(container).condition;
            if condition.phase == Phase::Ready {
                calm.insert(under_way.service.clone(), clock + CALM);
            }
            !under_way.has_arrived(&condition, clock)
        });
    }

    /// The containers of a node for which an order can be given.
    fn to_move(
        &self,
        Around { state, board, clock, .. }: Around<'_>,
        node: NodeId,
    ) -> Vec<(EndpointId, Move, ContainerKey)> {
        let free = |id: &EndpointId| self.steps.get(id).is_none_or(|step| !step.ordered && !step.rests);
        let live = state.hosted(node).live.iter().filter(|id| free(id));
        let containers = live.filter_map(|id| state.container_of(*id)).filter(|c| self.stays(c).is_none());
        containers
            .map(|container| {
                let endpoint = container.endpoint.id;
                let service = (container.endpoint.network, container.service.clone());
                let key = (container.pool, container.name.clone());
                let until = may_be_ready(&board.look(container).condition).then_some(clock + PATIENCE);
                (endpoint, Move { from: node, endpoint, service, until }, key)
            })
            .collect()
    }

    fn drain(&mut self, around: Around<'_>, node: NodeId, plan: &mut Plan) {
        for (id, under_way, key) in self.to_move(around, node) {
            let same = |other: &Move| other.service == under_way.service;
            let waits = self.under_way.values().any(same) || self.calm.contains_key(&under_way.service);
            if self.under_way.len() < AT_A_TIME && !waits {
                self.under_way.insert(key, under_way);
                plan.orders.push(self.order(id, Cause::Drained));
            }
        }
        let state = around.state;
        let left = state.hosted(node).live.iter().filter_map(|id| state.container_of(*id));
        let (stay, to_move): (Vec<_>, Vec<_>) = left.partition(|container| self.stays(container).is_some());
        let done = to_move.is_empty() && self.under_way.values().all(|other| other.from != node);
        if !done {
            self.drained.remove(&node);
        } else if self.drained.insert(node) {
            plan.drained.push((node, stay.len()));
        }
    }

    /// Why a container is not to be moved, if so.
    fn stays(&self, container: &Container) -> Option<&'static str> {
        match container {
            _ if container.deleting => Some("is being deleted"),
            _ if plain::is_plain(container) => Some("is of the node's own Docker, and is not Weir's to move"),
            _ if volumes::names(&container.mounts).next().is_some() => {
                Some("has a volume here, which does not move: delete it if the node is to be empty")
            }
            _ if container.pinned => Some("must run here (--node): move or delete it"),
            _ if !container.stopped && self.ended.contains(&container.endpoint.id) => {
                Some("has ended, and would run again elsewhere: move or delete it")
            }
            _ => None,
        }
    }

    fn order(&mut self, id: EndpointId, cause: Cause) -> EndpointId {
        let step = self.steps.entry(id).or_insert(Step { cause, ordered: true, refusal: None, rests: false });
        (step.cause, step.ordered) = (cause, true);
        id
    }

    /// Takes up what became of an order; `true` if it is refused as it was not before.
    pub(super) fn outcome(&mut self, id: EndpointId, outcome: Outcome, clock: Instant) -> bool {
        let Some(step) = self.steps.get_mut(&id) else { return false };
        step.ordered = false;
        // Of what leaves a lost node, nothing waits for anything else.
        self.due |= step.cause == Cause::Drained;
        match outcome {
            Outcome::Moved => {
                step.refusal = None;
                false
            }
            Outcome::Needless => {
                self.steps.remove(&id);
                self.retry.get_or_insert(clock + RETRY);
                self.under_way.retain(|_, under_way| under_way.endpoint != id);
                false
            }
            Outcome::Refused(why) => {
                // The sentence may change with every number in it.
                let kind = std::mem::discriminant(&why);
                let is_new =
                    step.refusal.as_ref().is_none_or(|before| std::mem::discriminant(before) != kind);
                (step.refusal, step.rests) = (Some(why), true);
                self.resting.push_back(id);
                self.under_way.retain(|_, under_way| under_way.endpoint != id);
                self.retry.get_or_insert(clock + RETRY);
                is_new
            }
        }
    }

    /// Why an endpoint has left its node, if that was ordered here.
    pub(super) fn cause(&self, id: EndpointId) -> Option<Cause> {
        self.steps.get(&id).map(|step| step.cause)
    }

    /// Why a container is still on a node that is lost.
    pub(super) fn why_there(&self, container: &Container) -> String {
        let refusal = self.steps.get(&container.endpoint.id).and_then(|step| step.refusal.as_ref());
        match (self.stays(container), self.holds.why(container.pool), refusal) {
            (Some(why), ..) => format!("the container {why}"),
            (None, Some(why), _) => why,
            (None, None, Some(refusal)) => format!("the container cannot be placed elsewhere: {refusal}"),
            (None, None, None) => "the container is being placed elsewhere".to_owned(),
        }
    }

    /// What keeps a node from being empty that should be, a sentence each.
    pub(super) fn problems(&self, state: &State, board: &Board, node: NodeId) -> Vec<String> {
        if !self.lost.contains(&node) && !self.draining.contains(&node) {
            return Vec::new();
        }
        let live = state.hosted(node).live.iter().filter_map(|id| state.container_of(*id));
        let stay = live.filter_map(|container| {
            let name = &container.name;
            if let Some(why) = self.stays(container) {
                return Some(format!("the container `{name}` {why}"));
            }
            let refusal = self.steps.get(&container.endpoint.id)?.refusal.as_ref()?;
            Some(format!("the container `{name}` cannot be moved: {refusal}"))
        });
        let stuck =
            self.under_way.iter().filter(|(_, under_way)| under_way.from == node).filter_map(|(key, _)| {
                let condition = board.look(state.container(key)?).condition;
                let (name, word) = (&key.1, condition.reason.word());
                let sentence = || {
                    format!(
                        "the container `{name}` was moved and is waited for: {word}: {}",
                        condition.message
                    )
                };
                (condition.phase == Phase::Degraded).then(sentence)
            });
        let mut problems: Vec<String> = stay.chain(stuck).collect();
        let more = problems.len().saturating_sub(NAMED);
        if more > 0 {
            problems.truncate(NAMED);
            problems.push(format!("so it is with {more} more containers"));
        }
        problems
    }
}

/// Whether a container is ready, as far as is known.
fn may_be_ready(condition: &Condition) -> bool {
    condition.phase == Phase::Ready || matches!(condition.reason, Reason::NodeUnreachable | Reason::NodeLost)
}

fn movable(container: &Container) -> bool {
    !container.deleting && !container.pinned
}

/// Moves a container off its node, if it still is there and is to leave. Name, address and MAC stay.
///
/// # Errors
/// As [`containers::migrate`]: no other node takes it.
pub fn evacuate(
    tx: &mut Transaction<'_>,
    endpoint: EndpointId,
    around: Surroundings<'_>,
) -> Result<Outcome, Refusal> {
    let Some(container) = tx.state().container_of(endpoint).filter(|c| movable(c)).cloned() else {
        return Ok(Outcome::Needless);
    };
    let node = container.endpoint.node;
    let link = around.links.of(node);
    let draining = tx.state().node(node).is_some_and(|node| node.scheduling == Scheduling::Draining);
    if !draining && (link.agent || link.switch) {
        return Ok(Outcome::Needless);
    }
    let pool = tx.state().pool(container.pool).map_or_else(String::new, |pool| pool.name.clone());
    containers::migrate(tx, (&pool, &container.name), "", around)?;
    Ok(Outcome::Moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_many_steps_plans_are_rarer_and_with_few_they_are_not() {
        let (state, board, clock) = (State::default(), Board::default(), Instant::now());
        let at = |clock| Around { state: &state, board: &board, is_known: &|_| true, clock };
        let ordered = |_| Step { cause: Cause::Lost, ordered: true, refusal: None, rests: false };
        for (n_steps, pause) in [(FEW, 0), (FEW + 50_000, 500), (FEW + 1_000_000, 1000)] {
            let mut evacuation = Evacuation::new(Duration::from_secs(15));
            let ids = (0..).map(EndpointId).take(n_steps);
            evacuation.steps = ids.map(|id| (id, ordered(id))).collect();
            evacuation.set_lost(NodeId(1), true);
            assert!(evacuation.is_due(clock), "the first is made at once");
            evacuation.plan(at(clock));
            evacuation.set_lost(NodeId(2), true);
            let earliest = clock + Duration::from_millis(pause);
            assert_eq!(evacuation.next(), Some(earliest), "{n_steps}");
            assert_eq!((evacuation.is_due(clock), evacuation.is_due(earliest)), (pause == 0, true));
        }
    }
}
