//! A controller in this process, without its OpenFlow side, and agents that play their part of the protocol.
#![allow(dead_code, missing_docs, unreachable_pub)] // Each test file uses its own part of this.
#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

pub mod http;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use controller::access::{Access, Authority};
use controller::intent::Intent;
use controller::intent::store::embedded::Embedded;
use controller::measure::Metrics;
use controller::measure::journey::Journal;
use controller::openflow::SwitchEvent;
use controller::openflow::board::Board;
use controller::orchestrate::{Orchestrator, Timing};
use controller::serve::Api;
use controller::serve::listen::{Address, Listener};
use flowlib::compile::model::NodeId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use weir_api::v1::agents_client::AgentsClient;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::networks_client::NetworksClient;
use weir_api::v1::nodes_client::NodesClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::services_client::ServicesClient;
use weir_api::v1::status_client::StatusClient;
use weir_api::v1::volumes_client::VolumesClient;
use weir_api::v1::*;

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct World {
    pub dir: tempfile::TempDir,
    pub channel: Channel,
    pub intent: Intent,
    pub switches: mpsc::Sender<SwitchEvent>,
    pub journal: Arc<Journal>,
    pub api: Api,
    pub board: Board,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(Timing { cool_down: Duration::from_secs(60), lease: Duration::from_secs(60) }).await
    }

    pub async fn with(timing: Timing) -> Self {
        Self::run(tempfile::tempdir().unwrap(), timing).await
    }

    /// One over the store in a folder.
    pub async fn over(dir: tempfile::TempDir) -> Self {
        Self::run(dir, Timing { cool_down: Duration::from_secs(60), lease: Duration::from_secs(60) }).await
    }

    async fn run(dir: tempfile::TempDir, timing: Timing) -> Self {
        let intent = Intent::start(Embedded::open(&dir.path().join("intent.redb")).unwrap()).unwrap();
        let metrics = Arc::new(Metrics::default());
        let journal = Arc::new(Journal::among(&metrics));
        let (orchestrator, switches) = Orchestrator::start(intent.clone(), timing, journal.clone());
        let targets = vec!["tcp:127.0.0.1:6653".to_owned()];
        let board = Board::default();
        let authority = Arc::new(Authority::open(dir.path(), None).unwrap());
        let api = Api::new(orchestrator, metrics, targets).with_switches(board.clone()).with_access(
            Access::new(intent.clone()),
            authority,
            Duration::from_secs(3600),
        );
        let socket = dir.path().join("api.sock");
        let listener = Listener::bind(&Address::Unix(socket.clone()), None).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(listener.serve(api.routes(), stop.clone()));
        let channel = connect(&socket).await;
        Self { dir, channel, intent, switches, journal, api, board, stop }
    }

    /// A pool, two connected nodes, and a VLAN of 10.1.0.0/24 with a gateway.
    pub async fn furnished() -> (Self, Agent, Agent) {
        Self::start().await.furnish().await
    }

    /// Two nodes and a network, for a world that has nothing yet.
    pub async fn furnish(self) -> (Self, Agent, Agent) {
        let world = self;
        world.pool("p").await.unwrap();
        world.network(vlan("p", "net", "10.1.0.0/24", "10.1.0.1")).await.unwrap();
        let one = Agent::join(&world, "p", "n1", 1).await;
        let two = Agent::join(&world, "p", "n2", 2).await;
        (world, one, two)
    }

    pub fn pools(&self) -> PoolsClient<Channel> {
        PoolsClient::new(self.channel.clone())
    }
    pub fn networks(&self) -> NetworksClient<Channel> {
        NetworksClient::new(self.channel.clone())
    }
    pub fn nodes(&self) -> NodesClient<Channel> {
        NodesClient::new(self.channel.clone())
    }
    pub fn containers(&self) -> ContainersClient<Channel> {
        ContainersClient::new(self.channel.clone())
    }
    pub fn services(&self) -> ServicesClient<Channel> {
        ServicesClient::new(self.channel.clone())
    }
    pub fn volumes(&self) -> VolumesClient<Channel> {
        VolumesClient::new(self.channel.clone())
    }
    pub fn agents(&self) -> AgentsClient<Channel> {
        AgentsClient::new(self.channel.clone())
    }
    pub fn status(&self) -> StatusClient<Channel> {
        StatusClient::new(self.channel.clone())
    }

    pub async fn pool(&self, name: &str) -> Result<Pool, Status> {
        let pool = Pool { name: name.to_owned(), ..Pool::default() };
        self.pools()
            .create_pool(CreatePoolRequest { pool: Some(pool) })
            .await
            .map(tonic::Response::into_inner)
    }

    pub async fn network(&self, network: Network) -> Result<Network, Status> {
        let request = CreateNetworkRequest { network: Some(network) };
        self.networks().create_network(request).await.map(tonic::Response::into_inner)
    }

    pub async fn create(&self, container: Container, wait: bool) -> Result<Container, Status> {
        let request = CreateContainerRequest { container: Some(container), wait };
        self.containers().create_container(request).await.map(tonic::Response::into_inner)
    }

    pub async fn get(&self, name: &str) -> Result<Container, Status> {
        let request = GetContainerRequest { pool: "p".to_owned(), name: name.to_owned() };
        self.containers().get_container(request).await.map(tonic::Response::into_inner)
    }

    pub async fn delete(&self, name: &str, wait: bool) -> Result<Container, Status> {
        let request = DeleteContainerRequest { pool: "p".to_owned(), name: name.to_owned(), wait };
        self.containers().delete_container(request).await.map(tonic::Response::into_inner)
    }

    /// Waits until a container's status is as wanted.
    pub async fn until(&self, name: &str, phase: container_status::Phase, reason: &str) -> Container {
        let mut last = None;
        let wait = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            loop {
                let container = self.get(name).await.unwrap();
                let status = container.status.clone().unwrap();
                if status.phase() == phase && status.reason == reason {
                    return container;
                }
                last = Some(status);
                tick.tick().await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(container) => container,
            Err(_) => panic!("{name} did not become {phase:?} {reason}, it is {last:?}"),
        }
    }

    /// Waits until a node's status is as wanted.
    pub async fn until_node(&self, name: &str, wanted: impl Fn(&NodeStatus) -> bool) -> Node {
        let mut last = None;
        let wait = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            loop {
                let request = GetNodeRequest { pool: "p".to_owned(), name: name.to_owned() };
                let node = self.nodes().get_node(request).await.unwrap().into_inner();
                if node.status.as_ref().is_some_and(&wanted) {
                    return node;
                }
                last = node.status;
                tick.tick().await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(node) => node,
            Err(_) => panic!("{name} did not become as wanted, it is {last:?}"),
        }
    }

    pub async fn schedule(&self, name: &str, scheduling: node::Scheduling) -> Result<Node, Status> {
        let (pool, name) = ("p".to_owned(), name.to_owned());
        let request = SetNodeSchedulingRequest { pool, name, scheduling: scheduling.into() };
        self.nodes().set_node_scheduling(request).await.map(tonic::Response::into_inner)
    }

    /// The remembered events of a container or a node: reason and message.
    pub async fn past(&self, subject: &str) -> Vec<(String, String)> {
        let request = WatchEventsRequest { past_only: true, ..WatchEventsRequest::default() };
        let mut events = self.containers().watch_events(request).await.unwrap().into_inner();
        let mut past = Vec::new();
        while let Some(event) = events.message().await.unwrap() {
            if event.subject == subject {
                past.push((event.reason, event.message));
            }
        }
        past
    }

    pub fn revision(&self) -> u64 {
        self.intent.read(controller::intent::State::revision)
    }
}

