//! What the sessions tell: the orchestration of what switches hold, the network of what it should say and hear.

use flowlib::openflow::PacketIn;
use flowlib::types::{EndpointId, NetworkId, NodeId};

use tokio::sync::OwnedSemaphorePermit;

use super::switch::Switch;

/// Something that happened to a node's switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchEvent {
    /// Its OpenFlow connection is up; what it holds is not known yet.
    Connected {
        /// Whose switch.
        node: NodeId,
    },
    /// Its OpenFlow connection is gone; its flows go on working.
    Disconnected {
        /// Whose switch.
        node: NodeId,
    },
    /// It has confirmed by a barrier all that concerns it of the intent up to `revision`, but for `rejected`.
    Applied {
        /// Whose switch.
        node: NodeId,
        /// The store's revision.
        revision: u64,
        /// All that it refuses now; what an earlier event listed and this one does not is refused no longer.
        rejected: Vec<Rejection>,
    },
    /// It obeys a controller of a later term and refuses this one.
    Deposed {
        /// Whose switch.
        node: NodeId,
    },
}

/// Flows, groups or meters that a switch refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Whom they are for.
    pub subject: Subject,
    /// The switch's error and what it refused, as text.
    pub message: String,
}

/// Whom flows are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One endpoint of the node.
    Endpoint(EndpointId),
    /// All endpoints of a network on the node.
    Network(NetworkId),
    /// Everything on the node.
    Node,
}

/// What the network is told.
#[derive(Debug)]
pub enum FabricEvent {
    /// A session is up.
    Up {
        /// Whose switch.
        node: NodeId,
        /// The switch.
        switch: Switch,
    },
    /// A session has ended.
    Down {
        /// Whose switch.
        node: NodeId,
        /// The switch: another session may have taken its place.
        switch: Switch,
    },
    /// A switch has taken in changes.
    Applied {
        /// Whose switch.
        node: NodeId,
        /// Endpoints whose flows it was given.
        new_endpoints: Vec<EndpointId>,
    },
    /// A switch shows a packet.
    PacketIn {
        /// Whose switch.
        node: NodeId,
        /// The packet.
        packet: PacketIn,
        /// Taken of the switch's share of what may wait, until this is dropped.
        place: OwnedSemaphorePermit,
    },
}
