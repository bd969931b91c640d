//! What every endpoint of this node should be, what it is, and what has to be done next: pure, without clock or I/O.
//!
//! ```text
//!               desired            job taken             job done: up
//!   (unknown) ──────────▶ due ───────────────▶ running ───────────────▶ settled ── recheck ──▶ due
//!                          ▲                      │ failed
//!                          └───── retry_at ───────┘            removed: the entry goes
//! ```
//!
//! An endpoint has at most one job at a time. A goal that changes while a job runs makes it due again, and what that
//! job brought is not reported: it answers a question nobody asks any more.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use weir_api::v1::{
    Desired, DesiredEndpoint, EndpointReport, Inventory, ProcessStatus, RemovedEndpoint,
    agent_message::Message, endpoint_report::State,
};

use crate::runtime::{DOCKER, EndpointId, EndpointSpec};

/// What an endpoint should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// There, like this.
    Present(Arc<EndpointSpec>),
    /// Not there; what may be left of it.
    Absent(Remains),
}

impl Goal {
    /// Docker has to do with it.
    fn is_container(&self) -> bool {
        match self {
            Self::Present(spec) => spec.program.is_some(),
            Self::Absent(remains) => *remains != Remains::Sandbox,
        }
    }

    /// Docker is waited for. An endpoint that has to go leaves the network first, which waits for nobody.
    fn waits_for_docker(&self) -> bool {
        match self {
            Self::Present(spec) => spec.program.is_some(),
            Self::Absent(remains) => *remains == Remains::Detached,
        }
    }
}

/// What may be left of an endpoint that is not to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// Its namespace, interface and port.
    Sandbox,
    /// A Docker container as well.
    Container,
    /// It was found here; nobody has said what it was.
    Unknown,
    /// A Docker container, perhaps, and nothing in the network any more.
    Detached,
}

/// Something to be done for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The endpoint.
    pub(super) id: EndpointId,
    /// What it should be afterwards.
    pub(super) goal: Goal,
    /// It was tried before, and failed.
    pub(super) is_retry: bool,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint is as it should be, and there, with its process if it has one.
    Up(Option<ProcessStatus>),
    /// The same, but its health check complains.
    Unwell(ProcessStatus, String),
    /// The endpoint's process has ended, and it has no port.
    Ended(ProcessStatus),
    /// The endpoint is as it should be, and has its port; who has it.
    Held(String),
    /// The endpoint is nobody's, and has no port.
    Reserved,
    /// It has left the network; a container may be left.
    Detached,
    /// Nothing of it is left.
    Removed,
    /// OVS gave another port number; nothing of the endpoint is left.
    OfportTaken(String),
    /// It could not be done; whatever is there stays.
    Failed(Failed),
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// What refused.
    pub(super) reason: Reason,
    /// A sentence.
    pub(super) message: String,
    /// The process, as far as there is one.
    pub(super) process: Option<ProcessStatus>,
}

/// What refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Open vSwitch or the kernel.
    Port,
    /// The switch has not confirmed its flows yet.
    FlowsPending,
    /// The image is not here.
    Image,
    /// Nothing: the image is on its way.
    Pulling,
    /// Docker does not make or start it as it is.
    Start,
    /// Docker does not answer.
    Runtime,
    /// Nothing: the process ended and Docker is about to start it again.
    Restarting,
}

impl Reason {
    /// The API's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Port => "PortRefused",
            Self::FlowsPending => "FlowsPending",
            Self::Image => "ImageMissing",
            Self::Pulling => "Pulling",
            Self::Start => "StartRefused",
            Self::Runtime => "RuntimeUnreachable",
            Self::Restarting => "Restarting",
        }
    }
}

impl Failed {
    /// Something that has no process, or none that matters.
    pub(super) fn new(reason: Reason, message: impl ToString) -> Self {
        Self { reason, message: message.to_string(), process: None }
    }
}

/// All endpoints of the node.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    entries: BTreeMap<EndpointId, Entry>,
    running: Running,
    /// How often anything became due: what has waited longest is done first.
    clock: u64,
    /// Up to which revision the switch has confirmed its flows.
    confirmed: u64,
    /// The controller has said what there should be: anything else is to be removed.
    is_told: bool,
    inventory: Option<Answer>,
    /// Something may be here that no survey has seen.
    survey_due: bool,
    reports: Vec<Message>,
}

/// Jobs under way: those that wait for Docker, and the others, which must not wait for those.
#[derive(Debug, Default)]
struct Running {
    containers: usize,
    sandboxes: usize,
}

impl Running {
    fn of(&mut self, goal: &Goal) -> &mut usize {
        if goal.waits_for_docker() { &mut self.containers } else { &mut self.sandboxes }
    }
}

