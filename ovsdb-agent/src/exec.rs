//! A command that the controller wants run in an endpoint: started there, its streams relayed over `RelayExec`.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weir_api::v1::{
    ExecContainerResponse, ExecRequest, RelayExecRequest, exec_container_request, exec_container_response,
    relay_exec_request::Request,
};

use crate::{
    northbound::Client,
    runtime::{Process, ProcessEvent, ProcessInput, Runtime},
};

/// Runs the command and relays it to its end. It is killed when the controller ends the call or is lost.
pub async fn relay(runtime: Arc<dyn Runtime>, client: Client, request: ExecRequest) {
    let ExecRequest { id, endpoint_id, command, .. } = request;
    let mut started = runtime.exec(endpoint_id, &command).await.map_err(|error| error.to_string());
    let input = started.as_mut().ok().and_then(|process| process.input.take());
    let refusal = started.as_ref().err();
    tracing::info!(id, endpoint = endpoint_id, refusal, "command from the controller");
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    let sending = speak(id.clone(), started, outgoing);
    let receiving = listen(client, outputs, input);
    tokio::pin!(receiving);
    // Whichever side ends first: if the call, the process is dropped and so killed.
    let ended = tokio::select! {
        ended = &mut receiving => ended,
        () = sending => match tokio::time::timeout(FAREWELL, receiving).await {
            Ok(ended) => ended,
            Err(_) => Ok(()),
        },
    };
    if let Err(status) = ended {
        tracing::info!(id, error = status.message(), "command's relay ended");
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
) -> Result<(), Status> {
    let mut inputs = client.relay_exec(ReceiverStream::new(outputs)).await?.into_inner();
    while let Some(message) = inputs.message().await? {
        match message.request {
            Some(exec_container_request::Request::Stdin(bytes)) => feed(&mut input, bytes).await,
            Some(exec_container_request::Request::StdinClosed(_)) => input = None,
            _ => {}
        }
    }
    Ok(())
}

async fn send_output(mut process: Process, outgoing: &mpsc::Sender<RelayExecRequest>) {
    while let Some(event) = process.next().await {
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

/// Messages under way in each direction.
const QUEUE: usize = 16;

/// How long the controller may take to end a call whose command has ended.
const FAREWELL: Duration = Duration::from_secs(5);
