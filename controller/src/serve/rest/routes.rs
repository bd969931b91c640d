//! The one table of routes: which HTTP request is which call of the gRPC API, as `google.api.http` says it.

use axum::http::Method;

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// GET, POST, PUT, PATCH or DELETE.
    pub(super) verb: Verb,
    /// The path; what is in braces are fields of the resource in the body, or else of the request.
    pub(super) path: &'static str,
    /// The service and its method, in the package `weir.v1`.
    pub(super) call: (&'static str, &'static str),
    /// Which part of the request the body is. What is neither there nor in the path is in the query.
    pub(super) body: Body,
    /// What the answer looks like.
    pub(super) answer: Answer,
    /// The header that it takes besides those that all take.
    pub(super) takes: Takes,
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Changes nothing.
    Get,
    /// Makes something, or has something done.
    Post,
    /// Sets something to what is given.
    Put,
    /// Changes what is named, and leaves the rest.
    Patch,
    /// Takes something away.
    Delete,
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
        }
    }
}

/// Which part of the request an HTTP body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// The request itself, without what is in the path.
    Request,
    /// The resource in this field of it.
    Resource(&'static str),
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// One JSON document.
    One,
    /// One JSON document whose long part is this field, sent as it is read.
    List(&'static str),
    /// Server-sent events.
    Events,
    /// Bytes as they are, or a line for each text.
    Text,
}

/// A header that only some routes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// None.
    Nothing,
    /// `Idempotency-Key`.
    Key,
    /// `If-Match`.
    Revision,
    /// `Last-Event-ID`.
    LastEvent,
}

const fn get(path: &'static str, call: (&'static str, &'static str), answer: Answer) -> Route {
    Route { verb: Verb::Get, path, call, body: Body::None, answer, takes: Takes::Nothing }
}

const fn create(path: &'static str, call: (&'static str, &'static str), resource: &'static str) -> Route {
    let body = Body::Resource(resource);
    Route { verb: Verb::Post, path, call, body, answer: Answer::One, takes: Takes::Key }
}

const fn delete(path: &'static str, call: (&'static str, &'static str)) -> Route {
    let (verb, body) = (Verb::Delete, Body::None);
    Route { verb, path, call, body, answer: Answer::One, takes: Takes::Revision }
}

const fn act(verb: Verb, path: &'static str, call: (&'static str, &'static str)) -> Route {
    Route { verb, path, call, body: Body::Request, answer: Answer::One, takes: Takes::Revision }
}

