//! How a container is, derived from what is intended and what agent and switch report.

use std::time::SystemTime;

use flowlib::types::PortNo;

use crate::intent::model::{Container, Endpoint};

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Why a container is not ready, or not gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The node counts as lost, and no other can take the container.
    NodeLost,
    /// The image is not on the node, or cannot be read.
    ImageMissing,
    /// The runtime does not start it as it is.
    StartRefused,
    /// The runtime does not answer.
    RuntimeUnreachable,
    /// Its process keeps ending and is started again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// It was stopped on request.
    Stopped,
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
            Self::StartRefused => "StartRefused",
            Self::RuntimeUnreachable => "RuntimeUnreachable",
            Self::Restarting => "Restarting",
            Self::Exited => "Exited",
            Self::Stopped => "Stopped",
        }
    }
}

/// How a container is, with a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it is not further.
    pub reason: Reason,
    /// A sentence; empty when nothing is missing.
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
}

impl Condition {
    pub(super) fn new(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self { phase, reason, message: message.into(), process: None }
    }

    /// How a container is of which nothing has been heard yet.
    #[must_use]
    pub fn committed(container: &Container) -> Self {
        let phase = if container.deleting { Phase::Deleting } else { Phase::Starting };
        Self::new(phase, Reason::FlowsPending, "flows and port are being dealt with")
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
}

/// What is known about an endpoint's node and itself.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The node's name.
    pub node: &'a str,
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
        format!("its process ended with exit code {code}")
    };
    if container.stopped {
        return Condition::new(Phase::Ended, Reason::Stopped, format!("stopped on request; {how}"));
    }
    Condition::new(Phase::Ended, Reason::Exited, how)
}

fn starting(container: &Container, evidence: Evidence<'_>) -> Condition {
    let Endpoint { ofport, .. } = container.endpoint;
    if let Some(message) = evidence.rejected {
        return Condition::new(Phase::Degraded, Reason::FlowRejected, message);
    }
    let port = evidence.port.map(|report| (report.state, report));
    if let Some((PortState::Failed, report)) = port {
        return Condition::new(Phase::Degraded, report.refused, report.message.clone());
    }
    if let Some((PortState::Ended, report)) = port
        && report.ofport == ofport
    {
        return ended(container, report);
    }
    if let Some((PortState::OfportTaken, report)) = port
        && report.ofport == ofport
    {
        let message = format!("the port number {ofport} is taken; another is being chosen");
        return Condition::new(Phase::Starting, Reason::PortPending, message);
    }
    if evidence.applied.is_none_or(|applied| applied < container.revision) {
        let message = "the switch has not confirmed its flows yet";
        return Condition::new(Phase::Starting, Reason::FlowsPending, message);
    }
    match port {
        Some((PortState::Up, report)) if report.ofport == ofport => {
            Condition::new(Phase::Ready, Reason::None, "")
        }
        _ => {
            let message = format!("the agent has not reported the port {ofport} as up yet");
            Condition::new(Phase::Starting, Reason::PortPending, message)
        }
    }
}
