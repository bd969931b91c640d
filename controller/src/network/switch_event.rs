//! What the OpenFlow sessions tell the orchestration about the nodes' switches.

use flowlib::compile::model::{EndpointId, NodeId};

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
}

/// Flows, groups or meters that a switch refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The endpoint that they are for; `None`: they concern the whole node or a network.
    pub endpoint: Option<EndpointId>,
    /// The switch's error and what it refused, as text.
    pub message: String,
}
