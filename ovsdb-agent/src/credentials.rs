//! The node's key and certificate, kept in the state directory: who has joined with a token acts by them.
//!
//! ```text
//! STATE/credentials/           0700
//!   joining.pem                the key that a join began with, until it has succeeded; joining.new: one not written yet
//!   7/                         one generation: key.pem (0600), certificate.pem, ca.pem, about.json
//!   8.new/                     one that was not finished
//! ```
//!
//! A generation appears whole, under a number of its own: whoever is told of new files, as Open vSwitch is, sees key and
//! certificate change together. The one before stays until there is another, for who still reads it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use weir_api::{
    tls::{Identity, TlsError, Trust},
    v1::Certificate,
};

/// The folder of credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    directory: PathBuf,
}

/// The newest generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Where its files are.
    pub directory: PathBuf,
    /// What is known of it.
    pub about: About,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The node's pool.
    pub pool: String,
    /// The node's name.
    pub node: String,
    /// When the certificate's life begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

/// Why there are no credentials to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The controller's answer makes no sense.
    #[error("the controller's answer makes no sense: {0}")]
    Answer(&'static str),
    /// Key or certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A key or a signing request could not be made.
    #[error("a key could not be made: {0}")]
    Key(#[from] rcgen::Error),
}

impl Current {
    /// The private key's file.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.directory.join(KEY)
    }

    /// The certificate's file.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.join(CERTIFICATE)
    }

    /// The file of the authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join(AUTHORITY)
    }

    /// Whom to trust, and what to show.
    ///
    /// # Errors
    /// The files cannot be read, or used.
    pub fn load(&self) -> Result<(Trust, Identity), CredentialsError> {
        let trust = Trust::from_pem(&read(&self.authority())?)?;
        let identity = Identity::from_pem(&read(&self.certificate())?, &read(&self.key())?)?;
        Ok((trust, identity))
    }

    /// When to ask for another certificate: when two thirds of this one's life have passed.
    #[must_use]
    pub fn renewal(&self) -> SystemTime {
        let About { not_before, not_after, .. } = self.about;
        not_before + not_after.duration_since(not_before).unwrap_or(Duration::ZERO) * 2 / 3
    }
}

impl Credentials {
    /// Those in a state directory.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { directory: state_dir.join(FOLDER) }
    }

    /// The newest generation; `None`: the node has not joined.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn current(&self) -> Result<Option<Current>, CredentialsError> {
        let Some(newest) = self.generations()?.pop() else { return Ok(None) };
        let directory = self.directory.join(newest.to_string());
        let path = directory.join(ABOUT);
        let about = serde_json::from_slice(&read(&path)?)
            .map_err(|error| CredentialsError::File { path, error: error.into() })?;
        Ok(Some(Current { directory, about }))
    }

    /// The numbers of all generations, in order.
    fn generations(&self) -> Result<Vec<u64>, CredentialsError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.error(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.error(error))?;
            numbers.extend(entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The key to join with: the same as the last time, if that did not succeed, so that the controller knows the node
    /// again.
    ///
    /// # Errors
    /// It cannot be made, read or kept.
    pub fn joining_key(&self) -> Result<KeyPair, CredentialsError> {
        let path = self.directory.join(JOINING);
        if path.exists() {
            return Ok(KeyPair::from_pem(&String::from_utf8_lossy(&read(&path)?))?);
        }
        let key = KeyPair::generate()?;
        make(&self.directory)?;
        let draft = path.with_extension("new");
        let keep = || -> io::Result<()> {
            gone(fs::remove_file(&draft))?;
            write(&draft, key.serialize_pem().as_bytes())?;
            fs::rename(&draft, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        keep().map_err(|error| self.error(error))?;
        Ok(key)
    }

    /// Keeps a new generation, and forgets those that nobody reads any more.
    ///
    /// # Errors
    /// The answer lacks something; it cannot be kept.
    pub fn store(&self, key: &KeyPair, answer: &Certificate) -> Result<Current, CredentialsError> {
        let time = |time: Option<prost_types::Timestamp>| {
            let time = time.and_then(|time| SystemTime::try_from(time).ok());
            time.ok_or(CredentialsError::Answer("the certificate has no time"))
        };
        let about = About {
            pool: answer.pool.clone(),
            node: answer.node.clone(),
            not_before: time(answer.not_before)?,
            not_after: time(answer.not_after)?,
        };
        let json = serde_json::to_vec_pretty(&about).map_err(|_| CredentialsError::Answer("its times"))?;
        let before = self.generations()?;
        let number = before.last().map_or(1, |last| last + 1);
        let draft = self.directory.join(format!("{number}.new"));
        let directory = self.directory.join(number.to_string());
        let key = key.serialize_pem();
        let files: [(&str, &[u8]); 4] = [
            (KEY, key.as_bytes()),
            (CERTIFICATE, answer.certificate.as_bytes()),
            (AUTHORITY, answer.authority.as_bytes()),
            (ABOUT, &json),
        ];
        let keep = || -> io::Result<()> {
            gone(fs::remove_dir_all(&draft))?;
            DirBuilder::new().recursive(true).mode(0o700).create(&draft)?;
            for (name, bytes) in files {
                write(&draft.join(name), bytes)?;
            }
            File::open(&draft)?.sync_all()?;
            fs::rename(&draft, &directory)?;
            File::open(&self.directory)?.sync_all()
        };
        keep().map_err(|error| self.error(error))?;
        self.tidy(&before);
        Ok(Current { directory, about })
    }

    /// Removes what a new generation makes useless: those of before but the last, and the key to join with. The new one is
    /// good if that fails.
    fn tidy(&self, before: &[u64]) {
        let old = before.iter().rev().skip(1).map(|old| self.directory.join(old.to_string()));
        let removed = old.map(|path| (fs::remove_dir_all(&path), path));
        let joining = self.directory.join(JOINING);
        for (result, path) in removed.chain([(gone(fs::remove_file(&joining)), joining)]) {
            if let Err(error) = result {
                tracing::warn!(path = %path.display(), %error, "old credentials cannot be removed");
            }
        }
    }

    fn error(&self, error: io::Error) -> CredentialsError {
        CredentialsError::File { path: self.directory.clone(), error }
    }
}

/// A signing request for a key, DER. The controller takes the public key from it, and nothing else.
///
/// # Errors
/// It cannot be signed.
pub fn signing_request(key: &KeyPair) -> Result<Vec<u8>, CredentialsError> {
    Ok(CertificateParams::default().serialize_request(key)?.der().to_vec())
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    fs::read(path).map_err(|error| CredentialsError::File { path: path.to_owned(), error })
}

fn make(directory: &Path) -> Result<(), CredentialsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| CredentialsError::File { path: directory.to_owned(), error })
}

