//! Thousands of connections that say nothing, to the real binary: memory and files are bounded, a switch still gets in,
//! and the status says who it was.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod binary;
mod peer;
mod support;

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

use binary::{World, is_served};
use flowlib::types::DatapathId;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peer::Peer;
use weir_api::v1::GetStatusResponse;

/// What a connection that says nothing may cost in memory, in KiB, when all are let in.
const EACH_KIB: u64 = 28;
/// What grows besides, however few they are.
const BESIDES_KIB: u64 = 2048;

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

fn resident_kib(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.controller.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

async fn is_borne(limits: &str, n: usize) -> World {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let world = World::start(&["sh"], limits).await;
    let before = resident_kib(&world);
    let silent = crowd(world.openflow, n);
    let switch = Peer::connect(world.openflow, DatapathId(0x1001), |_| true);
    world.until("the switch to be served", is_served).await;
    let grown = resident_kib(&world).saturating_sub(before);
    assert!(grown < BESIDES_KIB + EACH_KIB * n as u64, "{grown} KiB for {n} connections");
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