/// All routes. `ExecContainer`, which needs a stream in either direction, and the services of the agents are not among them.
pub(super) const ROUTES: &[Route] = &[
    create("/v1/pools", ("Pools", "CreatePool"), "pool"),
    get("/v1/pools", ("Pools", "ListPools"), Answer::List("pools")),
    get("/v1/pools/{name}", ("Pools", "GetPool"), Answer::One),
    act(Verb::Patch, "/v1/pools/{name}", ("Pools", "UpdatePool")),
    delete("/v1/pools/{name}", ("Pools", "DeletePool")),
    get("/v1/networks", ("Networks", "ListNetworks"), Answer::List("networks")),
    create("/v1/pools/{pool}/networks", ("Networks", "CreateNetwork"), "network"),
    get("/v1/pools/{pool}/networks", ("Networks", "ListNetworks"), Answer::List("networks")),
    get("/v1/pools/{pool}/networks/{name}", ("Networks", "GetNetwork"), Answer::One),
    delete("/v1/pools/{pool}/networks/{name}", ("Networks", "DeleteNetwork")),
    get("/v1/nodes", ("Nodes", "ListNodes"), Answer::List("nodes")),
    get("/v1/pools/{pool}/nodes", ("Nodes", "ListNodes"), Answer::List("nodes")),
    get("/v1/pools/{pool}/nodes/{name}", ("Nodes", "GetNode"), Answer::One),
    delete("/v1/pools/{pool}/nodes/{name}", ("Nodes", "DeleteNode")),
    act(Verb::Put, "/v1/pools/{pool}/nodes/{name}/scheduling", ("Nodes", "SetNodeScheduling")),
    plainly(act(Verb::Post, "/v1/pools/{pool}/nodes/{name}/revoke", ("Nodes", "RevokeNode"))),
    get("/v1/pools/{pool}/nodes/{name}/check", ("Nodes", "CheckNode"), Answer::One),
    get("/v1/pools/{pool}/nodes/{name}/flows", ("Nodes", "ListNodeFlows"), Answer::Text),
    get("/v1/containers", ("Containers", "ListContainers"), Answer::List("containers")),
    create("/v1/pools/{pool}/containers", ("Containers", "CreateContainer"), "container"),
    get("/v1/pools/{pool}/containers", ("Containers", "ListContainers"), Answer::List("containers")),
    get("/v1/pools/{pool}/containers/{name}", ("Containers", "GetContainer"), Answer::One),
    delete("/v1/pools/{pool}/containers/{name}", ("Containers", "DeleteContainer")),
    act(Verb::Post, "/v1/pools/{pool}/containers/{name}/start", ("Containers", "StartContainer")),
    act(Verb::Post, "/v1/pools/{pool}/containers/{name}/stop", ("Containers", "StopContainer")),
    act(Verb::Post, "/v1/pools/{pool}/containers/{name}/move", ("Containers", "MoveContainer")),
    get("/v1/pools/{pool}/containers/{name}/log", ("Containers", "LogContainer"), Answer::Text),
    get("/v1/stats", ("Containers", "StatContainers"), Answer::Events),
    get("/v1/pools/{pool}/stats", ("Containers", "StatContainers"), Answer::Events),
    plainly(create("/v1/pools/{pool}/preview", ("Containers", "PreviewContainer"), "container")),
    get("/v1/services", ("Services", "ListServices"), Answer::List("services")),
    create("/v1/pools/{pool}/services", ("Services", "CreateService"), "service"),
    get("/v1/pools/{pool}/services", ("Services", "ListServices"), Answer::List("services")),
    get("/v1/pools/{pool}/services/{name}", ("Services", "GetService"), Answer::One),
    delete("/v1/pools/{pool}/services/{name}", ("Services", "DeleteService")),
    act(Verb::Put, "/v1/pools/{pool}/services/{name}/replicas", ("Services", "ScaleService")),
    act(Verb::Put, "/v1/pools/{pool}/services/{name}/image", ("Services", "UpdateService")),
    act(Verb::Post, "/v1/pools/{pool}/services/{name}/rollback", ("Services", "RollbackService")),
    get("/v1/volumes", ("Volumes", "ListVolumes"), Answer::List("volumes")),
    get("/v1/pools/{pool}/volumes", ("Volumes", "ListVolumes"), Answer::List("volumes")),
    get("/v1/pools/{pool}/volumes/{name}", ("Volumes", "GetVolume"), Answer::One),
    delete("/v1/pools/{pool}/volumes/{name}", ("Volumes", "DeleteVolume")),
    watch("/v1/watch", ("Containers", "WatchContainers")),
    watch("/v1/pools/{pool}/watch", ("Containers", "WatchContainers")),
    get("/v1/events", ("Containers", "WatchEvents"), Answer::Events),
    get("/v1/pools/{pool}/events", ("Containers", "WatchEvents"), Answer::Events),
    get("/v1/status", ("Status", "GetStatus"), Answer::One),
    get("/v1/pools/{pool}/status", ("Status", "GetStatus"), Answer::One),
    plainly(act(Verb::Post, "/v1/tokens", ("Tokens", "CreateToken"))),
    get("/v1/tokens", ("Tokens", "ListTokens"), Answer::List("tokens")),
    plainly(act(Verb::Post, "/v1/pools/{pool}/tokens", ("Tokens", "CreateToken"))),
    get("/v1/pools/{pool}/tokens", ("Tokens", "ListTokens"), Answer::List("tokens")),
    plainly(delete("/v1/tokens/{id}", ("Tokens", "RevokeToken"))),
];

/// One that takes no header of its own.
const fn plainly(route: Route) -> Route {
    Route { takes: Takes::Nothing, ..route }
}

const fn watch(path: &'static str, call: (&'static str, &'static str)) -> Route {
    Route { takes: Takes::LastEvent, ..get(path, call, Answer::Events) }
}
