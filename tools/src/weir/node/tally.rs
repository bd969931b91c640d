//! Which containers a node under drain had, and where each is now.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::v1::container_event::Kind;
use weir_api::v1::container_status::Phase;
use weir_api::v1::{Container, ContainerEvent};

/// The containers that a node had, as a watch tells of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    node: String,
    /// Those that were seen on the node and have not been deleted, by name.
    known: BTreeMap<String, Container>,
    /// Those of which the watch that was started last has not told yet.
    unseen: BTreeSet<String>,
    synced: bool,
}

impl Tally {
    pub(super) fn new(node: String) -> Tally {
        Tally { node, ..Tally::default() }
    }

    /// A watch begins: what it does not tell of before it is synced has been deleted.
    pub(super) fn start(&mut self) {
        self.synced = false;
        self.unseen = self.known.keys().cloned().collect();
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Takes an event; returns a line if a container is out of the way with it.
    pub(super) fn take(&mut self, event: ContainerEvent) -> Option<String> {
        let kind = event.kind();
        if kind == Kind::Synced {
            self.synced = true;
            for name in std::mem::take(&mut self.unseen) {
                self.known.remove(&name);
            }
            return None;
        }
        let container = event.container?;
        let name = container.name.clone();
        self.unseen.remove(&name);
        let before = self.known.get(&name).map(|known| self.is_settled(known));
        if kind == Kind::Deleted {
            let line = format!("{name} is deleted");
            return self.known.remove(&name).map(|_| line).filter(|_| before == Some(false));
        }
        if before.is_none() && container.node != self.node {
            return None;
        }
        let settled = self.is_settled(&container);
        let line = format!("{name} is {} on {}", phase(&container), container.node);
        self.known.insert(name, container);
        (before == Some(false) && settled).then_some(line)
    }

    /// Is where it need not move from.
    fn is_settled(&self, container: &Container) -> bool {
        let phase = container.status.as_ref().map_or(Phase::Unspecified, |status| status.phase());
        container.node != self.node && matches!(phase, Phase::Ready | Phase::Ended | Phase::Deleting)
    }

    /// Is still on the node, and stays there.
    fn stays(&self, container: &Container) -> bool {
        self.is_pinned(container) || self.has_ended(container)
    }

    /// Is on the node since its owner wants it there.
    fn is_pinned(&self, container: &Container) -> bool {
        container.pinned && container.node == self.node
    }

    /// Has ended on the node by itself, and is not moved, since it would run again.
    fn has_ended(&self, container: &Container) -> bool {
        let ended = container.status.as_ref().is_some_and(|status| status.phase() == Phase::Ended);
        ended && !container.stopped && !container.pinned && container.node == self.node
    }

    /// What is waited for, with how each is.
    pub(super) fn left(&self) -> Vec<String> {
        let left = self.known.values().filter(|known| !self.is_settled(known) && !self.stays(known));
        left.map(|container| {
            let message = container.status.as_ref().map_or("", |status| status.message.as_str());
            let why = if message.is_empty() { String::new() } else { format!(": {message}") };
            format!("{} ({} on {}{why})", container.name, phase(container), container.node)
        })
        .collect()
    }

    pub(super) fn moved(&self) -> Vec<String> {
        let moved = self.known.values().filter(|known| known.node != self.node);
        moved.map(|container| container.name.clone()).collect()
    }

    pub(super) fn pinned(&self) -> Vec<String> {
        let pinned = self.known.values().filter(|known| self.is_pinned(known));
        pinned.map(|container| container.name.clone()).collect()
    }

    pub(super) fn ended(&self) -> Vec<String> {
        let ended = self.known.values().filter(|known| self.has_ended(known));
        ended.map(|container| container.name.clone()).collect()
    }

    /// How many are to leave the node, those included that have.
    pub(super) fn n_movable(&self) -> u64 {
        self.known.values().filter(|known| !self.stays(known)).count() as u64
    }

    /// How many are out of the way.
    pub(super) fn n_moved(&self) -> u64 {
        self.known.values().filter(|known| self.is_settled(known)).count() as u64
    }
}

fn phase(container: &Container) -> &'static str {
    match container.status.as_ref().map_or(Phase::Unspecified, |status| status.phase()) {
        Phase::Unspecified => "unknown",
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Degraded => "degraded",
        Phase::Deleting => "deleting",
        Phase::Ended => "ended",
    }
}

#[cfg(test)]
mod tests {
    use weir_api::v1::ContainerStatus;

    use super::*;

    fn event(kind: Kind, name: &str, node: &str, phase: Phase) -> ContainerEvent {
        let status = Some(ContainerStatus { phase: phase.into(), ..ContainerStatus::default() });
        let pinned = name.starts_with("pinned");
        let (name, node) = (name.to_owned(), node.to_owned());
        let container = Some(Container { name, node, pinned, status, ..Container::default() });
        ContainerEvent { kind: kind.into(), container, revision: 1 }
    }

    fn synced() -> ContainerEvent {
        ContainerEvent { kind: Kind::Synced.into(), container: None, revision: 1 }
    }

    #[test]
    fn a_container_is_out_of_the_way_once_it_is_ready_elsewhere() {
        let mut tally = Tally::new("n1".to_owned());
        tally.start();
        for (name, node) in [("a", "n1"), ("b", "n2"), ("pinned", "n1")] {
            assert_eq!(tally.take(event(Kind::Added, name, node, Phase::Ready)), None);
        }
        tally.take(synced());
        assert_eq!((tally.n_movable(), tally.n_moved()), (1, 0));
        assert_eq!(tally.take(event(Kind::Modified, "a", "n2", Phase::Starting)), None);
        assert_eq!(tally.left(), ["a (starting on n2)"]);
        let line = tally.take(event(Kind::Modified, "a", "n2", Phase::Ready));
        assert_eq!(line.as_deref(), Some("a is ready on n2"));
        assert!(tally.left().is_empty());
        assert_eq!((tally.moved(), tally.pinned()), (vec!["a".to_owned()], vec!["pinned".to_owned()]));
    }

    #[test]
    fn what_has_ended_by_itself_stays_and_what_was_stopped_moves() {
        let mut tally = Tally::new("n1".to_owned());
        tally.start();
        for name in ["job", "stopped", "pinned"] {
            let mut event = event(Kind::Added, name, "n1", Phase::Ended);
            event.container.as_mut().unwrap().stopped = name == "stopped";
            tally.take(event);
        }
        tally.take(synced());
        assert_eq!((tally.n_movable(), tally.left()), (1, vec!["stopped (ended on n1)".to_owned()]));
        tally.take(event(Kind::Modified, "stopped", "n2", Phase::Ended));
        assert!(tally.left().is_empty());
        assert_eq!((tally.ended(), tally.pinned()), (vec!["job".to_owned()], vec!["pinned".to_owned()]));
    }

    #[test]
    fn a_container_that_is_deleted_is_not_waited_for() {
        let mut tally = Tally::new("n1".to_owned());
        tally.start();
        tally.take(event(Kind::Added, "a", "n1", Phase::Ready));
        tally.take(event(Kind::Added, "b", "n1", Phase::Ready));
        tally.take(synced());
        assert!(tally.take(event(Kind::Deleted, "a", "n1", Phase::Deleting)).is_some());
        assert_eq!(tally.left(), ["b (ready on n1)"]);
        // The second watch, after having fallen behind, does not know b any more.
        tally.start();
        assert!(!tally.is_synced());
        tally.take(synced());
        assert!(tally.left().is_empty() && tally.moved().is_empty());
    }
}
