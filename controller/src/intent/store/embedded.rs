//! The default store: one file, one process (redb).

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::{Commit, Contents, Store, StoreError, encode};
use crate::intent::model::{Change, Record};

/// The version of the records' shape; an older or newer one is refused when the file is opened.
const SCHEMA: u64 = 1;
const META: TableDefinition<&str, u64> = TableDefinition::new("weir-meta");
const RECORDS: TableDefinition<&str, &[u8]> = TableDefinition::new("weir-records");

/// Bytes of the file that are kept in memory: what is intended is there anyway, and read from the file only at the start.
const CACHE: usize = 16 << 20;

/// Rows that are read before they are decoded, on all processors.
const ROWS: usize = 16_384;

/// Intent in one file, which is locked while it is open.
pub struct Embedded {
    path: PathBuf,
    /// Closed after an error of the disk, and opened again by the next commit.
    database: Option<Database>,
    /// A commit that failed: whether it reached the disk is known when the file has been opened again, and if it has,
    /// it is taken back.
    doubtful: Option<Commit>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the store, or makes an empty one if there is no file.
    ///
    /// # Errors
    /// The file is in use, damaged, no store of Weir, or of another schema version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open(path)?;
        Ok(Self { path: path.to_owned(), database: Some(database), doubtful: None })
    }

    /// The open database; opens it again, and takes back what should not be in it, after an error.
    fn database(&mut self) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            let database = open(&self.path)?;
            if let Some(commit) = &self.doubtful
                && revision(&database).map_err(|e| damaged(&self.path, &e))? == commit.revision
            {
                let back: Vec<Change> = commit
                    .changes
                    .iter()
                    .map(|change| Change { before: change.after.clone(), after: change.before.clone() })
                    .collect();
                write(&database, &back, commit.revision, commit.revision - 1)
                    .map_err(|error| error.at(&self.path))?;
            }
            self.doubtful = None;
            self.database = Some(database);
        }
        self.database.as_ref().ok_or_else(|| StoreError::Write {
            path: self.path.clone(),
            reason: "the store is closed".to_owned(),
        })
    }
}

impl Store for Embedded {
    fn load(&mut self) -> Result<Contents, StoreError> {
        let path = self.path.clone();
        let database = self.database()?;
        let read = || -> Result<Contents, String> {
            let text = |error: redb::Error| error.to_string();
            let transaction = database.begin_read().map_err(|e| text(e.into()))?;
            let table = transaction.open_table(RECORDS).map_err(|e| text(e.into()))?;
            let (mut records, mut rows) = (Vec::new(), Vec::new());
            let decode = |rows: &mut Vec<(String, Vec<u8>)>| -> Result<Vec<Record>, String> {
                rows.par_drain(..).map(|(key, value)| encode::record(&key, &value)).collect()
            };
            for entry in table.iter().map_err(|e| text(e.into()))? {
                let (key, value) = entry.map_err(|e| text(e.into()))?;
                rows.push((key.value().to_owned(), value.value().to_owned()));
                if rows.len() == ROWS {
                    records.append(&mut decode(&mut rows)?);
                }
            }
            records.append(&mut decode(&mut rows)?);
            Ok(Contents { revision: revision(database)?, records })
        };
        guarded(&path, read)?.map_err(|reason| StoreError::Damaged { path, reason })
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let path = self.path.clone();
        let database = self.database()?;
        let written = write(database, &commit.changes, commit.revision - 1, commit.revision);
        if let Err(error) = &written
            && matches!(error, WriteError::Redb(_))
        {
            // After an error of the disk redb refuses everything until the file is opened again.
            self.database = None;
            self.doubtful = Some(commit.clone());
        }
        written.map_err(|error| error.at(&path))
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let database = self.database()?;
        let found = revision(database).map_err(|error| damaged(&path, &error))?;
        let written = write(database, &[], found, found);
        if written.is_err() {
            self.database = None;
        }
        written.map_err(|error| error.at(&path))
    }

