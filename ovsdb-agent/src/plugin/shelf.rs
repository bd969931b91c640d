//! The book on disk: written after each change, read when the agent starts.
//!
//! The networks survive a machine that stops at any moment. What containers have need only survive the agent: with the
//! machine they are gone too, and Docker says so when it is back.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::book::{Book, Due, Stage};
use crate::runtime::{EndpointId, EndpointSpec, docker::PlainNetwork};

/// The book of this node. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Shelf {
    directory: Arc<PathBuf>,
    book: Arc<Mutex<Book>>,
    changes: watch::Sender<()>,
}

impl Shelf {
    /// The book that is kept in `directory`; what cannot be read is taken for lost, which is logged.
    #[must_use]
    pub fn open(directory: PathBuf) -> Self {
        let (pools, leases) = (load(&directory, NETWORKS), load(&directory, ENDPOINTS));
        let is_new = leases.is_none();
        let book = Book {
            pools: pools.unwrap_or_default(),
            leases: leases.unwrap_or_default(),
            is_new,
            ..Book::default()
        };
        let book = Arc::new(Mutex::new(book));
        Self { directory: Arc::new(directory), book, changes: watch::Sender::new(()) }
    }

    /// Told of each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Takes what the controller says of endpoints on this node: all there are if `complete`, up to that revision.
    pub fn told(&self, present: &[EndpointSpec], removed: &BTreeSet<EndpointId>, complete: Option<u64>) {
        self.note(|book, now_ms| book.told(present, removed, complete, now_ms));
    }

    /// Puts an endpoint into the reserve that the controller has just given.
    pub fn add(&self, spec: &EndpointSpec) {
        self.note(|book, now_ms| book.add(spec, (false, false), now_ms));
    }

    /// Takes up all that Docker has of the driver's networks, as it was asked for at `began_ms` (of [`now_ms`]).
    pub fn compare(&self, found: &[PlainNetwork], began_ms: u64) {
        self.note(|book, now_ms| book.compare(found, began_ms, now_ms));
    }

    /// What is to be asked of the controller for a reserve of so many endpoints a network.
    #[must_use]
    pub fn due(&self, reserve: usize) -> Due {
        let due = self.book().due(reserve, now_ms());
        if !due.release.is_empty() {
            self.note(|_, _| ());
        }
        due
    }

    /// The controller has taken an endpoint back.
    pub fn released(&self, id: EndpointId) {
        self.note(|book, _| book.released(id));
    }

    /// After what time [`Self::due`] may have something to give back without anything happening.
    #[must_use]
    pub fn next_release(&self) -> Option<Duration> {
        let now_ms = now_ms();
        let at = self.book().next_release_ms(now_ms)?;
        Some(Duration::from_millis(at.saturating_sub(now_ms)))
    }

    /// What is to be of an endpoint.
    #[must_use]
    pub fn stage(&self, id: EndpointId) -> Stage {
        self.book().stage(id)
    }

    /// Docker's ids of the containers that are in endpoints, as Docker last said.
    #[must_use]
    pub fn containers(&self) -> HashMap<EndpointId, String> {
        self.book().containers()
    }

    /// Whether Docker has made an endpoint of that id of this one.
    #[must_use]
    pub fn is_made(&self, docker: &str, id: EndpointId) -> bool {
        self.book().made(docker).is_some_and(|spec| spec.id == id)
    }

    /// The endpoints about which something has changed since the last call.
    #[must_use]
    pub fn take_touched(&self) -> BTreeSet<EndpointId> {
        std::mem::take(&mut self.book().touched)
    }

    /// Whether Docker has any network, or endpoint, of Weir's.
    #[must_use]
    pub fn is_used(&self) -> bool {
        let book = self.book();
        !book.pools.is_empty() || !book.leases.is_empty()
    }

    /// What is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.book().strange.clone()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the book, and refuses if that cannot be written down: then nothing has changed.
    ///
    /// # Errors
    /// As `change`; a sentence about the disk.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Book, u64) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut book = self.book();
        let mut next = book.clone();
        let changed = change(&mut next, now_ms())?;
        self.write(&book, &next).map_err(|error| {
            format!("the agent cannot write down what it gives, in {}: {error}", self.directory.display())
        })?;
        *book = next;
        drop(book);
        self.changes.send_replace(());
        Ok(changed)
    }

    /// Notes what is so whether it can be written down or not.
    pub(super) fn note<T>(&self, change: impl FnOnce(&mut Book, u64) -> T) -> T {
        let mut book = self.book();
        let before = book.clone();
        let changed = change(&mut book, now_ms());
        if let Err(error) = self.write(&before, &book) {
            tracing::warn!(directory = %self.directory.display(), %error, "cannot write down what Docker has");
        }
        drop(book);
        self.changes.send_replace(());
        changed
    }

    fn write(&self, before: &Book, after: &Book) -> io::Result<()> {
        if before.pools != after.pools {
            self.store(NETWORKS, &after.pools, true)?;
        }
        if before.leases != after.leases {
            self.store(ENDPOINTS, &after.leases, false)?;
        }
        Ok(())
    }

    /// Replaces a file, whole or not at all; `sync`: also if the machine stops.
    fn store(&self, name: &str, content: &impl Serialize, sync: bool) -> io::Result<()> {
        let (path, draft) = (self.directory.join(name), self.directory.join(format!("{name}.new")));
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(content)?)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&draft, &path)?;
        if sync { File::open(&*self.directory)?.sync_all() } else { Ok(()) }
    }
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn load<K: DeserializeOwned + Ord, V: DeserializeOwned>(
    directory: &std::path::Path,
    name: &str,
) -> Option<BTreeMap<K, V>> {
    let path = directory.join(name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read what Docker has");
            return None;
        }
    };
    let read = serde_json::from_slice(&bytes);
    read.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "what Docker has is damaged"))
        .ok()
}

const NETWORKS: &str = "docker-networks.json";
const ENDPOINTS: &str = "docker-endpoints.json";
