//! What is intended: records in a store, one owner, revisions.
//!
//! ```text
//! requests ─▶ transact ─▶ owner thread: validate and change the working state, many requests at a time
//!                           │  one durable commit for all of them (or all are taken back)
//!                           ├─▶ published state, for readers
//!                           ├─▶ subscribers: one Commit a revision, nothing left out
//!                           └─▶ replies
//! ```
//!
//! A request that was answered has been stored; one that was refused has changed nothing. Readers never see what is not
//! stored.

mod hosted;
pub mod model;
mod refusal;
mod space;
mod state;
pub mod store;
mod transaction;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::{broadcast, mpsc, oneshot};

pub use hosted::{Hosted, Sum};
use model::{Change, Record, Settings};
pub use refusal::{IntentError, Refusal};
pub use space::{Holders, Space};
pub use state::{Members, State};
pub use store::{Commit, Contents};
use store::{Store, StoreError};
pub use transaction::{Stored, Transaction};

/// Requests that wait for the owner.
const QUEUE: usize = 1024;
/// Requests in one commit.
const BATCH: usize = 256;
/// Commits that a subscriber may be behind before it must subscribe again.
const BACKLOG: usize = 1024;

/// The intent. Copies are handles to the same; the owner ends with the last of them.
#[derive(Clone, Debug)]
pub struct Intent {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    /// Why the last commit failed, and since when they do.
    trouble: Mutex<Option<Trouble>>,
    commits: broadcast::Sender<Arc<Commit>>,
}

/// A request: changes what it wants to, and leaves behind what will answer it.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<Written, Arc<StoreError>>)>;

/// The store takes no commits.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Why.
    pub error: Arc<StoreError>,
    /// Since when.
    pub since: SystemTime,
}

/// The state that answers are about.
#[derive(Clone, Copy, Debug)]
struct Written {
    revision: u64,
    at: Instant,
}

/// All records at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the last commit.
    pub revision: u64,
    /// All records; what is referred to comes before what refers to it.
    pub records: Vec<Record>,
}

/// A request's result, and the revision at which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the request returned.
    pub value: T,
    /// The store's revision: that of the commit, or the present one if nothing had to be changed.
    pub revision: u64,
    /// When that was durable.
    pub at: Instant,
}

impl Intent {
    /// Loads the store and starts the thread that owns it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn start(mut store: impl Store + 'static) -> Result<Self, StoreError> {
        let mut contents = store.load()?;
        if contents.revision == 0 {
            contents = seed(&mut store)?;
        }
        let mut state = State::default();
        for record in contents.records {
            state.apply(&Change { before: None, after: Some(record) });
        }
        state.revision = contents.revision;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (commits, _) = broadcast::channel(BACKLOG);
        let shared = Arc::new(Shared { state: RwLock::new(state), trouble: Mutex::default(), commits });
        let owned = shared.clone();
        std::thread::Builder::new()
            .name("intent".to_owned())
            .spawn(move || Owner::new(store, owned).run(queue))
            .map_err(|error| StoreError::Write { path: "intent".into(), reason: error.to_string() })?;
        Ok(Self { jobs, shared })
    }

    /// Has `request` check and change the state, and waits until that is stored.
    ///
    /// The request runs alone and sees all requests before it.
    ///
    /// # Errors
    /// What the request refused; the store's error; the controller is stopping. Nothing has changed then.
    pub async fn transact<T: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Committed<T>, IntentError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let mark = transaction.mark();
            let outcome = request(transaction);
            if outcome.is_err() {
                transaction.undo(mark);
            }
            Box::new(move |stored| {
                let result = match stored {
                    Ok(Written { revision, at }) => {
                        outcome.map(|value| Committed { value, revision, at }).map_err(IntentError::Refused)
                    }
                    Err(error) => Err(IntentError::Store(error)),
                };
                // Nobody waits for the answer if the caller has gone; what was stored stays.
                drop(reply.send(result));
            })
        });
        self.jobs.send(job).await.map_err(|_| IntentError::Stopped)?;
        answer.await.map_err(|_| IntentError::Stopped)?
    }

    /// Reads the stored state; `read` must be short, since it holds up commits.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All records, and every commit after them. One who falls too far behind ([`broadcast::error::RecvError::Lagged`])
    /// subscribes again.
    #[must_use]
    pub fn subscribe(&self) -> (Arc<Snapshot>, broadcast::Receiver<Arc<Commit>>) {
        self.read(|state| {
            let snapshot = Snapshot { revision: state.revision, records: state.records() };
            (Arc::new(snapshot), self.shared.commits.subscribe())
        })
    }

    /// How many requests wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Why the store takes no commits now; nothing if it does. Tries again if the last one failed.
    pub async fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble()?;
        // A commit without changes has the store try; whoever asks while the controller stops is told what was last known.
        drop(self.transact(|_| Ok(())).await);
        self.shared.trouble()
    }

    /// Returns when the owner has ended, which it does only by a defect: without it the controller is of no use.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }
}

