//! A container's log that the controller wants to see, relayed over `RelayLog`.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weir_api::v1::{
    LogContainerResponse, LogRequest, RelayLogRequest, log_container_response::Output,
    relay_log_request::Request,
};

use super::{QUEUE, until_over};
use crate::{
    northbound::Client,
    runtime::docker::{Docker, LogOutput},
};

/// Relays the log to its end, or until the controller ends the call or is lost.
pub async fn relay(docker: Docker, client: Client, request: LogRequest) {
    let id = request.id.clone();
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    until_over(&id, speak(docker, request, outgoing), listen(client, outputs)).await;
}

/// Opens the call; it ends when the controller ends it.
async fn listen(mut client: Client, outputs: mpsc::Receiver<RelayLogRequest>) -> Result<(), Status> {
    let mut answers = client.relay_log(ReceiverStream::new(outputs)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// Says whose call it is, then what there is to read.
async fn speak(docker: Docker, request: LogRequest, outgoing: mpsc::Sender<RelayLogRequest>) {
    let send = |request| outgoing.send(RelayLogRequest { request: Some(request) });
    if send(Request::Id(request.id.clone())).await.is_err() {
        return;
    }
    let log = docker.log(&request).await;
    let mut pieces = match log {
        Ok(pieces) => pieces,
        // If nobody takes it the call has ended, which the other side notices.
        Err(error) => return drop(send(Request::Failed(error.to_string())).await),
    };
    while let Some(piece) = pieces.next().await {
        let output = match piece {
            Ok(LogOutput::Stdout(bytes)) => Output::Stdout(bytes),
            Ok(LogOutput::Stderr(bytes)) => Output::Stderr(bytes),
            Err(error) => return drop(send(Request::Failed(error.to_string())).await),
        };
        let response = LogContainerResponse { output: Some(output) };
        if send(Request::Output(response)).await.is_err() {
            return;
        }
    }
}
