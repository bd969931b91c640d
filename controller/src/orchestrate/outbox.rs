//! What is to be sent to one agent: not a queue, but the sum of what it has not been sent yet. However slow an agent
//! is, no more is kept for it than it has endpoints.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use flowlib::compile::model::EndpointId;
use flowlib::types::{MacAddr, PortNo};
use ipnet::Ipv4Net;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::intent::model::{Container, Mount};

/// An endpoint as its agent is told to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredEndpoint {
    /// Its number.
    pub id: EndpointId,
    /// The pool's name.
    pub pool: String,
    /// The network's name.
    pub network: String,
    /// Its address, with the subnet's prefix length.
    pub address: Ipv4Net,
    /// Its MAC address.
    pub mac: MacAddr,
    /// The default route's next hop.
    pub gateway: Option<Ipv4Addr>,
    /// Bytes of its largest IP packet.
    pub mtu: u32,
    /// The number its port must have.
    pub ofport: PortNo,
    /// Its frames may leave in a tunnel.
    pub tunnelled: bool,
    /// What is mounted in it; volumes by their names in the node's Docker.
    pub mounts: Vec<Mount>,
    /// The container as intended: what it runs, and how.
    pub intended: Arc<Container>,
}

/// What an agent is told of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It is to be there, like this.
    Present(Box<DesiredEndpoint>),
    /// It is to be removed.
    Removed {
        /// What ran it.
        runtime: String,
    },
}

/// A command to run in an endpoint's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOrder {
    /// What the agent names when it opens the relay.
    pub id: String,
    /// Where to run it.
    pub endpoint: EndpointId,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The terminal it gets: rows and columns; `None`: pipes.
    pub terminal: Option<(u32, u32)>,
}

/// A container's log to pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOrder {
    /// What the agent names when it opens the relay.
    pub id: String,
    /// Whose log.
    pub endpoint: EndpointId,
    /// Go on with what is put out from now on.
    pub follow: bool,
    /// Only so many last lines; `None`: all.
    pub tail: Option<u32>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only what was put out since then.
    pub since: Option<SystemTime>,
}

/// Containers whose usage is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsOrder {
    /// What the agent names when it opens the relay.
    pub id: String,
    /// Which.
    pub endpoints: Vec<EndpointId>,
}

/// A node to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOrder {
    /// What the agent names in its answer.
    pub id: String,
    /// Tunnel addresses of other nodes.
    pub peers: Vec<Ipv4Addr>,
    /// Bytes of the largest IP packet that nodes must be able to send each other; 0: none.
    pub packet: u32,
    /// The VLANs of the pool's networks.
    pub vlans: Vec<u32>,
}

/// A volume to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeOrder {
    /// What the agent names when it opens the relay.
    pub id: String,
    /// What it is called in Docker.
    pub name: String,
}

/// One message to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// What it should have.
    Desired(Desired),
    /// A command to run.
    Exec(ExecOrder),
    /// A log to pass on.
    Log(LogOrder),
    /// Usage to read.
    Stats(StatsOrder),
    /// A look at the node.
    Check(CheckOrder),
    /// The pool's registry proxies.
    Images(BTreeMap<String, String>),
    /// A volume to remove.
    Volume(VolumeOrder),
    /// The switch holds all it should.
    TableSettled,
    /// The switch has confirmed all flows up to a revision.
    FlowsConfirmed(u64),
}

/// What an agent should have, or how that has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The store's revision that it goes up to.
    pub revision: u64,
    /// `endpoints` is all there should be.
    pub complete: bool,
    /// What there should be, and what is to be removed.
    pub endpoints: BTreeMap<EndpointId, Goal>,
}

/// Commands and logs that may wait for a slow agent.
const CALLS: usize = 64;

/// The messages of one agent's stream.
#[derive(Debug, Default)]
pub struct Outbox {
    pending: Mutex<Pending>,
    wake: Notify,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Pending {
    closed: bool,
    proxies: Option<BTreeMap<String, String>>,
    desired: Option<Desired>,
    confirmed: Option<u64>,
    settled: bool,
    calls: VecDeque<Outgoing>,
}

impl Outbox {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all that waits by everything that there should be.
    pub fn set_all(&self, revision: u64, endpoints: BTreeMap<EndpointId, Goal>) {
        self.pending().desired = Some(Desired { revision, complete: true, endpoints });
        self.wake.notify_one();
    }

    /// Adds one change to what waits.
    pub fn set(&self, revision: u64, id: EndpointId, endpoint: Goal) {
        let mut pending = self.pending();
        let desired = pending.desired.get_or_insert_default();
        desired.revision = desired.revision.max(revision);
        desired.endpoints.insert(id, endpoint);
        drop(pending);
        self.wake.notify_one();
    }

