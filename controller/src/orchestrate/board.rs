//! How every container is now, and each change of it as it happens: what readers and watchers see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use flowlib::types::PoolId;
use tokio::sync::{broadcast, watch};

use crate::intent::model::{Container, ContainerKey};

use super::status::{Condition, Phase, Reason};

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

/// How many containers there are of each pool, phase and reason.
pub type Counts = BTreeMap<(PoolId, Phase, Reason), usize>;

/// All containers and how they are. Written by the lifecycle alone.
#[derive(Debug)]
pub struct Board {
    posts: RwLock<Posts>,
    events: broadcast::Sender<Arc<Event>>,
    /// The revision of which everything has been posted.
    finished: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Posts {
    containers: BTreeMap<ContainerKey, Posted>,
    revision: u64,
    /// The last changes, the oldest first.
    past: VecDeque<Arc<Event>>,
    /// The first revision since which all changes are remembered; `None` before there is anything.
    remembered_since: Option<u64>,
    counts: Counts,
}

impl Posts {
    fn count_in(&mut self, posted: &Posted) {
        *self.counts.entry(kind_of(posted)).or_default() += 1;
    }

    fn count_out(&mut self, posted: &Posted) {
        let kind = kind_of(posted);
        if let Some(n) = self.counts.get_mut(&kind) {
            *n -= 1;
            if *n == 0 {
                self.counts.remove(&kind);
            }
        }
    }
}

fn kind_of(Posted { container, condition, .. }: &Posted) -> (PoolId, Phase, Reason) {
    (container.pool, condition.phase, condition.reason)
}

impl Default for Board {
    fn default() -> Self {
        Self {
            posts: RwLock::default(),
            events: broadcast::channel(BACKLOG).0,
            finished: watch::Sender::default(),
        }
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
        self.counts().iter().filter(|((_, phase, _), _)| *phase == Phase::Ready).map(|(_, n)| n).sum()
    }

    /// How many containers there are of each kind; those of which there is none are left out.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.posts.read().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    /// The first so many containers, of a pool or of all, that are of certain kinds. Looks at all before the last of them.
    #[must_use]
    pub fn find(
        &self,
        pool: Option<PoolId>,
        n: usize,
        is_wanted: impl Fn(Phase, Reason) -> bool,
    ) -> Vec<Posted> {
        let posts = self.posts.read().unwrap_or_else(PoisonError::into_inner);
        let all =
            posts.containers.range((pool.unwrap_or_default(), String::new())..).map(|(_, posted)| posted);
        let of_pool = all.take_while(|posted| pool.is_none_or(|pool| posted.container.pool == pool));
        of_pool
            .filter(|posted| is_wanted(posted.condition.phase, posted.condition.reason))
            .take(n)
            .cloned()
            .collect()
    }

    /// Returns when everything up to a revision that is stored has been posted.
    pub async fn reached(&self, revision: u64) {
        // The sender is this board's own: it stays as long as this waits.
        drop(self.finished.subscribe().wait_for(|finished| *finished >= revision).await);
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

    /// Notes that everything has been posted up to the revision that was advanced to.
    pub(super) fn finish(&self) {
        let revision = self.posts.read().unwrap_or_else(PoisonError::into_inner).revision;
        self.finished.send_replace(revision);
    }

    /// Posts how a container is, if that or the container itself has changed; `true` if so. `now`
    /// becomes its time if how it is has changed.
    pub(super) fn post(&self, container: &Arc<Container>, condition: Condition, now: SystemTime) -> bool {
        let mut posts = self.posts.write().unwrap_or_else(PoisonError::into_inner);
        let key = (container.pool, container.name.clone());
        let before = posts.containers.get(&key);
        if before.is_some_and(|b| b.container == *container && b.condition == condition) {
            return false;
        }
        let is_kept = before.is_some_and(|before| !before.container.deleting || container.deleting);
        let kept = before.filter(|before| is_kept && before.condition == condition);
        let since = kept.map_or(now, |before| before.since);
        let posted = Posted { container: container.clone(), condition, since };
        posts.count_in(&posted);
        if let Some(before) = posts.containers.insert(key, posted.clone()) {
            posts.count_out(&before);
            if !is_kept {
                self.tell(&mut posts, EventKind::Deleted, before);
            }
        }
        let kind = if is_kept { EventKind::Modified } else { EventKind::Added };
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
    use futures::FutureExt;

    use super::*;
    use crate::orchestrate::status::tests::container;

    fn in_pool(pool: u32, name: &str) -> Arc<Container> {
        Arc::new(Container { pool: PoolId(pool), name: name.to_owned(), ..container() })
    }

    fn post(board: &Board, container: &Arc<Container>, phase: Phase, reason: Reason) {
        let condition = Condition { phase, reason, ..Condition::committed(container) };
        board.post(container, condition, SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn containers_are_counted_by_pool_phase_and_reason() {
        let board = Board::default();
        let all = [in_pool(1, "a"), in_pool(1, "b"), in_pool(2, "a")];
        all.iter().for_each(|container| post(&board, container, Phase::Starting, Reason::PortPending));
        post(&board, &all[0], Phase::Ready, Reason::None);
        post(&board, &all[2], Phase::Ready, Reason::None);
        let counts = [
            ((PoolId(1), Phase::Starting, Reason::PortPending), 1),
            ((PoolId(1), Phase::Ready, Reason::None), 1),
            ((PoolId(2), Phase::Ready, Reason::None), 1),
        ];
        assert_eq!((board.counts(), board.ready()), (BTreeMap::from(counts), 2));
        board.remove(&(PoolId(1), "a".to_owned()));
        board.remove(&(PoolId(2), "a".to_owned()));
        assert_eq!((board.counts(), board.ready()), (BTreeMap::from([counts[0]]), 0));
    }

    #[test]
    fn the_first_of_some_kinds_are_found_in_a_pool_or_in_all() {
        let board = Board::default();
        for (pool, name, phase) in [
            (1, "a", Phase::Degraded),
            (1, "b", Phase::Ready),
            (2, "a", Phase::Degraded),
            (2, "b", Phase::Degraded),
            (3, "a", Phase::Ready),
        ] {
            post(&board, &in_pool(pool, name), phase, Reason::None);
        }
        let find = |pool: Option<u32>, n| {
            let found = board.find(pool.map(PoolId), n, |phase, _| phase == Phase::Degraded);
            let keys = found.iter().map(|it| (it.container.pool.0, it.container.name.clone()));
            keys.collect::<Vec<_>>()
        };
        let [one, two, three] = [(1, "a"), (2, "a"), (2, "b")].map(|(pool, name)| (pool, name.to_owned()));
        assert_eq!(find(None, 5), [one.clone(), two.clone(), three.clone()]);
        assert_eq!(find(None, 2), [one, two.clone()]);
        assert_eq!(find(Some(2), 5), [two, three]);
        assert_eq!(find(Some(3), 5), []);
    }

    #[tokio::test]
    async fn a_revision_is_reached_when_all_of_it_is_posted() {
        let board = Board::default();
        board.reached(0).await;
        board.advance(2);
        assert!(board.reached(1).now_or_never().is_none());
        board.finish();
        board.reached(2).await;
        assert!(board.reached(3).now_or_never().is_none());
    }
}
