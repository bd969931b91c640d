//! A node leaves: all that joining and the agent have made on the host goes again.

use std::path::PathBuf;

use clap::Args;
use tonic::Code;

use super::{Host, JoinError, Journal, Phase, State, journal::remove, open, undo};
use crate::{
    config,
    credentials::{Credentials, Current},
    enrol::{self, EnrolError},
    ovsdb,
    runtime::{Sandboxes, docker::Docker},
};

/// Have this node leave its pool, and this host be as it was before it joined.
///
/// The controller forgets the node. The NIC gets the addresses and routes back that br-phy bears, connections go on; bridges,
/// certificate, settings and state go. The agent must not be running.
#[derive(Clone, Debug, Args)]
pub struct Leave {
    /// Leave also if the controller cannot be reached, or wants to keep the node; containers that are left here go.
    #[arg(long)]
    pub force: bool,
    /// The controller, if it is no longer the one that was joined: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", value_parser = config::authority)]
    pub controller: Option<String>,
    /// Where the agent keeps what must survive a restart.
    #[arg(long, env = "WEIR_STATE_DIR", value_name = "DIR", default_value = config::STATE_DIR)]
    pub state_dir: PathBuf,
    /// The OVSDB server of this node: unix:PATH or tcp:HOST:PORT.
    #[arg(long, env = "WEIR_OVSDB", value_name = "ADDRESS", default_value = config::OVSDB)]
    pub ovsdb: ovsdb::Address,
    /// The unix socket of this node's Docker, if it has one.
    #[arg(long, env = "WEIR_DOCKER", value_name = "PATH", default_value = config::DOCKER)]
    pub docker: PathBuf,
}

/// How a leave has ended well.
#[derive(Debug, Default)]
pub struct Left {
    /// The pool and the node's name, if it had joined.
    pub node: Option<(String, String)>,
    /// The NIC that is as it was, if one was taken.
    pub nic: Option<String>,
    /// What the controller was not told, and why.
    pub unsaid: Option<String>,
}

/// Has the node leave. One that has not joined has nothing to leave, which is no error.
///
/// # Errors
/// See [`JoinError`]. It can be repeated.
pub async fn leave(leave: &Leave) -> Result<Left, JoinError> {
    let state = State::take(&leave.state_dir)?;
    let journal = state.journal()?;
    let current = Credentials::of(&leave.state_dir).current()?;
    let mut left = Left {
        node: current.as_ref().map(|current| (current.about.pool.clone(), current.about.node.clone())),
        nic: journal.as_ref().map(|journal| journal.nic.clone()),
        unsaid: None,
    };
    if let Some(current) = &current {
        left.unsaid = say(leave, journal.as_ref(), current).await?;
    }
    if let Some(mut journal) = journal {
        let host = open(&leave.ovsdb)?;
        if journal.phase == Phase::Taken {
            journal.phase = Phase::Leaving;
            state.write(&journal)?;
        }
        clear(&host, leave).await?;
        undo(&state, &host, &journal).await?;
    }
    for name in config::STATE_FILES {
        remove(&leave.state_dir.join(name))?;
    }
    // Last: one that is cut short is found by it.
    state.forget()?;
    Ok(left)
}

/// Has the controller forget the node. Gives back why not, if that is not to matter.
async fn say(
    leave: &Leave,
    journal: Option<&Journal>,
    current: &Current,
) -> Result<Option<String>, JoinError> {
    let Some(controller) = leave.controller.as_ref().or(journal.map(|journal| &journal.controller)) else {
        let unsaid = "it is not known where the controller is: say it with --controller HOST:PORT".to_owned();
        return if leave.force { Ok(Some(unsaid)) } else { Err(JoinError::Unsaid(unsaid)) };
    };
    match enrol::leave(controller, current).await {
        Ok(()) => Ok(None),
        // It was revoked, or deleted, or a leave was cut short after this.
        Err(EnrolError::Refused(status)) if status.code() == Code::Unauthenticated => Ok(None),
        Err(error) if leave.force => Ok(Some(error.to_string())),
        Err(EnrolError::Refused(status)) if status.code() == Code::FailedPrecondition => {
            Err(JoinError::Needed(status.message().to_owned()))
        }
        Err(error) => Err(JoinError::Unsaid(error.to_string())),
    }
}

/// Removes what is left of containers: a node that was drained has none.
async fn clear(host: &Host, leave: &Leave) -> Result<(), JoinError> {
    let docker = Docker::new(&leave.docker);
    // Without Docker there is nothing of Docker's.
    for id in docker.list().await.unwrap_or_default() {
        docker.remove(id).await.map_err(|error| JoinError::Container(id, error.to_string()))?;
    }
    let sandboxes = Sandboxes::new()?;
    for id in sandboxes.list().await? {
        // Its port first: ovs-vswitchd looks for what it has lost.
        host.switch.unplug(id).await?;
        sandboxes.remove(id).await?;
    }
    Ok(())
}
