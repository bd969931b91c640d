//! What a join has changed on this host, on disk before it is changed: whatever becomes of the process, or of the machine,
//! the next start of the agent, the next join or a leave finds it, and can undo it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::link::{Bearing, Treatment};

/// Where a join, or its undoing, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The NIC is being taken; to be undone if whoever does it is gone.
    Taking,
    /// The controller was reached over br-phy. The agent goes on taking what the NIC is given.
    Taken,
    /// The node is leaving; to be gone on with.
    Leaving,
}

/// What was there before the NIC was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// How far it has come.
    pub phase: Phase,
    /// The NIC.
    pub nic: String,
    /// What `bearing` means, for people.
    pub lines: Vec<String>,
    /// The NIC's addresses and routes.
    pub bearing: Bearing,
    /// How the kernel treated the NIC.
    pub treatment: Treatment,
    /// There was a br-phy already.
    pub had_bridge: bool,
    /// ovs-vswitchd was asked for userspace TSO already.
    pub had_tso: bool,
    /// The controller, HOST:PORT.
    pub controller: String,
    /// The file with the agent's settings.
    pub configuration: PathBuf,
}

/// What is wrong with the state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{0} is in use: the agent, or another join or leave, is running (`systemctl stop weir-agent` ends the agent)"
    )]
    Busy(PathBuf),
}

/// The state directory, for one process at a time; it is free again when this, or the process, is gone.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// Takes a state directory, which is made if it is not there.
    ///
    /// # Errors
    /// `Busy`; the system's refusal.
    pub fn take(directory: &Path) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::File { path, source }
        };
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let path = directory.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        match Flock::lock(file.map_err(failed(&path))?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(JournalError::Busy(directory.to_owned())),
            Err((_, error)) => Err(failed(&path)(error.into())),
        }
    }

    /// Its path.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What was written down; `None`: no NIC is taken.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn journal(&self) -> Result<Option<Journal>, JournalError> {
        let path = self.directory.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::File { path, source }),
        };
        let journal = serde_json::from_slice(&bytes);
        journal.map(Some).map_err(|error| JournalError::File { path, source: error.into() })
    }

    /// Writes it down: whole or not at all, whenever the machine stops.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn write(&self, journal: &Journal) -> Result<(), JournalError> {
        let path = self.directory.join(NAME);
        let bytes = serde_json::to_vec_pretty(journal).expect("a journal is JSON");
        replace(&path, &bytes).map_err(|source| JournalError::File { path, source })
    }

    /// Forgets it: all is as it was.
    ///
    /// # Errors
    /// The system's refusal; that there is none is no error.
    pub fn forget(&self) -> Result<(), JournalError> {
        remove(&self.directory.join(NAME))?;
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(|source| JournalError::File { path: self.directory.clone(), source })
    }
}

/// Puts a file in place of the one there is, or none.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(directory)?.sync_all()
}

/// Removes a file or a folder, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), JournalError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(JournalError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

const NAME: &str = "join.json";

const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let bearing = r#"{"link":"eth0","index":2,"addresses":[],"routes":[]}"#;
        let treatment = r#"{"arp":true,"gro":null,"settings":{"ipv4/conf/IF/rp_filter":"2"}}"#;
        Journal {
            phase: Phase::Taking,
            nic: "eth0".to_owned(),
            lines: vec!["10.0.0.1/24".to_owned()],
            bearing: serde_json::from_str(bearing).unwrap(),
            treatment: serde_json::from_str(treatment).unwrap(),
            had_bridge: false,
            had_tso: true,
            controller: "10.0.0.9:7400".to_owned(),
            configuration: PathBuf::from("/etc/weir/agent.env"),
        }
    }

    #[test]
    fn a_state_directory_is_one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::take(dir.path()).unwrap();
        assert!(matches!(State::take(dir.path()), Err(JournalError::Busy(_))));
        drop(state);
        assert!(State::take(dir.path()).is_ok());
    }

    #[test]
    fn a_journal_is_there_until_it_is_forgotten_and_a_damaged_one_is_no_reason_to_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::take(dir.path()).unwrap();
        assert_eq!(state.journal().unwrap(), None);
        state.write(&journal()).unwrap();
        let taken = Journal { phase: Phase::Taken, ..journal() };
        state.write(&taken).unwrap();
        assert_eq!(state.journal().unwrap(), Some(taken));
        fs::write(dir.path().join(NAME), "{").unwrap();
        assert!(state.journal().is_err());
        state.forget().unwrap();
        state.forget().unwrap();
        assert_eq!(state.journal().unwrap(), None);
    }
}
