//! Bringing an endpoint up and taking it down, step by step, with Docker where it has a container.
//!
//! Each step is decided by looking at what there is, so that it does not matter who took the one before: this job, one
//! of an agent that was killed, or Docker by itself.

use std::{path::PathBuf, time::Duration};

use super::{
    attachment::AttachError,
    endpoints::{Failed, Outcome, Reason, Remains},
    plain,
    work::Tools,
};
use crate::{
    bridge::PlugError,
    runtime::{
        EndpointId, EndpointSpec, Program,
        docker::{DockerError, Found, Step, decide},
    },
};

/// Makes an endpoint what it should be.
pub(super) async fn bring_up(tools: &Tools, spec: &EndpointSpec, is_retry: bool, tso: bool) -> Outcome {
    if spec.is_plain {
        return plain::bring_up(tools, spec).await;
    }
    let result = match &spec.program {
        Some(program) => run(tools, spec, program, Conditions { is_retry, tso }).await,
        None => {
            tools.attachments.attach(spec, None, tso).await.map(|()| Outcome::Up(None)).map_err(Halt::from)
        }
    };
    match result {
        Ok(outcome) => outcome,
        // The port is gone again; what else there is waits for another number.
        Err(Halt::OfportTaken(message)) => match tools.attachments.detach(spec.id).await {
            Ok(()) => Outcome::OfportTaken(message),
            Err(error) => Outcome::Failed(Failed::new(Reason::Port, error)),
        },
        Err(Halt::Failed(failed)) => Outcome::Failed(failed),
    }
}

/// Removes all that is left of an endpoint. It leaves the network first, and by itself: from then on nobody hears of it,
/// however long Docker takes.
pub(super) async fn take_down(tools: &Tools, id: EndpointId, remains: Remains) -> Outcome {
    if remains == Remains::Detached
        && let Err(error) = tools.docker.remove(id).await
    {
        return Outcome::Failed(failed(error));
    }
    // Again when the container is gone: it may have been starting.
    if let Err(error) = tools.attachments.detach(id).await {
        return Outcome::Failed(Failed::new(Reason::Port, error));
    }
    drop(tools.attachments.take_refusal(id));
    match remains {
        Remains::Container => Outcome::Detached,
        Remains::Unknown if tools.docker.is_installed() => Outcome::Detached,
        _ => Outcome::Removed,
    }
}

/// Why a step was not taken.
enum Halt {
    OfportTaken(String),
    Failed(Failed),
}

impl From<AttachError> for Halt {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Plug(taken @ PlugError::OfportTaken { .. }) => Self::OfportTaken(taken.to_string()),
            error => Self::Failed(Failed::new(Reason::Port, error)),
        }
    }
}

impl From<DockerError> for Halt {
    fn from(error: DockerError) -> Self {
        Self::Failed(failed(error))
    }
}

fn failed(error: DockerError) -> Failed {
    let reason = match &error {
        DockerError::NoImage { .. } => Reason::Image,
        error if error.is_absence() => Reason::Runtime,
        _ => Reason::Start,
    };
    Failed::new(reason, error)
}

/// What a container is brought up under.
#[derive(Clone, Copy)]
struct Conditions {
    /// It was tried before, and failed.
    is_retry: bool,
    /// ovs-vswitchd computes the checksums that endpoints leave out.
    tso: bool,
}

/// Brings a container to where it should be.
async fn run(
    tools: &Tools,
    spec: &EndpointSpec,
    program: &Program,
    conditions: Conditions,
) -> Result<Outcome, Halt> {
    let mut found = tools.docker.find(spec.id).await?;
    for _ in 0..MAX_STEPS {
        let step = decide(program, found.as_ref());
        tracing::debug!(endpoint = spec.id, ?step, "container");
        found = match (step, found) {
            (Step::Create, _) | (_, None) => Some(create(tools, spec, program, conditions).await?),
            (Step::Start, Some(found)) => {
                start(tools, spec, program, &found).await?;
                tools.docker.inspect(spec.id, &found.id).await?
            }
            (Step::Attach, Some(found)) => match attach(tools, spec, &found, conditions.tso).await {
                Ok(()) => {
                    // A request for a start is carried out by what runs already.
                    tools.docker.note_start(spec, &found, program.starts).await?;
                    return Ok(if found.complaint.is_empty() {
                        Outcome::Up(Some(found.process))
                    } else {
                        Outcome::Unwell(found.process, found.complaint)
                    });
                }
                Err(error) => {
                    let now = tools.docker.inspect(spec.id, &found.id).await?;
                    if now.as_ref().is_some_and(|now| now.pid == found.pid) {
                        return Err(error.into());
                    }
                    // Its process has ended meanwhile.
                    now
                }
            },
            (Step::Stop, Some(found)) => {
                tools.docker.stop(&found, program.stop_timeout_s).await?;
                tools.docker.inspect(spec.id, &found.id).await?
            }
            (Step::Rest, Some(found)) => {
                tools.attachments.detach(spec.id).await?;
                return Ok(Outcome::Ended(found.process));
            }
            (Step::Remove, Some(_)) => {
                tools.docker.remove(spec.id).await?;
                None
            }
            (Step::Await, Some(found)) => return Ok(Outcome::Failed(restarting(&found))),
        };
    }
    Err(Halt::Failed(Failed::new(Reason::Start, "the container does not stay as it is started")))
}

