//! What a Docker container runs, and within which limits.

use std::collections::BTreeMap;

use weir_api::v1::{DesiredEndpoint, Mount, restart_policy::Mode};

/// What a container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The image's name.
    pub image: String,
    /// The command and its arguments, instead of the image's own; empty: the image's.
    pub command: Vec<String>,
    /// Environment variables, added to the image's.
    pub environment: BTreeMap<String, String>,
    /// Thousandths of a processor it may use; 0: any.
    pub cpu_millis: u32,
    /// Bytes of memory it may use; 0: any.
    pub memory_bytes: u64,
    /// Processes and threads it may have; 0: any.
    pub pids: u32,
    /// Whether it is started again when it has ended.
    pub restart: Restart,
    /// Seconds it is given to end when asked to.
    pub stop_timeout_s: u32,
    /// How its health is checked; `None`: as the image says.
    pub health: Option<Check>,
    /// What it finds at which paths, besides what its image has.
    pub mounts: Vec<Mount>,
    /// It is not to run.
    pub stopped: bool,
    /// How often it was asked to be started again.
    pub starts: u32,
}

impl Program {
    /// The folders of the node that it is to have.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().map(|mount| mount.host_path.as_str()).filter(|folder| !folder.is_empty())
    }
}

/// How a program's health is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// A line for the container's shell.
    pub line: String,
    /// Seconds from one check to the next, and for its answer.
    pub interval_s: u32,
    /// After how many failures in a row it is unhealthy.
    pub retries: u32,
}

/// Whether a program that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// It is not.
    #[default]
    No,
    /// If it ended with another code than 0, so many times at most; 0: without end.
    OnFailure(u32),
    /// Whatever it ended with.
    Always,
}

impl From<&DesiredEndpoint> for Program {
    fn from(desired: &DesiredEndpoint) -> Self {
        let limits = desired.resources.unwrap_or_default();
        let restart = desired.restart.unwrap_or_default();
        Self {
            image: desired.image.clone(),
            command: desired.command.clone(),
            environment: desired.environment.clone().into_iter().collect(),
            cpu_millis: limits.cpu_millis,
            memory_bytes: limits.memory_bytes,
            pids: limits.pids,
            restart: match restart.mode() {
                Mode::Unspecified | Mode::No => Restart::No,
                Mode::OnFailure => Restart::OnFailure(restart.max_retries),
                Mode::Always => Restart::Always,
            },
            stop_timeout_s: desired.stop_timeout_s,
            health: desired.health.clone().map(|check| Check {
                line: check.line,
                interval_s: check.interval_s,
                retries: check.retries,
            }),
            mounts: desired.mounts.clone(),
            stopped: desired.stopped,
            starts: desired.starts,
        }
    }
}
