//! The socket in the folder where Docker looks for drivers: there as long as the agent runs, whoever removes it.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use axum::Router;
use tokio::{net::UnixListener, sync::watch, time::interval};

/// Serves on a socket of that path for ever; one left there by an earlier life is replaced, and one that is removed is made
/// again. `problem` is told why there is none.
pub(super) async fn serve(path: &Path, router: Router, problem: watch::Sender<Option<String>>) {
    let mut look = interval(LOOK);
    loop {
        match bind(path) {
            Ok((listener, inode)) => {
                problem.send_replace(None);
                let gone = gone(path.to_owned(), inode);
                let served = axum::serve(listener, router.clone()).with_graceful_shutdown(gone).await;
                tracing::warn!(path = %path.display(), ?served, "the socket for Docker was removed: it is made again");
            }
            Err(error) => {
                let why = format!("cannot make the socket for Docker, {}: {error}", path.display());
                if problem.borrow().as_ref() != Some(&why) {
                    tracing::warn!(why, "Docker cannot reach its network driver");
                    problem.send_replace(Some(why));
                }
                look.tick().await;
            }
        }
    }
}

fn bind(path: &Path) -> io::Result<(UnixListener, u64)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    Ok((listener, fs::metadata(path)?.ino()))
}

/// Ends when the file of that path is not the one it was.
async fn gone(path: std::path::PathBuf, inode: u64) {
    let mut look = interval(LOOK);
    while fs::metadata(&path).is_ok_and(|found| found.ino() == inode) {
        look.tick().await;
    }
}

/// How often it is looked whether the socket is there.
const LOOK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins").join("weir.sock");
        let router = Router::new().route("/", get(|| async { "here" }));
        let (problem, _) = watch::channel(None);
        let (served, socket) = (path.clone(), path.clone());
        let serving = tokio::spawn(async move { serve(&served, router, problem).await });
        let answers = || async {
            let mut look = interval(Duration::from_millis(10));
            while UnixStream::connect(&socket).await.is_err() {
                look.tick().await;
            }
        };
        answers().await;
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), answers()).await.unwrap();
        serving.abort();
    }
}