/// What removing has come to, where it is as good if there was nothing.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Writes a file that is its owner's alone.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const FOLDER: &str = "credentials";

const JOINING: &str = "joining.pem";

const KEY: &str = "key.pem";

const CERTIFICATE: &str = "certificate.pem";

const AUTHORITY: &str = "ca.pem";

const ABOUT: &str = "about.json";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn answer(second: u64) -> Certificate {
        let time = |s| Some(prost_types::Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(s)));
        Certificate {
            pool: "p".to_owned(),
            node: "n1".to_owned(),
            certificate: "certificate".to_owned(),
            authority: "authority".to_owned(),
            not_before: time(second),
            not_after: time(second + 90),
        }
    }

    #[test]
    fn the_newest_generation_counts_and_the_one_before_stays() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials::of(dir.path());
        assert_eq!(credentials.current().unwrap(), None);
        let key = credentials.joining_key().unwrap();
        assert_eq!(credentials.joining_key().unwrap().serialize_pem(), key.serialize_pem());
        for n in 1..=3 {
            let stored = credentials.store(&key, &answer(n)).unwrap();
            assert_eq!(credentials.current().unwrap(), Some(stored.clone()));
            assert_eq!(stored.renewal(), SystemTime::UNIX_EPOCH + Duration::from_secs(n + 60));
            let mode = fs::metadata(stored.key()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(credentials.generations().unwrap(), [2, 3]);
        assert_ne!(credentials.joining_key().unwrap().serialize_pem(), key.serialize_pem());
    }

    #[test]
    fn a_key_to_join_with_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials::of(dir.path());
        let folder = dir.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("joining.new"), "-----BEGIN").unwrap();
        let key = credentials.joining_key().unwrap();
        assert_eq!(credentials.joining_key().unwrap().serialize_pem(), key.serialize_pem());
        assert!(!folder.join("joining.new").exists());
    }

    #[test]
    fn a_new_generation_counts_even_if_an_old_one_stays_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials::of(dir.path());
        let key = KeyPair::generate().unwrap();
        // No folders, which is what is removed: that fails for everybody.
        let folder = dir.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("1"), "").unwrap();
        fs::write(folder.join("2"), "").unwrap();
        fs::create_dir(folder.join(JOINING)).unwrap();
        let stored = credentials.store(&key, &answer(3)).unwrap();
        assert_eq!(stored.directory, folder.join("3"));
        assert_eq!(credentials.current().unwrap(), Some(stored));
    }

    #[test]
    fn what_was_not_finished_does_not_count_and_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials::of(dir.path());
        let key = KeyPair::generate().unwrap();
        let first = credentials.store(&key, &answer(1)).unwrap();
        fs::create_dir(dir.path().join(FOLDER).join("2.new")).unwrap();
        fs::write(dir.path().join(FOLDER).join("2.new").join(KEY), "half").unwrap();
        assert_eq!(credentials.current().unwrap(), Some(first));
        let second = credentials.store(&key, &answer(2)).unwrap();
        assert_eq!(credentials.current().unwrap(), Some(second));
        assert!(credentials.store(&key, &Certificate { not_after: None, ..answer(3) }).is_err());
    }
}
