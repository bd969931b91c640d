//! `weir container exec`: relays standard input, output and error of a command that runs in a container.
//!
//! The process ends with the command's exit code. Interrupting it drops the stream, which ends the command; with a terminal
//! (`-t`) Ctrl-C is a key like others, and the command's to take.

use std::process::ExitCode;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use weir_api::v1::exec_container_request::Request;
use weir_api::v1::exec_container_response::Response;
use weir_api::v1::{ExecContainerRequest, ExecContainerResponse, ExecStart};

use super::super::failure::Failure;
use super::super::session::Session;
use super::client;
use super::terminal::{self, Ends, Raw};

#[derive(Debug, Args)]
pub(in super::super) struct Exec {
    /// The container's name
    name: String,
    /// Relay standard input; this is done without the option too
    #[arg(long, short)]
    interactive: bool,
    /// Give the command a terminal, of the size that this one has
    #[arg(long, short)]
    pub(in super::super) terminal: bool,
    /// The command and its arguments, after '--'
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(in super::super) command: Vec<String>,
}

type Outputs = tonic::Streaming<ExecContainerResponse>;

pub(super) async fn run(session: &Session, arguments: Exec) -> Result<ExitCode, Failure> {
    let Exec { name, command, terminal, .. } = arguments;
    if terminal && !terminal::is_there() {
        return Err(Failure::Usage(
            "-t needs a terminal, and standard input is none; leave -t out to relay it as it is".to_owned(),
        ));
    }
    // A size that changes after it was read is told by a signal, which is listened for before.
    let resizes = if terminal { Some(terminal::resizes()?) } else { None };
    let size = if terminal { Some(terminal::size()?) } else { None };
    let start = ExecStart { pool: session.pool()?, name, command, terminal: size };
    let mut client = client(session).await?;
    let (requests, outgoing) = mpsc::channel(QUEUED_CHUNKS);
    // The receiver is alive: it is handed over below.
    let start = ExecContainerRequest { request: Some(Request::Start(start)) };
    requests.try_send(start).map_err(|_| Failure::Usage("the request could not be queued".to_owned()))?;
    let opening = client.exec_container(session.endless(ReceiverStream::new(outgoing)));
    let outputs = session.opened("starting the command", opening).await?;
    match resizes {
        Some(resizes) => relay_terminal(requests, outputs, resizes).await,
        None => {
            let mut relays = JoinSet::new();
            relays.spawn(relay_input(requests));
            relay_output(outputs).await
        }
    }
}

/// Relays between the terminal here and the command's, until the command or we are ended.
async fn relay_terminal(
    requests: mpsc::Sender<ExecContainerRequest>,
    outputs: Outputs,
    resizes: Signal,
) -> Result<ExitCode, Failure> {
    // Signals are taken before the terminal is changed, or one in between would leave it so.
    let mut ends = Ends::take()?;
    let _raw = Raw::enter()?;
    let mut relays = JoinSet::new();
    relays.spawn(relay_sizes(requests.clone(), resizes));
    relays.spawn(relay_input(requests));
    // Dropping either is the end of both.
    tokio::select! {
        outcome = relay_output(outputs) => outcome,
        signal = ends.next() => Ok(ExitCode::from(signal.saturating_add(SIGNAL_BASE))),
    }
}

/// Sends the terminal's size whenever it has changed.
async fn relay_sizes(requests: mpsc::Sender<ExecContainerRequest>, mut resizes: Signal) {
    while resizes.recv().await.is_some() {
        // A terminal that is gone has no size, and its hangup ends us.
        let Ok(size) = terminal::size() else { return };
        let request = ExecContainerRequest { request: Some(Request::Resize(size)) };
        if requests.send(request).await.is_err() {
            return;
        }
    }
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

async fn relay_output(mut outputs: Outputs) -> Result<ExitCode, Failure> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    while let Some(response) = outputs.message().await? {
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
/// What shells add to a signal's number for the code of what it ended.
const SIGNAL_BASE: u8 = 128;
