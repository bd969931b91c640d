//! Docker's remote drivers for networks and addresses, on a unix socket in the folder where Docker looks for plugins.
//!
//! ```text
//!   docker start ─▶ dockerd ─CreateEndpoint, Join─▶ here ─Request─▶ agent: interface, port
//!                   process starts ◀── answered when the network is there ──┘
//! ```
//!
//! It never asks Docker anything: Docker waits for the answer and would wait for ever.
//!
//! The agent's own containers say in an option of theirs which endpoint they are. Of those nothing is kept on disk: a call
//! about an endpoint of Docker's that was made before the agent started is refused if it wants a network (the container is
//! then started again, from the beginning), and granted if it gives one back, which the agent does by itself. Networks that
//! somebody else made with Docker, and their containers, are in a book that is on disk.
//!
//! | file | is for |
//! |---|---|
//! | `message.rs` | what Docker says, and is told |
//! | `plain.rs` | calls about networks that somebody else made with Docker |
//! | `book.rs` | which networks, addresses and endpoints those have (pure) |
//! | `compare.rs` | the book set against what Docker has (pure) |
//! | `shelf.rs` | the book on disk |
//! | `socket.rs` | the socket, whoever removes it |
//!
//! Source: the remote drivers' protocols, moby/libnetwork `docs/remote.md`, `docs/ipam.md`, `drivers/remote/api/api.go` and
//! `ipams/remote/api/api.go`.

mod book;
mod compare;
mod message;
mod plain;
mod shelf;
mod socket;

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{MatchedPath, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use ipnet::Ipv4Net;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot, watch};

use self::message::{
    Activated, Capabilities, CreateEndpoint, CreateNetwork, EndpointCreated, Interface, InterfaceName,
    Joined, OfEndpoint, Refusal,
};
pub use self::{
    book::{Due, Stage},
    shelf::{Shelf, now_ms},
};
use crate::runtime::{EndpointId, EndpointSpec, docker::LABEL};
use flowlib::types::MacAddr;
use weir_metrics::Counters;

/// What Docker wants of an endpoint; each is answered.
#[derive(Debug)]
pub enum Request {
    /// Which addresses it has, if it is to be there.
    Describe {
        /// The endpoint.
        endpoint: EndpointId,
        /// The addresses, or why there is no such endpoint.
        reply: oneshot::Sender<Result<Addresses, String>>,
    },
    /// An interface and a port for it.
    Attach {
        /// The endpoint.
        endpoint: EndpointId,
        /// Answered when they are there.
        reply: oneshot::Sender<Result<Attached, String>>,
    },
    /// That they be taken away.
    Detach {
        /// The endpoint.
        endpoint: EndpointId,
        /// Answered when they are gone.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// An interface and a port for an endpoint of Docker's own.
    AttachPlain {
        /// The endpoint.
        spec: Box<EndpointSpec>,
        /// Docker's id of it.
        docker: String,
        /// Answered when they are there.
        reply: oneshot::Sender<Result<Attached, String>>,
    },
    /// That the controller give one more endpoint.
    Lease {
        /// The network.
        network: String,
        /// Its address; `None`: any.
        address: Option<Ipv4Addr>,
        /// The endpoint, or why there is none.
        reply: oneshot::Sender<Result<EndpointSpec, String>>,
    },
    /// That the controller give an endpoint of Docker's own another MAC address.
    SetMac {
        /// The endpoint.
        endpoint: EndpointId,
        /// The address.
        mac: MacAddr,
        /// Answered when it is its.
        reply: oneshot::Sender<Result<EndpointSpec, String>>,
    },
}

/// An endpoint's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its IPv4 address, with the subnet's prefix length.
    pub address: Ipv4Net,
    /// Its hardware address.
    pub mac: MacAddr,
}

/// An interface that is plugged, for Docker to move into the container and to configure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name beside its other end.
    pub interface: String,
    /// The default route's next hop.
    pub gateway: Option<Ipv4Addr>,
}

/// Serves the drivers on a socket of that path for ever; `problem` is told why there is none.
pub async fn serve(
    socket: &Path,
    shelf: Shelf,
    requests: mpsc::Sender<Request>,
    calls: Counters,
    problem: watch::Sender<Option<String>>,
) {
    let router = router(shelf, requests).route_layer(middleware::from_fn_with_state(calls, count));
    socket::serve(socket, router, problem).await;
}

/// Counts a call by its method and how it ended.
async fn count(
    State(calls): State<Counters>,
    method: MatchedPath,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let outcome = if response.status().is_success() { "done" } else { "refused" };
    let method = method.as_str().trim_start_matches('/').to_owned();
    calls.get_or_create(&vec![("method", method), ("outcome", outcome.to_owned())]).inc();
    response
}

/// Endpoints as Docker names them, and ours.
#[derive(Clone, Debug)]
struct Driver {
    requests: mpsc::Sender<Request>,
    shelf: Shelf,
    known: Arc<Mutex<HashMap<String, EndpointId>>>,
}

type Answer<T> = Result<Json<T>, Refused>;

/// A refusal, in Docker's form.
#[derive(Debug)]
struct Refused(String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        // Docker reads the text of an error whatever the status; by 200 alone it tells success.
        (StatusCode::BAD_REQUEST, Json(Refusal { err: self.0 })).into_response()
    }
}

