//! When the controller is asked for endpoints for Docker's own containers, and Docker for what it has.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{
    Agent, Done,
    plain::{self, Asker, Ordered},
};
use crate::{
    plugin::{Due, Shelf},
    status::Part,
};

/// Where both stand.
pub(super) struct Keeper {
    /// Told of each change of the book.
    pub(super) changes: watch::Receiver<()>,
    reserve: usize,
    ordering: Ordering,
    comparing: Comparing,
}

/// Where the reserve stands.
#[derive(Default)]
struct Ordering {
    running: bool,
    retry_at: Option<Instant>,
    n_failures: u32,
}

/// Where the comparison with Docker stands.
#[derive(Default)]
struct Comparing {
    is_connected: bool,
    due: bool,
    running: bool,
    last: Option<Instant>,
}

impl Keeper {
    /// `reserve`: endpoints that are kept for each network.
    pub(super) fn new(shelf: &Shelf, reserve: u8) -> Self {
        let (ordering, comparing) = (Ordering::default(), Comparing::default());
        Self { changes: shelf.changes(), reserve: reserve.into(), ordering, comparing }
    }

    pub(super) fn docker_is_back(&mut self) {
        (self.comparing.is_connected, self.comparing.due) = (true, true);
    }

    pub(super) fn docker_is_gone(&mut self) {
        self.comparing.is_connected = false;
    }

    /// Something has happened in Docker.
    pub(super) fn look_at_docker(&mut self) {
        self.comparing.due = true;
    }

    /// When there may be something to do without anything happening. `attached`: the controller is there.
    pub(super) fn next(&self, shelf: &Shelf, attached: bool) -> Option<Instant> {
        let order = (attached && !self.ordering.running).then(|| match self.ordering.retry_at {
            Some(at) => Some(at),
            None => shelf.next_release().map(|after| Instant::now() + after),
        });
        let compare = self.comparing.next(shelf, Instant::now());
        order.flatten().into_iter().chain(compare).min()
    }
}

impl Comparing {
    /// When Docker is to be asked next: soon after something happened in it, and now and then while anything could.
    fn next(&self, shelf: &Shelf, now: Instant) -> Option<Instant> {
        if !self.is_connected || self.running {
            return None;
        }
        let Some(last) = self.last else { return self.due.then_some(now) };
        match self.due {
            true => Some(last + SOON),
            false => shelf.is_used().then(|| last + NOW_AND_THEN),
        }
    }
}

impl Agent {
    /// Who asks the controller for endpoints, if it is there.
    pub(super) fn asker(&self) -> Option<Asker> {
        let (pool, node) = self.node.clone();
        self.session.as_ref().map(|session| Asker { client: session.client.clone(), pool, node })
    }

    /// Starts what is due for Docker's own containers.
    pub(super) fn keep_plain(&mut self, now: Instant) {
        let shelf = &self.tools.shelf;
        shelf.take_touched().into_iter().for_each(|id| self.endpoints.recheck(id));
        let Keeper { ordering, comparing, reserve, .. } = &self.keeper;
        let may_order = !ordering.running && ordering.retry_at.is_none_or(|at| at <= now);
        let may_compare = comparing.next(shelf, now).is_some_and(|at| at <= now);
        if let Some(asker) = self.asker().filter(|_| may_order) {
            let due = shelf.due(*reserve);
            if due == Due::default() {
                // What was refused before is not wanted any more.
                self.keeper.ordering = Ordering::default();
                self.status.set(Part::Reserve, None);
            } else {
                self.keeper.ordering.running = true;
                let shelf = shelf.clone();
                self.jobs.spawn(async move { Done::Ordered(asker.order(shelf, due).await) });
            }
        }
        if may_compare {
            self.keeper.comparing =
                Comparing { due: false, running: true, last: Some(now), ..self.keeper.comparing };
            let tools = self.tools.clone();
            self.jobs.spawn(async { Done::Compared(plain::compare(tools).await) });
        }
    }

    pub(super) fn handle_ordered(&mut self, ordered: Ordered) {
        let ordering = &mut self.keeper.ordering;
        ordering.running = false;
        if ordered.problems.is_empty() {
            (ordering.retry_at, ordering.n_failures) = (None, 0);
        } else {
            let wait = FIRST_RETRY.saturating_mul(1 << ordering.n_failures.min(10)).min(LAST_RETRY);
            ordering.retry_at = Some(Instant::now() + wait);
            ordering.n_failures = ordering.n_failures.saturating_add(1);
        }
        self.status.set(Part::Reserve, ordered.problems);
    }

    pub(super) fn handle_compared(&mut self, compared: Result<(), String>) {
        self.keeper.comparing.running = false;
        match compared {
            Ok(()) => self.status.set(Part::DockerNetworks, self.tools.shelf.problems()),
            // That Docker is away is told where it is watched.
            Err(error) => tracing::debug!(error, "Docker does not say what it has"),
        }
    }
}

/// How soon after a look at Docker the next one may follow.
const SOON: Duration = Duration::from_millis(500);

/// How often Docker is looked at without a reason.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

const FIRST_RETRY: Duration = Duration::from_millis(500);

const LAST_RETRY: Duration = Duration::from_secs(10);
