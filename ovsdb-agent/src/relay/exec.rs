//! A command that the controller wants run in an endpoint: started there, its streams relayed over `RelayExec`.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weir_api::v1::{
    ExecContainerResponse, ExecRequest, RelayExecRequest, exec_container_request, exec_container_response,
    relay_exec_request::Request,
};

use super::{QUEUE, until_over};
use crate::{
    northbound::Client,
    runtime::{
        Process, ProcessEvent, ProcessInput, ProcessTerminal, RuntimeError, Sandboxes, docker::Docker,
    },
};

/// Where a command is to run.
#[derive(Clone, Debug)]
pub enum Inside {
    /// In a namespace.
    Sandbox(Sandboxes),
    /// In a container of Docker's.
    Docker(Docker),
}

/// Runs the command and relays it to its end; `inside` is `None` where there is no such endpoint. It is killed when the controller ends the call or is lost.
pub async fn relay(inside: Option<Inside>, client: Client, request: ExecRequest) {
    let id = request.id.clone();
    let mut started = start(inside, &request).await;
    let process = started.as_mut().ok();
    let (input, terminal) =
        process.map_or((None, None), |process| (process.input.take(), process.terminal.take()));
    let refusal = started.as_ref().err();
    tracing::info!(id, endpoint = request.endpoint_id, refusal, "command from the controller");
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    let sending = speak(id.clone(), started, outgoing);
    until_over(&id, sending, listen(client, outputs, input, terminal)).await;
}

async fn start(inside: Option<Inside>, request: &ExecRequest) -> Result<Process, String> {
    let ExecRequest { endpoint_id, command, terminal, .. } = request;
    match inside.ok_or_else(|| RuntimeError::NoContainer(*endpoint_id).to_string())? {
        Inside::Sandbox(sandboxes) => {
            sandboxes.exec(*endpoint_id, command, *terminal).await.map_err(|error| error.to_string())
        }
        Inside::Docker(docker) => {
            docker.exec(*endpoint_id, command, *terminal).await.map_err(|error| error.to_string())
        }
    }
}
/// Says whose call it is, then what the command puts out, or why there is none.
async fn speak(id: String, started: Result<Process, String>, outgoing: mpsc::Sender<RelayExecRequest>) {
    let message = |request| RelayExecRequest { request: Some(request) };
    if outgoing.send(message(Request::Id(id))).await.is_err() {
        return;
    }
    match started {
        Ok(process) => send_output(process, &outgoing).await,
        // If nobody takes it the call has ended, which the other side notices.
        Err(refusal) => drop(outgoing.send(message(Request::Failed(refusal))).await),
    }
}

/// Opens the call, and feeds the command until it ends.
async fn listen(
    mut client: Client,
    outputs: mpsc::Receiver<RelayExecRequest>,
    mut input: Option<ProcessInput>,
    terminal: Option<ProcessTerminal>,
) -> Result<(), Status> {
    let mut inputs = client.relay_exec(ReceiverStream::new(outputs)).await?.into_inner();
    while let Some(message) = inputs.message().await? {
        match message.request {
            Some(exec_container_request::Request::Stdin(bytes)) => feed(&mut input, bytes).await,
            Some(exec_container_request::Request::StdinClosed(_)) => input = None,
            Some(exec_container_request::Request::Resize(size)) => {
                terminal.as_ref().map(|terminal| terminal.send_replace(size));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn send_output(mut process: Process, outgoing: &mpsc::Sender<RelayExecRequest>) {
    loop {
        // Both are cancel safe. A client that has gone is noticed also while the command says nothing.
        let event = tokio::select! {
            event = process.next() => event,
            () = outgoing.closed() => return,
        };
        let Some(event) = event else { return };
        let response = match event {
            ProcessEvent::Stdout(bytes) => exec_container_response::Response::Stdout(bytes),
            ProcessEvent::Stderr(bytes) => exec_container_response::Response::Stderr(bytes),
            ProcessEvent::Exit(code) => exec_container_response::Response::ExitCode(code),
        };
        let output = ExecContainerResponse { response: Some(response) };
        let message = RelayExecRequest { request: Some(Request::Output(output)) };
        if outgoing.send(message).await.is_err() {
            return;
        }
    }
}

async fn feed(input: &mut Option<ProcessInput>, bytes: Vec<u8>) {
    let Some(sender) = input else { return };
    // A command that has closed its input wants no more of it.
    if sender.send(bytes).await.is_err() {
        *input = None;
    }
}
