//! Which nodes can be reached now: by their agent's stream, and by their switch's OpenFlow connection.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use flowlib::compile::model::NodeId;

/// A node's two connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The agent's stream is open.
    pub agent: bool,
    /// The switch's OpenFlow connection is up.
    pub switch: bool,
}

/// The connections of all nodes. Written by the lifecycle, read by placement.
#[derive(Debug, Default)]
pub struct Links {
    nodes: RwLock<HashMap<NodeId, Link>>,
}

impl Links {
    /// A node's connections.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Link {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied().unwrap_or_default()
    }

    /// Changes a node's connections.
    pub fn change(&self, node: NodeId, change: impl FnOnce(&mut Link)) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let link = nodes.entry(node).or_default();
        change(link);
        if *link == Link::default() {
            nodes.remove(&node);
        }
    }
}
