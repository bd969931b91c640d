//! Lets requests in: the one layer before all services. It says who asks ([`Access::caller`]), what the request needs, and
//! has [`decide`] decide; what is behind it is for the caller, and asks no more.
//!
//! What a request needs is known by its method, and of which pool by its first message: that is read here, and passed on as
//! it came. Where none is named, a pool's user gets that pool put in. A method that is not known here, and what is not
//! gRPC, is for administrators. Requests by HTTP and JSON have become gRPC's when they come here (`rest`).

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;
use futures::{StreamExt, stream};
use prost::Message;
use tonic::Status;
use weir_api::v1::{AgentMessage, ListPoolsRequest, Register, agent_message};

use super::rest;
use crate::access::{Access, Caller, Need, Peer, Refused, decide};

/// Bytes of a first message, at most; the services take no larger ones.
const MAX_MESSAGE: usize = 4 << 20;
/// Before each message: whether it is compressed, and its length. Source: gRPC over HTTP/2, Length-Prefixed-Message.
const PREFIX: usize = 5;

/// The layer.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    match admit(&access, request).await {
        Ok(request) => next.run(request).await,
        Err(status) if is_grpc => status.into_http(),
        Err(status) => rest::refused(status),
    }
}

async fn admit(access: &Access, request: Request) -> Result<Request, Status> {
    let peer = request.extensions().get().cloned().unwrap_or(Peer::Tls(Ok(None)));
    let caller = access.caller(&peer, bearer(request.headers())?).map_err(refusal)?;
    let mut request = check(&caller, request).await?;
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// The token that a request bears. Source: RFC 6750 §2.1.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(Status::unauthenticated("`authorization` must be `Bearer TOKEN`"))
    }
}

/// What a method's requests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing, or what they bring themselves.
    Nothing,
    /// To be a user of the pool that is the message's first field.
    Pool,
    /// To be a user of the pool that is the first field of the message's first field.
    InnerPool,
    /// To be a user of the pool of which alone the list is to be.
    PoolList,
    /// To be a user of any pool.
    User,
    /// To rule the controller.
    Admin,
    /// To be the node that the first message, which registers it, names.
    Node,
    /// To be the node that the message names: its pool is the first field, and its name the second.
    NodeCall,
    /// To be a node; whoever rules the controller may be one without a certificate.
    Agent,
    /// To be a node that shows its certificate.
    AnyNode,
}

/// The rule of a gRPC method.
fn rule(path: &str) -> Rule {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return Rule::Admin };
    match (service, method) {
        ("weir.v1.Enrolment", "Join") | ("grpc.health.v1.Health", _) => Rule::Nothing,
        ("grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection", _) => Rule::User,
        ("weir.v1.Enrolment", "Renew" | "Leave") => Rule::AnyNode,
        ("weir.v1.Agents", "Attach") => Rule::Node,
        ("weir.v1.Agents", "LeaseEndpoint" | "SetEndpointMac" | "ReleaseEndpoint") => Rule::NodeCall,
        ("weir.v1.Agents", "RelayExec" | "RelayLog" | "RelayStats" | "RelayVolume") => Rule::Agent,
        ("weir.v1.Pools", "ListPools") => Rule::PoolList,
        ("weir.v1.Pools", "GetPool") | ("weir.v1.Status", "GetStatus") => Rule::Pool,
        ("weir.v1.Networks", "CreateNetwork")
        | ("weir.v1.Services", "CreateService")
        | ("weir.v1.Containers", "CreateContainer" | "PreviewContainer" | "ExecContainer") => Rule::InnerPool,
        (
            "weir.v1.Networks" | "weir.v1.Nodes" | "weir.v1.Containers" | "weir.v1.Services"
            | "weir.v1.Volumes",
            _,
        ) => Rule::Pool,
        _ => Rule::Admin,
    }
}

/// A message of which only the first field, a pool, is of interest. It is read as the services read it: the last one counts.
#[derive(Clone, PartialEq, Message)]
struct OfPool {
    #[prost(string, tag = "1")]
    pool: String,
}