/// Makes a container, and at the same time its interface and port, for which Docker then need not wait when it starts it.
/// Not when that has failed before: each try would cost a port.
async fn create(
    tools: &Tools,
    spec: &EndpointSpec,
    program: &Program,
    Conditions { is_retry, tso }: Conditions,
) -> Result<Found, Halt> {
    // Docker would only say again that it is not there.
    if let Some(pulling) = tools.images.under_way(&program.image) {
        return Err(Halt::Failed(pulling));
    }
    // The controller knows; here it is made sure.
    if let Some(folder) = program.folders().find(|folder| !tools.folders.contains(*folder)) {
        let message =
            format!("this node lets no container have `{folder}`: its agent needs --allow-bind {folder}");
        return Err(Halt::Failed(Failed::new(Reason::Start, message)));
    }
    let early = async {
        match program.stopped || is_retry {
            true => Ok(()),
            false => tools.attachments.attach_for_docker(spec, tso).await.map(drop),
        }
    };
    let (made, early) = tokio::join!(tools.docker.create(spec, program), early);
    if let Err(error) = early {
        // Whoever starts it is told so again.
        tracing::debug!(endpoint = spec.id, error, "not attached in advance");
    }
    match made {
        Ok(made) => Ok(made),
        Err(error) => {
            tools.attachments.detach(spec.id).await?;
            match error {
                DockerError::NoImage { image, .. } => Err(Halt::Failed(tools.images.want(&image))),
                error => Err(error.into()),
            }
        }
    }
}

/// Sees that the interface in a running container's namespace, and its port, are right.
async fn attach(tools: &Tools, spec: &EndpointSpec, found: &Found, tso: bool) -> Result<(), AttachError> {
    let Some(pid) = found.pid else { return Ok(()) };
    let sandbox = PathBuf::from(format!("/proc/{pid}/ns/net"));
    tools.attachments.attach(spec, Some(&sandbox), tso).await
}

/// Starts a container's process, once the switch has what its first packet needs.
async fn start(tools: &Tools, spec: &EndpointSpec, program: &Program, found: &Found) -> Result<(), Halt> {
    let mut confirmed = tools.confirmed.clone();
    let waited = confirmed.wait_for(|revision| *revision >= spec.flows_revision);
    if tokio::time::timeout(FLOWS, waited).await.is_err() {
        let message = "its process is not started before the switch has confirmed its flows";
        return Err(Halt::Failed(Failed::new(Reason::FlowsPending, message)));
    }
    // One that is left from an earlier start says nothing about this one.
    drop(tools.attachments.take_refusal(spec.id));
    let started = tools.docker.start(spec, found, program.starts).await;
    started.map_err(|error| match tools.attachments.take_refusal(spec.id) {
        Some(refusal) => refusal.into(),
        None => error.into(),
    })
}

fn restarting(found: &Found) -> Failed {
    let process = found.process;
    let message = format!(
        "its process ended with exit code {} and is started again (for the {}. time)",
        process.exit_code,
        process.restarts.saturating_add(1)
    );
    Failed { process: Some(process), ..Failed::new(Reason::Restarting, message) }
}

/// Steps of one job: the longest way is remove, create, start, and a process that ends at once.
const MAX_STEPS: usize = 6;

/// How long a job waits for the switch before it lets others go first.
const FLOWS: Duration = Duration::from_millis(300);
