//! A blob on its way from the upstream, for all who want it: it is fetched once however many ask for it meanwhile.
//!
//! The registry asks twice for each blob it does not have, once for who asked and once for its cache, and again for everybody
//! who comes before the cache has all of it. What comes is written to a file, which each of them reads at his own pace.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use futures::Stream;
use tempfile::{NamedTempFile, TempPath};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{OnceCell, watch},
};

use super::{front::Trouble, http, room::Room};

/// The blobs on their way, by the digits of their digests. Copies are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Spools {
    folder: PathBuf,
    blobs: Arc<Mutex<HashMap<String, Slot>>>,
    /// On whose disk.
    pub(super) room: Room,
    /// Where to say that one cannot be had.
    pub(super) trouble: Trouble,
}

type Slot = Arc<OnceCell<Arc<Spool>>>;

#[derive(Debug)]
struct Spool {
    /// Removed with the last who reads it.
    path: TempPath,
    headers: HeaderMap,
    progress: watch::Receiver<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Bytes that can be read.
    len: u64,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

impl Spools {
    /// With files in a folder, on a disk that has that room.
    pub(super) fn new(folder: PathBuf, room: Room, trouble: Trouble) -> Self {
        Self { folder, blobs: Arc::default(), room, trouble }
    }

    /// A blob, from whoever fetches it already, or else by `fetch`, which answers 200.
    ///
    /// # Errors
    /// The answer that is to be given instead: what `fetch` says, or that there is no room.
    pub(super) async fn blob(
        &self,
        digits: &str,
        fetch: impl Future<Output = Result<reqwest::Response, Box<Response>>>,
    ) -> Result<Response, Box<Response>> {
        let slot = self.blobs().entry(digits.to_owned()).or_default().clone();
        let spool = slot.get_or_try_init(|| async { self.begin(digits, fetch.await?).await }).await;
        match spool {
            Ok(spool) => Ok(spool.clone().respond()),
            Err(answer) => {
                self.forget(digits, &slot);
                Err(answer)
            }
        }
    }

    async fn begin(&self, digits: &str, answer: reqwest::Response) -> Result<Arc<Spool>, Box<Response>> {
        let room = async {
            let promise = self.room.make(answer.content_length().unwrap_or(0)).await?;
            Ok::<_, anyhow::Error>((promise, NamedTempFile::new_in(&self.folder)?.into_parts()))
        };
        let (promise, (file, path)) = room.await.map_err(|error| {
            let why = format!("{error:#}");
            tracing::warn!(digest = digits, why, "not fetched");
            self.trouble.note(why.clone());
            Box::new(http::refuse(StatusCode::INSUFFICIENT_STORAGE, &why))
        })?;
        let (state, progress) = watch::channel(Progress::default());
        let spool = Arc::new(Spool { path, headers: http::end_to_end(answer.headers()), progress });
        let (own, digits) = (self.clone(), digits.to_owned());
        tokio::spawn(async move {
            let began = Instant::now();
            let end = match copy(answer, File::from_std(file), &state).await {
                Ok(len) => {
                    tracing::info!(digest = digits, len, seconds = began.elapsed().as_secs_f32(), "fetched");
                    End::Whole
                }
                Err(error) => {
                    tracing::warn!(digest = digits, %error, "not fetched to its end");
                    End::Broken
                }
            };
            state.send_modify(|progress| progress.end = Some(end));
            if end == End::Whole {
                // Who asks after that gets it from the cache; until then he gets this.
                own.room.until_cached(&digits, KEPT).await;
                drop(promise);
            }
            let slot = own.blobs().get(&digits).cloned();
            slot.into_iter().for_each(|slot| own.forget(&digits, &slot));
        });
        Ok(spool)
    }

    /// Forgets a slot, unless another one is there by now.
    fn forget(&self, digits: &str, slot: &Slot) {
        let mut blobs = self.blobs();
        if blobs.get(digits).is_some_and(|there| Arc::ptr_eq(there, slot)) {
            blobs.remove(digits);
        }
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an answer's content to a file, and says how much is there; gives back how much there is.
async fn copy(
    mut answer: reqwest::Response,
    mut file: File,
    state: &watch::Sender<Progress>,
) -> anyhow::Result<u64> {
    let (expected, mut len) = (answer.content_length(), 0_u64);
    while let Some(chunk) = answer.chunk().await? {
        file.write_all(&chunk).await?;
        file.flush().await?;
        len = len.saturating_add(chunk.len() as u64);
        state.send_modify(|progress| progress.len = len);
    }
    ensure!(expected.is_none_or(|expected| expected == len), "{len} bytes came, not {expected:?}");
    Ok(len)
}

impl Spool {
    fn respond(self: Arc<Self>) -> Response {
        let headers = self.headers.clone();
        let mut response = Response::new(Body::from_stream(self.read()));
        *response.headers_mut() = headers;
        response
    }

    /// All of it, as it comes.
    fn read(self: Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> {
        async_stream::try_stream! {
            let mut file = File::open(&self.path).await?;
            let mut progress = self.progress.clone();
            let mut at = 0_u64;
            loop {
                let Progress { len, end } = *progress.borrow_and_update();
                let left = usize::try_from(len.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
                if left > 0 {
                    let mut chunk = vec![0; left];
                    file.read_exact(&mut chunk).await?;
                    at = at.saturating_add(left as u64);
                    yield Bytes::from(chunk);
                } else if end == Some(End::Whole) {
                    break;
                } else if end.is_some() || progress.changed().await.is_err() {
                    Err(io::Error::other("the upstream has not sent all of it"))?;
                }
            }
        }
    }
}

/// How long a blob of which all has come can still be had here, if the registry does not put it into its cache.
const KEPT: Duration = Duration::from_secs(10);

const CHUNK: usize = 128 * 1024;