pub async fn connect(socket: &Path) -> Channel {
    Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.unwrap()
}

pub fn vlan(pool: &str, name: &str, subnet: &str, gateway: &str) -> Network {
    Network {
        pool: pool.to_owned(),
        name: name.to_owned(),
        driver: "vlan".to_owned(),
        subnet: subnet.to_owned(),
        gateway: gateway.to_owned(),
        ..Network::default()
    }
}

pub fn vxlan(pool: &str, name: &str, subnet: &str) -> Network {
    Network { driver: "vxlan".to_owned(), ..vlan(pool, name, subnet, "") }
}

pub fn container(name: &str) -> Container {
    Container {
        pool: "p".to_owned(),
        name: name.to_owned(),
        network: "net".to_owned(),
        ..Container::default()
    }
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, part: &str) {
    let status = result.expect_err(part);
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(part), "`{}` does not say `{part}`", status.message());
}

/// An agent's stream, and its node's switch as the controller hears of it.
pub struct Agent {
    pub id: NodeId,
    pub registered: Registered,
    pub say: mpsc::Sender<AgentMessage>,
    pub hear: Streaming<ControllerMessage>,
    switches: mpsc::Sender<SwitchEvent>,
}

pub fn register(pool: &str, name: &str, number: u64) -> Register {
    Register {
        pool: pool.to_owned(),
        name: name.to_owned(),
        datapath_id: 0x1000 + number,
        tunnel_address: format!("172.31.0.{number}"),
        ..Register::default()
    }
}

/// What an agent says of a node with which nothing is wrong.
pub fn node_report() -> NodeReport {
    let runtimes = ["netns", "docker"].map(str::to_owned);
    NodeReport {
        runtimes: runtimes.into(),
        images: vec!["busybox:latest".to_owned()],
        ..NodeReport::default()
    }
}

/// Opens a stream and registers.
pub async fn attach(
    world: &World,
    register: Register,
) -> Result<(mpsc::Sender<AgentMessage>, Streaming<ControllerMessage>), Status> {
    let (say, messages) = mpsc::channel(16);
    say.send(AgentMessage { message: Some(agent_message::Message::Register(register)) }).await.unwrap();
    let hear = world.agents().attach(ReceiverStream::new(messages)).await?.into_inner();
    Ok((say, hear))
}

