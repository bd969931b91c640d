//! `weir container exec`: relays standard input, output and error of a command that runs in a container.
//!
//! The process ends with the command's exit code. Interrupting it drops the stream, which ends the command.

use std::process::ExitCode;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_api::v1::exec_container_request::Request;
use weir_api::v1::exec_container_response::Response;
use weir_api::v1::{ExecContainerRequest, ExecStart};

use super::container;
use super::failure::Failure;
use super::session::Session;

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// The container's name
    pub(super) name: String,
    /// The command and its arguments, after '--'
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

pub(super) async fn run(session: &Session, arguments: Exec) -> Result<ExitCode, Failure> {
    let Exec { name, command } = arguments;
    let start = ExecStart { pool: session.pool()?, name, command, terminal: None };
    let mut client = container::client(session).await?;
    let (requests, outgoing) = mpsc::channel(QUEUED_CHUNKS);
    let start = ExecContainerRequest { request: Some(Request::Start(start)) };
    // The receiver is alive: it is handed over on the next line.
    requests.try_send(start).map_err(|_| Failure::Usage("the request could not be queued".to_owned()))?;
    let answer = client.exec_container(ReceiverStream::new(outgoing));
    let relay = tokio::spawn(relay_input(requests));
    let outcome = relay_output(answer).await;
    relay.abort();
    outcome
}

/// Sends standard input until it ends or the command does.
async fn relay_input(requests: mpsc::Sender<ExecContainerRequest>) {
    let mut input = tokio::io::stdin();
    let mut buffer = vec![0; CHUNK];
    loop {
        // An unreadable input is an ended one: the command still runs.
        let read = input.read(&mut buffer).await.unwrap_or(0);
        let request = match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => Request::Stdin(bytes.to_vec()),
            _ => Request::StdinClosed(true),
        };
        let ended = matches!(request, Request::StdinClosed(_));
        // An error means that the command has ended; its exit code says the rest.
        if requests.send(ExecContainerRequest { request: Some(request) }).await.is_err() {
            return;
        }
        if ended {
            // Hold the stream open: closing our half would tell some proxies that the call is over.
            requests.closed().await;
            return;
        }
    }
}

async fn relay_output(
    answer: impl Future<
        Output = Result<
            tonic::Response<tonic::Streaming<weir_api::v1::ExecContainerResponse>>,
            tonic::Status,
        >,
    >,
) -> Result<ExitCode, Failure> {
    let mut responses = answer.await?.into_inner();
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    while let Some(response) = responses.message().await? {
        match response.response {
            Some(Response::Stdout(bytes)) => {
                stdout.write_all(&bytes).await?;
                stdout.flush().await?;
            }
            Some(Response::Stderr(bytes)) => {
                stderr.write_all(&bytes).await?;
                stderr.flush().await?;
            }
            // The system keeps eight bits of a code; so do we, but never turn a failure into success.
            Some(Response::ExitCode(code)) => {
                let low = u8::try_from(code & 0xff).unwrap_or(u8::MAX);
                return Ok(ExitCode::from(if code != 0 { low.max(1) } else { 0 }));
            }
            None => {}
        }
    }
    Err(Failure::Unreachable("the command's output ended without an exit code".to_owned()))
}

/// Bytes read at once from standard input.
const CHUNK: usize = 16 * 1024;
/// Chunks under way before standard input is read again.
const QUEUED_CHUNKS: usize = 16;
