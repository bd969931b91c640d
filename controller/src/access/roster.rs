//! Which connections of nodes are open, so that those of a revoked one can be cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::NodeName;

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    open: HashMap<u64, (NodeName, CancellationToken)>,
}

/// That a connection may go on. It is forgotten when this is dropped.
#[derive(Debug)]
pub struct Pass {
    number: u64,
    roster: Arc<Roster>,
    cut: CancellationToken,
}

impl Pass {
    /// Is cancelled when the connection is to be cut.
    #[must_use]
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.roster.lock().open.remove(&self.number);
    }
}

impl Roster {
    pub(super) fn enter(self: &Arc<Self>, name: NodeName) -> Pass {
        let cut = CancellationToken::new();
        let mut entries = self.lock();
        entries.last += 1;
        let number = entries.last;
        entries.open.insert(number, (name, cut.clone()));
        Pass { number, roster: self.clone(), cut }
    }

    /// Cuts all connections whose nodes may not go on.
    pub(super) fn review(&self, may_go_on: impl Fn(&NodeName) -> bool) {
        for (name, cut) in self.lock().open.values().filter(|(name, _)| !may_go_on(name)) {
            if !cut.is_cancelled() {
                tracing::warn!(pool = name.pool, node = name.node, "connection of a revoked node is cut");
            }
            cut.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_may_not_go_on_is_cut_and_who_has_gone_is_forgotten() {
        let roster: Arc<Roster> = Arc::default();
        let name = |node: &str| NodeName { pool: "p".to_owned(), node: node.to_owned(), number: Some(1) };
        let (one, two) = (roster.enter(name("n1")), roster.enter(name("n2")));
        roster.review(|name| name.node != "n1");
        assert_eq!((one.cut().is_cancelled(), two.cut().is_cancelled()), (true, false));
        drop((one, two));
        assert!(roster.lock().open.is_empty());
    }
}
