//! Commands in a container, by Docker's exec: Docker starts them, and does not end them when nobody listens any more, so
//! the agent does.

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use futures::StreamExt;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use weir_api::v1::TerminalSize;

use super::{ANSWER, Docker, DockerError};
use crate::runtime::{
    EndpointId, Process, ProcessEvent,
    process::{QUEUE, UNKNOWN},
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
        let (starting, start) =
            (id.clone(), StartExecOptions { tty: terminal.is_some(), ..StartExecOptions::default() });
        let started = self.ask("starting a command", ANSWER, |docker| async move {
            docker.start_exec(&starting, Some(start)).await
        });
        let StartExecResults::Attached { output, input } = started.await? else {
            return Err(DockerError::Protocol("a command was started without its output".to_owned()));
        };
        let (outputs, events) = mpsc::channel(QUEUE);
        let (to_input, inputs) = mpsc::channel(QUEUE);
        let (to_resize, sizes) = mpsc::channel(QUEUE);
        let feeder = tokio::spawn(feed(input, inputs)).abort_handle();
        tokio::spawn(follow(self.clone(), id.clone(), output, outputs));
        if terminal.is_some() {
            tokio::spawn(resize(self.clone(), id.clone(), sizes));
        }
        if let Some(size) = terminal {
            // The first size of a queue that nobody has used yet.
            to_resize.try_send(size).ok();
        }
        let (docker, context) = (self.clone(), tokio::runtime::Handle::current());
        let killer = move || drop(context.spawn(end(docker, id)));
        Ok(Process::new(to_input, to_resize, events, feeder, killer))
    }
}

type Output =
    std::pin::Pin<Box<dyn futures::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

async fn feed(mut input: std::pin::Pin<Box<dyn AsyncWrite + Send>>, mut received: mpsc::Receiver<Vec<u8>>) {
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

async fn resize(docker: Docker, id: String, mut sizes: mpsc::Receiver<TerminalSize>) {
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
    while let Some(size) = sizes.recv().await {
        let (id, options) =
            (id.clone(), ResizeExecOptions { height: side(size.rows), width: side(size.columns) });
        let resized = docker.ask("resizing a terminal", ANSWER, |docker| async move {
            docker.resize_exec(&id, options).await
        });
        if let Err(error) = resized.await {
            tracing::debug!(%error, "a terminal was not resized");
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
