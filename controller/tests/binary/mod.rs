//! The real `weir-controller`, as a process.

#![allow(dead_code, missing_docs, unreachable_pub)] // Each test file uses its own part of this.
#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use weir_api::v1::agents_client::AgentsClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::status_client::StatusClient;
use weir_api::v1::*;

use crate::support::{PATIENCE, connect, register};

/// Some rounds of connections that are given five seconds to say hello.
const UNTIL: Duration = Duration::from_secs(60);

pub const BINARY: &str = env!("CARGO_BIN_EXE_weir-controller");

/// A running controller; killed when dropped.
pub struct Controller {
    pub child: Child,
    socket: PathBuf,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Controller {
    pub async fn start(dir: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["--data-dir".as_ref(), dir.as_os_str()]);
        Self::start_as(command, dir).await
    }

    /// With what is added to the command: where it listens for gRPC, and for switches unless the command says it.
    pub async fn start_as(mut command: Command, dir: &Path) -> Self {
        let socket = dir.join("api.sock");
        if !command.get_args().any(|arg| arg == "--openflow") {
            command.args(["--openflow", "127.0.0.1:0"]).stderr(Stdio::null());
        }
        let child = command.arg(format!("--listen=unix:{}", socket.display())).spawn().unwrap();
        let mut controller = Self { child, socket };
        controller.wait_until_served().await;
        controller
    }

    /// The socket file may be one of the process before, so it must answer.
    async fn wait_until_served(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < deadline, "it does not listen");
            tick.tick().await;
        }
    }

    pub async fn channel(&self) -> Channel {
        connect(&self.socket).await
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A controller with a pool `p` and a node `n1`, whose agent has registered, and whose switch has the datapath id 0x1001.
pub struct World {
    pub controller: Controller,
    pub openflow: SocketAddr,
    pub channel: Channel,
    pub log: PathBuf,
    /// Where the store is.
    pub data: PathBuf,
    _dir: tempfile::TempDir,
    /// The agent's stream, both ways.
    _agent: (mpsc::Sender<AgentMessage>, Streaming<ControllerMessage>),
}

impl World {
    /// Has that shell run `script`, which finds the store's folder in `DATA`, and then the controller.
    pub async fn start(shell: &[&str], script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let openflow = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (log, data) = (dir.path().join("log"), dir.path().join("data"));
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .args(["-c", &format!("{script} && exec \"$@\""), "sh", BINARY])
            .env("DATA", &data);
        command.args(["--data-dir".as_ref(), data.as_os_str()]).args(["--openflow", &openflow.to_string()]);
        command.stderr(File::create(&log).unwrap());
        let controller = Controller::start_as(command, dir.path()).await;
        let channel = controller.channel().await;
        let pool = Pool { name: "p".to_owned(), ..Pool::default() };
        PoolsClient::new(channel.clone()).create_pool(CreatePoolRequest { pool: Some(pool) }).await.unwrap();
        let (say, messages) = mpsc::channel(4);
        let register = agent_message::Message::Register(register("p", "n1", 1));
        say.send(AgentMessage { message: Some(register) }).await.unwrap();
        let mut agents = AgentsClient::new(channel.clone());
        let mut hear = agents.attach(ReceiverStream::new(messages)).await.unwrap().into_inner();
        hear.message().await.unwrap().expect("registered");
        Self { controller, openflow, channel, log, data, _dir: dir, _agent: (say, hear) }
    }

    pub async fn status(&self) -> GetStatusResponse {
        let request = GetStatusRequest::default();
        StatusClient::new(self.channel.clone()).get_status(request).await.unwrap().into_inner()
    }

    /// Waits until the status is so.
    pub async fn until(&self, what: &str, is: impl Fn(&GetStatusResponse) -> bool) -> GetStatusResponse {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let wait = async {
            loop {
                let status = self.status().await;
                if is(&status) {
                    return status;
                }
                tick.tick().await;
            }
        };
        match tokio::time::timeout(UNTIL, wait).await {
            Ok(status) => status,
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.status().await),
        }
    }
}

/// Whether all nodes' switches are connected and hold what they should.
pub fn is_served(status: &GetStatusResponse) -> bool {
    let is = |status: &NodeStatus| status.switch_connected && status.in_sync;
    status.nodes.iter().all(|node| node.status.as_ref().is_some_and(is))
}
