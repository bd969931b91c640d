//! Who reaches whom: every pair is tried, also those that must not get through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::echo::{Echo, EchoSocket};
use super::site::{Relation, Site};

/// Ordered pairs of sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pairs {
    /// Pairs that should reach each other.
    pub(super) expected: usize,
    /// Those of them of which the sender had a reply.
    pub(super) reached: usize,
    /// Pairs of different networks between which a packet got through.
    pub(super) leaked: usize,
}

/// What came of trying all pairs.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Among endpoints.
    pub(super) pairs: Pairs,
    /// Between endpoints and hosts outside.
    pub(super) outside: Pairs,
    /// Expected pairs that needed more than one packet.
    pub(super) first_packet_lost: usize,
    /// The outcome of each pair that was tried, by the sites' numbers.
    pub(super) outcomes: BTreeMap<(u32, u32), Outcome>,
}

/// What happened between two sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A reply came, as it should.
    Reached,
    /// A reply came, but not to the first packet.
    Late,
    /// No reply came, though it should have.
    Missing,
    /// Nothing got through, as it should.
    Silent,
    /// Something got through that should not have.
    Leaked,
}

/// Tries all pairs.
///
/// # Errors
/// If a site's namespace cannot be entered.
pub(super) async fn measure(sites: &[Site]) -> anyhow::Result<Reach> {
    let mut sockets = Vec::with_capacity(sites.len());
    for site in sites {
        sockets.push(Arc::new(EchoSocket::open(site.place.namespace())?));
    }
    // Dropping the set ends the listeners.
    let mut listeners = JoinSet::new();
    let (heard, mut messages) = mpsc::channel(1024);
    for (at, socket) in (0_u32..).zip(&sockets) {
        let (socket, heard) = (Arc::clone(socket), heard.clone());
        listeners.spawn(async move {
            while let Ok(echo) = socket.receive().await {
                if heard.send((at, echo)).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut tally = Tally::new(sites);
    for round in 0..ROUNDS {
        let wanted: Vec<(u32, u32)> = tally.wanted(round).collect();
        if wanted.is_empty() {
            break;
        }
        for (from, to) in wanted {
            let (Some(socket), Some(target)) = (sockets.get(from as usize), sites.get(to as usize)) else {
                continue;
            };
            socket.request(target.address, Echo { reply: false, from, to, round }).await;
        }
        // The whole time is listened to: that nothing leaks takes as long to see as a packet takes to arrive.
        let end = Instant::now() + LISTEN;
        while let Ok(Some((at, echo))) = timeout_at(end, messages.recv()).await {
            tally.heard(at, echo);
        }
    }
    Ok(tally.finish())
}

struct Tally<'a> {
    sites: &'a [Site],
    relations: BTreeMap<(u32, u32), Relation>,
    /// Pairs of which the sender had a reply, with the round it came in.
    replied: BTreeMap<(u32, u32), u32>,
    /// Pairs of which the second received what the first had sent to anyone.
    delivered: BTreeSet<(u32, u32)>,
}

impl<'a> Tally<'a> {
    fn new(sites: &'a [Site]) -> Tally<'a> {
        let mut relations = BTreeMap::new();
        for (from, sender) in (0_u32..).zip(sites) {
            for (to, receiver) in (0_u32..).zip(sites) {
                if from != to {
                    relations.insert((from, to), sender.relation(receiver));
                }
            }
        }
        Tally { sites, relations, replied: BTreeMap::new(), delivered: BTreeSet::new() }
    }

    /// The pairs to try: all that matter in the first round, then those still without a reply.
    fn wanted(&self, round: u32) -> impl Iterator<Item = (u32, u32)> {
        let pairs = self.relations.iter().filter(move |(pair, relation)| match relation {
            Relation::Within | Relation::Outside => !self.replied.contains_key(pair),
            Relation::Apart => round == 0,
            Relation::Neither => false,
        });
        pairs.map(|(pair, _)| *pair)
    }

    fn heard(&mut self, at: u32, echo: Echo) {
        if !echo.reply {
            self.delivered.insert((echo.from, at));
        } else if at == echo.from {
            self.replied.entry((echo.from, echo.to)).or_insert(echo.round);
        }
    }

    fn finish(self) -> Reach {
        let mut reach = Reach::default();
        for (pair, relation) in &self.relations {
            // A reply proves nothing between networks: they may use the same addresses, and then it is the own
            // network's holder that answers. What arrives in the wrong namespace is what counts.
            let leaked = self.delivered.contains(pair);
            let outcome = match (relation, self.replied.get(pair)) {
                (Relation::Within | Relation::Outside, Some(0)) => Outcome::Reached,
                (Relation::Within | Relation::Outside, Some(_)) => Outcome::Late,
                (Relation::Within | Relation::Outside, None) => Outcome::Missing,
                (Relation::Apart, _) if leaked => Outcome::Leaked,
                (Relation::Apart, _) => Outcome::Silent,
                (Relation::Neither, _) => continue,
            };
            reach.outcomes.insert(*pair, outcome);
            reach.first_packet_lost += usize::from(outcome == Outcome::Late);
            let among_endpoints = [pair.0, pair.1]
                .iter()
                .all(|number| self.sites.get(*number as usize).is_some_and(|site| site.node.is_some()));
            let pairs = if among_endpoints { &mut reach.pairs } else { &mut reach.outside };
            let reached = matches!(outcome, Outcome::Reached | Outcome::Late);
            pairs.expected += usize::from(reached || outcome == Outcome::Missing);
            pairs.reached += usize::from(reached);
            pairs.leaked += usize::from(outcome == Outcome::Leaked);
        }
        reach
    }
}

/// How often a pair that should get through is tried.
const ROUNDS: u32 = 3;
/// How long answers, and packets that stray, are waited for.
const LISTEN: Duration = Duration::from_secs(1);
