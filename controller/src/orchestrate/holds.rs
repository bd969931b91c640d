//! So much lost at once that the controller itself may be what is cut off: then nothing is moved, or the first node back
//! would be given the whole pool. Pure, the clock comes with each question.
//!
//! ```text
//!            more than half of its nodes are lost          no more than half
//!   moves ──────────────────────────────────────▶ holds ────────────────────▶ holds until a lease is over
//!     ▲                                             ▲                               │            │
//!     │                                             └── more than half again ◀──────┘            │
//!     └──────────────────────────────────────────────────────────────────────────────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use flowlib::compile::model::{NodeId, PoolId};

use crate::intent::State;

/// The pools whose lost nodes keep what they have.
#[derive(Debug)]
pub(super) struct Holds {
    lease: Duration,
    /// Until when; `None` while more than half of the pool's nodes are lost.
    pools: BTreeMap<PoolId, Option<Instant>>,
}

impl Holds {
    /// No pool holds. Each does for so long after the moment in which it last had to.
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, pools: BTreeMap::new() }
    }

    /// Looks again at how much is lost; `true` if another pool holds, or one does no longer.
    pub(super) fn weigh(&mut self, state: &State, lost: &BTreeSet<NodeId>, clock: Instant) -> bool {
        let mut n_lost: BTreeMap<PoolId, usize> = BTreeMap::new();
        for node in lost.iter().filter_map(|node| state.node(*node)) {
            *n_lost.entry(node.pool).or_default() += 1;
        }
        let n_nodes = |pool: PoolId| state.members(pool).nodes.len();
        n_lost.retain(|pool, n_lost| *n_lost * 2 > n_nodes(*pool));
        let before: Vec<PoolId> = self.pools.keys().copied().collect();
        for (pool, until) in &mut self.pools {
            if !n_lost.contains_key(pool) {
                until.get_or_insert(clock + self.lease);
            }
        }
        self.pools.retain(|_, until| until.is_none_or(|until| clock < until));
        self.pools.extend(n_lost.into_keys().map(|pool| (pool, None)));
        !self.pools.keys().eq(&before)
    }

    /// Why nothing is moved off the lost nodes of a pool, if so.
    pub(super) fn why(&self, pool: PoolId) -> Option<String> {
        self.pools.contains_key(&pool).then(|| {
            format!(
                "more than half of the pool's nodes are lost at once: nothing is moved before fewer have been for {}, \
                 since the controller may be what is cut off",
                humantime::format_duration(self.lease)
            )
        })
    }

    /// When [`Self::weigh`] comes to something else without a change.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pools.values().flatten().min().copied()
    }
}
