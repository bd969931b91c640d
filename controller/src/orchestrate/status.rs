//! How a container is, derived from what is intended and what agent and switch report.

use std::time::SystemTime;

use flowlib::types::PortNo;

use crate::intent::model::Container;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Committed; its flows or its port are not there yet.
    Starting,
    /// Flows confirmed by a barrier, and the port up with the number asked for.
    Ready,
    /// Something refuses it, or cannot be reached; it is tried again.
    Degraded,
    /// Being removed.
    Deleting,
    /// Its process has ended, or was stopped, and is not started again by itself.
    Ended,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Ready, Self::Degraded, Self::Deleting, Self::Ended];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Deleting => "deleting",
            Self::Ended => "ended",
        }
    }
}

/// Why a container is not ready, or not gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing is missing.
    None,
    /// The switch has not confirmed its flows yet, or their removal.
    FlowsPending,
    /// The agent has not reported its port as up yet, or as gone.
    PortPending,
    /// The switch refuses its flows.
    FlowRejected,
    /// The agent cannot make its port or its container.
    PortRefused,
    /// The node's agent or switch is not connected.
    NodeUnreachable,
    /// The node counts as lost.
    NodeLost,
    /// The image is not on the node.
    ImageMissing,
    /// The image is on its way to the node.
    Pulling,
    /// The runtime does not start it as it is.
    StartRefused,
    /// The runtime does not answer.
    RuntimeUnreachable,
    /// Its process keeps ending and is started again.
    Restarting,
    /// Its health check has not said yet that it is well.
    HealthPending,
    /// Its health check fails.
    Unhealthy,
    /// Its process is asked to end, and has not yet.
    StopPending,
    /// Its process has ended.
    Exited,
    /// It was stopped on request.
    Stopped,
    /// Its node has it in reserve.
    Reserved,
}

impl Reason {
    /// The word for it; empty for [`Reason::None`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::FlowsPending => "FlowsPending",
            Self::PortPending => "PortPending",
            Self::FlowRejected => "FlowRejected",
            Self::PortRefused => "PortRefused",
            Self::NodeUnreachable => "NodeUnreachable",
            Self::NodeLost => "NodeLost",
            Self::ImageMissing => "ImageMissing",
            Self::Pulling => "Pulling",
            Self::StartRefused => "StartRefused",
            Self::RuntimeUnreachable => "RuntimeUnreachable",
            Self::Restarting => "Restarting",
            Self::HealthPending => "HealthPending",
            Self::Unhealthy => "Unhealthy",
            Self::StopPending => "StopPending",
            Self::Exited => "Exited",
            Self::Stopped => "Stopped",
            Self::Reserved => "Reserved",
        }
    }
}

/// Whether a container in that phase, for that reason, does not come further by itself.
#[must_use]
pub fn is_stuck(phase: Phase, reason: Reason) -> bool {
    phase == Phase::Degraded
        || matches!(
            reason,
            Reason::NodeUnreachable | Reason::NodeLost | Reason::FlowRejected | Reason::PortRefused
        )
}

/// How a container is, with a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it is not further.
    pub reason: Reason,
    /// A sentence; empty when nothing is missing, but for who has an endpoint of Docker's own.
    pub message: String,
    /// Its process, if it has one.
    pub process: Option<Process>,
}

/// A container's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// When it was started last.
    pub started: Option<SystemTime>,
    /// When it ended; `None` while it runs.
    pub finished: Option<SystemTime>,
    /// What the last one that ended did so with: its exit code, or 128 + the signal.
    pub exit_code: i32,
    /// It used more memory than its limit, and was killed.
    pub oom_killed: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// What its health check says.
    pub health: Health,
}