fn router(shelf: Shelf, requests: mpsc::Sender<Request>) -> Router {
    let driver = Driver { requests, shelf, known: Arc::default() };
    Router::new()
        .route("/Plugin.Activate", post(activate))
        .route("/NetworkDriver.GetCapabilities", post(capabilities))
        .route("/NetworkDriver.CreateNetwork", post(create_network))
        .route("/NetworkDriver.DeleteNetwork", post(plain::delete_network))
        .route("/NetworkDriver.CreateEndpoint", post(create_endpoint))
        .route("/NetworkDriver.EndpointOperInfo", post(oper_info))
        .route("/NetworkDriver.DeleteEndpoint", post(delete_endpoint))
        .route("/NetworkDriver.Join", post(join))
        .route("/NetworkDriver.Leave", post(leave))
        .route("/NetworkDriver.ProgramExternalConnectivity", post(nothing))
        .route("/NetworkDriver.RevokeExternalConnectivity", post(nothing))
        .route("/NetworkDriver.DiscoverNew", post(nothing))
        .route("/NetworkDriver.DiscoverDelete", post(nothing))
        .route("/IpamDriver.GetCapabilities", post(plain::address_capabilities))
        .route("/IpamDriver.GetDefaultAddressSpaces", post(plain::address_spaces))
        .route("/IpamDriver.RequestPool", post(plain::request_pool))
        .route("/IpamDriver.ReleasePool", post(plain::release_pool))
        .route("/IpamDriver.RequestAddress", post(plain::request_address))
        .route("/IpamDriver.ReleaseAddress", post(plain::release_address))
        .with_state(driver)
}

/// Docker names no content type: the body is read as what it is.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused(format!("the request is not understood: {error}")))
}

async fn activate() -> Json<impl Serialize> {
    Json(Activated { implements: ["NetworkDriver", "IpamDriver"] })
}

async fn capabilities() -> Json<impl Serialize> {
    Json(Capabilities { scope: "local", connectivity_scope: "global" })
}

async fn nothing() -> Json<impl Serialize> {
    Json(HashMap::<String, String>::new())
}

async fn create_network(State(driver): State<Driver>, body: Bytes) -> Answer<HashMap<String, String>> {
    let network: CreateNetwork = read(&body)?;
    if !network.is_managed() {
        driver.create_plain_network(&network).await?;
    }
    Ok(Json(HashMap::new()))
}

async fn create_endpoint(State(driver): State<Driver>, body: Bytes) -> Answer<EndpointCreated> {
    let request: CreateEndpoint = read(&body)?;
    if request.endpoint().is_none() && request.interface.as_ref().is_some_and(|own| !own.address.is_empty()) {
        return driver.create_plain_endpoint(request).await;
    }
    let endpoint = request.endpoint().ok_or_else(|| {
        Refused(format!("no endpoint of Weir's is named: containers of this network are made by `weir container create`, and bear the option {LABEL}"))
    })?;
    let addresses = driver.ask(|reply| Request::Describe { endpoint, reply }).await?;
    driver.known().insert(request.endpoint_id, endpoint);
    let interface =
        Interface { address: addresses.address.to_string(), mac_address: addresses.mac.to_string() };
    Ok(Json(EndpointCreated { interface }))
}

async fn oper_info() -> Json<impl Serialize> {
    Json(HashMap::from([("Value", HashMap::<String, String>::new())]))
}

async fn join(State(driver): State<Driver>, body: Bytes) -> Answer<Joined> {
    let request: OfEndpoint = read(&body)?;
    if let Some(joined) = driver.join_plain(&request.endpoint_id).await? {
        return Ok(Json(joined));
    }
    let endpoint = driver.find(&request.endpoint_id).ok_or_else(|| {
        Refused("the agent was started after the endpoint was made: start the container again".to_owned())
    })?;
    let Attached { interface, gateway } = driver.ask(|reply| Request::Attach { endpoint, reply }).await?;
    Ok(Json(joined(interface, gateway)))
}

fn joined(interface: String, gateway: Option<Ipv4Addr>) -> Joined {
    Joined {
        interface_name: InterfaceName { src_name: interface, dst_prefix: "eth" },
        gateway: gateway.map_or_else(String::new, |gateway| gateway.to_string()),
        // Else it would lead a way of its own out of a container that has no gateway.
        disable_gateway_service: true,
    }
}

async fn leave(State(driver): State<Driver>, body: Bytes) -> Answer<HashMap<String, String>> {
    let request: OfEndpoint = read(&body)?;
    driver.detach(&request.endpoint_id).await
}

async fn delete_endpoint(State(driver): State<Driver>, body: Bytes) -> Answer<HashMap<String, String>> {
    let request: OfEndpoint = read(&body)?;
    let detached = driver.detach(&request.endpoint_id).await;
    driver.known().remove(&request.endpoint_id);
    driver.shelf.note(|book, now_ms| book.unmake(&request.endpoint_id, now_ms));
    detached
}

impl Driver {
    fn known(&self) -> MutexGuard<'_, HashMap<String, EndpointId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, docker_id: &str) -> Option<EndpointId> {
        self.known().get(docker_id).copied()
    }

    async fn detach(&self, docker_id: &str) -> Answer<HashMap<String, String>> {
        if !self.leave_plain(docker_id).await?
            && let Some(endpoint) = self.find(docker_id)
        {
            self.ask(|reply| Request::Detach { endpoint, reply }).await?;
        }
        Ok(Json(HashMap::new()))
    }

    /// Asks the agent and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Request,
    ) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        let ending = || Refused("the agent is ending".to_owned());
        self.requests.send(request(reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?.map_err(Refused)
    }
}
