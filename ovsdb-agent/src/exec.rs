//! A command that the controller wants run in an endpoint: started there, its streams relayed over `RelayExec`.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_api::v1::{
    ExecContainerResponse, ExecRequest, RelayExecRequest, exec_container_request, exec_container_response,
    relay_exec_request::Request,
};

use crate::{
    northbound::Client,
    runtime::{Process, ProcessEvent, ProcessInput, Runtime},
};

/// Runs the command and relays it to its end. It is killed when the controller ends the call or is lost.
pub async fn relay(runtime: Arc<dyn Runtime>, mut client: Client, request: ExecRequest) {
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    let started = runtime.exec(request.endpoint_id, &request.command).await;
    let id = request.id.clone();
    let (process, input, refusal) = match started {
        Ok(mut process) => {
            let input = process.input.take();
            (Some(process), input, None)
        }
        Err(error) => (None, None, Some(error.to_string())),
    };
    tracing::info!(id, endpoint = request.endpoint_id, refusal, "command from the controller");
    let sending = async move {
        let first = RelayExecRequest { request: Some(Request::Id(request.id)) };
        if outgoing.send(first).await.is_err() {
            return;
        }
        match (process, refusal) {
            (Some(process), _) => send_output(process, &outgoing).await,
            (None, refusal) => {
                let failed = Request::Failed(refusal.unwrap_or_default());
                // If nobody takes it the call has ended, which is noticed below.
                outgoing.send(RelayExecRequest { request: Some(failed) }).await.ok();
            }
        }
    };
    let receiving = async move {
        let mut inputs = client.relay_exec(ReceiverStream::new(outputs)).await?.into_inner();
        let mut input = input;
        while let Some(message) = inputs.message().await? {
            match message.request {
                Some(exec_container_request::Request::Stdin(bytes)) => feed(&mut input, bytes).await,
                Some(exec_container_request::Request::StdinClosed(_)) => input = None,
                _ => {}
            }
        }
        Ok::<(), tonic::Status>(())
    };
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