/// A message of which only the first two fields, a pool and a node, are of interest.
#[derive(Clone, PartialEq, Message)]
struct OfNode {
    #[prost(string, tag = "1")]
    pool: String,
    #[prost(string, tag = "2")]
    node: String,
}

/// A message whose first field is a message of a pool.
#[derive(Clone, PartialEq, Message)]
struct Around {
    #[prost(message, optional, tag = "1")]
    inner: Option<OfPool>,
}

async fn check(caller: &Caller, request: Request) -> Result<Request, Status> {
    let path = request.uri().path();
    let is_grpc = request.headers().get(CONTENT_TYPE);
    if is_grpc.is_none_or(|value| !value.as_bytes().starts_with(b"application/grpc")) {
        decide(caller, Need::Admin).map_err(refusal)?;
        return Ok(request);
    }
    let rule = rule(path);
    let need = match rule {
        Rule::Nothing => Need::Nothing,
        Rule::User => Need::Pool(""),
        Rule::Admin => Need::Admin,
        Rule::AnyNode => Need::AnyNode,
        // Nobody else's requests need be read.
        Rule::Agent | Rule::Node | Rule::NodeCall | Rule::Pool | Rule::PoolList | Rule::InnerPool
            if *caller == Caller::Admin =>
        {
            Need::Admin
        }
        Rule::Agent => Need::AnyNode,
        Rule::Node | Rule::NodeCall | Rule::Pool | Rule::PoolList | Rule::InnerPool => {
            return check_message(caller, rule, request).await;
        }
    };
    decide(caller, need).map_err(refusal)?;
    Ok(request)
}

async fn check_message(caller: &Caller, rule: Rule, request: Request) -> Result<Request, Status> {
    if *caller == Caller::Nobody {
        let is_nodes = matches!(rule, Rule::Node | Rule::NodeCall);
        decide(caller, if is_nodes { Need::AnyNode } else { Need::Pool("") }).map_err(refusal)?;
    }
    let (parts, body) = request.into_parts();
    let mut first = First::read(body).await?;
    let message = first.message();
    if let Some(OfNode { pool, node }) = node_of(rule, message)? {
        decide(caller, Need::Node { pool: &pool, node: &node }).map_err(refusal)?;
        return Ok(Request::from_parts(parts, first.into_body()));
    }
    let pool = match rule {
        Rule::Pool => OfPool::decode(message).map_err(unreadable)?.pool,
        Rule::PoolList => ListPoolsRequest::decode(message).map_err(unreadable)?.name,
        _ => Around::decode(message).map_err(unreadable)?.inner.unwrap_or_default().pool,
    };
    decide(caller, Need::Pool(&pool)).map_err(refusal)?;
    if let (true, Caller::Pool(own)) = (pool.is_empty(), caller) {
        let own = OfPool { pool: own.clone() };
        first.append(&match rule {
            Rule::Pool => own.encode_to_vec(),
            Rule::PoolList => {
                ListPoolsRequest { name: own.pool, ..ListPoolsRequest::default() }.encode_to_vec()
            }
            // What is there of that message already, it is added to.
            _ => Around { inner: Some(own) }.encode_to_vec(),
        });
    }
    Ok(Request::from_parts(parts, first.into_body()))
}

/// The node that a message speaks for, if its rule is about that.
fn node_of(rule: Rule, message: &[u8]) -> Result<Option<OfNode>, Status> {
    Ok(Some(match rule {
        Rule::Node => match AgentMessage::decode(message).map_err(unreadable)?.message {
            Some(agent_message::Message::Register(Register { pool, name, .. })) => {
                OfNode { pool, node: name }
            }
            _ => return Err(Status::invalid_argument("the first message of an agent must be `register`")),
        },
        Rule::NodeCall => OfNode::decode(message).map_err(unreadable)?,
        _ => return Ok(None),
    }))
}

fn unreadable(error: prost::DecodeError) -> Status {
    Status::invalid_argument(format!("the message cannot be read: {error}"))
}

/// A body whose first message has been read.
struct First {
    bytes: Vec<u8>,
    end: usize,
    rest: BodyDataStream,
}

