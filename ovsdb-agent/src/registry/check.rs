//! Whether what the registry has delivered is what its digest says.
//!
//! A registry delivers what is in its folder unread, so that one wrong byte there would keep an image from every node until it
//! expires. Docker refuses such a blob; here it is removed, so that the next request fetches it anew.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use ring::digest::{Context, SHA256};
use tokio::sync::mpsc;

/// Tells of a delivered blob: the 64 digits of its SHA-256.
pub(super) type Checks = mpsc::Sender<String>;

/// Where to tell of delivered blobs, and where they come out. What does not fit is not checked this time.
pub(super) fn channel() -> (Checks, mpsc::Receiver<String>) {
    mpsc::channel(WAITING)
}

/// Checks each delivered blob, one at a time, until nobody tells of any.
pub(super) async fn run(mut delivered: mpsc::Receiver<String>, cache: PathBuf) {
    while let Some(digits) = delivered.recv().await {
        let path = blob(&cache, &digits);
        let check = tokio::task::spawn_blocking({
            let digits = digits.clone();
            move || remove_unless_right(&path, &digits)
        });
        match check.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                tracing::warn!(digest = digits, "a blob in the cache was not what its digest says: removed");
            }
            Ok(Err(error)) => {
                tracing::warn!(digest = digits, %error, "a blob in the cache cannot be checked")
            }
            Err(error) => tracing::error!(%error, "a check has failed"),
        }
    }
}

/// Removes a blob whose content has another digest; false if it was removed. One that is not there is right.
fn remove_unless_right(path: &Path, digits: &str) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => context.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    let is_right = hex(context.finish().as_ref()) == digits;
    if is_right {
        // By this is told what nobody has asked for longest.
        file.set_modified(SystemTime::now())?;
    } else {
        std::fs::remove_file(path)?;
    }
    Ok(is_right)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the registry's file system driver has a blob. Source: distribution, `registry/storage/paths.go`.
pub(super) fn blob(cache: &Path, digits: &str) -> PathBuf {
    let first = digits.get(..2).unwrap_or_default();
    cache.join("docker/registry/v2/blobs/sha256").join(first).join(digits).join("data")
}

/// Blobs that wait to be checked.
const WAITING: usize = 256;

const CHUNK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_wrong_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        // printf abc | sha256sum
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let path = blob(folder.path(), digits);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let check = |content: &'static [u8]| {
            std::fs::write(&path, content).unwrap();
            let (checks, delivered) = channel();
            let cache = folder.path().to_owned();
            async move {
                checks.send(digits.to_owned()).await.unwrap();
                checks.send("00".repeat(32)).await.unwrap();
                drop(checks);
                run(delivered, cache).await;
            }
        };
        check(b"abc").await;
        assert!(path.exists());
        check(b"abd").await;
        assert!(!path.exists());
    }
}
