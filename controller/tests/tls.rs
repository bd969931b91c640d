//! The real binary over TLS, with a real Open vSwitch: how nodes join, act and are thrown out, and what users' tokens open.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod binary;
mod support;
mod switch;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use binary::{BINARY, Controller};
use flowlib::types::DatapathId;
use rcgen::{CertificateParams, KeyPair};
use support::http::{Answer, Http};
use support::{PATIENCE, register, vlan};
use switch::Switch;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;
use weir_api::tls::{self, Fingerprint, Identity, Trust};
use weir_api::token::Token as Secret;
use weir_api::v1::agents_client::AgentsClient;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::enrolment_client::EnrolmentClient;
use weir_api::v1::networks_client::NetworksClient;
use weir_api::v1::nodes_client::NodesClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::status_client::StatusClient;
use weir_api::v1::tokens_client::TokensClient;
use weir_api::v1::*;

/// A controller that serves TLS beside its socket, with the pools `p` and `q`.
struct World {
    dir: tempfile::TempDir,
    _controller: Controller,
    api: SocketAddr,
    plain: SocketAddr,
    openflow: SocketAddr,
    /// By the socket: whoever can open that rules.
    admin: Channel,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl World {
    async fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (api, plain, openflow) = (free(), free(), free());
        let mut command = Command::new(BINARY);
        command.args(["--data-dir".as_ref(), dir.path().as_os_str()]);
        command.arg(format!("--listen=tls:{api}")).arg(format!("--listen={plain}"));
        command.args(["--openflow", &format!("tls:{openflow}")]).args(more);
        command.stderr(std::fs::File::create(dir.path().join("log")).unwrap());
        let controller = Controller::start_as(command, dir.path()).await;
        let admin = controller.channel().await;
        for name in ["p", "q"] {
            let pool = Pool { name: name.to_owned(), ..Pool::default() };
            let create = CreatePoolRequest { pool: Some(pool) };
            PoolsClient::new(admin.clone()).create_pool(create).await.unwrap();
        }
        Self { dir, _controller: controller, api, plain, openflow, admin }
    }

    async fn token(&self, pool: &str, role: token::Role, ttl_s: u64, uses: u32) -> CreateTokenResponse {
        let (pool, description) = (pool.to_owned(), String::new());
        let request = CreateTokenRequest { pool, role: role.into(), ttl_s, uses, description };
        TokensClient::new(self.admin.clone()).create_token(request).await.unwrap().into_inner()
    }

    async fn join_token(&self, uses: u32) -> Secret {
        self.token("p", token::Role::Join, 0, uses).await.secret.parse().unwrap()
    }

    async fn try_connect(
        &self,
        trust: Trust,
        identity: Option<Identity>,
    ) -> Result<Channel, tonic::transport::Error> {
        let config = tls::client(&trust, identity).unwrap();
        tls::connect(Endpoint::from_static("http://controller"), self.api.to_string(), config).await
    }

    async fn connect(&self, authority: Fingerprint, identity: Option<Identity>) -> Channel {
        self.try_connect(Trust::Fingerprint(authority), identity).await.unwrap()
    }

    async fn join(&self, token: &Secret, node: &str, key: &KeyPair) -> Result<Certificate, Status> {
        let channel = self.connect(token.authority, None).await;
        let (token, node) = (token.to_string(), node.to_owned());
        let request = JoinRequest { token, node, signing_request: signing_request(key) };
        EnrolmentClient::new(channel).join(request).await.map(tonic::Response::into_inner)
    }

    /// A channel that shows a node's certificate.
    async fn as_node(&self, certificate: &Certificate, key: &KeyPair) -> Channel {
        let trust = Trust::from_pem(certificate.authority.as_bytes()).unwrap();
        self.try_connect(trust, Some(identity(certificate, key))).await.unwrap()
    }

    async fn node(&self, name: &str) -> Node {
        let request = GetNodeRequest { pool: "p".to_owned(), name: name.to_owned() };
        NodesClient::new(self.admin.clone()).get_node(request).await.unwrap().into_inner()
    }

