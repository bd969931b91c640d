//! One daemon and the task that keeps it running.
//!
//! ```text
//!            spawn             ended by itself, or Kill
//! Restarting ─────▶ Running ──────────────────────────▶ Restarting (100 ms, doubled to 2 s while it keeps dying)
//!     │  ▲             │
//!     │  └── Start ── Stopped ◀── Stop, from either
//! ```

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::protocol::{DaemonStatus, Phase};
use crate::state::Daemon;

/// How to start a daemon.
pub(super) struct Spec {
    pub(super) machine: String,
    pub(super) daemon: Daemon,
    /// The command line, with whatever enters the machine's namespaces in front.
    pub(super) command: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, PathBuf)>,
    pub(super) log: PathBuf,
}

/// The supervisor's end of a daemon's task.
#[derive(Clone)]
pub(super) struct Handle {
    orders: mpsc::Sender<(Order, Reply)>,
    status: watch::Receiver<DaemonStatus>,
}

/// What can be done to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    Stop,
    Kill,
}

type Reply = oneshot::Sender<anyhow::Result<()>>;

/// Starts a daemon and the task that looks after it, which lives on the present `LocalSet`.
pub(super) fn start(spec: Spec) -> anyhow::Result<Handle> {
    let child = spec.spawn()?;
    let (orders, inbox) = mpsc::channel(1);
    let (status_out, status) = watch::channel(DaemonStatus {
        machine: spec.machine.clone(),
        daemon: spec.daemon,
        phase: phase(&child),
        restarts: 0,
        last_exit: None,
        log: spec.log.clone(),
    });
    tokio::task::spawn_local(Keeper { spec, status: status_out, backoff: FIRST_BACKOFF }.run(child, inbox));
    Ok(Handle { orders, status })
}

impl Handle {
    pub(super) fn status(&self) -> DaemonStatus {
        self.status.borrow().clone()
    }

    /// Carries out an order; returns when the process is gone, or started.
    pub(super) async fn order(&self, order: Order) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.orders.send((order, reply)).await.ok().context("the daemon's keeper is gone")?;
        answer.await.context("the daemon's keeper is gone")?
    }

    /// Waits until the daemon has died so often that it will not do otherwise.
    pub(super) async fn hopeless(&self) {
        let mut status = self.status.clone();
        if status.wait_for(|s| s.restarts >= HOPELESS).await.is_err() {
            // The keeper only ends with its last handle, which is this one.
            std::future::pending::<()>().await;
        }
    }
}

struct Keeper {
    spec: Spec,
    status: watch::Sender<DaemonStatus>,
    backoff: Duration,
}

enum State {
    Running { child: Child, since: Instant },
    Restarting { at: Instant },
    Stopped,
}

impl Keeper {
    async fn run(mut self, child: Child, mut inbox: mpsc::Receiver<(Order, Reply)>) {
        let mut state = State::Running { child, since: Instant::now() };
        loop {
            state = match state {
                State::Running { mut child, since } => tokio::select! {
                    // Both are cancel safe.
                    exit = child.wait() => self.ended(exit.ok(), since),
                    order = inbox.recv() => match order {
                        Some((order, reply)) => self.while_running(order, reply, child, since).await,
                        None => break end(&mut child).await,
                    },
                },
                State::Restarting { at } => tokio::select! {
                    () = sleep_until(at) => self.spawn(),
                    order = inbox.recv() => match order {
                        Some((order, reply)) => self.while_down(order, reply, Some(at)),
                        None => break,
                    },
                },
                State::Stopped => match inbox.recv().await {
                    Some((order, reply)) => self.while_down(order, reply, None),
                    None => break,
                },
            };
        }
    }

    async fn while_running(&mut self, order: Order, reply: Reply, mut child: Child, since: Instant) -> State {
        let state = match order {
            Order::Start => State::Running { child, since },
            Order::Stop => {
                end(&mut child).await;
                self.stopped()
            }
            Order::Kill => {
                signal(&child, Signal::SIGKILL);
                let exit = child.wait().await.ok();
                self.ended(exit, since)
            }
        };
        answer(reply, Ok(()));
        state
    }

    fn while_down(&mut self, order: Order, reply: Reply, restart: Option<Instant>) -> State {
        match order {
            Order::Start => {
                answer(reply, Ok(()));
                self.spawn()
            }
            Order::Stop => {
                answer(reply, Ok(()));
                self.stopped()
            }
            Order::Kill => {
                let name = format!("{} of {}", self.spec.daemon, self.spec.machine);
                answer(reply, Err(anyhow::anyhow!("{name} is not running")));
                restart.map_or(State::Stopped, |at| State::Restarting { at })
            }
        }
    }

    fn spawn(&mut self) -> State {
        match self.spec.spawn() {
            Ok(child) => {
                self.status.send_modify(|s| s.phase = phase(&child));
                State::Running { child, since: Instant::now() }
            }
            Err(e) => {
                eprintln!("{e:#}");
                self.restarting(format!("{e:#}"))
            }
        }
    }

    fn ended(&mut self, exit: Option<ExitStatus>, since: Instant) -> State {
        if since.elapsed() >= LIVED {
            self.backoff = FIRST_BACKOFF;
        }
        let exit = exit.map_or_else(|| "its exit status was lost".to_owned(), |e| e.to_string());
        eprintln!("{} of {} ended: {exit}", self.spec.daemon, self.spec.machine);
        self.restarting(exit)
    }

    fn restarting(&mut self, last_exit: String) -> State {
        self.status.send_modify(|s| {
            s.phase = Phase::Restarting;
            s.restarts += 1;
            s.last_exit = Some(last_exit);
        });
        let at = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        State::Restarting { at }
    }

    fn stopped(&mut self) -> State {
        self.backoff = FIRST_BACKOFF;
        self.status.send_modify(|s| s.phase = Phase::Stopped);
        State::Stopped
    }
}

impl Spec {
    fn spawn(&self) -> anyhow::Result<Child> {
        let Some((program, arguments)) = self.command.split_first() else {
            bail!("an empty command line");
        };
        let log = open_log(&self.log)?;
        Command::new(program)
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share a log")?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))
    }
}

/// Terminates a process, and kills it if it does not end soon.
async fn end(child: &mut Child) {
    signal(child, Signal::SIGTERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        signal(child, Signal::SIGKILL);
        child.wait().await.ok();
    }
}

fn signal(child: &Child, signal: Signal) {
    // A child that was not waited for keeps its pid, so this reaches it or a zombie.
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        kill(Pid::from_raw(pid), signal).unwrap_or(());
    }
}

fn phase(child: &Child) -> Phase {
    child.id().and_then(|pid| i32::try_from(pid).ok()).map_or(Phase::Restarting, Phase::Running)
}

fn answer(reply: Reply, result: anyhow::Result<()>) {
    // Whoever asked may have gone away meanwhile.
    reply.send(result).unwrap_or(());
}

fn open_log(path: &PathBuf) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.with_context(|| format!("cannot write {}", path.display()))
}

/// systemd.service(5): RestartSec= is 100 ms unless set.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// A daemon that ran so long is not one that keeps dying.
const LIVED: Duration = Duration::from_secs(10);
/// How long a daemon may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// Restarts, while a lab is being built, after which building it has failed.
const HOPELESS: u32 = 3;
