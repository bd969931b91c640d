//! The controller's side of `weir.v1.Agents`, as a test wants to play it: a real gRPC server on a unix socket.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{collections::HashMap, path::Path, pin::Pin, thread, time::Duration};

use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::{
    StreamExt,
    wrappers::{ReceiverStream, UnixListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use weir_api::v1::{
    AgentMessage, ControllerMessage, ExecContainerRequest, Inventory, LeaseEndpointRequest,
    LeaseEndpointResponse, Register, Registered, RelayExecRequest, RelayLogRequest, RelayLogResponse,
    RelayStatsRequest, RelayStatsResponse, RelayVolumeRequest, RelayVolumeResponse, ReleaseEndpointRequest,
    ReleaseEndpointResponse, SetEndpointMacRequest, StatsRequest, Usage,
    agent_message::Message,
    agents_server::{Agents, AgentsServer},
    controller_message, relay_stats_request,
};

/// A running server with the agent's stream, once that is open. Dropping it cuts every connection.
pub(crate) struct Controller {
    opened: mpsc::Receiver<Session>,
    relays: mpsc::Receiver<Relay>,
    logs: mpsc::Receiver<Streaming<RelayLogRequest>>,
    stats: mpsc::Receiver<Streaming<RelayStatsRequest>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// One agent's stream.
pub(crate) struct Session {
    pub(crate) from_agent: Streaming<AgentMessage>,
    pub(crate) to_agent: mpsc::Sender<Result<ControllerMessage, Status>>,
}

/// One command's relay.
pub(crate) struct Relay {
    pub(crate) from_agent: Streaming<RelayExecRequest>,
    pub(crate) to_agent: mpsc::Sender<Result<ExecContainerRequest, Status>>,
}

struct Service {
    opened: mpsc::Sender<Session>,
    relays: mpsc::Sender<Relay>,
    logs: mpsc::Sender<Streaming<RelayLogRequest>>,
    stats: mpsc::Sender<Streaming<RelayStatsRequest>>,
}

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Agents for Service {
    type AttachStream = Outgoing<ControllerMessage>;
    type RelayExecStream = Outgoing<ExecContainerRequest>;
    type RelayLogStream = Outgoing<RelayLogResponse>;
    type RelayStatsStream = Outgoing<RelayStatsResponse>;
    type RelayVolumeStream = Outgoing<RelayVolumeResponse>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (to_agent, outgoing) = mpsc::channel(64);
        let session = Session { from_agent: request.into_inner(), to_agent };
        self.opened.send(session).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn relay_exec(
        &self,
        request: Request<Streaming<RelayExecRequest>>,
    ) -> Result<Response<Self::RelayExecStream>, Status> {
        let (to_agent, outgoing) = mpsc::channel(64);
        let relay = Relay { from_agent: request.into_inner(), to_agent };
        self.relays.send(relay).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn relay_log(
        &self,
        request: Request<Streaming<RelayLogRequest>>,
    ) -> Result<Response<Self::RelayLogStream>, Status> {
        self.logs.send(request.into_inner()).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(futures::stream::pending())))
    }

    async fn lease_endpoint(
        &self,
        _: Request<LeaseEndpointRequest>,
    ) -> Result<Response<LeaseEndpointResponse>, Status> {
        Err(Status::not_found("the test has no network for Docker"))
    }

    async fn set_endpoint_mac(
        &self,
        _: Request<SetEndpointMacRequest>,
    ) -> Result<Response<LeaseEndpointResponse>, Status> {
        Err(Status::not_found("the test has no endpoint for Docker"))
    }

    async fn release_endpoint(
        &self,
        _: Request<ReleaseEndpointRequest>,
    ) -> Result<Response<ReleaseEndpointResponse>, Status> {
        Ok(Response::new(ReleaseEndpointResponse {}))
    }

    async fn relay_stats(
        &self,
        request: Request<Streaming<RelayStatsRequest>>,
    ) -> Result<Response<Self::RelayStatsStream>, Status> {
        self.stats.send(request.into_inner()).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(futures::stream::pending())))
    }

    async fn relay_volume(
        &self,
        _: Request<Streaming<RelayVolumeRequest>>,
    ) -> Result<Response<Self::RelayVolumeStream>, Status> {
        Err(Status::not_found("the test removes no volume"))
    }
}