impl First {
    async fn read(body: Body) -> Result<Self, Status> {
        let mut rest = body.into_data_stream();
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = end_of_first(&bytes)? {
                return Ok(Self { bytes, end, rest });
            }
            match rest.next().await {
                Some(Ok(more)) => bytes.extend_from_slice(&more),
                Some(Err(error)) => return Err(Status::cancelled(error.to_string())),
                None => return Err(Status::invalid_argument("the request has no message")),
            }
        }
    }

    fn message(&self) -> &[u8] {
        &self.bytes[PREFIX..self.end]
    }

    /// Adds fields at the message's end, where they take precedence.
    fn append(&mut self, fields: &[u8]) {
        self.bytes.splice(self.end..self.end, fields.iter().copied());
        self.end += fields.len();
        let len = u32::try_from(self.end - PREFIX).expect("it is far below 4 GiB").to_be_bytes();
        self.bytes[1..PREFIX].copy_from_slice(&len);
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::once(async { Ok(Bytes::from(self.bytes)) }).chain(self.rest))
    }
}

/// Where the first message ends; `None` if it is not whole yet.
fn end_of_first(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let Some((&[compressed, a, b, c, d], _)) = bytes.split_first_chunk::<PREFIX>() else { return Ok(None) };
    if compressed != 0 {
        return Err(Status::unimplemented("compressed messages are not taken"));
    }
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if len > MAX_MESSAGE {
        return Err(Status::out_of_range(format!(
            "a message of {len} bytes is too long: {MAX_MESSAGE} is the most"
        )));
    }
    Ok(Some(PREFIX + len).filter(|end| bytes.len() >= *end))
}