#[derive(Debug)]
struct Entry {
    goal: Goal,
    /// The controller sent something that is no endpoint: nothing is done until it sends something better.
    refused: bool,
    state: State,
    message: String,
    reason: Option<Reason>,
    process: Option<ProcessStatus>,
    /// Which request for a start the state answers.
    starts: u32,
    /// Since when it is to be looked at, by `Endpoints::clock`.
    due: Option<u64>,
    running: bool,
    retry_at: Option<Instant>,
    n_failures: u32,
    /// The controller waits for an answer even if nothing changes.
    answer: bool,
}

/// The inventory that a complete `desired` is owed.
#[derive(Debug)]
struct Answer {
    revision: u64,
    waits_for: BTreeSet<EndpointId>,
    surveyed: bool,
}

impl Endpoints {
    /// Takes what the controller wants.
    pub(super) fn handle_desired(&mut self, desired: Desired) {
        let mut named = BTreeSet::new();
        for endpoint in &desired.endpoints {
            named.insert(endpoint.endpoint_id);
            self.want(endpoint, !desired.complete);
        }
        for RemovedEndpoint { endpoint_id: id, runtime } in desired.removed {
            named.insert(id);
            self.want_gone(id, if runtime == DOCKER { Remains::Container } else { Remains::Sandbox });
        }
        if !desired.complete {
            return;
        }
        self.is_told = true;
        let unnamed: Vec<_> = self.entries.keys().copied().filter(|id| !named.contains(id)).collect();
        for id in unnamed {
            let remains = self.remains(id);
            self.want_gone(id, remains);
        }
        let unsettled = self.entries.iter().filter(|(_, entry)| entry.due.is_some() || entry.running);
        self.inventory = Some(Answer {
            revision: desired.revision,
            waits_for: unsettled.map(|(id, _)| *id).collect(),
            surveyed: false,
        });
    }

    /// Takes the endpoints of which anything was found on the node; those nobody asked for will be removed.
    ///
    /// To be called with everything there is, at least once after each complete `desired`.
    pub(super) fn handle_survey(&mut self, found: impl IntoIterator<Item = (EndpointId, Remains)>) {
        if !self.is_told {
            return;
        }
        self.survey_due = false;
        for (id, remains) in found {
            if self.entries.contains_key(&id) {
                continue;
            }
            tracing::info!(endpoint = id, "found an endpoint that should not be there");
            self.want_gone(id, remains);
            if let Some(answer) = &mut self.inventory {
                answer.waits_for.insert(id);
            }
        }
        if let Some(answer) = &mut self.inventory {
            answer.surveyed = true;
        }
        self.take_inventory();
    }

    /// True if a survey is needed: before the controller can be answered, or since Docker is there again.
    #[must_use]
    pub(super) fn needs_survey(&self) -> bool {
        (self.survey_due && self.is_told) || self.inventory.as_ref().is_some_and(|answer| !answer.surveyed)
    }

    /// Docker is there again: whatever it has is looked at anew.
    pub(super) fn handle_docker_back(&mut self) {
        self.survey_due = true;
        self.recheck_where(|entry| entry.goal.is_container());
    }

    /// The switch has confirmed more flows: what waited for that goes on.
    pub(super) fn handle_flows_confirmed(&mut self, revision: u64) {
        self.confirmed = revision;
        self.recheck_where(|entry| entry.reason == Some(Reason::FlowsPending));
    }

    /// Images have come, or how a pull stands has changed: what waits for one is looked at again.
    pub(super) fn handle_images(&mut self) {
        self.recheck_where(|entry| matches!(entry.reason, Some(Reason::Image | Reason::Pulling)));
    }

    /// The endpoints whose containers may be in the network.
    pub(super) fn admitted(&self) -> BTreeSet<EndpointId> {
        let is_admitted =
            |entry: &Entry| matches!(&entry.goal, Goal::Present(spec) if spec.program.is_some());
        self.entries.iter().filter(|(_, entry)| is_admitted(entry)).map(|(id, _)| *id).collect()
    }

    /// True if Docker has to do with any endpoint.
    #[must_use]
    pub(super) fn has_containers(&self) -> bool {
        self.entries.values().any(|entry| entry.goal.is_container())
    }

    /// An endpoint that should be there.
    #[must_use]
    pub(super) fn wanted(&self, id: EndpointId) -> Option<&Arc<EndpointSpec>> {
        match &self.entries.get(&id)?.goal {
            Goal::Present(spec) => Some(spec),
            Goal::Absent(_) => None,
        }
    }

