//! The task around [`Fabric`]: commits, sessions and the clock in, messages for switches out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use flowlib::types::NodeId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::fabric::{Fabric, Learned};
use crate::intent::model::{Key, Neighbour};
use crate::intent::{Commit, Intent};
use crate::openflow::{FabricEvent, Switch};

/// Publishes all that is intended now; then, as a task, runs the network until the intent's owner or all sessions' ends
/// are gone.
pub fn start(
    mut fabric: Fabric,
    intent: Intent,
    events: mpsc::Receiver<FabricEvent>,
) -> impl Future<Output = ()> + Send {
    let (snapshot, commits) = intent.subscribe();
    fabric.handle_snapshot(Instant::now(), snapshot.revision, &snapshot.records);
    run(fabric, intent, commits, events)
}

/// Cancel safety: both `recv` lose nothing when another branch is taken.
async fn run(
    mut fabric: Fabric,
    intent: Intent,
    mut commits: broadcast::Receiver<Arc<Commit>>,
    mut events: mpsc::Receiver<FabricEvent>,
) {
    let mut switches: HashMap<NodeId, Switch> = HashMap::new();
    loop {
        for (node, message) in fabric.outgoing.drain(..) {
            if let Some(switch) = switches.get(&node) {
                switch.send(message);
            }
        }
        for learned in fabric.learned.drain(..) {
            tokio::spawn(store(intent.clone(), learned));
        }
        let due = fabric.poll_timeout().map(tokio::time::Instant::from_std);
        tokio::select! {
            commit = commits.recv() => match commit {
                Ok(commit) => fabric.handle_commit(Instant::now(), commit.revision, &commit.changes),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "commits missed; comparing with all that is intended");
                    let (snapshot, later) = intent.subscribe();
                    fabric.handle_snapshot(Instant::now(), snapshot.revision, &snapshot.records);
                    commits = later;
                }
                Err(RecvError::Closed) => return,
            },
            event = events.recv() => match event {
                Some(event) => handle(&mut fabric, &mut switches, event),
                None => return,
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
        FabricEvent::PacketIn { node, packet } => fabric.handle_packet_in(now, node, packet),
    }
}

/// Stores what was learned of the fabric, unless its network is gone or an endpoint has the address.
async fn store(intent: Intent, Learned { network, address, mac }: Learned) {
    let stored = intent.transact(move |tx| {
        let wanted =
            tx.state().network(network).is_some() && !tx.state().space(network).used.contains_key(&address);
        match mac {
            Some(mac) if wanted => tx.put(Neighbour { network, address, mac, revision: 0 }),
            _ => tx.delete(&Key::Neighbour(network, address)),
        }
        Ok(())
    });
    match (stored.await, mac) {
        (Ok(_), Some(mac)) => tracing::info!(%network, %address, %mac, "external neighbour resolved"),
        (Ok(_), None) => tracing::info!(%network, %address, "external neighbour has fallen silent"),
        (Err(error), _) => tracing::error!(%network, %address, %error, "external neighbour not stored"),
    }
}

fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(3600)
}