impl Controller {
    /// Listens on `socket`, in a thread whose end takes all connections with it.
    pub(crate) fn start(socket: &Path) -> Self {
        drop(std::fs::remove_file(socket));
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (opened_sender, opened) = mpsc::channel(4);
        let (relays_sender, relays) = mpsc::channel(4);
        let (logs_sender, logs) = mpsc::channel(4);
        let (stats_sender, stats) = mpsc::channel(4);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).unwrap();
                let (opened, relays) = (opened_sender, relays_sender);
                let service = Service { opened, relays, logs: logs_sender, stats: stats_sender };
                let server = Server::builder().add_service(AgentsServer::new(service));
                tokio::select! {
                    served = server.serve_with_incoming(UnixListenerStream::new(listener)) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { opened, relays, logs, stats, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits until the agent has opened its stream and registered.
    pub(crate) async fn accept(&mut self) -> (Session, Register) {
        let mut session = soon("the agent's stream", self.opened.recv()).await.unwrap();
        match session.next().await {
            Message::Register(register) => (session, register),
            other => panic!("first came {other:?}"),
        }
    }

    /// Waits until the agent relays a command.
    pub(crate) async fn relay(&mut self) -> Relay {
        soon("the command's relay", self.relays.recv()).await.unwrap()
    }

    /// Asks what endpoints use, and waits until the agent has said it, under the call's name.
    pub(crate) async fn stats(&mut self, session: &Session, endpoint_ids: &[u32]) -> HashMap<u32, Usage> {
        use relay_stats_request::Request;
        let request = StatsRequest { id: "s".into(), endpoint_ids: endpoint_ids.to_vec() };
        session.send(controller_message::Message::Stats(request)).await;
        let mut said = soon("the report's relay", self.stats.recv()).await.unwrap();
        let mut next = async || soon("a report", said.next()).await.unwrap().unwrap().request;
        assert_eq!(next().await, Some(Request::Id("s".into())));
        match next().await {
            Some(Request::Report(report)) => report.usages,
            other => panic!("no report: {other:?}"),
        }
    }

    /// Waits until the agent relays a log.
    pub(crate) async fn log(&mut self) -> Streaming<RelayLogRequest> {
        soon("the log's relay", self.logs.recv()).await.unwrap()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Session {
    pub(crate) async fn send(&self, message: controller_message::Message) {
        self.to_agent.send(Ok(ControllerMessage { message: Some(message) })).await.unwrap();
    }

    pub(crate) async fn register(&self, target: &str) {
        let registered = Registered {
            node_id: 1,
            nat_mac: "0e:00:00:00:00:01".into(),
            openflow_targets: vec![target.to_owned()],
            lease_ms: 15_000,
        };
        self.send(controller_message::Message::Registered(registered)).await;
    }

    /// The next message of the agent.
    pub(crate) async fn next(&mut self) -> Message {
        let message = soon("a message of the agent", self.from_agent.next()).await;
        message.expect("the stream is open").unwrap().message.unwrap()
    }

    /// The first message of which `look` makes something; others are printed and dropped.
    pub(crate) async fn until<T>(&mut self, what: &str, look: impl Fn(&Message) -> Option<T>) -> T {
        let looking = async {
            loop {
                let message = self.next().await;
                if let Some(found) = look(&message) {
                    return found;
                }
                println!("waiting for {what}, got {message:?}");
            }
        };
        soon(what, looking).await
    }

    pub(crate) async fn inventory(&mut self, revision: u64) -> Inventory {
        self.until("the inventory", |message| match message {
            Message::Inventory(inventory) if inventory.revision == revision => Some(inventory.clone()),
            _ => None,
        })
        .await
    }
}

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}