    /// Every endpoint that should be here.
    pub(super) fn all_wanted(&self) -> Vec<Arc<EndpointSpec>> {
        let spec = |entry: &Entry| match &entry.goal {
            Goal::Present(spec) => Some(spec.clone()),
            Goal::Absent(_) => None,
        };
        self.entries.values().filter_map(spec).collect()
    }

    /// Forgets what the controller is owed: it is gone, and will ask anew.
    pub(super) fn handle_lost(&mut self) {
        self.inventory = None;
        self.reports.clear();
    }

    /// Has an endpoint looked at again, because something about it has changed.
    pub(super) fn recheck(&mut self, id: EndpointId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && !entry.refused
            && entry.state != State::OfportTaken
        {
            entry.fall_due(&mut self.clock);
        }
    }

    /// As `recheck`, for every endpoint.
    pub(super) fn recheck_all(&mut self) {
        self.recheck_where(|_| true);
    }

    fn recheck_where(&mut self, which: impl Fn(&Entry) -> bool) {
        let ids: Vec<_> = self.entries.iter().filter(|(_, entry)| which(entry)).map(|(id, _)| *id).collect();
        for id in ids {
            self.recheck(id);
        }
    }

    /// The endpoints that are believed to be up.
    pub(super) fn up(&self) -> impl Iterator<Item = &EndpointSpec> {
        self.entries.values().filter_map(|entry| match &entry.goal {
            Goal::Present(spec) if entry.state == State::Up && !entry.running && entry.due.is_none() => {
                Some(spec.as_ref())
            }
            _ => None,
        })
    }

    /// What to start now.
    pub(super) fn poll_jobs(&mut self, now: Instant) -> Vec<Job> {
        let mut due = Vec::new();
        for (id, entry) in &mut self.entries {
            if entry.retry_at.is_some_and(|at| at <= now) {
                entry.fall_due(&mut self.clock);
            }
            due.extend(entry.due.filter(|_| !entry.running && !entry.refused).map(|since| (since, *id)));
        }
        due.sort_unstable();
        let mut jobs = Vec::new();
        for (_, id) in due {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let n_running = self.running.of(&entry.goal);
            if *n_running >= MAX_RUNNING {
                continue;
            }
            *n_running += 1;
            entry.running = true;
            entry.due = None;
            entry.retry_at = None;
            jobs.push(Job { id, goal: entry.goal.clone(), is_retry: entry.n_failures > 0 });
        }
        jobs
    }