impl Agent {
    /// Registers, and connects the switch.
    pub async fn join(world: &World, pool: &str, name: &str, number: u64) -> Self {
        Self::join_as(world, register(pool, name, number)).await
    }

    /// Registers as a certain node, connects the switch, and waits until the controller has taken up all that.
    pub async fn join_as(world: &World, register: Register) -> Self {
        let request = GetNodeRequest { pool: register.pool.clone(), name: register.name.clone() };
        let agent = Self::attach(world, register).await;
        agent.switch(SwitchEvent::Connected { node: agent.id }).await;
        agent.applied(world.revision()).await;
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            let status = world.nodes().get_node(request.clone()).await.unwrap().into_inner().status.unwrap();
            if status.agent_connected && status.switch_connected && !status.runtimes.is_empty() {
                return agent;
            }
            tick.tick().await;
        }
    }

    pub async fn attach(world: &World, register: Register) -> Self {
        let (say, mut hear) = attach(world, register).await.unwrap();
        let registered = match hear.message().await.unwrap().unwrap().message.unwrap() {
            controller_message::Message::Registered(registered) => registered,
            other => panic!("not registered: {other:?}"),
        };
        let id = NodeId(registered.node_id);
        let mut agent = Self { id, registered, say, hear, switches: world.switches.clone() };
        let desired = agent.desired().await;
        assert!(desired.complete, "the first must be complete");
        agent.inventory(desired.revision, &[]).await;
        agent.send(agent_message::Message::Node(node_report())).await;
        agent
    }

    pub async fn switch(&self, event: SwitchEvent) {
        self.switches.send(event).await.unwrap();
    }

    pub async fn applied(&self, revision: u64) {
        self.switch(SwitchEvent::Applied { node: self.id, revision, rejected: Vec::new() }).await;
    }

    pub async fn send(&self, message: agent_message::Message) {
        self.say.send(AgentMessage { message: Some(message) }).await.unwrap();
    }

    pub async fn inventory(&self, revision: u64, endpoints: &[EndpointReport]) {
        let inventory = Inventory { revision, endpoints: endpoints.to_vec() };
        self.send(agent_message::Message::Inventory(inventory)).await;
    }

    pub async fn report(&self, endpoint_id: u32, state: endpoint_report::State, ofport: u32) {
        let message = if state == endpoint_report::State::Failed { "no such device" } else { "" }.to_owned();
        let report =
            EndpointReport { endpoint_id, state: state.into(), ofport, message, ..EndpointReport::default() };
        self.send(agent_message::Message::Endpoint(report)).await;
    }

    /// Says that the node can run Docker containers, and waits until that has been heard.
    pub async fn offers_docker(&self, world: &World, name: &str) {
        let heard = "heard of Docker".to_owned();
        let report = NodeReport {
            problems: vec![heard.clone()],
            runtimes: vec!["docker".to_owned(), "netns".to_owned()],
            images: vec!["busybox:latest".to_owned()],
            ..NodeReport::default()
        };
        self.send(agent_message::Message::Node(report)).await;
        world.until_node(name, |status| status.problems.contains(&heard)).await;
    }

    /// Goes on saying that the agent is there, for as long as it is.
    pub fn keep_alive(&self) {
        let say = self.say.downgrade();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tick.tick().await;
                let Some(say) = say.upgrade() else { return };
                let alive = agent_message::Message::KeepAlive(KeepAlive {});
                if say.send(AgentMessage { message: Some(alive) }).await.is_err() {
                    return;
                }
            }
        });
    }

    /// The next message of any kind.
    pub async fn next(&mut self) -> Result<Option<controller_message::Message>, Status> {
        let message =
            tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("a message in time")?;
        Ok(message.and_then(|message| message.message))
    }

    /// The next `desired`; other messages before it are passed over.
    pub async fn desired(&mut self) -> Desired {
        loop {
            if let controller_message::Message::Desired(desired) =
                self.next().await.unwrap().expect("a message")
            {
                return desired;
            }
        }
    }

    /// Does what the next `desired` says, as an agent whose every port comes up at once.
    pub async fn obey(&mut self) -> Desired {
        let desired = self.desired().await;
        self.act(&desired).await;
        desired
    }

    /// Does what a `desired` says.
    pub async fn act(&mut self, desired: &Desired) {
        for endpoint in &desired.endpoints {
            let DesiredEndpoint { endpoint_id, ofport, starts, .. } = *endpoint;
            let state = endpoint_report::State::Up.into();
            let report = EndpointReport { endpoint_id, state, ofport, starts, ..EndpointReport::default() };
            self.send(agent_message::Message::Endpoint(report)).await;
        }
        for RemovedEndpoint { endpoint_id, .. } in &desired.removed {
            self.report(*endpoint_id, endpoint_report::State::Removed, 0).await;
        }
        self.applied(desired.revision).await;
    }
}
