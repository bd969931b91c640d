//! The `weir` program against a server that answers as no controller does on demand: commands that end in every way,
//! streams that break, waits that last too long. What a controller decides is tested with the controller itself.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

mod bench;
mod exec;
mod nodes;
mod placing;
mod server;
mod streams;
mod terminal;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_stream::wrappers::UnixListenerStream;
use weir_api::v1::containers_server::ContainersServer;
use weir_api::v1::nodes_server::NodesServer;

use server::Server;

/// A server on a unix socket of its own; it ends with this.
struct Served {
    dir: TempDir,
    gate: Arc<Notify>,
    benched: Arc<Mutex<BTreeSet<String>>>,
    runtime: Runtime,
}

impl Served {
    fn start() -> Served {
        Served::at(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Ends, with all connections; the next one is to be at the same place.
    fn stop(self) -> TempDir {
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        std::fs::remove_file(self.dir.path().join("weir.sock")).expect("the socket");
        self.dir
    }

    /// A server on a socket in that folder.
    fn at(dir: TempDir) -> Served {
        let runtime = Runtime::new().expect("a runtime");
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(dir.path().join("weir.sock")).expect("a socket")
        };
        let server = Server::default();
        let (gate, benched) = (server.gate.clone(), server.benched.clone());
        let serve = tonic::transport::Server::builder()
            .add_service(ContainersServer::new(server.clone()))
            .add_service(NodesServer::new(server));
        runtime.spawn(serve.serve_with_incoming(UnixListenerStream::new(listener)));
        Served { dir, gate, benched, runtime }
    }

    fn weir(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.env("WEIR_SERVER", format!("unix:{}", self.dir.path().join("weir.sock").display()));
        command.env("WEIR_POOL", "p").args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.weir(line).stdin(Stdio::null()).output().expect("the program starts")
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn exec_relays_input_and_output_of_any_size() {
    let served = Served::start();
    let mut child = served
        .weir("container exec web -- copy")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let sent: Vec<u8> = (0..1_000_003_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || input.write_all(&sent)
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.stdout == sent, "{} bytes came back", output.stdout.len());
    assert_eq!(output.status.code(), Some(1_000_003 % 256));
}

#[test]
fn exec_ends_with_the_commands_own_code() {
    let served = Served::start();
    for (code, expected) in [(0, 0), (3, 3), (137, 137), (255, 255), (256, 1)] {
        let output = served.run(&format!("container exec web -- fail {code}"));
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
        assert_eq!(text(&output.stderr), "it failed\n");
    }
}

#[test]
fn exec_does_not_wait_for_an_input_that_never_ends() {
    let served = Served::start();
    let mut child = served
        .weir("container exec web -- fail 5")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _never_closed = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn exec_says_when_the_command_is_lost() {
    let served = Served::start();
    let output = served.run("container exec web -- vanish");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(text(&output.stdout), "so far");
    let output = served.run("container exec web -- nonsense");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("no such program"));
}

#[test]
fn a_wait_that_lasts_too_long_says_what_is_missing() {
    let served = Served::start();
    let started = std::time::Instant::now();
    let output = served.run("--timeout 300ms container create slow --publish-service=.n --wait");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    let said = text(&output.stderr);
    assert!(said.contains("p/slow") && said.contains("degraded") && said.contains("forward"), "{said}");
}

#[test]
fn refusals_are_told_in_the_servers_words_with_advice() {
    let served = Served::start();
    for (line, words, advice) in [
        ("container create taken --publish-service=.n", "10.209.164.8", "another"),
        ("container delete web", "no container web", "list"),
        ("container move web n2", "not connected", "weir status"),
        ("container list", "store", "log"),
    ] {
        let output = served.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("error: ") && said.contains(words) && said.contains(advice), "{said}");
        assert!(output.stdout.is_empty());
    }
    // A service that this server does not have: an older or newer controller.
    let output = served.run("status");
    assert!(text(&output.stderr).contains("version"), "{output:?}");
}

#[test]
fn json_is_one_document_with_the_same_keys_whatever_is_set() {
    let served = Served::start();
    let output = served.run("-o json container create web --publish-service=.n -l ip=10.209.164.8");
    let container: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(container["pool"], "p");
    assert_eq!(container["address"], "10.209.164.8");
    assert_eq!(container["endpoint_id"], 7);
    assert_eq!(container["status"]["phase"], "unknown");
    let keys: Vec<&str> = container.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["image", "labels", "mac", "name", "network", "node", "ofport", "revision", "service"] {
        assert!(keys.contains(&key), "{keys:?} lacks {key}");
    }
}

#[test]
fn a_watch_that_falls_behind_starts_over() {
    let served = Served::start();
    let output = served.run("-o json container watch");
    let events: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["added", "synced", "added", "synced"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("starting over"));
}