    /// Says which the pool's registry proxies are.
    pub fn set_proxies(&self, proxies: BTreeMap<String, String>) {
        self.pending().proxies = Some(proxies);
        self.wake.notify_one();
    }

    /// Says that the switch holds all it should.
    pub fn settled(&self) {
        self.pending().settled = true;
        self.wake.notify_one();
    }

    /// Says up to which revision the switch has confirmed its flows.
    pub fn confirm(&self, revision: u64) {
        self.pending().confirmed = Some(revision);
        self.wake.notify_one();
    }

    /// Asks for a command to be run; `false` if the agent is too far behind, or gone.
    #[must_use]
    pub fn exec(&self, order: ExecOrder) -> bool {
        self.call(Outgoing::Exec(order))
    }

    /// Asks for a log to be passed on; `false` if the agent is too far behind, or gone.
    #[must_use]
    pub fn log(&self, order: LogOrder) -> bool {
        self.call(Outgoing::Log(order))
    }

    /// Asks what containers use; `false` if the agent is too far behind, or gone.
    #[must_use]
    pub fn stats(&self, order: StatsOrder) -> bool {
        self.call(Outgoing::Stats(order))
    }

    /// Asks for a look at the node; `false` if the agent is too far behind, or gone.
    #[must_use]
    pub fn check(&self, order: CheckOrder) -> bool {
        self.call(Outgoing::Check(order))
    }

    /// Asks for a volume to be removed; `false` if the agent is too far behind, or gone.
    #[must_use]
    pub fn volume(&self, order: VolumeOrder) -> bool {
        self.call(Outgoing::Volume(order))
    }

    fn call(&self, call: Outgoing) -> bool {
        let mut pending = self.pending();
        let room = !pending.closed && pending.calls.len() < CALLS;
        if room {
            pending.calls.push_back(call);
            drop(pending);
            self.wake.notify_one();
        }
        room
    }

    /// Ends the stream.
    pub fn close(&self) {
        self.pending().closed = true;
        self.closed.cancel();
        self.wake.notify_one();
    }

    /// Waits until the stream is ended. Cancel safe.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits for the next message; `None` when the stream has ended. For one caller at a time; cancel safe.
    pub async fn next(&self) -> Option<Outgoing> {
        loop {
            if let Some(next) = self.pending().take() {
                return next;
            }
            self.wake.notified().await;
        }
    }
}

impl Pending {
    /// `Some(None)` when closed, `None` when there is nothing to send now.
    fn take(&mut self) -> Option<Option<Outgoing>> {
        if self.closed {
            return Some(None);
        }
        // First, so that no image is missed that only they have.
        if let Some(proxies) = self.proxies.take() {
            return Some(Some(Outgoing::Images(proxies)));
        }
        if let Some(desired) = self.desired.take() {
            return Some(Some(Outgoing::Desired(desired)));
        }
        if let Some(revision) = self.confirmed.take() {
            return Some(Some(Outgoing::FlowsConfirmed(revision)));
        }
        if let Some(call) = self.calls.pop_front() {
            return Some(Some(call));
        }
        std::mem::take(&mut self.settled).then_some(Some(Outgoing::TableSettled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Goal {
        Goal::Removed { runtime: "netns".to_owned() }
    }

    #[tokio::test]
    async fn a_slow_agent_is_sent_the_sum() {
        let outbox = Outbox::default();
        outbox.set_all(1, BTreeMap::from([(EndpointId(1), gone())]));
        outbox.set(2, EndpointId(2), gone());
        outbox.set(3, EndpointId(2), gone());
        outbox.settled();
        outbox.settled();
        outbox.set_proxies(BTreeMap::from([("docker.io".to_owned(), "http://a".to_owned())]));
        outbox.set_proxies(BTreeMap::new());
        assert_eq!(outbox.next().await, Some(Outgoing::Images(BTreeMap::new())));
        let Some(Outgoing::Desired(desired)) = outbox.next().await else { panic!("no desired") };
        assert!(desired.complete);
        assert_eq!((desired.revision, desired.endpoints.len()), (3, 2));
        assert_eq!(outbox.next().await, Some(Outgoing::TableSettled));
        outbox.set(4, EndpointId(5), gone());
        let Some(Outgoing::Desired(desired)) = outbox.next().await else { panic!("no desired") };
        assert!(!desired.complete);
        outbox.close();
        assert_eq!(outbox.next().await, None);
    }
}
