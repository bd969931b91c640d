//! Commands in a container, by Docker's exec: Docker starts them, and does not end them when nobody listens any more, so
//! the agent does.

use std::pin::Pin;

use bollard::{
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use futures::{Stream, StreamExt};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
};
use weir_api::v1::TerminalSize;

use super::{ANSWER, Docker, DockerError};
use crate::runtime::{
    EndpointId, Process, ProcessEvent,
    process::{QUEUE, UNKNOWN, pump},
};

impl Docker {
    /// Starts a command in an endpoint's container.
    ///
    /// # Errors
    /// `NoContainer`, or Docker's: it does not run, or has no such program.
    pub async fn exec(
        &self,
        endpoint: EndpointId,
        command: &[String],
        terminal: Option<TerminalSize>,
    ) -> Result<Process, DockerError> {
        let found = self.find(endpoint).await?.ok_or(DockerError::NoContainer(endpoint))?;
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal.is_some()),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let made = self.ask("preparing a command", ANSWER, |docker| async move {
            docker.create_exec(&found.id, options).await
        });
        let id = made.await?.id;
        let (outputs, events) = mpsc::channel(QUEUE);
        let (to_input, inputs) = mpsc::channel(QUEUE);
        let (to_resize, sizes) = watch::channel(terminal.unwrap_or_default());
        let feeder = if terminal.is_some() {
            let (output, input) = tokio::io::split(self.start_on_terminal(&id).await?);
            tokio::spawn(resize(self.clone(), id.clone(), sizes));
            tokio::spawn(follow_terminal(self.clone(), id.clone(), output, outputs));
            tokio::spawn(feed(input, inputs))
        } else {
            let starting = id.clone();
            let started = self.ask("starting a command", ANSWER, |docker| async move {
                docker.start_exec(&starting, None::<StartExecOptions>).await
            });
            let StartExecResults::Attached { output, input } = started.await? else {
                return Err(DockerError::Protocol("a command was started without its output".to_owned()));
            };
            tokio::spawn(follow(self.clone(), id.clone(), output, outputs));
            tokio::spawn(feed(input, inputs))
        };
        let (docker, context) = (self.clone(), tokio::runtime::Handle::current());
        let killer = move || drop(context.spawn(end(docker, id)));
        Ok(Process::new(to_input, to_resize, events, feeder.abort_handle(), killer))
    }
}

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

async fn feed(mut input: impl AsyncWrite + Unpin + Send, mut received: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = received.recv().await {
        let written = async {
            input.write_all(&bytes).await?;
            input.flush().await
        };
        // The command need not read its input; then the rest of it has no reader.
        if written.await.is_err() {
            return;
        }
    }
    // Says that the input has ended; if that cannot be said, the connection has ended too.
    input.shutdown().await.ok();
}

async fn follow(docker: Docker, id: String, mut output: Output, events: mpsc::Sender<ProcessEvent>) {
    while let Some(piece) = output.next().await {
        let event = match piece {
            Ok(LogOutput::StdErr { message }) => ProcessEvent::Stderr(message.to_vec()),
            Ok(
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message },
            ) => ProcessEvent::Stdout(message.to_vec()),
            Err(error) => {
                tracing::debug!(%error, "a command's output broke off");
                break;
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
    tell_end(&docker, &id, &events).await;
}

/// As `follow`, for a command on a terminal.
async fn follow_terminal(
    docker: Docker,
    id: String,
    output: impl AsyncRead + Unpin + Send,
    events: mpsc::Sender<ProcessEvent>,
) {
    pump(Some(output), &events, ProcessEvent::Stdout).await;
    tell_end(&docker, &id, &events).await;
}

async fn tell_end(docker: &Docker, id: &str, events: &mpsc::Sender<ProcessEvent>) {
    let id = id.to_owned();
    let inspected = docker
        .ask("asking how a command ended", ANSWER, |docker| async move { docker.inspect_exec(&id).await });
    let code = match inspected.await {
        Ok(inspected) => inspected.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(UNKNOWN),
        Err(error) => {
            tracing::warn!(%error, "cannot learn how a command ended");
            UNKNOWN
        }
    };
    // Nobody listens any more if the process was dropped.
    events.send(ProcessEvent::Exit(code)).await.ok();
}

/// Gives the terminal its size, and each new one.
async fn resize(docker: Docker, id: String, mut sizes: watch::Receiver<TerminalSize>) {
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
    loop {
        let size = *sizes.borrow_and_update();
        let options = ResizeExecOptions { height: side(size.rows), width: side(size.columns) };
        let id = id.clone();
        let resized = docker.ask("resizing a terminal", ANSWER, |docker| async move {
            docker.resize_exec(&id, options).await
        });
        if let Err(error) = resized.await {
            tracing::debug!(%error, "a terminal was not resized");
        }
        if sizes.changed().await.is_err() {
            return;
        }
    }
}

/// Kills a command that still runs.
async fn end(docker: Docker, id: String) {
    let inspected =
        docker.ask("asking for a command", ANSWER, |docker| async move { docker.inspect_exec(&id).await });
    if let Ok(inspected) = inspected.await
        && inspected.running == Some(true)
        && let Some(pid) = inspected.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1)
    {
        // It may have ended by itself just now.
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}