fn refusal(refused: Refused) -> Status {
    let message = refused.to_string();
    match refused {
        Refused::Unauthenticated(_) => Status::unauthenticated(message),
        Refused::Denied(_) => Status::permission_denied(message),
        Refused::Hidden(_) => Status::not_found(message),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
    use weir_api::v1::{self, exec_container_request};

    use super::*;

    fn grpc(path: &str, message: &impl Message) -> Request {
        let message = message.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
        // In pieces, as they may come.
        let pieces: Vec<_> =
            bytes.chunks(3).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let request = Request::post(path).header(CONTENT_TYPE, "application/grpc");
        request.body(Body::from_stream(stream::iter(pieces))).unwrap()
    }

    async fn passed<M: Message + Default>(path: &str, message: M) -> Result<M, tonic::Code> {
        let caller = Caller::Pool("p".to_owned());
        let request = check(&caller, grpc(path, &message)).await.map_err(|status| status.code())?;
        let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        assert_eq!(end_of_first(&bytes).unwrap(), Some(bytes.len()));
        Ok(M::decode(&bytes[PREFIX..]).unwrap())
    }

    #[tokio::test]
    async fn a_pools_user_reaches_that_pool_only_whatever_the_message() {
        let text = str::to_owned;
        for (pool, is) in [("p", Ok(())), ("q", Err(tonic::Code::NotFound))] {
            let network = v1::Network { pool: text(pool), name: text("n"), ..Default::default() };
            let create = v1::CreateNetworkRequest { network: Some(network) };
            assert_eq!(passed("/weir.v1.Networks/CreateNetwork", create).await.map(drop), is);
            let container = v1::Container { pool: text(pool), ..Default::default() };
            let create = v1::CreateContainerRequest { container: Some(container.clone()), wait: true };
            assert_eq!(passed("/weir.v1.Containers/CreateContainer", create).await.map(drop), is);
            let preview = v1::PreviewContainerRequest { container: Some(container) };
            assert_eq!(passed("/weir.v1.Containers/PreviewContainer", preview).await.map(drop), is);
            let start = v1::ExecStart { pool: text(pool), ..Default::default() };
            let exec =
                v1::ExecContainerRequest { request: Some(exec_container_request::Request::Start(start)) };
            assert_eq!(passed("/weir.v1.Containers/ExecContainer", exec).await.map(drop), is);
            let get = v1::GetContainerRequest { pool: text(pool), name: text("c") };
            assert_eq!(passed("/weir.v1.Containers/GetContainer", get).await.map(drop), is);
            let get = v1::GetPoolRequest { name: text(pool) };
            assert_eq!(passed("/weir.v1.Pools/GetPool", get).await.map(drop), is);
            let service = v1::Service { pool: text(pool), ..Default::default() };
            let create = v1::CreateServiceRequest { service: Some(service) };
            assert_eq!(passed("/weir.v1.Services/CreateService", create).await.map(drop), is);
            let scale = v1::ScaleServiceRequest { pool: text(pool), name: text("s"), replicas: 2 };
            assert_eq!(passed("/weir.v1.Services/ScaleService", scale).await.map(drop), is);
            let delete = v1::DeleteVolumeRequest { pool: text(pool), name: text("v") };
            assert_eq!(passed("/weir.v1.Volumes/DeleteVolume", delete).await.map(drop), is);
            let revoke = v1::RevokeNodeRequest { pool: text(pool), name: text("n1") };
            assert_eq!(passed("/weir.v1.Nodes/RevokeNode", revoke).await.map(drop), is);
        }
    }

    #[tokio::test]
    async fn who_names_no_pool_gets_the_own_one() {
        let list = passed("/weir.v1.Services/ListServices", v1::ListServicesRequest::default()).await;
        assert_eq!(list.map(|list| list.pool), Ok("p".to_owned()));
        let list = passed("/weir.v1.Nodes/ListNodes", v1::ListNodesRequest::default()).await;
        assert_eq!(list.map(|list| list.pool), Ok("p".to_owned()));
        let list = passed("/weir.v1.Pools/ListPools", v1::ListPoolsRequest::default()).await;
        assert_eq!(list.map(|list| list.name), Ok("p".to_owned()));
        let list = v1::ListContainersRequest { network: "n".to_owned(), ..Default::default() };
        let list = passed("/weir.v1.Containers/ListContainers", list).await.unwrap();
        assert_eq!((list.pool.as_str(), list.network.as_str()), ("p", "n"));
        let container = v1::Container { name: "c".to_owned(), ..Default::default() };
        let create = v1::CreateContainerRequest { container: Some(container), wait: true };
        let create = passed("/weir.v1.Containers/CreateContainer", create).await.unwrap();
        let container = create.container.unwrap();
        assert_eq!((container.pool.as_str(), container.name.as_str(), create.wait), ("p", "c", true));
        let start = v1::ExecStart { name: "c".to_owned(), ..Default::default() };
        let exec = v1::ExecContainerRequest { request: Some(exec_container_request::Request::Start(start)) };
        let exec = passed("/weir.v1.Containers/ExecContainer", exec).await.unwrap();
        let Some(exec_container_request::Request::Start(start)) = exec.request else { panic!("{exec:?}") };
        assert_eq!((start.pool.as_str(), start.name.as_str()), ("p", "c"));
    }

    #[tokio::test]
    async fn of_a_pool_that_is_named_twice_the_last_one_counts() {
        let mut message = v1::GetNodeRequest { pool: "p".to_owned(), name: "n".to_owned() }.encode_to_vec();
        message.extend(v1::GetNodeRequest { pool: "q".to_owned(), name: String::new() }.encode_to_vec());
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
        let request = Request::post("/weir.v1.Nodes/GetNode").header(CONTENT_TYPE, "application/grpc");
        let request = request.body(Body::from(bytes)).unwrap();
        let refused = check(&Caller::Pool("p".to_owned()), request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::NotFound);
    }

    #[tokio::test]
    async fn what_is_an_administrators_or_not_known_is_nobody_elses() {
        for path in
            ["/weir.v1.Pools/CreatePool", "/weir.v1.Tokens/CreateToken", "/weir.v1.Later/Anything", "/x"]
        {
            let denied = passed(path, v1::GetPoolRequest { name: "p".to_owned() }).await.map(drop);
            assert_eq!(denied, Err(tonic::Code::PermissionDenied), "{path}");
            let request = grpc(path, &v1::GetPoolRequest::default());
            let refused = check(&Caller::Nobody, request).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{path}");
        }
    }

    /// Where a request has its pool is a matter of field numbers: of another number it would be read as no pool at all.
    #[test]
    fn each_request_has_its_pool_where_it_is_looked_for() {
        let is = |message: &MessageDescriptor, number, name: &str| {
            let field = message.get_field(number);
            field.is_some_and(|field| field.name() == name && field.kind() == Kind::String)
        };
        let inner = |message: &MessageDescriptor| message.get_field(1)?.kind().as_message().cloned();
        let known = DescriptorPool::decode(weir_api::DESCRIPTORS).unwrap();
        for method in known.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let (input, rule) = (method.input(), rule(&path));
            let is_there = match rule {
                Rule::Pool => is(&input, 1, if path.contains("Pools/") { "name" } else { "pool" }),
                Rule::PoolList => input == known.get_message_by_name("weir.v1.ListPoolsRequest").unwrap(),
                Rule::InnerPool => inner(&input).is_some_and(|inner| is(&inner, 1, "pool")),
                Rule::Node => inner(&input).is_some_and(|inner| inner.name() == "Register"),
                Rule::NodeCall => is(&input, 1, "pool") && is(&input, 2, "node"),
                Rule::Nothing | Rule::User | Rule::Agent | Rule::AnyNode => {
                    input.get_field_by_name("pool").is_none()
                }
                Rule::Admin => true,
            };
            assert!(is_there, "{path}: {rule:?}");
        }
    }

    #[tokio::test]
    async fn an_agent_asks_for_endpoints_of_its_own_node_only() {
        let name = crate::access::NodeName { pool: "p".to_owned(), node: "n1".to_owned(), number: Some(1) };
        let own = Caller::Node(name);
        for (pool, node, may) in [("p", "n1", true), ("p", "n2", false), ("q", "n1", false), ("", "", false)]
        {
            let (pool, node) = (pool.to_owned(), node.to_owned());
            let lease = v1::LeaseEndpointRequest {
                pool: pool.clone(),
                node: node.clone(),
                network: "net".to_owned(),
                ..Default::default()
            };
            let mac = "02:42:00:00:00:07".to_owned();
            let mac =
                v1::SetEndpointMacRequest { pool: pool.clone(), node: node.clone(), endpoint_id: 7, mac };
            let release = v1::ReleaseEndpointRequest { pool, node, endpoint_id: 7 };
            let requests: [&dyn Fn() -> Request; 3] = [
                &|| grpc("/weir.v1.Agents/LeaseEndpoint", &lease),
                &|| grpc("/weir.v1.Agents/SetEndpointMac", &mac),
                &|| grpc("/weir.v1.Agents/ReleaseEndpoint", &release),
            ];
            for request in requests {
                assert_eq!(check(&own, request()).await.is_ok(), may, "{:?}", request().uri());
                let user = check(&Caller::Pool("p".to_owned()), request()).await.unwrap_err();
                assert_eq!(user.code(), tonic::Code::PermissionDenied, "it is for nodes");
                let nobody = check(&Caller::Nobody, request()).await.unwrap_err();
                assert_eq!(nobody.code(), tonic::Code::Unauthenticated);
                assert!(check(&Caller::Admin, request()).await.is_ok());
            }
        }
    }

    #[tokio::test]
    async fn an_agent_registers_its_own_node_only() {
        let name = crate::access::NodeName { pool: "p".to_owned(), node: "n1".to_owned(), number: Some(1) };
        for (pool, node, may) in [("p", "n1", true), ("p", "n2", false), ("q", "n1", false)] {
            let register =
                v1::Register { pool: pool.to_owned(), name: node.to_owned(), ..Default::default() };
            let register = v1::agent_message::Message::Register(register);
            let request = grpc("/weir.v1.Agents/Attach", &v1::AgentMessage { message: Some(register) });
            let checked = check(&Caller::Node(name.clone()), request).await;
            assert_eq!(checked.is_ok(), may, "{pool}/{node}");
        }
    }
}