/// What a health check says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// There is none.
    #[default]
    Unchecked,
    /// Nothing yet.
    Checking,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Condition {
    pub(super) fn new(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self { phase, reason, message: message.into(), process: None }
    }

    /// How a container is of which nothing has been heard yet.
    #[must_use]
    pub fn committed(container: &Container) -> Self {
        let phase = if container.deleting { Phase::Deleting } else { Phase::Starting };
        if container.stopped && !container.deleting {
            return Self::new(phase, Reason::StopPending, "it is being stopped");
        }
        Self::new(phase, Reason::FlowsPending, "flows and port are being dealt with")
    }

    /// Whether it is refused for what it is itself: waiting does not help.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        self.phase == Phase::Degraded && matches!(self.reason, Reason::ImageMissing | Reason::StartRefused)
    }
}

/// What an agent says of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortReport {
    /// What became of the port.
    pub state: PortState,
    /// The number it has, or was to have.
    pub ofport: PortNo,
    /// A sentence, if there is something to say.
    pub message: String,
    /// What refuses, if it failed.
    pub refused: Reason,
    /// The container's process, if it has one.
    pub process: Option<Process>,
    /// With [`PortState::Up`] and [`PortState::Ended`]: which request for a start the process answers.
    pub starts: u32,
}

impl PortReport {
    /// Whether it is of a process before the one that is wanted now.
    #[must_use]
    pub fn is_late(&self, container: &Container) -> bool {
        matches!(self.state, PortState::Up | PortState::Ended) && self.starts < container.starts
    }
}

/// What became of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// It is up with the number asked for, and the container's side is configured.
    Up,
    /// It could not be made.
    Failed,
    /// The switch gave it another number; it has been taken away again.
    OfportTaken,
    /// Neither port nor container is there any more.
    Removed,
    /// The container is there without a port, since its process has ended.
    Ended,
    /// No container has it yet, and it has no port.
    Reserved,
}

/// What is known about an endpoint's node and itself.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The node counts as lost: why the container is still there.
    pub lost: Option<&'a str>,
    /// The agent's stream is open.
    pub agent: bool,
    /// What the switch has confirmed; `None` if it is not connected.
    pub applied: Option<u64>,
    /// What the switch says of the endpoint's flows, if it refuses them.
    pub rejected: Option<&'a str>,
    /// The agent's last word on the port.
    pub port: Option<&'a PortReport>,
}

/// Derives how a container is.
#[must_use]
pub fn derive(container: &Container, evidence: Evidence<'_>) -> Condition {
    let port = evidence.port.filter(|report| !report.is_late(container));
    let evidence = Evidence { port, ..evidence };
    let condition = match unreachable(container, evidence) {
        Some(condition) => condition,
        None if container.deleting => deleting(container, evidence),
        None => starting(container, evidence),
    };
    Condition { process: evidence.port.and_then(|report| report.process), ..condition }
}

fn unreachable(container: &Container, evidence: Evidence<'_>) -> Option<Condition> {
    let what = match (evidence.agent, evidence.applied) {
        (true, Some(_)) => return None,
        (false, Some(_)) => "agent",
        (true, None) => "switch",
        (false, None) => "agent and the switch",
    };
    let phase = if container.deleting { Phase::Deleting } else { Phase::Degraded };
    if let Some(why) = evidence.lost {
        return Some(Condition::new(
            phase,
            Reason::NodeLost,
            format!("the node {} is lost: {why}", evidence.node),
        ));
    }
    let verb = if evidence.agent || evidence.applied.is_some() { "is" } else { "are" };
    let message = format!("the {what} of the node {} {verb} not connected", evidence.node);
    Some(Condition::new(phase, Reason::NodeUnreachable, message))
}

fn deleting(container: &Container, evidence: Evidence<'_>) -> Condition {
    if let Some(message) = evidence.rejected {
        return Condition::new(Phase::Deleting, Reason::FlowRejected, message);
    }
    match evidence.port {
        Some(report) if report.state == PortState::Failed => {
            Condition::new(Phase::Deleting, report.refused, report.message.clone())
        }
        Some(report) if report.state == PortState::Removed => Condition::new(
            Phase::Deleting,
            Reason::FlowsPending,
            "the switch has not confirmed yet that its flows are gone",
        ),
        _ => {
            let message = format!("the port {} is being removed", container.endpoint.ofport);
            Condition::new(Phase::Deleting, Reason::PortPending, message)
        }
    }
}

