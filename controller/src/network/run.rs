//! The task around [`Fabric`]: commits, sessions and the clock in, messages for switches out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowlib::openflow::Message;
use flowlib::types::NodeId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::fabric::{Fabric, Learned};
use crate::intent::model::{Key, Neighbour};
use crate::intent::{Commit, Intent};
use crate::measure::Histogram;
use crate::measure::journey::Journal;
use crate::openflow::{FabricEvent, Switch};

/// Between two tries to store what was learned.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What is told how long things take.
#[derive(Clone, Debug)]
pub struct Measures {
    /// Where the time of creates goes.
    pub journal: Arc<Journal>,
    /// From hearing of a commit to having its flows compiled and published.
    pub compile: Histogram,
}

/// Publishes all that is intended now; then, as a task, runs the network until the intent's owner or all sessions' ends
/// are gone.
pub fn start(
    mut fabric: Fabric,
    intent: Intent,
    events: mpsc::Receiver<FabricEvent>,
    measures: Measures,
) -> impl Future<Output = ()> + Send {
    let (snapshot, commits) = intent.subscribe();
    fabric.handle_snapshot(Instant::now(), snapshot.revision, &snapshot.records);
    run(fabric, intent, (commits, events), measures)
}

/// Cancel safety: both `recv` lose nothing when another branch is taken.
async fn run(
    mut fabric: Fabric,
    intent: Intent,
    (mut commits, mut events): (broadcast::Receiver<Arc<Commit>>, mpsc::Receiver<FabricEvent>),
    measures: Measures,
) {
    let mut switches: HashMap<NodeId, Switch> = HashMap::new();
    // One at a time, so that what was learned later is stored later.
    let mut storing: JoinSet<Result<(), Vec<Learned>>> = JoinSet::new();
    loop {
        send(&switches, fabric.outgoing.drain(..));
        if storing.is_empty() && !fabric.learned.is_empty() {
            storing.spawn(store(intent.clone(), std::mem::take(&mut fabric.learned)));
        }
        let due = fabric.poll_timeout().map(tokio::time::Instant::from_std);
        tokio::select! {
            commit = commits.recv() => match commit {
                Ok(commit) => {
                    let begun = Instant::now();
                    fabric.handle_commit(begun, commit.revision, &commit.changes);
                    let published = Instant::now();
                    measures.compile.observe((published - begun).as_secs_f64());
                    measures.journal.published(commit.revision, published);
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "commits missed; comparing with all that is intended");
                    let (snapshot, later) = intent.subscribe();
                    fabric.handle_snapshot(Instant::now(), snapshot.revision, &snapshot.records);
                    measures.journal.published(snapshot.revision, Instant::now());
                    commits = later;
                }
                Err(RecvError::Closed) => return,
            },
            event = events.recv() => match event {
                Some(event) => handle(&mut fabric, &mut switches, event),
                None => return,
            },
            Some(stored) = storing.join_next() => match stored {
                Ok(Ok(())) => {}
                Ok(Err(failed)) => drop(fabric.learned.splice(..0, failed)),
                Err(error) => tracing::error!(%error, "storing what was learned has failed"),
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(far)), if due.is_some() => {
                fabric.handle_timeout(Instant::now());
            }
        }
    }
}

fn handle(fabric: &mut Fabric, switches: &mut HashMap<NodeId, Switch>, event: FabricEvent) {
    let now = Instant::now();
    match event {
        FabricEvent::Up { node, switch } => {
            switches.insert(node, switch);
            fabric.handle_up(now, node);
        }
        FabricEvent::Down { node, switch } => {
            if switches.get(&node).is_some_and(|current| current.is(&switch)) {
                switches.remove(&node);
                fabric.handle_down(node);
            }
        }
        FabricEvent::Applied { node, new_endpoints } => fabric.handle_applied(now, node, &new_endpoints),
        FabricEvent::PacketIn { node, packet, place: _place } => fabric.handle_packet_in(now, node, packet),
    }
}

/// Hands each switch its messages.
fn send(switches: &HashMap<NodeId, Switch>, messages: impl Iterator<Item = (NodeId, Message)>) {
    let mut of: HashMap<NodeId, Vec<Message>> = HashMap::new();
    for (node, message) in messages {
        of.entry(node).or_default().push(message);
    }
    for (node, messages) in of {
        if let Some(switch) = switches.get(&node) {
            switch.send(messages);
        }
    }
}

/// Stores what was learned of the fabric, unless a network is gone or an endpoint has the address. What the store
/// refuses comes back after a while, to be tried again.
async fn store(intent: Intent, learned: Vec<Learned>) -> Result<(), Vec<Learned>> {
    let all = learned.clone();
    let stored = intent.transact(move |tx| {
        for Learned { network, address, mac } in all {
            let taken = tx.state().space(network).used.contains_key(&address);
            match mac.filter(|_| !taken && tx.state().network(network).is_some()) {
                Some(mac) => tx.put(Neighbour { network, address, mac, revision: 0 }),
                None => tx.delete(&Key::Neighbour(network, address)),
            }
        }
        Ok(())
    });
    if let Err(error) = stored.await {
        tracing::error!(%error, n = learned.len(), "external neighbours not stored; trying again");
        tokio::time::sleep(STORE_RETRY).await;
        return Err(learned);
    }
    for Learned { network, address, mac } in learned {
        match mac {
            Some(mac) => tracing::info!(%network, %address, %mac, "external neighbour resolved"),
            None => tracing::info!(%network, %address, "external neighbour has fallen silent"),
        }
    }
    Ok(())
}

fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(3600)
}
