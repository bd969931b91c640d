//! A lab under construction or running: its state, its daemons, and what all steps of the building share.

use std::cell::RefCell;
use std::ffi::OsString;
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::daemon::{self, Handle, Spec};
use crate::log::tail;
use crate::process::{ProcessId, printed};
use crate::protocol::{DaemonName, LabStatus, Progress};
use crate::state::{Daemon, Kind, Machine, State};

/// A lab, on the supervisor's one thread.
pub(super) struct Site {
    state: RefCell<State>,
    daemons: RefCell<Vec<Handle>>,
    /// The processes that keep the nodes' mount namespaces; they end when this is dropped.
    holders: RefCell<Vec<Child>>,
}

impl Site {
    pub(super) fn new(state: State) -> Site {
        Site { state: RefCell::new(state), daemons: RefCell::default(), holders: RefCell::default() }
    }

    /// The state as it is now.
    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn status(&self) -> LabStatus {
        let daemons = self.daemons.borrow().iter().map(Handle::status).collect();
        LabStatus { state: self.state(), daemons }
    }

    /// Forgets the machines: none of their namespaces is ours.
    pub(super) fn disown(&self) {
        self.state.borrow_mut().machines.clear();
    }

    /// Keeps a node's holder and writes it down.
    pub(super) fn hold(&self, machine: &str, holder: Child) -> anyhow::Result<()> {
        let pid = holder.id().and_then(|pid| i32::try_from(pid).ok()).and_then(ProcessId::of);
        let mut state = self.state.borrow_mut();
        if let Some(machine) = state.machines.iter_mut().find(|m| m.name == machine) {
            machine.holder = Some(pid.context("the holder of a mount namespace has ended")?);
        }
        self.holders.borrow_mut().push(holder);
        state.save()
    }

    /// Lets the nodes' mount namespaces go.
    pub(super) fn release_holders(&self) {
        self.holders.borrow_mut().clear();
    }

    /// Ends with a sentence when a holder has died: its node cannot be entered any more.
    pub(super) async fn lost_holder(&self) -> anyhow::Error {
        let mut watch = tokio::time::interval(Duration::from_secs(1));
        loop {
            watch.tick().await;
            let lost = self
                .state
                .borrow()
                .machines
                .iter()
                .find(|m| m.holder.is_some_and(|h| !h.is_alive()))
                .cloned();
            if let Some(machine) = lost {
                return anyhow::anyhow!("the process that keeps {}'s mount namespace has died", machine.name);
            }
        }
    }

    /// A running daemon.
    pub(super) fn daemon(&self, name: &DaemonName) -> anyhow::Result<Handle> {
        let daemons = self.daemons.borrow();
        let is = |h: &&Handle| h.status().machine == name.machine && h.status().daemon == name.daemon;
        daemons.iter().find(is).cloned().with_context(|| {
            let there = daemons.iter().map(Handle::status).filter(|s| s.machine == name.machine);
            let there: Vec<&str> = there.map(|s| s.daemon.program()).collect();
            match &there[..] {
                [] => format!("`{}` has no daemons", name.machine),
                _ => format!("`{}` has no {}: it has {}", name.machine, name.daemon, there.join(", ")),
            }
        })
    }

    pub(super) fn daemons(&self) -> Vec<Handle> {
        self.daemons.borrow().clone()
    }

    /// Starts a daemon on a machine, inside its namespaces.
    pub(super) fn start(
        &self,
        machine: &Machine,
        daemon: Daemon,
        command: Vec<OsString>,
    ) -> anyhow::Result<()> {
        let state = self.state();
        let mut line = dies_with_us();
        line.extend(enter(&state, &machine.name)?);
        line.extend(command);
        let rundir = state.ovs_rundir(&machine.name);
        let environment = match machine.kind {
            Kind::Switch | Kind::Node => OVS_FOLDERS.iter().map(|name| (*name, rundir.clone())).collect(),
            Kind::Controller | Kind::Host => Vec::new(),
        };
        let log = state.log(&machine.name, daemon);
        let spec = Spec { machine: machine.name.clone(), daemon, command: line, environment, log };
        self.daemons.borrow_mut().push(daemon::start(spec)?);
        Ok(())
    }

    /// Waits for something that a daemon must bring about, no longer than it makes sense.
    ///
    /// # Errors
    /// With the end of the daemon's log: if the deadline passes, or the daemon keeps dying.
    pub(super) async fn expect<T>(
        &self,
        name: DaemonName,
        what: &str,
        deadline: Duration,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let handle = self.daemon(&name)?;
        let problem = tokio::select! {
            done = timeout(deadline, work) => match done {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(e)) => format!("{e:#}"),
                Err(_) => format!("not within {}", humantime::format_duration(deadline)),
            },
            () = handle.hopeless() => "it keeps dying".to_owned(),
        };
        let status = handle.status();
        let exit = status.last_exit.map(|e| format!(" ({e})")).unwrap_or_default();
        let log = tail(&status.log, 15);
        bail!("{} of {}: {what}: {problem}{exit}; the end of its log:\n{log}", name.daemon, name.machine)
    }

    /// Tells `weir-lab up` how far we are.
    pub(super) fn report(&self, progress: &Progress) {
        report(progress);
    }
}

/// Writes a line of progress; `weir-lab up` may have gone away, which shows elsewhere.
pub(super) fn report(progress: &Progress) {
    if let Ok(line) = serde_json::to_string(progress) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap_or(());
    }
}

/// Runs a command to its end.
pub(super) async fn run<S: AsRef<std::ffi::OsStr>>(program: &str, arguments: &[S]) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let shown = crate::process::shown(command.as_std());
    let output = command.output().await.with_context(|| format!("cannot run {shown}"))?;
    printed(&shown, &output)
}

/// The command line before which a program starts inside a machine's namespaces.
pub(super) fn enter(state: &State, machine: &str) -> anyhow::Result<Vec<OsString>> {
    crate::place::enter(state.machine(machine)?)
}

/// The command line before which a program is killed when this thread ends, prctl(2) PR_SET_PDEATHSIG.
pub(super) fn dies_with_us() -> Vec<OsString> {
    ["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from).to_vec()
}

/// `unix:PATH`, as Open vSwitch's tools write it.
pub(super) fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// Makes a folder.
pub(super) fn make_dir(path: &PathBuf) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Where Open vSwitch's programs look for sockets, databases and logs; ovs-vswitchd(8), ovsdb-server(1).
const OVS_FOLDERS: [&str; 3] = ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"];
