//! The `weir` program against a server that answers as no controller does on demand: commands that end in every way,
//! streams that break, waits that last too long. What a controller decides is tested with the controller itself.

use std::io::Write;
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use weir_api::v1::containers_server::{Containers, ContainersServer};
use weir_api::v1::exec_container_request::Request as Input;
use weir_api::v1::exec_container_response::Response as Out;
use weir_api::v1::{self, container_event, container_status};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers by the container's name or the command.
#[derive(Clone, Default)]
struct Server {
    watches: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl Containers for Server {
    async fn create_container(
        &self,
        request: Request<v1::CreateContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let request = request.into_inner();
        let mut container = request.container.unwrap_or_default();
        match container.name.as_str() {
            "taken" => Err(Status::already_exists("10.209.164.8 belongs to container p/web")),
            "slow" if request.wait => std::future::pending().await,
            _ => {
                container.endpoint_id = 7;
                Ok(Response::new(container))
            }
        }
    }

    async fn get_container(
        &self,
        request: Request<v1::GetContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let v1::GetContainerRequest { pool, name } = request.into_inner();
        let status = v1::ContainerStatus {
            phase: container_status::Phase::Degraded.into(),
            reason: "FlowRejected".to_owned(),
            message: "table forward of node p/n1 is full".to_owned(),
            since: None,
        };
        Ok(Response::new(v1::Container { pool, name, status: Some(status), ..v1::Container::default() }))
    }

    async fn list_containers(
        &self,
        _: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        Err(Status::internal("the store cannot be read"))
    }

    async fn delete_container(
        &self,
        _: Request<v1::DeleteContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        Err(Status::not_found("pool p has no container web"))
    }

    async fn move_container(
        &self,
        _: Request<v1::MoveContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        Err(Status::unavailable("node p/n2 is not connected"))
    }

    type WatchContainersStream = Answers<v1::ContainerEvent>;

    async fn watch_containers(
        &self,
        _: Request<v1::WatchContainersRequest>,
    ) -> Result<Response<Self::WatchContainersStream>, Status> {
        let container = Some(v1::Container { name: "web".to_owned(), ..v1::Container::default() });
        let added = v1::ContainerEvent { kind: container_event::Kind::Added.into(), container, revision: 1 };
        let synced =
            v1::ContainerEvent { kind: container_event::Kind::Synced.into(), container: None, revision: 1 };
        // The first watch falls behind, the second ends.
        let end = match self.watches.fetch_add(1, Ordering::SeqCst) {
            0 => Status::out_of_range("too far behind"),
            _ => Status::permission_denied("enough"),
        };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(added), Ok(synced), Err(end)]))))
    }

    type ExecContainerStream = Answers<v1::ExecContainerResponse>;

    /// `copy`: standard input to standard output, then its length as the exit code; `fail CODE`; `vanish`.
    async fn exec_container(
        &self,
        request: Request<Streaming<v1::ExecContainerRequest>>,
    ) -> Result<Response<Self::ExecContainerStream>, Status> {
        let mut inputs = request.into_inner();
        let Some(Input::Start(start)) = inputs.message().await?.and_then(|first| first.request) else {
            return Err(Status::invalid_argument("the first message must be start"));
        };
        let (outputs, responses) = mpsc::channel(4);
        let say = move |response| {
            let outputs = outputs.clone();
            async move {
                let response = v1::ExecContainerResponse { response: Some(response) };
                outputs.send(Ok(response)).await.map_err(|_| Status::cancelled("nobody listens"))
            }
        };
        match start.command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["copy"] => drop(tokio::spawn(async move {
                let mut total = 0;
                while let Some(message) = inputs.message().await? {
                    match message.request {
                        Some(Input::Stdin(bytes)) => {
                            total += bytes.len();
                            say(Out::Stdout(bytes)).await?;
                        }
                        _ => break,
                    }
                }
                say(Out::ExitCode(i32::try_from(total % 256).unwrap_or(255))).await
            })),
            ["fail", code] => {
                let code = code.parse().map_err(|_| Status::invalid_argument("no code"))?;
                say(Out::Stderr(b"it failed\n".to_vec())).await?;
                say(Out::ExitCode(code)).await?;
            }
            ["vanish"] => say(Out::Stdout(b"so far".to_vec())).await?,
            _ => return Err(Status::failed_precondition("there is no such program")),
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(responses).map(|response| response))))
    }
}

/// A server on a unix socket of its own; it ends with this.
struct Served {
    dir: TempDir,
    _runtime: Runtime,
}

impl Served {
    fn start() -> Served {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let runtime = Runtime::new().expect("a runtime");
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(dir.path().join("weir.sock")).expect("a socket")
        };
        let service = ContainersServer::new(Server::default());
        let serve = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(serve.serve_with_incoming(UnixListenerStream::new(listener)));
        Served { dir, _runtime: runtime }
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