    /// When `poll_jobs` will have something new without anything else happening.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let has_room = |entry: &&Entry| {
            let mut running = Running { ..self.running };
            !entry.running && *running.of(&entry.goal) < MAX_RUNNING
        };
        self.entries.values().filter(has_room).filter_map(|entry| entry.retry_at).min()
    }

    /// Takes the end of a job.
    pub(super) fn handle_done(&mut self, job: &Job, outcome: Outcome, now: Instant) {
        let n_running = self.running.of(&job.goal);
        *n_running = n_running.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(&job.id) else { return };
        entry.running = false;
        if entry.goal != job.goal || entry.refused {
            if !entry.refused {
                entry.fall_due(&mut self.clock);
            }
            return;
        }
        if outcome == Outcome::Detached {
            entry.goal = Goal::Absent(Remains::Detached);
            entry.n_failures = 0;
            entry.fall_due(&mut self.clock);
            return;
        }
        let (state, message, reason, process) = match outcome {
            Outcome::Up(process) => (State::Up, String::new(), None, process),
            Outcome::Unwell(process, complaint) => (State::Up, complaint, None, Some(process)),
            Outcome::Held(holder) => (State::Up, holder, None, None),
            Outcome::Reserved => (State::Reserved, String::new(), None, None),
            Outcome::Ended(process) => (State::Ended, String::new(), None, Some(process)),
            Outcome::Removed | Outcome::Detached => (State::Removed, String::new(), None, None),
            Outcome::OfportTaken(message) => (State::OfportTaken, message, None, None),
            Outcome::Failed(Failed { reason, message, process }) => {
                (State::Failed, message, Some(reason), process)
            }
        };
        if state == State::Failed {
            entry.retry_at = Some(now + backoff(entry.n_failures));
            entry.n_failures = entry.n_failures.saturating_add(1);
            let is_confirmed = |goal: &Goal| match goal {
                Goal::Present(spec) => spec.flows_revision <= self.confirmed,
                Goal::Absent(_) => false,
            };
            if reason == Some(Reason::FlowsPending) && is_confirmed(&entry.goal) {
                // The word came while the job was giving up.
                entry.fall_due(&mut self.clock);
            }
        } else {
            entry.n_failures = 0;
        }
        let is_new = entry.state != state || entry.message != message || entry.process != process;
        if is_new {
            tracing::info!(endpoint = job.id, old = ?entry.state, new = ?state, message, "endpoint");
        }
        entry.state = state;
        entry.message = message;
        entry.reason = reason;
        entry.process = process;
        entry.starts = match &job.goal {
            Goal::Present(spec) => spec.program.as_ref().map_or(0, |program| program.starts),
            Goal::Absent(_) => 0,
        };
        if is_new || entry.answer {
            entry.answer = false;
            let report = report(job.id, entry);
            self.reports.push(Message::Endpoint(report));
        }
        if state == State::Removed {
            self.entries.remove(&job.id);
        }
        if let Some(answer) = &mut self.inventory {
            answer.waits_for.remove(&job.id);
        }
        self.take_inventory();
    }

    /// What the controller is to be told, in order.
    pub(super) fn poll_reports(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.reports)
    }

    fn want(&mut self, endpoint: &DesiredEndpoint, answer: bool) {
        let id = endpoint.endpoint_id;
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(Goal::Absent(Remains::Unknown)));
        match EndpointSpec::try_from(endpoint) {
            Ok(spec) => {
                let goal = Goal::Present(Arc::new(spec));
                let at_rest = matches!(entry.state, State::Up | State::Ended | State::Reserved);
                let is_settled = entry.goal == goal && at_rest && !entry.refused;
                entry.refused = false;
                entry.goal = goal;
                entry.answer |= answer;
                entry.n_failures = 0;
                if !is_settled || answer {
                    entry.fall_due(&mut self.clock);
                }
            }
            Err(error) => {
                entry.refused = true;
                entry.due = None;
                entry.retry_at = None;
                entry.state = State::Failed;
                entry.message = format!("not an endpoint: {error}");
                tracing::warn!(endpoint = id, %error, "the controller wants an endpoint that is none");
                let report = report(id, entry);
                self.reports.push(Message::Endpoint(report));
                if let Some(answer) = &mut self.inventory {
                    answer.waits_for.remove(&id);
                }
                self.take_inventory();
            }
        }
    }

    /// What may be left of an endpoint that is known.
    fn remains(&self, id: EndpointId) -> Remains {
        match self.entries.get(&id).map(|entry| &entry.goal) {
            Some(Goal::Present(spec)) if spec.program.is_some() => Remains::Container,
            Some(Goal::Present(_)) => Remains::Sandbox,
            Some(Goal::Absent(remains)) => *remains,
            None => Remains::Unknown,
        }
    }

    fn want_gone(&mut self, id: EndpointId, remains: Remains) {
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(Goal::Absent(remains)));
        entry.goal = Goal::Absent(remains);
        entry.refused = false;
        entry.answer = true;
        entry.n_failures = 0;
        entry.fall_due(&mut self.clock);
    }

    /// Answers the complete `desired` once everything in it was carried out or tried.
    fn take_inventory(&mut self) {
        let is_ready = |answer: &mut Answer| answer.surveyed && answer.waits_for.is_empty();
        if let Some(answer) = self.inventory.take_if(is_ready) {
            let endpoints = self.entries.iter().map(|(id, entry)| report(*id, entry)).collect();
            self.reports.push(Message::Inventory(Inventory { revision: answer.revision, endpoints }));
        }
    }
}

impl Entry {
    fn new(goal: Goal) -> Self {
        Self {
            goal,
            refused: false,
            state: State::Unspecified,
            message: String::new(),
            reason: None,
            process: None,
            starts: 0,
            due: None,
            running: false,
            retry_at: None,
            n_failures: 0,
            answer: false,
        }
    }

    /// Has it looked at, in its turn.
    fn fall_due(&mut self, clock: &mut u64) {
        self.retry_at = None;
        if self.due.is_none() {
            *clock += 1;
            self.due = Some(*clock);
        }
    }
}

fn report(id: EndpointId, entry: &Entry) -> EndpointReport {
    let ofport = match &entry.goal {
        Goal::Present(spec) => u32::from(spec.ofport),
        Goal::Absent(_) => 0,
    };
    EndpointReport {
        endpoint_id: id,
        state: entry.state.into(),
        ofport,
        message: entry.message.clone(),
        reason: entry.reason.map_or("", Reason::word).to_owned(),
        process: entry.process,
        starts: entry.starts,
    }
}

fn backoff(n_failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << n_failures.min(16)).min(LAST_RETRY)
}

/// Jobs at the same time.
const MAX_RUNNING: usize = 8;

const FIRST_RETRY: Duration = Duration::from_millis(200);

const LAST_RETRY: Duration = Duration::from_secs(15);
