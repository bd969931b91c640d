//! What `weir-lab` and a lab's supervisor say to each other: one JSON object a line.
//!
//! A supervisor's standard input begins with one order, what to build; its standard output is [`Progress`] until the lab is up.
//! Afterwards it answers each [`Request`] on its control socket with one [`Response`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::state::{Daemon, State};
use crate::topology::Topology;

/// What lab a supervisor is to build.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) dir_created: bool,
    pub(crate) topology: Topology,
}

/// How far the building of a lab has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// So many steps there will be.
    Steps(usize),
    /// A step is done; the text says which.
    Done(String),
    /// The lab is up.
    Ready,
    /// It could not be built, and has been removed again. Says why, with the log's end where one tells more.
    Failed(String),
}

/// A request to a supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Everything about the lab and its daemons.
    Status,
    /// Terminates a daemon and leaves it so.
    Stop(DaemonName),
    /// Starts a stopped daemon.
    Start(DaemonName),
    /// Kills a daemon (SIGKILL); it is started again as systemd would.
    Kill(DaemonName),
    /// Removes the lab.
    Down,
}

/// A daemon of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonName {
    /// The machine.
    pub machine: String,
    /// The daemon.
    pub daemon: Daemon,
}

/// A supervisor's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// The answer to [`Request::Status`].
    Status(Box<LabStatus>),
    /// It was not done; says why.
    Refused(String),
}

/// A lab as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabStatus {
    /// Names, namespaces, addresses.
    pub state: State,
    /// Its daemons, machine by machine.
    pub daemons: Vec<DaemonStatus>,
}

/// One daemon as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// The machine it runs on.
    pub machine: String,
    /// Which it is.
    pub daemon: Daemon,
    /// Whether it runs.
    pub phase: Phase,
    /// How many times it was started again after it had ended by itself.
    pub restarts: u32,
    /// How it ended the last time.
    pub last_exit: Option<String>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// What a daemon is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It runs, with this pid.
    Running(i32),
    /// It has ended and will be started again shortly.
    Restarting,
    /// It was stopped, and stays so until it is started.
    Stopped,
}
