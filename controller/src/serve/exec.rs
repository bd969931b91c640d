//! Commands in containers.

use flowlib::compile::model::{EndpointId, NodeId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use weir_api::v1::{
    ExecContainerRequest, ExecContainerResponse, ExecStart, RelayExecRequest, exec_container_request,
    relay_exec_request,
};

use super::relay::{FromAgent, Receiver, Said};
use super::{Api, refused};
use crate::intent::State;
use crate::intent::model::Endpoint;
use crate::orchestrate::outbox::ExecOrder;
use crate::orchestrate::{containers, plain};

impl FromAgent for RelayExecRequest {
    type Output = ExecContainerResponse;

    fn said(self) -> Option<Said<Self::Output>> {
        use relay_exec_request::Request;
        Some(match self.request? {
            Request::Id(id) => Said::Id(id),
            Request::Output(output) => Said::Output(output),
            Request::Failed(why) => Said::Failed(why),
        })
    }
}

impl Api {
    /// Starts a command for a client; the responses come when the agent has opened its side.
    pub(super) async fn exec(
        &self,
        mut requests: Streaming<ExecContainerRequest>,
    ) -> Result<Receiver<ExecContainerResponse>, Status> {
        use exec_container_request::Request;
        let start = match requests.message().await? {
            Some(ExecContainerRequest { request: Some(Request::Start(start)) }) => start,
            _ => return Err(Status::invalid_argument("the first request must be `start`")),
        };
        if start.command.is_empty() {
            return Err(Status::invalid_argument("no command is given"));
        }
        let (node, endpoint) = self.target(&start.pool, &start.name)?;
        let outbox = self.outbox(node).await?;
        let command = start.command.clone();
        let terminal = start.terminal.map(|size| (size.rows, size.columns));
        let order = |id| outbox.exec(ExecOrder { id, endpoint, command, terminal });
        let opened = self.execs.open(node, order).await?;
        tokio::spawn(feed(start, requests, opened.input, opened.done));
        Ok(opened.answers)
    }

    /// Where a container is.
    pub(super) fn target(&self, pool: &str, name: &str) -> Result<(NodeId, EndpointId), Status> {
        let find = |state: &State| {
            containers::find(state, pool, name)
                .map(|container| (container.deleting, plain::check(container), container.endpoint.clone()))
        };
        let (deleting, own, Endpoint { node, id, .. }) =
            self.orchestrator.intent().read(find).map_err(refused)?;
        own.map_err(refused)?;
        if deleting {
            return Err(Status::failed_precondition(format!("the container `{name}` is being deleted")));
        }
        Ok((node, id))
    }
}

/// Passes a client's input to the agent, the start first, until the command is done or the client is gone: the end of the
/// stream tells the agent to stop the command. A client that only ends its side has no more input, that is all; but its
/// terminal may still change its size.
async fn feed(
    start: ExecStart,
    mut requests: Streaming<ExecContainerRequest>,
    input: mpsc::Sender<Result<ExecContainerRequest, Status>>,
    done: CancellationToken,
) {
    use exec_container_request::Request;
    let mut next = Some(Request::Start(start));
    let (mut closed, mut ended) = (false, false);
    loop {
        if let Some(request) = next.take() {
            closed |= matches!(request, Request::StdinClosed(_));
            if input.send(Ok(ExecContainerRequest { request: Some(request) })).await.is_err() {
                return;
            }
        }
        // Cancel safe: whatever comes second, the loop is over.
        let message = tokio::select! {
            () = done.cancelled() => return,
            () = input.closed() => return,
            message = requests.message(), if !ended => message,
        };
        next = match message {
            Ok(Some(ExecContainerRequest { request: Some(request) })) => Some(request),
            Ok(_) => {
                ended = true;
                (!closed).then_some(Request::StdinClosed(true))
            }
            Err(_) => return,
        };
    }
}
