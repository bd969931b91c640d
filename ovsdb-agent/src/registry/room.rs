//! Room on the disk: what nobody has asked for longest makes way for what comes.
//!
//! The registry keeps what it has for days however full its disk is, and on a full one it neither delivers an image by its tag
//! nor removes what it has begun to write. So there is room for each blob before it is fetched, or it is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use nix::sys::statvfs::statvfs;
use tokio::time::{interval, timeout};

use super::check;

/// The room that a cache's disk has. Copies are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Room {
    cache: PathBuf,
    /// Bytes for what is on its way.
    promised: Arc<Mutex<u64>>,
}

/// Room for one blob, until it is dropped.
#[derive(Debug)]
pub(super) struct Promise {
    room: Room,
    len: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut promised = self.room.promised();
        *promised = promised.saturating_sub(self.len);
    }
}

/// A blob in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blob {
    /// When it came, or was last asked for.
    asked: SystemTime,
    len: u64,
    path: PathBuf,
}

impl Room {
    /// On the disk of a registry's cache.
    pub(super) fn of(cache: PathBuf) -> Self {
        Self { cache, promised: Arc::default() }
    }

    /// Where the registry has its cache.
    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Makes room for a blob that is to come.
    ///
    /// # Errors
    /// There is none, even without what could make way; nothing has then.
    pub(super) async fn make(&self, len: u64) -> anyhow::Result<Promise> {
        let room = self.clone();
        tokio::task::spawn_blocking(move || room.make_now(len)).await.context("a task has failed")?
    }

    fn make_now(&self, len: u64) -> anyhow::Result<Promise> {
        let mut promised = self.promised();
        // Once on its way, and once in the cache.
        let twice = len.saturating_mul(2);
        let wanted = promised.saturating_add(twice).saturating_add(RESERVE);
        let free = free(&self.cache).context("cannot see how full the cache's disk is")?;
        let missing = wanted.saturating_sub(free);
        if missing > 0 {
            let Some(oldest) = oldest(blobs(&self.cache).context("cannot list the cache")?, missing) else {
                bail!("{}", full(free, len));
            };
            let n = oldest.len();
            for blob in oldest {
                fs::remove_file(&blob.path)
                    .with_context(|| format!("cannot remove {}", blob.path.display()))?;
            }
            tracing::info!(n, bytes = missing, "blobs that nobody has asked for longest have made way");
        }
        *promised = promised.saturating_add(twice);
        Ok(Promise { room: self.clone(), len: twice })
    }

    /// Waits until the registry has put a blob into its cache, and so taken the room for it, or will not any more.
    pub(super) async fn until_cached(&self, digits: &str, patience: Duration) {
        let (path, mut look) = (check::blob(&self.cache, digits), interval(LOOK));
        let cached = async {
            while !tokio::fs::try_exists(&path).await.unwrap_or(true) {
                look.tick().await;
            }
        };
        // One that it does not take leaves its room.
        timeout(patience, cached).await.unwrap_or(());
    }

    /// What to say if there is hardly any room.
    pub(super) fn lack(&self) -> Option<String> {
        free(&self.cache).ok().filter(|free| *free < RESERVE).map(|free| full(free, 0))
    }

    fn promised(&self) -> MutexGuard<'_, u64> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(free: u64, len: u64) -> String {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let (free, len) = (megabytes(free), megabytes(len.saturating_mul(2).saturating_add(RESERVE)));
    format!("the disk of the registry proxy is full: {free} MB are left, {len} MB are needed")
}

/// Bytes that can still be written.
fn free(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// What is in a cache. Source: distribution, `registry/storage/paths.go`.
fn blobs(cache: &Path) -> io::Result<Vec<Blob>> {
    let mut blobs = Vec::new();
    let firsts = match fs::read_dir(cache.join("docker/registry/v2/blobs/sha256")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(blobs),
        firsts => firsts?,
    };
    for first in firsts {
        for blob in fs::read_dir(first?.path())? {
            let path = blob?.path().join("data");
            // One that is being removed has no content any more.
            if let Ok(about) = fs::metadata(&path) {
                blobs.push(Blob { asked: about.modified()?, len: about.len(), path });
            }
        }
    }
    Ok(blobs)
}

/// Those to remove so that so many bytes are free: the longest unasked first, and no small ones, without which no image is
/// delivered by its tag; `None` if all together are not enough.
fn oldest(mut blobs: Vec<Blob>, bytes: u64) -> Option<Vec<Blob>> {
    blobs.retain(|blob| blob.len > SMALL);
    blobs.sort_unstable_by_key(|blob| blob.asked);
    let mut sum = 0_u64;
    let n = blobs.iter().position(|blob| {
        sum = sum.saturating_add(blob.len);
        sum >= bytes
    })?;
    blobs.truncate(n.saturating_add(1));
    Some(blobs)
}

/// How often to look whether the registry has put a blob into its cache.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that are left free for manifests and tags.
const RESERVE: u64 = 16 << 20;

/// Manifests and configurations have fewer bytes.
const SMALL: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_asked_for_longest_makes_way() {
        let blob = |n: u64, len| Blob {
            asked: SystemTime::UNIX_EPOCH + Duration::from_secs(n),
            len,
            path: PathBuf::from(n.to_string()),
        };
        let all = vec![blob(3, 100_000), blob(1, 100_000), blob(0, 1_000), blob(2, 100_000)];
        let gone = |bytes| {
            oldest(all.clone(), bytes).map(|gone| gone.into_iter().map(|blob| blob.path).collect::<Vec<_>>())
        };
        assert_eq!(gone(1), Some(vec!["1".into()]));
        assert_eq!(gone(100_001), Some(vec!["1".into(), "2".into()]));
        assert_eq!(gone(300_000).map(|gone| gone.len()), Some(3));
        assert_eq!(gone(300_001), None);
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_and_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = check::blob(folder.path(), &"00".repeat(32));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![0; 100_000]).unwrap();
        let room = Room::of(folder.path().to_owned());
        let refused = room.make(u64::MAX / 4).await.unwrap_err().to_string();
        assert!(refused.contains("is full"), "{refused}");
        assert!(path.exists());
        drop(room.make(1000).await.unwrap());
        assert_eq!(*room.promised(), 0);
    }
}
