//! The supervisor: one process a lab, which builds it, owns its daemons, and removes it.
//!
//! ```text
//! weir-lab up ──order──▶ supervisor ──▶ ovsdb-server, ovs-vswitchd, weir-agent (each node), weir-controller;
//!                            │  ▲         containerd, dockerd (nodes with Docker)
//!             ◀─progress─    │  ▲
//!                  state.json│  │ control.sock (status, stop, start, kill, down)
//! ```
//!
//! Everything runs on one thread: children are told to die with the thread that made them. Whoever started the
//! supervisor holds its standard input open; if it ends before saying `detach`, the lab goes down.

mod build;
mod control;
mod daemon;
mod docker;
mod fabric;
mod image;
mod ovs;
mod site;
mod weir;

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, anyhow};
use futures::future::join_all;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::protocol::{Order, Progress};
use crate::state::State;
use crate::{cleanup, registry};
use daemon::Order as DaemonOrder;
use site::{Site, report};

pub(crate) use weir::{API_PORT, OPENFLOW_PORT};

/// The line by which a lab is left to itself.
pub(crate) const DETACH: &str = "detach";

/// Runs a supervisor: the hidden command `weir-lab supervise`.
///
/// # Errors
/// If it could not read its order. What happens later is told to whoever asked, and to its log.
pub fn run() -> anyhow::Result<()> {
    // Away from the terminal; a process that leads its group already was started that way.
    nix::unistd::setsid().map(drop).unwrap_or(());
    std::env::set_current_dir("/").context("cannot leave the folder")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let supervised = LocalSet::new().block_on(&runtime, supervise());
    // Standard input may be blocked in a read that nobody will answer.
    runtime.shutdown_background();
    supervised
}

async fn supervise() -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let line = input.next_line().await?.context("no order on standard input")?;
    let order: Order = serde_json::from_str(&line).context("the order on standard input is none")?;
    let mut state = State::new(&order.name, &order.dir, &order.topology);
    state.dir_created = order.dir_created;
    let entry =
        registry::Entry { name: state.name.clone(), dir: state.dir.clone(), supervisor: state.supervisor };
    if let Err(e) = registry::enter(entry) {
        report(&Progress::Failed(format!("{e:#}")));
        return Ok(());
    }
    let site = Rc::new(Site::new(state));
    let built = tokio::select! {
        built = prepare_and_build(&site) => built,
        () = signals.next() => Err(anyhow!("told to stop")),
        () = abandoned(&mut input) => Err(anyhow!("whoever asked for the lab has gone")),
    };
    match built {
        Ok(()) => serve(&site, &mut signals, &mut input).await,
        Err(problem) => {
            eprintln!("{problem:#}");
            let problem = match tear_down(&site).await {
                Ok(()) => format!("{problem:#}"),
                Err(e) => format!("{problem:#}\nand not everything could be removed: {e:#}"),
            };
            report(&Progress::Failed(problem));
            Ok(())
        }
    }
}

async fn prepare_and_build(site: &Site) -> anyhow::Result<()> {
    let state = site.state();
    if let Err(e) = fabric::check_free(&state) {
        site.disown();
        return Err(e);
    }
    state.save()?;
    build::build(site).await
}

/// Answers until the lab is to go, and removes it.
async fn serve(
    site: &Rc<Site>,
    signals: &mut Signals,
    input: &mut Lines<BufReader<Stdin>>,
) -> anyhow::Result<()> {
    let (down, mut asked) = mpsc::channel(1);
    let listener = control::listen(&site.state())?;
    tokio::task::spawn_local(control::serve(listener, site.clone(), down));
    report(&Progress::Ready);
    let why = tokio::select! {
        request = asked.recv() => {
            let removed = tear_down(site).await;
            if let Some(control::Down { reply, told }) = request {
                reply.send(removed).unwrap_or(());
                // Ends, in an error, when the answer has been written.
                told.await.unwrap_or(());
            }
            return Ok(());
        }
        () = signals.next() => "told to stop".to_owned(),
        () = abandoned(input) => "whoever asked for the lab has gone".to_owned(),
        lost = site.lost_holder() => lost.to_string(),
    };
    eprintln!("going down: {why}");
    tear_down(site).await
}

/// Ends when standard input does, unless it said before that nobody needs to hold it.
async fn abandoned(input: &mut Lines<BufReader<Stdin>>) {
    loop {
        match input.next_line().await {
            Ok(Some(line)) if line == DETACH => {
                silence();
                return std::future::pending().await;
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Standard output was whoever asked for the lab; nobody reads it any more.
fn silence() {
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open(Path::new("/dev/null")) {
        nix::unistd::dup2_stdout(null).unwrap_or(());
    }
}

async fn tear_down(site: &Site) -> anyhow::Result<()> {
    let daemons = site.daemons();
    for stopped in join_all(daemons.iter().map(|d| d.order(DaemonOrder::Stop))).await {
        stopped.unwrap_or_else(|e| eprintln!("{e:#}"));
    }
    site.release_holders();
    cleanup::remove(&site.state())
}

/// The signals that mean "go down".
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let on = |kind| signal(kind).context("cannot watch signals");
        Ok(Signals([on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
