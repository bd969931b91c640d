//! Which nodes can be reached now, by their agent's stream and by their switch's OpenFlow connection, and what they have
//! for containers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use flowlib::compile::model::NodeId;

/// A node's two connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The agent's stream is open.
    pub agent: bool,
    /// The switch's OpenFlow connection is up.
    pub switch: bool,
    /// Neither has been heard of for a lease.
    pub lost: bool,
    /// What the agent last said of the node; `None` before it has, and while its stream is not open.
    pub offer: Option<Arc<Offer>>,
}

/// What a node has for containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The runtimes that work there.
    pub runtimes: BTreeSet<String>,
    /// The images that are there, by name with tag.
    pub images: BTreeSet<String>,
    /// The folders that containers may have mounted.
    pub folders: BTreeSet<String>,
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
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned().unwrap_or_default()
    }

    /// Shows the connections of all nodes that have anything to show.
    pub fn survey(&self, mut see: impl FnMut(NodeId, &Link)) {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(|(node, link)| see(*node, link));
    }

    /// How many agents' streams are open.
    #[must_use]
    pub fn agents(&self) -> usize {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.values().filter(|link| link.agent).count()
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
