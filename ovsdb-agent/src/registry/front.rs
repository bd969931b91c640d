//! Where nodes ask: what they ask is asked of the registry, and why something cannot be had is said.
//!
//! Whatever the cause is, that the upstream is gone or that the disk is full, the registry says that there is no such image, or
//! that the error is unknown.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Context;
use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{
    http::{end_to_end, pass_on, refuse, serve},
    room::Room,
};

/// Why something could not be had, as far as that is known behind the registry. Copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<(Instant, String)>>>);

impl Trouble {
    /// Notes that something cannot be had now.
    pub(super) fn note(&self, why: String) {
        *self.last() = Some((Instant::now(), why));
    }

    /// What was noted last, if that was after `began`: it need not be about the same request, but about what all need.
    fn since(&self, began: Instant) -> Option<String> {
        self.last().as_ref().filter(|(at, _)| *at >= began).map(|(_, why)| why.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port that nodes ask, until it is dropped.
pub(super) struct Front {
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Desk {
    /// Asks the registry, whatever host a URL names.
    registry: reqwest::Client,
    room: Room,
    trouble: Trouble,
}

impl Front {
    /// Opens the port of a registry that has its cache where that room is.
    ///
    /// # Errors
    /// The port cannot be had.
    pub(super) async fn open(
        listen: SocketAddr,
        registry: reqwest::Client,
        room: Room,
        trouble: Trouble,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen at {listen}"))?;
        let desk = Arc::new(Desk { registry, room, trouble });
        Ok(Self { _task: serve(listener, Router::new().fallback(answer).with_state(desk)) })
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let began = Instant::now();
    let (Parts { method, uri, headers, .. }, _) = request.into_parts();
    let mut headers = end_to_end(&headers);
    headers.remove(header::HOST);
    let url = format!("http://registry{}", uri.path_and_query().map_or("/", |path| path.as_str()));
    let Ok(answer) = desk.registry.request(method, url).headers(headers).send().await else {
        return refuse(SHOWN, "the registry is being started: ask again");
    };
    let status = answer.status();
    let why = match status.is_client_error() || status.is_server_error() {
        true => desk.trouble.since(began).or_else(|| desk.room.lack().filter(|_| status.is_server_error())),
        false => None,
    };
    why.map_or_else(|| pass_on(answer), |why| refuse(SHOWN, &why))
}

/// Docker shows what an answer of this class says; of those above it, the number alone.
const SHOWN: StatusCode = StatusCode::FAILED_DEPENDENCY;

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn what_the_registry_cannot_know_is_said_instead_of_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("registry");
        let trouble = Trouble::default();
        let noting = trouble.clone();
        let troubled = move || {
            noting.note("the upstream is gone".to_owned());
            async { (StatusCode::NOT_FOUND, "no such image") }
        };
        let router = Router::new()
            .route("/v2/", get(|| async { "here" }))
            .route("/v2/nothing", get(|| async { (StatusCode::NOT_FOUND, "no such image") }))
            .route("/v2/troubled", get(troubled));
        let listener = UnixListener::bind(&socket).unwrap();
        let registry = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
        let _front = Front::open(port, client, Room::of(folder.path().to_owned()), trouble).await.unwrap();
        let ask = async |path: &str| {
            let answer = reqwest::get(format!("http://{port}/v2/{path}")).await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        };
        assert_eq!(ask("").await, (StatusCode::OK, "here".to_owned()));
        let (status, said) = ask("troubled").await;
        assert!(status == SHOWN && said.contains("the upstream is gone"), "{status} {said}");
        assert_eq!(ask("nothing").await, (StatusCode::NOT_FOUND, "no such image".to_owned()), "that is over");
        registry.abort();
        let mut last = ask("").await;
        while last.0 == StatusCode::OK {
            last = ask("").await;
        }
        assert!(last.1.contains("being started"), "{last:?}");
    }
}
