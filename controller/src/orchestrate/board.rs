//! How every container is now, and each change of it as it happens: what readers and watchers see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use flowlib::types::PoolId;
use tokio::sync::broadcast;

use crate::intent::model::{Container, ContainerKey};

use super::status::{Condition, Phase};

/// Changes that a watcher may be behind before it must start over, and that are remembered for one that comes back.
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

/// Changes as they happen.
pub type Changes = broadcast::Receiver<Arc<Event>>;

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
    /// The last changes, the oldest first.
    past: VecDeque<Arc<Event>>,
    /// The first revision since which all changes are remembered; `None` before there is anything.
    remembered_since: Option<u64>,
    /// How many containers there are of each pool and phase.
    phases: BTreeMap<(PoolId, Phase), usize>,
}

impl Posts {
    fn count_in(&mut self, posted: &Posted) {
        *self.phases.entry((posted.container.pool, posted.condition.phase)).or_default() += 1;
    }

    fn count_out(&mut self, posted: &Posted) {
        let key = (posted.container.pool, posted.condition.phase);
        if let Some(n) = self.phases.get_mut(&key) {
            *n -= 1;
            if *n == 0 {
                self.phases.remove(&key);
            }
        }
    }
}

fn key_of(container: &Container) -> (PoolId, &str) {
    (container.pool, &container.name)
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

    /// Shows all of `containers`, which come in the order of their keys, with how they are; nothing for one that the board
    /// does not have in this very version: it was just committed. Takes time in proportion to them, and copies nothing.
    pub fn survey<'a>(
        &self,
        containers: impl IntoIterator<Item = &'a Arc<Container>>,
        mut see: impl FnMut(&'a Container, Option<&Posted>),
    ) {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        let mut containers = containers.into_iter().peekable();
        let first = containers.peek().map(|first| (first.pool, first.name.clone()));
        let mut posted = posts.containers.range(first.unwrap_or_default()..).map(|(_, it)| it).peekable();
        for container in containers {
            let is_before = |it: &&Posted| key_of(&it.container) < key_of(container);
            while posted.next_if(is_before).is_some() {}
            let same = |it: &&&Posted| {
                key_of(&it.container) == key_of(container) && it.container.revision == container.revision
            };
            see(container, posted.peek().filter(same).copied());
        }
    }

    /// How many containers are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.phases().iter().filter(|((_, phase), _)| *phase == Phase::Ready).map(|(_, n)| n).sum()
    }

    /// How many containers there are of each pool and phase; those of which there is none are left out.
    #[must_use]
    pub fn phases(&self) -> BTreeMap<(PoolId, Phase), usize> {
        self.posts.read().unwrap_or_else(PoisonError::into_inner).phases.clone()
    }

    /// All that is there at a revision, and every change after it.
    #[must_use]
    pub fn subscribe(&self) -> (u64, Vec<Posted>, broadcast::Receiver<Arc<Event>>) {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        (posts.revision, posts.containers.values().cloned().collect(), self.events.subscribe())
    }

    /// What has changed since a revision was the board's, and every change after that. What changed at that revision itself
    /// is part of it: some of it may have been before. `None`: it is not remembered.
    #[must_use]
    pub fn subscribe_since(&self, revision: u64) -> Option<(Vec<Arc<Event>>, Changes)> {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        let is_remembered =
            posts.remembered_since.is_some_and(|since| (since..=posts.revision).contains(&revision));
        let since = posts.past.partition_point(|event| event.revision < revision);
        is_remembered.then(|| (posts.past.range(since..).cloned().collect(), self.events.subscribe()))
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.events.subscribe()
    }

    /// Notes up to which revision the following posts are.
    pub(super) fn advance(&self, revision: u64) {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        posts.revision = revision;
        posts.remembered_since.get_or_insert(revision);
    }

    /// Posts how a container is, if that or the container itself has changed; `true` if so. `now`
    /// becomes its time if how it is has changed.
    pub(super) fn post(&self, container: &Arc<Container>, condition: Condition, now: SystemTime) -> bool {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        let key = (container.pool, container.name.clone());
        let before = posts.containers.get(&key).cloned();
        let reborn = before.as_ref().is_some_and(|b| b.container.deleting && !container.deleting);
        if let Some(before) = before.clone().filter(|_| reborn) {
            self.tell(&mut posts, EventKind::Deleted, before);
        }
        let kept = before.filter(|_| !reborn);
        if kept.as_ref().is_some_and(|b| b.container == *container && b.condition == condition) {
            return false;
        }
        let since = kept.as_ref().filter(|b| b.condition == condition).map_or(now, |b| b.since);
        let kind = if kept.is_some() { EventKind::Modified } else { EventKind::Added };
        let posted = Posted { container: container.clone(), condition, since };
        if let Some(old) = posts.containers.insert(key, posted.clone()) {
            posts.count_out(&old);
        }
        posts.count_in(&posted);
        self.tell(&mut posts, kind, posted);
        true
    }

    /// Takes a container off the board.
    pub(super) fn remove(&self, key: &ContainerKey) {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(posted) = posts.containers.remove(key) {
            posts.count_out(&posted);
            self.tell(&mut posts, EventKind::Deleted, posted);
        }
    }

    fn tell(&self, posts: &mut Posts, kind: EventKind, posted: Posted) {
        let event = Arc::new(Event { kind, posted, revision: posts.revision });
        if posts.past.len() == BACKLOG
            && let Some(forgotten) = posts.past.pop_front()
        {
            posts.remembered_since = Some(forgotten.revision + 1);
        }
        posts.past.push_back(event.clone());
        // Sending fails only if nobody watches.
        drop(self.events.send(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrate::status::tests::container;

    #[test]
    fn containers_are_counted_by_pool_and_phase() {
        let board = Board::default();
        let in_pool = |pool: u32, name: &str| {
            Arc::new(Container { pool: PoolId(pool), name: name.to_owned(), ..container() })
        };
        let all = [in_pool(1, "a"), in_pool(1, "b"), in_pool(2, "a")];
        let post = |container: &Arc<Container>, phase| {
            let condition = Condition { phase, ..Condition::committed(container) };
            board.post(container, condition, SystemTime::UNIX_EPOCH);
        };
        all.iter().for_each(|container| post(container, Phase::Starting));
        post(&all[0], Phase::Ready);
        post(&all[2], Phase::Ready);
        let counts = [
            ((PoolId(1), Phase::Starting), 1),
            ((PoolId(1), Phase::Ready), 1),
            ((PoolId(2), Phase::Ready), 1),
        ];
        assert_eq!((board.phases(), board.ready()), (BTreeMap::from(counts), 2));
        board.remove(&(PoolId(1), "a".to_owned()));
        board.remove(&(PoolId(2), "a".to_owned()));
        assert_eq!((board.phases(), board.ready()), (BTreeMap::from([counts[0]]), 0));
    }

    #[test]
    fn a_survey_shows_each_container_with_what_is_known_of_this_version_of_it() {
        let named = |name: &str, revision: u64| {
            Arc::new(Container { name: name.to_owned(), revision, ..container() })
        };
        let board = Board::default();
        for posted in [named("a", 1), named("c", 1), named("d", 1), named("gone", 1)] {
            board.post(&posted, Condition::committed(&posted), SystemTime::UNIX_EPOCH);
        }
        let survey = |containers: &[Arc<Container>]| {
            let mut seen = Vec::new();
            board.survey(containers, |container, posted| {
                assert!(posted.is_none_or(|posted| *posted.container == *container));
                seen.push((container.name.clone(), posted.is_some()));
            });
            seen
        };
        let all = [named("a", 1), named("b", 1), named("c", 2), named("d", 1), named("z", 1)];
        let known = [("a", true), ("b", false), ("c", false), ("d", true), ("z", false)];
        assert_eq!(survey(&all), known.map(|(name, is)| (name.to_owned(), is)));
        assert_eq!(survey(&all[3..4]), [("d".to_owned(), true)], "from the middle");
        assert_eq!(survey(&[]), []);
    }
}
