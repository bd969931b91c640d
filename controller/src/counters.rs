//! Named counters since the controller started, for `GetStatus`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Counters by name, for example `flow_mods_sent`. Whoever counts keeps its counter and adds to it.
#[derive(Debug, Default)]
pub struct Counters {
    all: RwLock<BTreeMap<&'static str, Arc<AtomicU64>>>,
}

impl Counters {
    /// The counter of that name; it is made if there is none.
    #[must_use]
    pub fn counter(&self, name: &'static str) -> Arc<AtomicU64> {
        self.all.write().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }

    /// All counters as they are now.
    #[must_use]
    pub fn read(&self) -> BTreeMap<String, u64> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, counter)| ((*name).to_owned(), counter.load(Ordering::Relaxed))).collect()
    }
}