    /// Waits until a node's status is so.
    async fn until(&self, name: &str, is: impl Fn(&NodeStatus) -> bool) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            while !self.node(name).await.status.is_some_and(|status| is(&status)) {
                tick.tick().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, wait).await;
        assert!(in_time.is_ok(), "{:?}\n{}", self.node(name).await, self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

fn signing_request(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

fn identity(certificate: &Certificate, key: &KeyPair) -> Identity {
    Identity::from_pem(certificate.certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

/// What the agent of a node of `p` that has joined says of it.
fn own(name: &str, number: u64) -> Register {
    Register { datapath_id: DatapathId::of_node("p", name).0, ..register("p", name, number) }
}

async fn attach(
    channel: &Channel,
    register: Register,
) -> Result<(mpsc::Sender<AgentMessage>, Streaming<ControllerMessage>), Status> {
    let (say, messages) = mpsc::channel(4);
    let register = agent_message::Message::Register(register);
    say.send(AgentMessage { message: Some(register) }).await.unwrap();
    let hear = AgentsClient::new(channel.clone()).attach(ReceiverStream::new(messages)).await?;
    Ok((say, hear.into_inner()))
}

#[track_caller]
fn refused<T>(result: Result<T, Status>, code: Code, why: &str) {
    let Err(status) = result else { panic!("not refused: {why}") };
    assert!(status.code() == code && status.message().contains(why), "{status:?}, not {why}");
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test]
async fn a_node_joins_acts_for_itself_only_renews_and_is_thrown_out() {
    let world = World::start(&[]).await;
    let token = world.join_token(1).await;
    let key = KeyPair::generate().unwrap();
    let certificate = world.join(&token, "n1", &key).await.unwrap();
    assert_eq!((certificate.pool.as_str(), certificate.node.as_str()), ("p", "n1"));
    // An answer that was lost is asked for again; another key is another node.
    world.join(&token, "n1", &key).await.unwrap();
    let other = KeyPair::generate().unwrap();
    refused(world.join(&token, "n1", &other).await, Code::AlreadyExists, "has joined the pool `p`");
    refused(world.join(&token, "n2", &other).await, Code::Unauthenticated, "used up");

    let channel = world.as_node(&certificate, &key).await;
    refused(attach(&channel, register("p", "n2", 2)).await, Code::PermissionDenied, "no other node");
    refused(attach(&channel, register("q", "n1", 2)).await, Code::PermissionDenied, "no other node");
    let list = NodesClient::new(channel.clone()).list_nodes(ListNodesRequest::default()).await;
    refused(list, Code::PermissionDenied, "that is for users");
    let unseen = world.node("n1").await;
    assert_eq!((unseen.id, unseen.admission()), (0, node::Admission::Admitted));
    let anothers = Register { datapath_id: DatapathId::of_node("q", "n1").0, ..own("n1", 1) };
    refused(attach(&channel, anothers).await, Code::PermissionDenied, "the datapath id of the node `n1`");
    let (_say, mut hear) = attach(&channel, own("n1", 1)).await.unwrap();
    let Some(controller_message::Message::Registered(registered)) =
        hear.message().await.unwrap().unwrap().message
    else {
        panic!("not registered");
    };
    assert_eq!(registered.openflow_targets, [format!("ssl:{}", world.openflow)]);

    let new = KeyPair::generate().unwrap();
    let renew = RenewRequest { signing_request: signing_request(&new) };
    let renewed = EnrolmentClient::new(channel).renew(renew).await.unwrap().into_inner();
    let renewed_channel = world.as_node(&renewed, &new).await;
    world.until("n1", |status| status.agent_connected).await;
    assert_eq!(world.node("n1").await.admission(), node::Admission::Admitted);

    let revoke = RevokeNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    let revoked = NodesClient::new(world.admin.clone()).revoke_node(revoke).await.unwrap().into_inner();
    assert_eq!(revoked.token, token.id);
    refused(world.join(&token, "n9", &other).await, Code::Unauthenticated, "not known");
    let end = async { while hear.message().await.is_ok_and(|message| message.is_some()) {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the open stream is cut");
    world.until("n1", |status| !status.agent_connected).await;
    assert_eq!(world.node("n1").await.admission(), node::Admission::Revoked);
    for (certificate, key) in [(&certificate, &key), (&renewed, &new)] {
        let channel = world.as_node(certificate, key).await;
        refused(attach(&channel, register("p", "n1", 1)).await, Code::Unauthenticated, "revoked");
        let renew = RenewRequest { signing_request: signing_request(key) };
        refused(EnrolmentClient::new(channel).renew(renew).await, Code::Unauthenticated, "revoked");
    }
    refused(attach(&world.admin, register("p", "n1", 1)).await, Code::PermissionDenied, "revoked");
    drop(renewed_channel);

    let again = world.join(&world.join_token(0).await, "n1", &key).await.unwrap();
    let channel = world.as_node(&again, &key).await;
    attach(&channel, own("n1", 1)).await.unwrap();
}

#[tokio::test]
async fn a_switch_connects_with_its_own_nodes_certificate_only_and_is_cut_with_it() {
    let world = World::start(&[]).await;
    let token = world.join_token(0).await;
    let mut keys = Vec::new();
    for (node, number) in [("n1", 1), ("n2", 2)] {
        let key = KeyPair::generate().unwrap();
        let certificate = world.join(&token, node, &key).await.unwrap();
        let channel = world.as_node(&certificate, &key).await;
        let (say, hear) = attach(&channel, own(node, number)).await.unwrap();
        keys.push((key, certificate, say, hear));
    }
    let target = format!("ssl:{}", world.openflow);
    let Some(switch) = Switch::start_as(&target, DatapathId::of_node("p", "n1")) else { return };
    let show = |n: usize| {
        let (key, certificate, ..) = &keys[n];
        let file = |name: &str, text: &str| {
            let path = switch.dir.path().join(format!("{n}-{name}"));
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (key, certificate) = (file("key", &key.serialize_pem()), file("cert", &certificate.certificate));
        let ca = file("ca", &keys[n].1.authority);
        switch.vsctl(&format!("set-ssl {key} {certificate} {ca}"));
    };
    show(1);
    let refused = |status: &GetStatusResponse| {
        status
            .problems
            .iter()
            .any(|problem| problem.reason == "NotAdmitted" && problem.message.contains("`n2`"))
    };
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let mut statuses = StatusClient::new(world.admin.clone());
    let wait = async {
        while !refused(statuses.get_status(GetStatusRequest::default()).await.unwrap().get_ref()) {
            tick.tick().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, wait).await;
    assert!(in_time.is_ok(), "another node's certificate is refused, and told: {}", world.log());
    assert!(!world.node("n1").await.status.unwrap().switch_connected);

    show(0);
    world.until("n1", |status| status.switch_connected && status.in_sync).await;
    assert!(switch.flows().lines().count() > 5, "it has the pool's flows");

    let revoke = RevokeNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    NodesClient::new(world.admin.clone()).revoke_node(revoke).await.unwrap();
    world.until("n1", |status| !status.switch_connected).await;
}

#[tokio::test]
async fn what_is_wrong_with_token_or_certificate_is_said_and_changes_nothing() {
    let world = World::start(&["--certificate-life", "2s"]).await;
    let (good, other) = (world.join_token(0).await, World::start(&[]).await);
    let foreign = other.join_token(0).await;
    let key = KeyPair::generate().unwrap();
    // Another controller's token: neither is the fingerprint this one's, nor the token known.
    let error = world.try_connect(Trust::Fingerprint(foreign.authority), None).await.unwrap_err();
    assert!(format!("{error:?}").contains("fingerprint"), "{error:?}");
    let channel = world.connect(good.authority, None).await;
    let mut enrolment = EnrolmentClient::new(channel.clone());
    let revoked = world.token("p", token::Role::Join, 0, 0).await;
    let id = revoked.token.unwrap().id;
    let mut tokens = TokensClient::new(world.admin.clone());
    let revoke = RevokeTokenRequest { pool: String::new(), id };
    tokens.revoke_token(revoke.clone()).await.unwrap();
    refused(tokens.revoke_token(revoke).await, Code::NotFound, "no token");
    let user = world.token("p", token::Role::Pool, 0, 0).await.secret;
    for (token, why) in [
        (String::new(), "no token"),
        ("weir-join.1.2.3".to_owned(), "no token"),
        (foreign.to_string(), "another controller's"),
        (revoked.secret, "not known"),
        (user, "none to join with"),
    ] {
        let request = JoinRequest { token, node: "n1".to_owned(), signing_request: signing_request(&key) };
        refused(enrolment.join(request).await, Code::Unauthenticated, why);
    }
    // What is no token is not even asked for a signature.
    let guess = good.to_string().replace(&good.id, "0000000000");
    let guess = JoinRequest { token: guess, node: "n1".to_owned(), signing_request: vec![1, 2, 3] };
    refused(enrolment.join(guess).await, Code::Unauthenticated, "not known");
    let join = |node: &str, signing_request| {
        let (token, node) = (good.to_string(), node.to_owned());
        JoinRequest { token, node, signing_request }
    };
    refused(enrolment.join(join("n1", vec![1, 2, 3])).await, Code::InvalidArgument, "signing request");
    let bad_name = enrolment.join(join("N 1", signing_request(&key))).await;
    refused(bad_name, Code::InvalidArgument, "no name for a node");
    let renew = RenewRequest { signing_request: signing_request(&key) };
    refused(enrolment.renew(renew.clone()).await, Code::Unauthenticated, "for nodes");
    refused(attach(&channel, register("p", "n1", 1)).await, Code::Unauthenticated, "weir-agent join");

    // A certificate of another authority, and one that has expired.
    let strange = other.join(&foreign, "n1", &key).await.unwrap();
    let stranger = world.connect(good.authority, Some(identity(&strange, &key))).await;
    refused(attach(&stranger, register("p", "n1", 1)).await, Code::Unauthenticated, "another authority");
    let short = world.join(&good, "n1", &key).await.unwrap();
    let early = world.as_node(&short, &key).await;
    // Certificates know whole seconds only.
    let until = std::time::SystemTime::try_from(short.not_after.unwrap()).unwrap() + Duration::from_secs(1);
    while let Ok(left) = until.duration_since(std::time::SystemTime::now()) {
        tokio::time::sleep(left).await;
    }
    // By now the controller has renewed its own, and what was connected still is.
    let late = world.as_node(&short, &key).await;
    refused(attach(&late, register("p", "n1", 1)).await, Code::Unauthenticated, "expired");
    for channel in [late, early] {
        let renewed = EnrolmentClient::new(channel).renew(renew.clone()).await;
        refused(renewed, Code::Unauthenticated, "expired");
    }
    refused(enrolment.renew(renew).await, Code::Unauthenticated, "for nodes");
    // It has lost its key, as the documents say, and comes back.
    let fresh = KeyPair::generate().unwrap();
    world.join(&good, "n1", &fresh).await.unwrap();
    let mut nodes = NodesClient::new(world.admin.clone());
    let listed = nodes.list_nodes(ListNodesRequest::default()).await.unwrap().into_inner().nodes;
    assert_eq!(listed.iter().map(|node| (node.name.as_str(), node.id)).collect::<Vec<_>>(), [("n1", 0)]);
    let delete = DeleteNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    nodes.delete_node(delete).await.unwrap();
    assert_eq!(nodes.list_nodes(ListNodesRequest::default()).await.unwrap().into_inner().nodes, []);
}

#[tokio::test]
async fn a_pools_token_opens_that_pool_and_an_administrators_all() {
    let world = World::start(&[]).await;
    for pool in ["p", "q"] {
        let network = CreateNetworkRequest { network: Some(vlan(pool, "net", "10.1.0.0/24", "10.1.0.1")) };
        NetworksClient::new(world.admin.clone()).create_network(network).await.unwrap();
    }
    let user = world.token("p", token::Role::Pool, 0, 0).await.secret;
    let authority = user.parse::<Secret>().unwrap().authority;
    let channel = world.connect(authority, None).await;
    let (mut pools, mut networks) = (PoolsClient::new(channel.clone()), NetworksClient::new(channel.clone()));
    let mut containers = ContainersClient::new(channel.clone());
    let get = |pool: &str| GetNetworkRequest { pool: pool.to_owned(), name: "net".to_owned() };
    refused(networks.get_network(get("p")).await, Code::Unauthenticated, "a token is needed");
    let bad = format!("{}0", &user[..user.len() - 1]);
    refused(networks.get_network(with("nonsense", get("p"))).await, Code::Unauthenticated, "is none");
    refused(
        networks.get_network(with(&bad.replace("weir-api.", "weir-api.0"), get("p"))).await,
        Code::Unauthenticated,
        "is none",
    );

    networks.get_network(with(&user, get("p"))).await.unwrap();
    refused(networks.get_network(with(&user, get("q"))).await, Code::NotFound, "there is no pool `q`");
    refused(
        networks.get_network(with(&user, get("nowhere"))).await,
        Code::NotFound,
        "there is no pool `nowhere`",
    );
    let listed =
        networks.list_networks(with(&user, ListNetworksRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.networks.iter().map(|it| it.pool.as_str()).collect::<Vec<_>>(), ["p"]);
    let listed = pools.list_pools(with(&user, ListPoolsRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.pools.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["p"]);
    let create = |pool: &str| CreateContainerRequest {
        container: Some(Container {
            pool: pool.to_owned(),
            network: "net".to_owned(),
            ..Container::default()
        }),
        wait: false,
    };
    refused(
        containers.create_container(with(&user, create("q"))).await,
        Code::NotFound,
        "there is no pool `q`",
    );
    let none = containers.create_container(with(&user, create("p"))).await;
    refused(none, Code::Unavailable, "");
    let watch = WatchEventsRequest { pool: "q".to_owned(), ..WatchEventsRequest::default() };
    refused(containers.watch_events(with(&user, watch)).await, Code::NotFound, "there is no pool `q`");
    let make = CreatePoolRequest { pool: Some(Pool { name: "r".to_owned(), ..Pool::default() }) };
    refused(pools.create_pool(with(&user, make.clone())).await, Code::PermissionDenied, "administrators");
    // VLAN 101 is the other pool's: that it is taken must be said, and no more.
    let taken = Network { name: "two".to_owned(), vlan: 101, ..vlan("p", "two", "10.2.0.0/24", "") };
    let taken = networks.create_network(with(&user, CreateNetworkRequest { network: Some(taken) })).await;
    refused(taken, Code::AlreadyExists, "taken by a network of another pool");
    // Numbers beyond the pool's ranges are not its users' to take.
    let far = Network { vlan: 2000, ..vlan("p", "far", "10.3.0.0/24", "") };
    let vxlan = Network { driver: "vxlan".to_owned(), vlan: 0, vni: 7, ..far.clone() };
    for (network, field) in [(far.clone(), "vlan"), (vxlan, "vni")] {
        let request = with(&user, CreateNetworkRequest { network: Some(network) });
        let beyond = networks.create_network(request).await.unwrap_err();
        let blamed: Vec<_> = beyond.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!((beyond.code(), blamed[0].field.as_str()), (Code::InvalidArgument, field), "{beyond:?}");
    }
    let far = CreateNetworkRequest { network: Some(far) };
    NetworksClient::new(world.admin.clone()).create_network(far).await.unwrap();
    let status =
        StatusClient::new(channel.clone()).get_status(with(&user, GetStatusRequest::default())).await;
    let status = status.unwrap().into_inner();
    assert_eq!((status.networks, status.counters.len()), (2, 0));

    // As long as no administrator has a token, who is on this machine needs none.
    let plain = Endpoint::from_shared(format!("http://{}", world.plain)).unwrap().connect().await.unwrap();
    let mut local = PoolsClient::new(plain);
    let all = local.list_pools(ListPoolsRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.pools.len(), 2);
    let admin = world.token("", token::Role::Admin, 0, 0).await;
    refused(local.list_pools(ListPoolsRequest::default()).await, Code::Unauthenticated, "a token is needed");
    local.list_pools(with(&admin.secret, ListPoolsRequest::default())).await.unwrap();
    pools.create_pool(with(&admin.secret, make)).await.unwrap();
    PoolsClient::new(world.admin.clone()).list_pools(ListPoolsRequest::default()).await.unwrap();

    let mut tokens = TokensClient::new(channel);
    let denied = tokens.list_tokens(with(&user, ListTokensRequest::default())).await;
    refused(denied, Code::PermissionDenied, "administrators");
    let listed =
        tokens.list_tokens(with(&admin.secret, ListTokensRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.tokens.len(), 2);
    let id = user.parse::<Secret>().unwrap().id;
    let revoke = RevokeTokenRequest { pool: String::new(), id };
    tokens.revoke_token(with(&admin.secret, revoke)).await.unwrap();
    refused(networks.get_network(with(&user, get("p"))).await, Code::Unauthenticated, "not known");
    // With the last administrator's token gone, the socket is the way in, and nothing is open again.
    let revoke = RevokeTokenRequest { pool: String::new(), id: admin.token.unwrap().id };
    tokens.revoke_token(with(&admin.secret, revoke)).await.unwrap();
    refused(local.list_pools(ListPoolsRequest::default()).await, Code::Unauthenticated, "a token is needed");
    PoolsClient::new(world.admin.clone()).list_pools(ListPoolsRequest::default()).await.unwrap();
}

/// A request by HTTP/1.1 over TLS.
async fn rest(
    world: &World,
    mut config: ClientConfig,
    ask: (&str, &str),
    headers: &[(&str, &str)],
) -> Answer {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(world.api).await.unwrap();
    let name = tls::SERVER_NAME.try_into().unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    Http { address: world.api }.ask_on(stream, ask.0, ask.1, headers).await
}

#[tokio::test]
async fn by_http_and_json_all_is_as_by_grpc() {
    let world = World::start(&[]).await;
    for pool in ["p", "q"] {
        let network = CreateNetworkRequest { network: Some(vlan(pool, "net", "10.1.0.0/24", "10.1.0.1")) };
        NetworksClient::new(world.admin.clone()).create_network(network).await.unwrap();
    }
    let user = world.token("p", token::Role::Pool, 0, 0).await.secret;
    let trust = Trust::Fingerprint(user.parse::<Secret>().unwrap().authority);
    let bearer = format!("Bearer {user}");
    let as_user = [("authorization", bearer.as_str())];
    let ask = async |ask, headers: &[_]| rest(&world, tls::client(&trust, None).unwrap(), ask, headers).await;
    let names = |answer: &Answer, list: &str, name: &str| {
        let list = answer.ok()[list].as_array().unwrap().clone();
        list.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let own = ask(("GET", "/v1/pools/p/networks/net"), &as_user).await;
    assert_eq!(own.ok()["pool"], "p");
    assert_eq!(names(&ask(("GET", "/v1/networks"), &as_user).await, "networks", "pool"), ["p"]);
    assert_eq!(names(&ask(("GET", "/v1/pools?page_size=5"), &as_user).await, "pools", "name"), ["p"]);
    let problem = |answer: &Answer, status: u16, code: &str, detail: &str| {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        let said = answer.json();
        assert_eq!((answer.status, said["code"].as_str()), (status, Some(code)), "{said}");
        assert!(said["detail"].as_str().unwrap().contains(detail), "{said}, not {detail}");
        assert_eq!(answer.header("www-authenticate"), if status == 401 { "Bearer" } else { "" });
    };
    for (ask_for, status, code, detail) in [
        (("GET", "/v1/pools/q/networks/net"), 404, "NOT_FOUND", "there is no pool `q`"),
        (("GET", "/v1/pools/nowhere/networks/net"), 404, "NOT_FOUND", "there is no pool `nowhere`"),
        (("DELETE", "/v1/pools/q/networks/net"), 404, "NOT_FOUND", "there is no pool `q`"),
        (("GET", "/v1/pools/q/watch"), 404, "NOT_FOUND", "there is no pool `q`"),
        (("GET", "/v1/pools/q"), 404, "NOT_FOUND", "there is no pool `q`"),
        (("DELETE", "/v1/pools/p"), 403, "PERMISSION_DENIED", "administrators"),
        (("GET", "/v1/tokens"), 403, "PERMISSION_DENIED", "administrators"),
        (("GET", "/metrics"), 403, "PERMISSION_DENIED", "administrators"),
    ] {
        problem(&ask(ask_for, &as_user).await, status, code, detail);
        problem(&ask(ask_for, &[]).await, 401, "UNAUTHENTICATED", "a token is needed");
    }
    let get = ("GET", "/v1/pools/p/networks/net");
    problem(&ask(get, &[("authorization", "Bearer no")]).await, 401, "UNAUTHENTICATED", "the token is none");
    problem(&ask(get, &[("authorization", "Basic eA==")]).await, 401, "UNAUTHENTICATED", "Bearer TOKEN");
    let (key, join) = (KeyPair::generate().unwrap(), world.join_token(1).await);
    let certificate = world.join(&join, "n1", &key).await.unwrap();
    let as_node = tls::client(&trust, Some(identity(&certificate, &key))).unwrap();
    problem(&rest(&world, as_node, get, &[]).await, 403, "PERMISSION_DENIED", "that is for users");

    // On this machine none is needed, until there is an administrator's.
    let local = Http { address: world.plain };
    assert_eq!(names(&local.get("/v1/networks").await, "networks", "pool"), ["p", "q"]);
    let token = local.send("POST", "/v1/tokens", &[], r#"{"role":"ADMIN"}"#).await.ok();
    problem(&local.get("/v1/networks").await, 401, "UNAUTHENTICATED", "a token is needed");
    problem(&local.get("/metrics").await, 401, "UNAUTHENTICATED", "a token is needed");
    let admin = format!("Bearer {}", token["secret"].as_str().unwrap());
    let as_admin = [("authorization", admin.as_str())];
    let all = local.ask("GET", "/v1/networks", &as_admin, "").await;
    assert_eq!(names(&all, "networks", "pool"), ["p", "q"]);
    let id = user.parse::<Secret>().unwrap().id;
    local.ask("DELETE", &format!("/v1/tokens/{id}"), &as_admin, "").await.ok();
    problem(&ask(get, &as_user).await, 401, "UNAUTHENTICATED", "not known");
    let uses = local.send("POST", "/v1/pools/p/tokens", &as_admin, r#"{"role":"POOL","uses":2}"#).await;
    assert_eq!((uses.status, uses.blamed()), (400, vec!["uses".to_owned()]));
}

#[tokio::test]
async fn a_node_leases_endpoints_for_itself_only() {
    let world = World::start(&[]).await;
    let network = CreateNetworkRequest { network: Some(vlan("p", "net", "10.1.0.0/24", "10.1.0.1")) };
    NetworksClient::new(world.admin.clone()).create_network(network).await.unwrap();
    let token = world.join_token(2).await;
    let mut nodes = Vec::new();
    for (name, number) in [("n1", 1), ("n2", 2)] {
        let key = KeyPair::generate().unwrap();
        let certificate = world.join(&token, name, &key).await.unwrap();
        let channel = world.as_node(&certificate, &key).await;
        let open = attach(&channel, own(name, number)).await.unwrap();
        nodes.push((AgentsClient::new(channel), open));
    }
    let lease = |node: &str| LeaseEndpointRequest {
        pool: "p".to_owned(),
        node: node.to_owned(),
        network: "net".to_owned(),
        address: String::new(),
    };
    let [(one, _), (two, _)] = &mut nodes[..] else { panic!("two nodes") };
    let given = one.lease_endpoint(lease("n1")).await.unwrap().into_inner().endpoint.unwrap();
    refused(two.lease_endpoint(lease("n1")).await, Code::PermissionDenied, "no other node");
    let release = |node: &str| ReleaseEndpointRequest {
        pool: "p".to_owned(),
        node: node.to_owned(),
        endpoint_id: given.endpoint_id,
    };
    refused(two.release_endpoint(release("n1")).await, Code::PermissionDenied, "no other node");
    two.release_endpoint(release("n2")).await.unwrap();
    let get = |name: String| GetContainerRequest { pool: "p".to_owned(), name };
    let mut containers = ContainersClient::new(world.admin.clone());
    let kept = containers.get_container(get(format!("plain-{}", given.endpoint_id))).await.unwrap();
    assert_eq!(kept.into_inner().node, "n1");
    let revoke = RevokeNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    NodesClient::new(world.admin.clone()).revoke_node(revoke).await.unwrap();
    let mut local = AgentsClient::new(world.admin.clone());
    refused(local.lease_endpoint(lease("n1")).await, Code::PermissionDenied, "revoked");
}
