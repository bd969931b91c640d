//! What is on a node. An index over records; changed by the state alone.

use std::collections::{BTreeMap, BTreeSet};

use flowlib::compile::model::{EndpointId, NetworkId};
use flowlib::types::PortNo;
use ipnet::Ipv4Net;

use super::model::{Resources, Rule};

/// What is on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosted {
    /// Endpoints intended to be there.
    pub live: BTreeSet<EndpointId>,
    /// Endpoints being removed.
    pub retiring: BTreeSet<EndpointId>,
    /// Port numbers in use by either.
    pub ofports: BTreeMap<PortNo, EndpointId>,
    /// Blocks given to it.
    pub blocks: BTreeSet<(NetworkId, Ipv4Net)>,
    /// The limits of all these endpoints' containers together, also of those being removed: they still run.
    pub allocated: Sum,
    /// Labels, by key and value, that containers intended to be there are not to be with, and how many rules say so.
    pub shunned: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Hosted {
    /// Whether an endpoint is there, or is being removed from there.
    #[must_use]
    pub fn has(&self, endpoint: EndpointId) -> bool {
        self.live.contains(&endpoint) || self.retiring.contains(&endpoint)
    }
}

/// A node with nothing on it.
pub(super) static NOTHING_HOSTED: Hosted = Hosted {
    live: BTreeSet::new(),
    retiring: BTreeSet::new(),
    ofports: BTreeMap::new(),
    blocks: BTreeSet::new(),
    allocated: Sum { cpu_millis: 0, memory_bytes: 0 },
    shunned: BTreeMap::new(),
};

/// Limits of containers, added up; wide enough that no number of them overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u128,
}

impl Sum {
    /// With one more.
    #[must_use]
    pub fn with(self, limits: Resources) -> Self {
        Self {
            cpu_millis: self.cpu_millis + u64::from(limits.cpu_millis),
            memory_bytes: self.memory_bytes + u128::from(limits.memory_bytes),
        }
    }

    /// Without one that was added.
    #[must_use]
    pub fn without(self, limits: Resources) -> Self {
        Self {
            cpu_millis: self.cpu_millis - u64::from(limits.cpu_millis),
            memory_bytes: self.memory_bytes - u128::from(limits.memory_bytes),
        }
    }
}

impl Hosted {
    pub(super) fn allocate(&mut self, limits: Resources) {
        self.allocated = self.allocated.with(limits);
    }

    pub(super) fn release(&mut self, limits: Resources) {
        self.allocated = self.allocated.without(limits);
    }

    /// Notes what a container's affinities keep away.
    pub(super) fn shun(&mut self, affinities: &[Rule]) {
        for Rule { key, value, .. } in affinities.iter().filter(|rule| !rule.equal) {
            *self.shunned.entry(key.clone()).or_default().entry(value.clone()).or_default() += 1;
        }
    }

    /// Takes back what [`Hosted::shun`] noted.
    pub(super) fn admit(&mut self, affinities: &[Rule]) {
        for Rule { key, value, .. } in affinities.iter().filter(|rule| !rule.equal) {
            let Some(values) = self.shunned.get_mut(key) else { continue };
            if let Some(count) = values.get_mut(value) {
                *count -= 1;
                if *count == 0 {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.shunned.remove(key);
            }
        }
    }
}