    fn begin_term(&mut self, least: u64) -> Result<u64, StoreError> {
        let path = self.path.clone();
        let write = |database: &Database| -> Result<u64, WriteError> {
            let transaction = database.begin_write()?;
            let term = {
                let mut meta = transaction.open_table(META)?;
                let last = meta.get("term")?.map_or(0, |value| value.value());
                let term = last.saturating_add(1).max(least);
                meta.insert("term", term)?;
                term
            };
            transaction.commit()?;
            Ok(term)
        };
        write(self.database()?).map_err(|error| error.at(&path))
    }
}

/// Why one transaction failed.
enum WriteError {
    Redb(redb::Error),
    Encode(serde_json::Error),
    Revision { found: u64, expected: u64 },
}

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

impl WriteError {
    fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Redb(redb::Error::Io(error)) if error.kind() == ErrorKind::StorageFull => {
                StoreError::Full { path }
            }
            Self::Redb(error) => StoreError::Write { path, reason: error.to_string() },
            Self::Encode(error) => StoreError::Write { path, reason: error.to_string() },
            Self::Revision { found, expected } => StoreError::Revision { path, found, expected },
        }
    }
}

/// One durable transaction.
fn write(database: &Database, changes: &[Change], expected: u64, next: u64) -> Result<(), WriteError> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get("revision")?.map_or(0, |value| value.value());
        if found != expected {
            return Err(WriteError::Revision { found, expected });
        }
        meta.insert("revision", next)?;
        let mut records = transaction.open_table(RECORDS)?;
        for change in changes {
            match (&change.before, &change.after) {
                (_, Some(record)) => {
                    let value = encode::value(record).map_err(WriteError::Encode)?;
                    records.insert(encode::key_text(&record.key()).as_str(), value.as_slice())?;
                }
                (Some(record), None) => {
                    records.remove(encode::key_text(&record.key()).as_str())?;
                }
                (None, None) => {}
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn revision(database: &Database) -> Result<u64, String> {
    let read = || -> Result<u64, redb::Error> {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        Ok(meta.get("revision")?.map_or(0, |value| value.value()))
    };
    read().map_err(|error| error.to_string())
}

/// Opens the file and looks at its schema version; writes it into a new one.
fn open(path: &Path) -> Result<Database, StoreError> {
    let existed = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let database = guarded(path, || Database::builder().set_cache_size(CACHE).create(path))?.map_err(
        |error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::InUse { path: path.to_owned() }
            }
            // A file that is cut off, or that is something else, is reported as such an error too.
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::StorageFull => {
                StoreError::Full { path: path.to_owned() }
            }
            DatabaseError::Storage(StorageError::Io(error))
                if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                StoreError::Write { path: path.to_owned(), reason: error.to_string() }
            }
            other => damaged(path, &other.to_string()),
        },
    )?;
    match guarded(path, || schema(&database, existed))? {
        Ok(SCHEMA) => Ok(database),
        Ok(found) => Err(StoreError::Schema { path: path.to_owned(), found, expected: SCHEMA }),
        Err(SchemaError::Foreign) => Err(damaged(path, "it is a database of something else")),
        Err(SchemaError::Redb(error)) => Err(damaged(path, &error.to_string())),
    }
}

