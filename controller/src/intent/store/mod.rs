//! Where intent is kept so that it survives the process: one trait, a file for each kind of store.

pub mod embedded;
mod encode;
pub mod timed;

use std::path::PathBuf;

use crate::intent::model::{Change, Record};

/// Keeps records. All writes of one commit become durable together or not at all.
///
/// The shape suits a shared store as well: a commit is a compare-and-set on the revision, and revisions order changes.
pub trait Store: Send {
    /// Everything that is stored.
    ///
    /// # Errors
    /// The store cannot be read, or holds what this version does not understand.
    fn load(&mut self) -> Result<Contents, StoreError>;

    /// Takes the store from `commit.revision - 1` to `commit.revision`; durable when it returns.
    ///
    /// # Errors
    /// The store is full, broken, or at another revision. Nothing has changed then, as far as later commits and a
    /// later [`Store::load`] can see.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;

    /// Tries whether something can be written, without a change.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn probe(&mut self) -> Result<(), StoreError>;

    /// Begins a term of the controller: a number greater than that of every term before, and at least `least`; durable
    /// when it returns.
    ///
    /// # Errors
    /// The store is full or broken.
    fn begin_term(&mut self, least: u64) -> Result<u64, StoreError>;
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The number of the last commit; 0 in an empty store.
    pub revision: u64,
    /// All records, in no particular order.
    pub records: Vec<Record>,
}

/// The changes that one revision made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The store's revision after it.
    pub revision: u64,
    /// At most one for each record.
    pub changes: Vec<Change>,
}

/// Why a store did not do as it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the file open.
    #[error("the store {path} is in use by another process: is another weir-controller running?")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store, or is damaged.
    #[error(
        "the store {path} cannot be read: {reason}. It is no store of Weir, or it is damaged; restore it from a \
             backup, or move it away to begin with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file was written by another version.
    #[error("the store {path} has schema version {found}, and this version of Weir reads {expected} only")]
    Schema {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version that this program writes and reads.
        expected: u64,
    },
    /// The disk is full.
    #[error("the disk of the store {path} is full")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The disk fails.
    #[error("the store {path} could not be written: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Someone else has written to the store.
    #[error("the store {path} is at revision {found}, expected was {expected}")]
    Revision {
        /// The file.
        path: PathBuf,
        /// The revision found.
        found: u64,
        /// The revision expected.
        expected: u64,
    },
}