impl Shared {
    fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how the last commit went.
    fn note(&self, failed: Option<&Arc<StoreError>>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().map_or_else(SystemTime::now, |trouble| trouble.since);
        if failed.is_none() && trouble.is_some() {
            tracing::info!("the store takes commits again");
        }
        *trouble = failed.map(|error| Trouble { error: error.clone(), since });
    }
}

/// Gives a new store its random number.
fn seed(store: &mut impl Store) -> Result<Contents, StoreError> {
    let random = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_possible_truncation, reason = "16 of the random bits are wanted")]
    let mac_salt = random as u16;
    let settings = Record::Settings(Arc::new(Settings { mac_salt, revision: 1, ..Settings::default() }));
    let change = Change { before: None, after: Some(settings.clone()) };
    store.commit(&Commit { revision: 1, changes: vec![change] })?;
    Ok(Contents { revision: 1, records: vec![settings] })
}

/// Owns the store and the state that is ahead of it while a commit is made.
struct Owner<S> {
    store: S,
    state: State,
    shared: Arc<Shared>,
}

impl<S: Store> Owner<S> {
    fn new(store: S, shared: Arc<Shared>) -> Self {
        // Nobody else changes what is published.
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { store, state, shared }
    }

    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            let mut jobs = vec![job];
            while jobs.len() < BATCH
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            self.batch(jobs);
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let mut transaction = Transaction::new(&mut self.state);
        let answers: Vec<Answer> = jobs.into_iter().map(|job| job(&mut transaction)).collect();
        let changes = transaction.net();
        let outcome = if changes.is_empty() {
            transaction.undo(0);
            if self.shared.trouble().is_some() {
                self.shared.note(self.store.probe().err().map(Arc::new).as_ref());
            }
            Ok(Written { revision: self.state.revision, at: Instant::now() })
        } else {
            let commit = Commit { revision: transaction.revision(), changes };
            let begun = Instant::now();
            match self.store.commit(&commit) {
                Ok(()) => {
                    let written = Written { revision: commit.revision, at: Instant::now() };
                    let store_us = (written.at - begun).as_micros();
                    tracing::debug!(revision = commit.revision, store_us, "committed");
                    self.state.revision = commit.revision;
                    self.shared.note(None);
                    self.publish(commit);
                    Ok(written)
                }
                Err(error) => {
                    transaction.undo(0);
                    tracing::error!(%error, "commit failed, requests are refused");
                    let error = Arc::new(error);
                    self.shared.note(Some(&error));
                    Err(error)
                }
            }
        };
        for answer in answers {
            answer(outcome.clone());
        }
    }

    fn publish(&self, commit: Commit) {
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        for change in &commit.changes {
            state.apply(change);
        }
        state.revision = commit.revision;
        // Sending fails only if nobody subscribes.
        drop(self.shared.commits.send(Arc::new(commit)));
    }
}
