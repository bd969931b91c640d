//! Commands in containers: the client's stream and the agent's are joined here.
//!
//! ```text
//! client ──ExecContainer──▶ inputs ──▶ RelayExec ──▶ agent
//!        ◀── responses ◀───────────── RelayExec ◀──
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowlib::compile::model::{EndpointId, NodeId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use weir_api::v1::{
    ExecContainerRequest, ExecContainerResponse, ExecStart, RelayExecRequest, exec_container_request,
    relay_exec_request,
};

use super::{Api, refused};
use crate::intent::State;
use crate::orchestrate::containers;
use crate::orchestrate::outbox::ExecOrder;

/// Messages on their way in one direction.
const WINDOW: usize = 16;
/// How long an agent may take to open its side.
const PATIENCE: Duration = Duration::from_secs(10);

type Responses = mpsc::Sender<Result<ExecContainerResponse, Status>>;
type Inputs = mpsc::Receiver<Result<ExecContainerRequest, Status>>;

/// Commands whose agents have not opened their side yet.
#[derive(Debug, Default)]
pub(super) struct Relays {
    waiting: Mutex<HashMap<String, Waiting>>,
}

/// One command's client, waiting for the agent.
#[derive(Debug)]
struct Waiting {
    inputs: Inputs,
    responses: Responses,
    opened: oneshot::Sender<()>,
    done: CancellationToken,
}

/// A client's place among those that wait. Dropping it, also because the client has cancelled, gives the place up.
#[derive(Debug)]
#[must_use]
struct Place<'a> {
    relays: &'a Relays,
    id: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.relays.take(&self.id);
    }
}

impl Relays {
    fn put(&self, id: String, waiting: Waiting) -> Place<'_> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), waiting);
        Place { relays: self, id }
    }

    fn take(&self, id: &str) -> Option<Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

impl Api {
    /// Starts a command for a client; the responses come when the agent has opened its side.
    pub(super) async fn exec(
        &self,
        mut requests: Streaming<ExecContainerRequest>,
    ) -> Result<mpsc::Receiver<Result<ExecContainerResponse, Status>>, Status> {
        use exec_container_request::Request;
        let start = match requests.message().await? {
            Some(ExecContainerRequest { request: Some(Request::Start(start)) }) => start,
            _ => return Err(Status::invalid_argument("the first request must be `start`")),
        };
        let (node, endpoint) = self.target(&start)?;
        let outbox = self.orchestrator.outbox(node).await.map_err(refused)?;
        let outbox = outbox
            .ok_or_else(|| Status::unavailable("the agent of the container's node is not connected"))?;
        let id = format!("{:016x}{:016x}", random(), random());
        let (input, inputs) = mpsc::channel(WINDOW);
        let (responses, answers) = mpsc::channel(WINDOW);
        let (opened, open) = oneshot::channel();
        let done = CancellationToken::new();
        let _place = self.relays.put(id.clone(), Waiting { inputs, responses, opened, done: done.clone() });
        let terminal = start.terminal.map(|size| (size.rows, size.columns));
        let order = ExecOrder { id, endpoint, command: start.command.clone(), terminal };
        if !outbox.exec(order) {
            return Err(Status::unavailable("the agent of the container's node is too busy"));
        }
        tokio::spawn(feed(start, requests, input, done));
        match tokio::time::timeout(PATIENCE, open).await {
            Ok(Ok(())) => Ok(answers),
            _ => Err(Status::unavailable("the agent of the container's node did not start the command")),
        }
    }

    fn target(&self, start: &ExecStart) -> Result<(NodeId, EndpointId), Status> {
        if start.command.is_empty() {
            return Err(Status::invalid_argument("no command is given"));
        }
        let find = |state: &State| {
            containers::find(state, &start.pool, &start.name)
                .map(|container| (container.deleting, container.endpoint.node, container.endpoint.id))
        };
        match self.orchestrator.intent().read(find).map_err(refused)? {
            (false, node, endpoint) => Ok((node, endpoint)),
            (true, ..) => {
                Err(Status::failed_precondition(format!("the container `{}` is being deleted", start.name)))
            }
        }
    }

    /// Opens an agent's side of a command.
    pub(super) async fn relay(&self, mut messages: Streaming<RelayExecRequest>) -> Result<Inputs, Status> {
        use relay_exec_request::Request;
        let id = match messages.message().await? {
            Some(RelayExecRequest { request: Some(Request::Id(id)) }) => id,
            _ => return Err(Status::invalid_argument("the first message must be `id`")),
        };
        let waiting = self.relays.take(&id);
        let waiting = waiting.ok_or_else(|| Status::not_found("nobody waits for that command any more"))?;
        let Waiting { inputs, responses, opened, done } = waiting;
        opened.send(()).map_err(|()| Status::not_found("nobody waits for that command any more"))?;
        tokio::spawn(drain(messages, responses, done));
        Ok(inputs)
    }
}

/// Passes a client's input to the agent, the start first, until the command is done or the client is gone: the end of the
/// stream tells the agent to stop the command. A client that only ends its side has no more input, that is all.
async fn feed(
    start: ExecStart,
    mut requests: Streaming<ExecContainerRequest>,
    input: mpsc::Sender<Result<ExecContainerRequest, Status>>,
    done: CancellationToken,
) {
    use exec_container_request::Request;
    let mut next = Request::Start(start);
    loop {
        let ended = matches!(next, Request::StdinClosed(_));
        if input.send(Ok(ExecContainerRequest { request: Some(next) })).await.is_err() {
            return;
        }
        // Cancel safe: whatever comes second, the loop is over.
        let message = tokio::select! {
            () = done.cancelled() => return,
            () = input.closed() => return,
            message = requests.message(), if !ended => message,
        };
        next = match message {
            Ok(Some(ExecContainerRequest { request: Some(request) })) => request,
            Ok(_) => Request::StdinClosed(true),
            Err(_) => return,
        };
    }
}

/// Passes a command's output to the client, until it has ended or either side is gone.
async fn drain(mut messages: Streaming<RelayExecRequest>, responses: Responses, done: CancellationToken) {
    use relay_exec_request::Request;
    let _done = done.drop_guard();
    loop {
        // Dropping the agent's stream tells it that nobody listens any more.
        let message = tokio::select! {
            message = messages.message() => message,
            () = responses.closed() => return,
        };
        let response = match message {
            Ok(Some(RelayExecRequest { request: Some(Request::Output(output)) })) => Ok(output),
            Ok(Some(RelayExecRequest { request: Some(Request::Failed(why)) })) => {
                Err(Status::failed_precondition(why))
            }
            Ok(Some(_)) => Err(Status::internal("the agent sent what makes no sense")),
            Ok(None) => return,
            Err(_) => Err(Status::unavailable("the agent is gone")),
        };
        let last = response.is_err();
        if responses.send(response).await.is_err() || last {
            return;
        }
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_gives_up_leaves_nothing_behind() {
        let relays = Relays::default();
        let waiting = || Waiting {
            inputs: mpsc::channel(1).1,
            responses: mpsc::channel(1).0,
            opened: oneshot::channel().0,
            done: CancellationToken::new(),
        };
        let place = relays.put("a".to_owned(), waiting());
        assert!(relays.take("a").is_some());
        drop(place);
        drop(relays.put("b".to_owned(), waiting()));
        assert!(relays.take("b").is_none());
    }
}
