//! A store of which somebody is told how long each commit took.

use std::time::{Duration, Instant};

use super::{Commit, Contents, Store, StoreError};

/// A store, and who is told.
#[derive(Debug)]
pub struct Timed<S, F> {
    store: S,
    told: F,
}

impl<S: Store, F: FnMut(Duration) + Send> Timed<S, F> {
    /// `told` hears of every commit that was made.
    pub fn new(store: S, told: F) -> Self {
        Self { store, told }
    }
}

impl<S: Store, F: FnMut(Duration) + Send> Store for Timed<S, F> {
    fn load(&mut self) -> Result<Contents, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.store.commit(commit)?;
        (self.told)(begun.elapsed());
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.store.probe()
    }

    fn begin_term(&mut self, least: u64) -> Result<u64, StoreError> {
        self.store.begin_term(least)
    }
}