fn ended(container: &Container, report: &PortReport) -> Condition {
    let process = report.process.unwrap_or_default();
    let code = process.exit_code;
    let how = if process.oom_killed {
        format!("its process was killed, having used more memory than its limit (exit code {code})")
    } else {
        format!("its process ended with exit code {code}{}", hint(code))
    };
    if container.stopped {
        return Condition::new(Phase::Ended, Reason::Stopped, format!("stopped on request; {how}"));
    }
    Condition::new(Phase::Ended, Reason::Exited, how)
}

/// What a code means that the init of the container ends with when it cannot run the command, as shells do.
fn hint(code: i32) -> &'static str {
    match code {
        126 => " (the command could not be executed)",
        127 => " (there is no such command in the image)",
        _ => "",
    }
}

fn starting(container: &Container, evidence: Evidence<'_>) -> Condition {
    let ofport = container.endpoint.ofport;
    if let Some(report) = evidence.port.filter(|report| report.state == PortState::Ended) {
        return ended(container, report);
    }
    if let Some(message) = evidence.rejected {
        return Condition::new(Phase::Degraded, Reason::FlowRejected, message);
    }
    if evidence.port.is_some_and(|report| report.state == PortState::Reserved) {
        let message = "in reserve: no container of its node's Docker has it";
        return Condition::new(Phase::Ended, Reason::Reserved, message);
    }
    if let Some(report) = evidence.port.filter(|report| report.state == PortState::Failed) {
        // Waiting for the switch, or for an image, is no refusal.
        let waits = matches!(report.refused, Reason::FlowsPending | Reason::Pulling);
        let phase = if waits { Phase::Starting } else { Phase::Degraded };
        return Condition::new(phase, report.refused, report.message.clone());
    }
    if container.stopped {
        let message = "the node has not reported yet that its process has ended";
        return Condition::new(Phase::Starting, Reason::StopPending, message);
    }
    let port = evidence.port.filter(|report| report.ofport == ofport);
    if port.is_some_and(|report| report.state == PortState::OfportTaken) {
        let message = format!("the port number {ofport} is taken; another is being chosen");
        return Condition::new(Phase::Starting, Reason::PortPending, message);
    }
    if evidence.applied.is_none_or(|applied| applied < container.revision) {
        let message = "the switch has not confirmed its flows yet";
        return Condition::new(Phase::Starting, Reason::FlowsPending, message);
    }
    match port.filter(|report| report.state == PortState::Up) {
        Some(report) if report.process.is_some_and(|process| process.finished.is_some()) => {
            Condition::new(Phase::Starting, Reason::PortPending, "its process is not running")
        }
        Some(report) => match report.process.unwrap_or_default().health {
            Health::Checking => {
                let message = "its health check has not said yet that it is well";
                Condition::new(Phase::Starting, Reason::HealthPending, message)
            }
            Health::Unhealthy => {
                let said = if report.message.is_empty() { "nothing" } else { &report.message };
                let message = format!("its health check fails, and says: {said}");
                Condition::new(Phase::Degraded, Reason::Unhealthy, message)
            }
            Health::Unchecked | Health::Healthy => {
                Condition::new(Phase::Ready, Reason::None, report.message.clone())
            }
        },
        None => {
            let message = format!("the agent has not reported the port {ofport} as up yet");
            Condition::new(Phase::Starting, Reason::PortPending, message)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use flowlib::compile::model::{EndpointId, NetworkId, NodeId, PoolId};
    use flowlib::types::MacAddr;

    use super::*;
    use crate::intent::model::{Endpoint, Resources, RestartPolicy};

    const OFPORT: PortNo = PortNo(1024);

    pub(in crate::orchestrate) fn container() -> Container {
        let endpoint = Endpoint {
            id: EndpointId(1),
            network: NetworkId(1),
            address: [10, 1, 0, 2].into(),
            mac: MacAddr([2; 6]),
            node: NodeId(1),
            ofport: OFPORT,
        };
        Container {
            pool: PoolId(1),
            name: "job".to_owned(),
            image: "busybox:latest".to_owned(),
            runtime: "docker".to_owned(),
            command: Vec::new(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            restart: RestartPolicy::No,
            stop_timeout_s: 10,
            constraints: Vec::new(),
            affinities: Vec::new(),
            pinned: false,
            stopped: false,
            starts: 0,
            health: None,
            mounts: Vec::new(),
            replica_of: None,
            service: "job".to_owned(),
            labels: BTreeMap::new(),
            endpoint,
            deleting: false,
            request_key: String::new(),
            revision: 5,
        }
    }

    fn report(state: PortState) -> PortReport {
        let started = Some(SystemTime::UNIX_EPOCH);
        let ended = state == PortState::Ended;
        let finished = ended.then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let process = Process { started, finished, exit_code: i32::from(ended) * 3, ..Process::default() };
        let message = "no such image".to_owned();
        PortReport {
            state,
            ofport: OFPORT,
            message,
            refused: Reason::ImageMissing,
            process: Some(process),
            starts: 0,
        }
    }

    #[test]
    fn an_endpoint_in_reserve_is_no_container_that_runs_and_says_so() {
        let plain = container();
        let reserved = PortReport { process: None, ..report(PortState::Reserved) };
        assert_eq!(derived(&plain, Some(&reserved)), (Phase::Ended, Reason::Reserved));
        let message = "Docker's container web".to_owned();
        let held = PortReport { process: None, message: message.clone(), ..report(PortState::Up) };
        let condition = derive(&plain, evidence(Some(&held)));
        assert_eq!((condition.phase, condition.message), (Phase::Ready, message));
    }

    fn evidence(port: Option<&PortReport>) -> Evidence<'_> {
        Evidence { node: "n1", lost: None, agent: true, applied: Some(5), rejected: None, port }
    }

    fn derived(container: &Container, port: Option<&PortReport>) -> (Phase, Reason) {
        let condition = derive(container, evidence(port));
        (condition.phase, condition.reason)
    }

    #[test]
    fn a_container_with_a_health_check_is_ready_when_that_says_so() {
        let (job, up) = (container(), report(PortState::Up));
        let checked = |health| {
            let process = up.process.map(|process| Process { health, ..process });
            PortReport { process, message: "connection refused".to_owned(), ..up.clone() }
        };
        assert_eq!(derived(&job, Some(&checked(Health::Checking))), (Phase::Starting, Reason::HealthPending));
        assert_eq!(derived(&job, Some(&checked(Health::Healthy))), (Phase::Ready, Reason::None));
        let unwell = derive(&job, evidence(Some(&checked(Health::Unhealthy))));
        assert_eq!((unwell.phase, unwell.reason), (Phase::Degraded, Reason::Unhealthy));
        assert!(unwell.message.contains("connection refused") && !unwell.is_definite(), "{}", unwell.message);
    }

    #[test]
    fn a_container_that_runs_is_ready_and_one_that_ended_says_how() {
        let job = container();
        assert_eq!(derived(&job, None), (Phase::Starting, Reason::PortPending));
        let up = report(PortState::Up);
        assert_eq!(derived(&job, Some(&up)), (Phase::Ready, Reason::None));
        assert_eq!(derive(&job, evidence(Some(&up))).process, up.process);
        let dying = PortReport { process: report(PortState::Ended).process, ..up };
        assert_eq!(derived(&job, Some(&dying)), (Phase::Starting, Reason::PortPending));
        let ended = report(PortState::Ended);
        assert_eq!(derived(&job, Some(&ended)), (Phase::Ended, Reason::Exited));
        assert_eq!(derive(&job, evidence(Some(&ended))).message, "its process ended with exit code 3");
        for (code, hint) in [(126, "could not be executed"), (127, "no such command in the image")] {
            let process = ended.process.map(|process| Process { exit_code: code, ..process });
            let message = derive(&job, evidence(Some(&PortReport { process, ..ended.clone() }))).message;
            assert!(message.contains(hint), "{message}");
        }
        let process = ended.process.map(|process| Process { oom_killed: true, exit_code: 137, ..process });
        let killed = derive(&job, evidence(Some(&PortReport { process, ..ended })));
        assert!(killed.message.contains("more memory than its limit (exit code 137)"), "{}", killed.message);
    }

    #[test]
    fn a_report_of_a_process_before_the_one_that_is_wanted_says_nothing() {
        let job = Container { starts: 2, ..container() };
        for state in [PortState::Up, PortState::Ended] {
            let late = PortReport { starts: 1, ..report(state) };
            let condition = derive(&job, evidence(Some(&late)));
            assert_eq!((condition.phase, condition.process), (Phase::Starting, None), "{state:?}");
            let due = PortReport { starts: 2, ..late };
            assert_ne!(derived(&job, Some(&due)).0, Phase::Starting, "{state:?}");
        }
        let failed = PortReport { starts: 0, ..report(PortState::Failed) };
        assert_eq!(derived(&job, Some(&failed)), (Phase::Degraded, Reason::ImageMissing));
    }

    #[test]
    fn a_container_that_is_stopped_waits_for_its_process_to_end() {
        let job = Container { stopped: true, ..container() };
        assert_eq!(derived(&job, None), (Phase::Starting, Reason::StopPending));
        assert_eq!(derived(&job, Some(&report(PortState::Up))), (Phase::Starting, Reason::StopPending));
        let ended = report(PortState::Ended);
        assert_eq!(derived(&job, Some(&ended)), (Phase::Ended, Reason::Stopped));
        let refused = Evidence { rejected: Some("table full"), applied: Some(0), ..evidence(Some(&ended)) };
        assert_eq!(derive(&job, refused).phase, Phase::Ended, "it needs no flows to have ended");
    }

    #[test]
    fn what_refuses_is_named_and_only_some_of_it_is_definite() {
        let job = container();
        for (refused, definite) in [
            (Reason::ImageMissing, true),
            (Reason::StartRefused, true),
            (Reason::PortRefused, false),
            (Reason::RuntimeUnreachable, false),
            (Reason::Restarting, false),
        ] {
            let report = PortReport { refused, ..report(PortState::Failed) };
            let condition = derive(&job, evidence(Some(&report)));
            assert_eq!((condition.phase, condition.reason), (Phase::Degraded, refused));
            assert_eq!(condition.is_definite(), definite, "{refused:?}");
        }
    }

    #[test]
    fn a_lost_node_says_why_its_container_is_still_there() {
        let gone = Evidence { agent: false, applied: None, ..evidence(None) };
        let unreachable = derive(&container(), gone);
        assert_eq!((unreachable.phase, unreachable.reason), (Phase::Degraded, Reason::NodeUnreachable));
        let lost = Evidence { lost: Some("no other node is connected"), ..gone };
        let condition = derive(&container(), lost);
        assert_eq!((condition.phase, condition.reason), (Phase::Degraded, Reason::NodeLost));
        assert_eq!(condition.message, "the node n1 is lost: no other node is connected");
        let deleting = Container { deleting: true, ..container() };
        assert_eq!(derive(&deleting, lost).phase, Phase::Deleting);
        let removed = report(PortState::Removed);
        assert_eq!(derived(&deleting, Some(&removed)), (Phase::Deleting, Reason::FlowsPending));
        assert_eq!(derived(&deleting, None), (Phase::Deleting, Reason::PortPending));
    }
}
