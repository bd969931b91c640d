//! How every container is now, and each change of it as it happens: what readers and watchers see.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::intent::model::{Container, ContainerKey};

use super::status::{Condition, Phase};

/// Changes that a watcher may be behind before it must start over.
const BACKLOG: usize = 8192;

/// A container and how it is.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The container as intended.
    pub container: Arc<Container>,
    /// How it is.
    pub condition: Condition,
    /// Since when it has been so.
    pub since: SystemTime,
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is new.
    Added,
    /// It, or how it is, has changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change of one container.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The container after it; the last there was, if it is gone.
    pub posted: Posted,
    /// The store's revision up to which the board had been brought.
    pub revision: u64,
}

/// All containers and how they are. Written by the lifecycle alone.
#[derive(Debug)]
pub struct Board {
    posts: RwLock<Posts>,
    events: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Posts {
    containers: BTreeMap<ContainerKey, Posted>,
    revision: u64,
    ready: usize,
}

impl Default for Board {
    fn default() -> Self {
        Self { posts: RwLock::default(), events: broadcast::channel(BACKLOG).0 }
    }
}

impl Board {
    /// How a container is: by the board if that has this very version of it, else as just committed.
    #[must_use]
    pub fn look(&self, container: &Arc<Container>) -> Posted {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        let posted = posts.containers.get(&(container.pool, container.name.clone()));
        posted.filter(|posted| posted.container.revision == container.revision).cloned().unwrap_or_else(
            || Posted {
                container: container.clone(),
                condition: Condition::committed(container),
                since: SystemTime::now(),
            },
        )
    }

    /// How many containers are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.posts.read().unwrap_or_else(PoisonError::into_inner).ready
    }

    /// All that is there at a revision, and every change after it.
    #[must_use]
    pub fn subscribe(&self) -> (u64, Vec<Posted>, broadcast::Receiver<Arc<Event>>) {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        (posts.revision, posts.containers.values().cloned().collect(), self.events.subscribe())
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Notes up to which revision the following posts are.
    pub(super) fn advance(&self, revision: u64) {
        self.posts.write().unwrap_or_else(PoisonError::into_inner).revision = revision;
    }

    /// Posts how a container is, if that or the container itself has changed; `true` if so. `now`
    /// becomes its time if how it is has changed.
    pub(super) fn post(&self, container: &Arc<Container>, condition: Condition, now: SystemTime) -> bool {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        let key = (container.pool, container.name.clone());
        let before = posts.containers.get(&key).cloned();
        let reborn = before.as_ref().is_some_and(|b| b.container.deleting && !container.deleting);
        if let Some(before) = before.clone().filter(|_| reborn) {
            self.tell(&posts, EventKind::Deleted, before);
        }
        let kept = before.filter(|_| !reborn);
        if kept.as_ref().is_some_and(|b| b.container == *container && b.condition == condition) {
            return false;
        }
        let since = kept.as_ref().filter(|b| b.condition == condition).map_or(now, |b| b.since);
        let kind = if kept.is_some() { EventKind::Modified } else { EventKind::Added };
        let posted = Posted { container: container.clone(), condition, since };
        if let Some(old) = posts.containers.insert(key, posted.clone()) {
            posts.ready -= usize::from(old.condition.phase == Phase::Ready);
        }
        posts.ready += usize::from(posted.condition.phase == Phase::Ready);
        self.tell(&posts, kind, posted);
        true
    }

    /// Takes a container off the board.
    pub(super) fn remove(&self, key: &ContainerKey) {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(posted) = posts.containers.remove(key) {
            posts.ready -= usize::from(posted.condition.phase == Phase::Ready);
            self.tell(&posts, EventKind::Deleted, posted);
        }
    }

    fn tell(&self, posts: &Posts, kind: EventKind, posted: Posted) {
        // Sending fails only if nobody watches.
        drop(self.events.send(Arc::new(Event { kind, posted, revision: posts.revision })));
    }
}
