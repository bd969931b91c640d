//! Thousands of connections that say nothing, to the real binary: memory and files are bounded, a switch still gets in,
//! and the status says who it was.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod binary;
mod peer;
mod support;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use binary::{BINARY, Controller};
use flowlib::types::DatapathId;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peer::Peer;
use support::register;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use weir_api::v1::agents_client::AgentsClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::status_client::StatusClient;
use weir_api::v1::*;

/// Some rounds of connections that are given five seconds to say hello.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a connection that says nothing may cost in memory, in KiB.
const EACH_KIB: u64 = 24;

struct World {
    controller: Controller,
    openflow: SocketAddr,
    channel: Channel,
    log: std::path::PathBuf,
    _dir: tempfile::TempDir,
    /// The agent's stream, both ways.
    _agent: (mpsc::Sender<AgentMessage>, Streaming<ControllerMessage>),
}

impl World {
    /// A controller that may open so many files, and a node.
    async fn start(limits: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let openflow = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} && exec \"$@\""), "sh", BINARY]);
        command
            .args(["--data-dir".as_ref(), dir.path().as_os_str()])
            .args(["--openflow", &openflow.to_string()]);
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
        Self { controller, openflow, channel, log, _dir: dir, _agent: (say, hear) }
    }

    async fn status(&self) -> GetStatusResponse {
        let request = GetStatusRequest::default();
        StatusClient::new(self.channel.clone()).get_status(request).await.unwrap().into_inner()
    }

    /// Waits until the status is so.
    async fn until(&self, what: &str, is: impl Fn(&GetStatusResponse) -> bool) -> GetStatusResponse {
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
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(status) => status,
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.status().await),
        }
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.controller.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
    }
}

/// Opens connections, and leaves them so.
fn crowd(to: SocketAddr, n: usize) -> Vec<TcpStream> {
    let silent = (0..n).map(|_| {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    });
    silent.collect()
}

/// Whether the other side has ended a connection.
fn has_ended(mut stream: &TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 256]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return e.kind() != ErrorKind::WouldBlock,
        }
    }
}

fn is_served(status: &GetStatusResponse) -> bool {
    let is = |status: &NodeStatus| status.switch_connected && status.in_sync;
    status.nodes.iter().all(|node| node.status.as_ref().is_some_and(is))
}

async fn is_borne(limits: &str, n: usize) -> World {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let world = World::start(limits).await;
    let before = world.resident_kib();
    let silent = crowd(world.openflow, n);
    let switch = Peer::connect(world.openflow, DatapathId(0x1001), |_| true);
    world.until("the switch to be served", is_served).await;
    let grown = world.resident_kib().saturating_sub(before);
    assert!(grown < EACH_KIB * n as u64, "{grown} KiB for {n} connections");
    eprintln!(
        "{n} silent connections: {grown} KiB more, {} ended when the switch was served",
        silent.iter().filter(|s| has_ended(s)).count()
    );
    world.until("all of the crowd to be sent away", |_| silent.iter().all(has_ended)).await;
    let status = world.until("it to be told", |status| {
        status
            .problems
            .iter()
            .any(|problem| problem.subject == "switch/127.0.0.1" && problem.reason == "NoAnswer")
    });
    let status = status.await;
    assert!(is_served(&status) && !switch.has_ended(), "{status:?}");
    let problem = status.problems.iter().find(|problem| problem.reason == "NoAnswer").unwrap();
    assert!(
        problem.message.contains("no hello from the peer in time") && problem.message.contains("times)"),
        "{problem:?}"
    );
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_that_say_nothing_keep_no_switch_out() {
    let world = is_borne("ulimit -Sn 1024", 5000).await;
    let unknown = Peer::connect(world.openflow, DatapathId(0xbeef), |_| true);
    let told = |status: &GetStatusResponse| {
        status.problems.iter().any(|problem| problem.reason == "UnknownDatapath")
    };
    world.until("a stranger to be told", told).await;
    drop(unknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_few_files_may_be_open_that_is_said_and_a_switch_waits_for_its_turn() {
    let world = is_borne("ulimit -n 512", 300).await;
    let said = std::fs::read_to_string(&world.log).unwrap();
    let warned =
        said.lines().any(|line| line.contains("few files may be open") && line.contains("places=128"));
    assert!(warned && said.contains("all places for switches are taken"), "{said}");
    assert!(!said.contains("cannot accept"), "{said}");
}
