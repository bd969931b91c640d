//! One request's changes: made on the working state at once, taken back if the request is refused or cannot be stored.

use std::collections::HashMap;
use std::sync::Arc;

use flowlib::compile::model::{EndpointId, NetworkId, NodeId, PoolId};

use super::model::{
    Admission, Block, Change, Container, Cooling, Key, Neighbour, Network, Node, Pool, Record, Retiring,
    Service, Settings, Token, Volume,
};
use super::state::State;

/// Changes that will be committed together.
#[derive(Debug)]
pub struct Transaction<'a> {
    state: &'a mut State,
    revision: u64,
    changes: Vec<Change>,
}

/// What can be put into the store.
pub trait Stored {
    /// The record, with the revision of the commit that it is part of.
    fn stamped(self, revision: u64) -> Record;
}

macro_rules! stored {
    ($($name:ident),*) => {$(
        impl Stored for $name {
            fn stamped(mut self, revision: u64) -> Record {
                self.revision = revision;
                Record::$name(Arc::new(self))
            }
        }
    )*};
}

stored!(
    Settings, Pool, Network, Node, Block, Container, Service, Volume, Retiring, Cooling, Neighbour, Token,
    Admission
);

impl<'a> Transaction<'a> {
    pub(crate) fn new(state: &'a mut State) -> Self {
        let revision = state.revision + 1;
        Self { state, revision, changes: Vec::new() }
    }

    /// The state with all changes made so far.
    #[must_use]
    pub fn state(&self) -> &State {
        self.state
    }

    /// The revision that the store will have if this transaction changes anything.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Adds or replaces a record.
    pub fn put(&mut self, record: impl Stored) {
        let after = record.stamped(self.revision);
        let change = Change { before: self.state.find(&after.key()), after: Some(after) };
        self.state.apply(&change);
        self.changes.push(change);
    }

    /// Removes a record, if it is there.
    pub fn delete(&mut self, key: &Key) {
        if let Some(before) = self.state.find(key) {
            let change = Change { before: Some(before), after: None };
            self.state.apply(&change);
            self.changes.push(change);
        }
    }

    /// A number for a new pool.
    pub fn new_pool_id(&mut self) -> PoolId {
        PoolId(self.number(|settings| &mut settings.last_pool))
    }

    /// A number for a new network.
    pub fn new_network_id(&mut self) -> NetworkId {
        NetworkId(self.number(|settings| &mut settings.last_network))
    }

    /// A number for a new node.
    pub fn new_node_id(&mut self) -> NodeId {
        NodeId(self.number(|settings| &mut settings.last_node))
    }

    /// A number for a new endpoint.
    pub fn new_endpoint_id(&mut self) -> EndpointId {
        EndpointId(self.number(|settings| &mut settings.last_endpoint))
    }

    /// A number for a new admission.
    pub fn new_admission_number(&mut self) -> u32 {
        self.number(|settings| &mut settings.last_admission)
    }

    fn number(&mut self, counter: impl Fn(&mut Settings) -> &mut u32) -> u32 {
        let mut settings = self.state.settings().clone();
        let number = counter(&mut settings);
        *number += 1;
        let number = *number;
        self.put(settings);
        number
    }

    /// A place to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.changes.len()
    }

    /// Takes back all changes made since `mark`.
    pub(crate) fn undo(&mut self, mark: usize) {
        for change in self.changes.drain(mark..).rev() {
            self.state.apply(&Change { before: change.after, after: change.before });
        }
    }

    /// The net changes, one a record, in the order of their first; nothing if all came to nothing.
    pub(super) fn net(&self) -> Vec<Change> {
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut net: Vec<Change> = Vec::new();
        for change in &self.changes {
            let Some(key) = change.key() else { continue };
            match places.get(&key) {
                Some(place) => net[*place].after = change.after.clone(),
                None => {
                    places.insert(key, net.len());
                    net.push(change.clone());
                }
            }
        }
        net.retain(|change| change.before != change.after);
        net
    }
}
