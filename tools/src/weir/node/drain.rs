//! `weir node drain`: the controller moves a node's containers elsewhere; here that is waited for and told as it happens.
//!
//! A container is out of the way once it is ready, or has ended, on another node, or is deleted: then the node may be
//! switched off. Pinned ones stay, and those that have ended, which would run again. What hinders is told in the words of the node's problems; those come with no event, so
//! they are asked for now and then, which is all that is asked.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tonic::{Code, Streaming};
use weir_api::v1::node::Scheduling;
use weir_api::v1::{ContainerEvent, GetNodeRequest, WatchContainersRequest};

use super::super::container;
use super::super::failure::Failure;
use super::super::output::{self, View};
use super::super::session::Session;
use super::tally::Tally;
use super::{NodeView, schedule};

#[derive(Debug, Args)]
#[command(after_help = "\
Waits for 10 minutes unless --timeout says otherwise. Containers that are pinned to the node (--node) stay on it, and those
that have ended by themselves: they would run again elsewhere.")]
pub(in super::super) struct Drain {
    /// The node's name
    name: String,
    /// Return once the node is given no more containers, and do not wait for those it has
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(session: &Session, arguments: Drain) -> Result<(), Failure> {
    let Drain { name, no_wait } = arguments;
    if no_wait {
        let node = schedule(session, name, Scheduling::Draining).await?;
        return output::show(session.format(), &NodeView::from(node));
    }
    let mut draining = Draining::new(session.pool()?, name);
    match tokio::time::timeout(session.timeout_or(TIMEOUT), draining.drain(session)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(Failure::Late(draining.missing())),
    }
    draining.bar.finish_and_clear();
    output::show(session.format(), &draining.drained())
}

/// A drain under way.
struct Draining {
    pool: String,
    node: String,
    tally: Tally,
    /// The controller knows that the node is to be drained.
    asked: bool,
    /// Sentences on what hinders, as told.
    problems: BTreeSet<String>,
    /// Hidden unless standard error is a terminal; lines take its place then.
    bar: ProgressBar,
}

impl Draining {
    fn new(pool: String, node: String) -> Draining {
        let style = ProgressStyle::with_template("draining {prefix} [{bar:30}] {pos}/{len} ({elapsed})");
        let bar = ProgressBar::new(0).with_prefix(node.clone());
        bar.set_style(style.expect("a constant template that parses"));
        bar.enable_steady_tick(Duration::from_millis(500));
        Draining { pool, tally: Tally::new(node.clone()), node, asked: false, problems: BTreeSet::new(), bar }
    }

    /// Asks for the drain and follows it until only containers are left that stay.
    async fn drain(&mut self, session: &Session) -> Result<(), Failure> {
        let mut client = container::client(session).await?;
        loop {
            let request = WatchContainersRequest { pool: self.pool.clone() };
            let events = session.opened("asking", client.watch_containers(request)).await?;
            self.tally.start();
            match self.follow(session, events).await {
                // Who fell too far behind starts over.
                Err(Failure::Refused(status)) if status.code() == Code::OutOfRange => {}
                outcome => return outcome,
            }
        }
    }

    async fn follow(
        &mut self,
        session: &Session,
        mut events: Streaming<ContainerEvent>,
    ) -> Result<(), Failure> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            // Both are cancel safe: an event is taken from the stream or it is not.
            let event = tokio::select! {
                event = events.message() => event?,
                _ = look.tick(), if self.asked => {
                    self.look(session).await?;
                    continue;
                }
            };
            let ended = || Failure::Unreachable("the controller ended the watch".to_owned());
            if let Some(line) = self.tally.take(event.ok_or_else(ended)?) {
                self.tell(&line);
            }
            // What the node has is known before it is drained, or the first moves would be missed.
            if self.tally.is_synced() && !self.asked {
                schedule(session, self.node.clone(), Scheduling::Draining).await?;
                self.asked = true;
            }
            self.bar.set_length(self.tally.n_movable());
            self.bar.set_position(self.tally.n_moved());
            if self.tally.is_synced() && self.tally.left().is_empty() {
                return Ok(());
            }
        }
    }

    /// Tells problems of the node that are new, and notices that it is no longer drained.
    async fn look(&mut self, session: &Session) -> Result<(), Failure> {
        let message = GetNodeRequest { pool: self.pool.clone(), name: self.node.clone() };
        let mut client = super::client(session).await?;
        let node = client.get_node(session.request(message)).await?.into_inner();
        if node.scheduling() != Scheduling::Draining {
            let Draining { pool, node, .. } = self;
            let refusal = format!("node {pool}/{node} is no longer draining: someone has set it otherwise");
            return Err(tonic::Status::aborted(refusal).into());
        }
        for problem in node.status.unwrap_or_default().problems {
            if self.problems.insert(problem.clone()) {
                self.tell(&problem);
            }
        }
        Ok(())
    }

    fn tell(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// What a drain that took too long still waits for.
    fn missing(&self) -> String {
        self.bar.finish_and_clear();
        let Draining { pool, node, .. } = self;
        let left = self.tally.left();
        let mut text = if self.tally.is_synced() {
            format!("node {pool}/{node} is not drained yet; left: {}", left.join(", "))
        } else {
            format!("what node {pool}/{node} has was not told in time")
        };
        for problem in &self.problems {
            text.push_str(&format!("\n  {problem}"));
        }
        text
    }

    fn drained(&self) -> Drained {
        let (pool, name) = (self.pool.clone(), self.node.clone());
        let (moved, pinned, ended) = (self.tally.moved(), self.tally.pinned(), self.tally.ended());
        Drained { pool, name, moved, pinned, ended }
    }
}

/// How a drain ended.
#[derive(Serialize)]
struct Drained {
    pool: String,
    name: String,
    /// Containers that are elsewhere now.
    moved: Vec<String>,
    /// Containers that stay, since their owner chose the node.
    pinned: Vec<String>,
    /// Containers that stay, since they have ended and would run again elsewhere.
    ended: Vec<String>,
}

impl View for Drained {
    fn to_text(&self) -> String {
        let Drained { pool, name, moved, pinned, ended } = self;
        let plural = if moved.len() == 1 { "" } else { "s" };
        let mut text = format!("drained {pool}/{name}: {} container{plural} moved\n", moved.len());
        if !pinned.is_empty() {
            text.push_str(&format!("left, since pinned to it: {}\n", pinned.join(", ")));
        }
        if !ended.is_empty() {
            let ended = ended.join(", ");
            text.push_str(&format!("left, since ended (elsewhere they would run again): {ended}\n"));
        }
        text
    }
}

/// How long a drain is waited for when `--timeout` is not given, as its help says.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How often the node's problems are asked for.
const LOOK: Duration = Duration::from_secs(2);
