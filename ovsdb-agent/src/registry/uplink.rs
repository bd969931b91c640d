//! The way to the upstream: what the registry asks for is asked there, each blob once at a time, and nothing for ever.
//!
//! The registry asks without TLS on the loopback interface. It knows a blob as part of one repository: what it has for another
//! comes from its own cache. An upstream that is gone is an answer, and at once, so that the registry starts and serves what
//! it has.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use tokio::{fs::File, io::AsyncReadExt, net::TcpListener};
use tokio_util::task::AbortOnDropHandle;

use super::{
    check,
    http::{cause, end_to_end, pass_on, refuse, serve},
    journal::digits_of,
    keys::Keys,
    options::Upstream,
    spool::Spools,
};

/// A port of this host that leads to the upstream, until it is dropped.
pub(super) struct Uplink {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

struct Relay {
    upstream: Upstream,
    client: reqwest::Client,
    keys: Keys,
    spools: Spools,
    is_reached: AtomicBool,
    /// When it last let somebody wait in vain, if it has not answered since.
    hung: Mutex<Option<Instant>>,
}

impl Uplink {
    /// Opens the port for a registry that has its cache where those spools have room.
    ///
    /// # Errors
    /// There is no port left, or no certificates can be read.
    pub(super) async fn open(upstream: &Upstream, keys: Keys, spools: Spools) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build();
        let relay = Relay {
            upstream: upstream.clone(),
            client: client.context("cannot prepare for the upstream")?,
            keys,
            spools,
            is_reached: AtomicBool::new(true),
            hung: Mutex::default(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port on loopback")?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(Arc::new(relay));
        Ok(Self { address, _task: serve(listener, router) })
    }

    /// Where the registry asks.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(State(relay): State<Arc<Relay>>, request: Request) -> Response {
    let (Parts { method, uri, headers, .. }, _) = request.into_parts();
    if method != Method::GET && method != Method::HEAD {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "a cache only fetches");
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let is_whole = !headers.contains_key(header::RANGE);
    let blob = digits_of(path).filter(|_| is_whole);
    let is_get = method == Method::GET;
    // The cache is asked when it is this request's turn to fetch: what has come meanwhile is not fetched again.
    let fetched = async {
        if let Some(digits) = blob
            && let Ok(cached) = cached(relay.spools.room.cache(), digits).await
        {
            return Err(Box::new(cached));
        }
        relay.fetch(method, path, &headers).await
    };
    let answered = match blob.filter(|_| is_get) {
        Some(digits) => relay.spools.blob(digits, fetched_whole(fetched)).await,
        None => fetched.await.map(pass_on),
    };
    answered.unwrap_or_else(|instead| *instead)
}

impl Relay {
    async fn fetch(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<reqwest::Response, Box<Response>> {
        let mut headers = end_to_end(headers);
        headers.remove(header::HOST);
        let (status, why) = match self.ask_in_time(&method, path, &headers).await {
            Some(Ok(answer)) => {
                if !self.is_reached.swap(true, Ordering::Relaxed) {
                    tracing::info!(upstream = %self.upstream, "the upstream answers again");
                }
                self.look_at(answer.status(), path);
                return Ok(answer);
            }
            Some(Err(error)) => {
                (StatusCode::BAD_GATEWAY, error.downcast_ref().map_or_else(|| error.to_string(), cause))
            }
            None => (StatusCode::GATEWAY_TIMEOUT, format!("no answer within {} s", ANSWER.as_secs())),
        };
        if self.is_reached.swap(false, Ordering::Relaxed) {
            tracing::warn!(upstream = %self.upstream, why, "nothing comes from the upstream: only what is cached is served");
        }
        let said = format!("nothing comes from {}: {why}", self.upstream);
        self.spools.trouble.note(said.clone());
        Err(Box::new(refuse(status, &said)))
    }

    /// Asks, unless the upstream has just let somebody wait in vain: the registry asks three times for one tag.
    async fn ask_in_time(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<anyhow::Result<reqwest::Response>> {
        if self.hung().is_some_and(|at| at.elapsed() < ANSWER) {
            return None;
        }
        let answer = tokio::time::timeout(ANSWER, self.ask(method, path, headers)).await.ok();
        *self.hung() = answer.is_none().then(Instant::now);
        answer
    }

    fn hung(&self) -> MutexGuard<'_, Option<Instant>> {
        self.hung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and once more as whom the upstream wants to know.
    async fn ask(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}{path}", self.upstream);
        let request = || self.client.request(method.clone(), &url).headers(headers.clone());
        let answer = self.keys.show(path, request()).send().await?;
        let is_refused = answer.status() == StatusCode::UNAUTHORIZED;
        let is_plain = self.upstream.is_plain();
        if is_refused && self.keys.renew(&self.client, path, answer.headers(), is_plain).await? {
            return Ok(self.keys.show(path, request()).send().await?);
        }
        Ok(answer)
    }

    /// Notes an answer that the registry makes another one of.
    fn look_at(&self, status: StatusCode, path: &str) {
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ": it wants to know who asks (--credentials), or does not let him have it"
            }
            status if status.is_client_error() || status.is_server_error() => "",
            _ => return,
        };
        self.spools.trouble.note(format!("{} answers {status} to {path}{hint}", self.upstream));
    }
}

/// A blob that the cache has, whichever repository it came with.
async fn cached(cache: &Path, digits: &str) -> io::Result<Response> {
    let file = File::open(check::blob(cache, digits)).await?;
    let len = file.metadata().await?.len();
    let chunks = futures::stream::try_unfold(file, |mut file| async {
        let mut chunk = vec![0; CHUNK];
        let n = file.read(&mut chunk).await?;
        chunk.truncate(n);
        Ok::<_, io::Error>((n > 0).then(|| (Bytes::from(chunk), file)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, len.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(digest) = HeaderValue::try_from(format!("sha256:{digits}")) {
        headers.insert("docker-content-digest", digest);
    }
    Ok(response)
}

/// Only an answer that is the blob.
async fn fetched_whole(
    fetched: impl Future<Output = Result<reqwest::Response, Box<Response>>>,
) -> Result<reqwest::Response, Box<Response>> {
    let answer = fetched.await?;
    if answer.status() == StatusCode::OK { Ok(answer) } else { Err(Box::new(pass_on(answer))) }
}

const CHUNK: usize = 128 * 1024;

const CONNECT: Duration = Duration::from_secs(5);

/// How long the upstream may take to begin its answer, and is not asked when it has not.
const ANSWER: Duration = Duration::from_secs(10);

/// How long it may pause within an answer.
const SILENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::atomic::AtomicUsize};

    use axum::routing::get;
    use futures::StreamExt;
    use tokio::sync::Notify;

    use super::{
        super::{front::Trouble, room::Room},
        *,
    };

    const BLOB: &str = "/v2/a/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// An upstream whose blob comes in two halves, the second when it is told; how often it was asked for.
    #[derive(Default)]
    struct Halves {
        go: Notify,
        n_asked: AtomicUsize,
    }

    async fn upstream(router: Router) -> (Upstream, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        (upstream, serve(listener, router))
    }

    async fn open(upstream: &Upstream, folder: &Path) -> Uplink {
        opened(upstream, Keys::default(), folder).await
    }

    async fn opened(upstream: &Upstream, keys: Keys, folder: &Path) -> Uplink {
        let spools = Spools::new(folder.to_owned(), Room::of(folder.to_owned()), Trouble::default());
        Uplink::open(upstream, keys, spools).await.unwrap()
    }

    #[tokio::test]
    async fn a_blob_is_fetched_once_by_all_who_ask_before_it_is_there() {
        let halves: Arc<Halves> = Arc::default();
        let blob = |State(halves): State<Arc<Halves>>| async move {
            halves.n_asked.fetch_add(1, Ordering::SeqCst);
            let second = async move {
                halves.go.notified().await;
                Ok::<_, std::io::Error>(Bytes::from_static(b"bc"))
            };
            let first = futures::stream::iter([Ok(Bytes::from_static(b"a"))]);
            Body::from_stream(first.chain(futures::stream::once(second)))
        };
        let (upstream, _serves) =
            upstream(Router::new().route(BLOB, get(blob)).with_state(halves.clone())).await;
        let folder = tempfile::tempdir().unwrap();
        let uplink = open(&upstream, folder.path()).await;
        let url = format!("http://{}{BLOB}", uplink.address());
        let client = reqwest::Client::new();
        let mut first = client.get(&url).send().await.unwrap();
        assert_eq!(first.chunk().await.unwrap().unwrap(), "a");
        let second = client.get(&url).send().await.unwrap();
        halves.go.notify_one();
        assert_eq!(second.text().await.unwrap(), "abc");
        assert_eq!(first.text().await.unwrap(), "bc");
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "abc");
        // As soon as the cache has it, its copy makes way.
        cache(folder.path());
        let is_copy =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_type().unwrap().is_file();
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while std::fs::read_dir(folder.path()).unwrap().any(is_copy) {
            look.tick().await;
        }
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "abc");
        assert_eq!(halves.n_asked.load(Ordering::SeqCst), 1);
    }

    /// Puts the blob into a cache.
    fn cache(folder: &Path) -> PathBuf {
        let cached = check::blob(folder, digits_of(BLOB).unwrap());
        std::fs::create_dir_all(cached.parent().unwrap()).unwrap();
        std::fs::write(&cached, "abc").unwrap();
        cached
    }

    #[tokio::test]
    async fn what_the_upstream_says_is_passed_on_and_that_it_is_gone_is_an_answer() {
        let challenge = || async {
            let realm = (header::WWW_AUTHENTICATE, "Basic realm=\"x\"");
            (StatusCode::UNAUTHORIZED, [realm], "who?")
        };
        let (upstream, serves) = upstream(Router::new().route("/v2/", get(challenge))).await;
        let folder = tempfile::tempdir().unwrap();
        let uplink = open(&upstream, folder.path()).await;
        let url = |path: &str| format!("http://{}{path}", uplink.address());
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let asked = client.get(url("/v2/")).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(asked.headers()["www-authenticate"], "Basic realm=\"x\"");
        assert_eq!(asked.text().await.unwrap(), "who?");
        assert_eq!(client.get(url(BLOB)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        assert_eq!(client.put(url(BLOB)).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
        drop(serves);
        let cached = cache(folder.path());
        let head = client.head(url(BLOB)).send().await.unwrap();
        assert_eq!((head.status(), head.headers()["content-length"].as_bytes()), (StatusCode::OK, &b"3"[..]));
        assert_eq!(client.get(url(BLOB)).send().await.unwrap().text().await.unwrap(), "abc");
        std::fs::remove_file(cached).unwrap();
        for path in ["/v2/", BLOB] {
            // A connection that is still open may be asked once more.
            let mut last = client.get(url(path)).send().await.unwrap();
            for _ in 0..10 {
                if last.status() == StatusCode::BAD_GATEWAY {
                    break;
                }
                last = client.get(url(path)).send().await.unwrap();
            }
            assert_eq!(last.status(), StatusCode::BAD_GATEWAY);
            assert!(last.text().await.unwrap().contains("nothing comes from"));
        }
    }

    #[tokio::test]
    async fn what_is_private_is_fetched_as_whom_the_file_names_by_password_or_token() {
        let me = "Basic bWU6cGFzcw=="; // me:pass
        let by = |header: &HeaderMap| {
            header.get(header::AUTHORIZATION).map(|text| text.to_str().unwrap().to_owned())
        };
        let password = move |headers: HeaderMap| async move {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")];
            if by(&headers).as_deref() == Some(me) {
                Ok("mine")
            } else {
                Err((StatusCode::UNAUTHORIZED, challenge))
            }
        };
        let token = move |headers: HeaderMap| async move {
            let host = headers[header::HOST].to_str().unwrap();
            let challenge =
                format!("Bearer realm=\"http://{host}/token\",service=\"s s\",scope=\"repository:a:pull\"");
            let challenge = [(header::WWW_AUTHENTICATE, challenge)];
            if by(&headers).as_deref() == Some("Bearer t") {
                Ok("mine")
            } else {
                Err((StatusCode::UNAUTHORIZED, challenge))
            }
        };
        let give = move |uri: axum::http::Uri, headers: HeaderMap| async move {
            assert_eq!(uri.query(), Some("service=s+s&scope=repository%3Aa%3Apull"));
            let is_known = by(&headers).as_deref() == Some(me);
            if is_known { Ok(r#"{"token":"t","expires_in":300}"#) } else { Err(StatusCode::UNAUTHORIZED) }
        };
        let router = Router::new()
            .route("/v2/p/manifests/1", get(password))
            .route("/v2/a/manifests/1", get(token))
            .route("/token", get(give));
        let (upstream, _serves) = upstream(router).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        std::fs::write(&file, "me:pass").unwrap();
        for (keys, expected) in [(Keys::read(Some(&file)).unwrap(), "mine"), (Keys::default(), "")] {
            let uplink = opened(&upstream, keys, folder.path()).await;
            for repository in ["p", "a", "p", "a"] {
                let url = format!("http://{}/v2/{repository}/manifests/1", uplink.address());
                let said = reqwest::get(url).await.unwrap().error_for_status();
                let said = match said {
                    Ok(answer) => answer.text().await.unwrap(),
                    Err(_) => String::new(),
                };
                assert_eq!(said, expected, "{repository}");
            }
        }
    }
}