enum SchemaError {
    Foreign,
    Redb(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for SchemaError {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

/// The file's schema version; a file without any tables is new and is given the present one.
fn schema(database: &Database, existed: bool) -> Result<u64, SchemaError> {
    let transaction = database.begin_write()?;
    let tables: Vec<String> =
        transaction.list_tables()?.map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    let found = if tables.iter().any(|name| name == "weir-meta") {
        transaction.open_table(META)?.get("schema")?.map(|value| value.value())
    } else {
        None
    };
    match found {
        Some(found) => {
            transaction.abort()?;
            Ok(found)
        }
        None if existed && !tables.is_empty() => Err(SchemaError::Foreign),
        None => {
            transaction.open_table(META)?.insert("schema", SCHEMA)?;
            transaction.open_table(RECORDS)?;
            transaction.commit()?;
            Ok(SCHEMA)
        }
    }
}

/// Runs what reads a file of unknown content: redb asserts some of what it reads, and a torn file must not end the
/// process with a backtrace.
fn guarded<T>(path: &Path, read: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged(path, "its pages contradict each other"))
}

fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

impl Embedded {
    /// Writes one record as it is, past all checks: for tests of what a damaged store does.
    #[cfg(test)]
    fn put_raw(&self, key: &str, value: &[u8]) {
        let database = self.database.as_ref().expect("open");
        let transaction = database.begin_write().expect("begin");
        transaction.open_table(RECORDS).expect("table").insert(key, value).expect("insert");
        transaction.commit().expect("commit");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::intent::model::{Record, Settings};

    fn settings(salt: u16, revision: u64) -> Record {
        Record::Settings(Arc::new(Settings { mac_salt: salt, revision, ..Settings::default() }))
    }

    fn commit(revision: u64) -> Commit {
        Commit { revision, changes: vec![Change { before: None, after: Some(settings(7, revision)) }] }
    }

    #[test]
    fn gives_back_what_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        let mut store = Embedded::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), Contents::default());
        store.commit(&commit(1)).unwrap();
        drop(store);
        let contents = Embedded::open(&path).unwrap().load().unwrap();
        assert_eq!(contents, Contents { revision: 1, records: vec![settings(7, 1)] });
    }

    #[test]
    fn refuses_a_commit_at_another_revision() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Embedded::open(&dir.path().join("intent.redb")).unwrap();
        store.commit(&commit(1)).unwrap();
        assert!(matches!(store.commit(&commit(1)), Err(StoreError::Revision { found: 1, expected: 0, .. })));
        store.commit(&commit(2)).unwrap();
    }

    #[test]
    fn a_term_is_greater_than_all_before_it_also_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        let mut terms = Vec::new();
        for clock in [100, 90, 500, 0] {
            terms.push(Embedded::open(&path).unwrap().begin_term(clock).unwrap());
        }
        assert_eq!(terms, [100, 101, 500, 501]);
    }

    #[test]
    fn refuses_a_second_opener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        let _first = Embedded::open(&path).unwrap();
        assert!(matches!(Embedded::open(&path), Err(StoreError::InUse { .. })));
    }

    #[test]
    fn refuses_another_schema_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        let store = Embedded::open(&path).unwrap();
        let transaction = store.database.as_ref().unwrap().begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("schema", 99).unwrap();
        transaction.commit().unwrap();
        drop(store);
        let error = Embedded::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Schema { found: 99, expected: SCHEMA, .. }), "{error}");
    }

    #[test]
    fn refuses_garbage_and_torn_files_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        std::fs::write(&path, vec![0xa5; 70_000]).unwrap();
        assert!(matches!(Embedded::open(&path), Err(StoreError::Damaged { .. })));
        std::fs::remove_file(&path).unwrap();
        let mut store = Embedded::open(&path).unwrap();
        for revision in 1..50 {
            store.commit(&commit(revision)).unwrap();
        }
        drop(store);
        let whole = std::fs::read(&path).unwrap();
        for len in [1, 100, 320, 4096, whole.len() / 2, whole.len() - 4096] {
            std::fs::write(&path, &whole[..len]).unwrap();
            let opened = Embedded::open(&path).and_then(|mut store| store.load());
            if let Ok(contents) = opened {
                assert_eq!(contents.revision, 49, "cut to {len} bytes");
            }
        }
    }

    #[test]
    fn refuses_a_record_it_does_not_understand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intent.redb");
        for (key, value) in
            [("pool/1", "not json"), ("spaceship/1", "{}"), ("settings/x", "{\"mac_salt\":1}")]
        {
            let mut store = Embedded::open(&path).unwrap();
            store.put_raw(key, value.as_bytes());
            let error = store.load().unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { reason, .. } if reason.contains(key)), "{error}");
            drop(store);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
