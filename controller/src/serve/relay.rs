//! Calls of clients that agents answer: the client's stream and the agent's are joined here.
//!
//! ```text
//! client ──ExecContainer, LogContainer──▶ inputs ──▶ RelayExec, RelayLog ──▶ agent
//!        ◀── responses ◀──────────────────────────── RelayExec, RelayLog ◀──
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowlib::compile::model::NodeId;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, Streaming};

use super::{Api, refused};
use crate::access::Caller;
use crate::intent::State;
use crate::orchestrate::outbox::Outbox;

/// Messages on their way in one direction.
const WINDOW: usize = 16;
/// How long an agent may take to open its side.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream's messages, and the error it ends with.
pub(super) type Receiver<T> = mpsc::Receiver<Result<T, Status>>;
type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// What an agent says on its side of a call.
pub(super) enum Said<T> {
    /// Which call it is.
    Id(String),
    /// Something for the client.
    Output(T),
    /// It cannot be done, for that reason.
    Failed(String),
}

/// A message of an agent's side of a call.
pub(super) trait FromAgent: Send + 'static {
    /// What the client is sent.
    type Output: Send + 'static;

    /// What it says; `None` if it makes no sense.
    fn said(self) -> Option<Said<Self::Output>>;
}

/// Calls whose agents have not opened their side yet.
#[derive(Debug)]
pub(super) struct Relays<I, O> {
    waiting: Mutex<HashMap<String, Waiting<I, O>>>,
}

impl<I, O> Default for Relays<I, O> {
    fn default() -> Self {
        Self { waiting: Mutex::default() }
    }
}

/// One call's client, waiting for the agent.
#[derive(Debug)]
struct Waiting<I, O> {
    /// Whose agent is asked: no other may answer.
    node: NodeId,
    inputs: Receiver<I>,
    responses: Sender<O>,
    opened: oneshot::Sender<()>,
    done: CancellationToken,
}

/// A client's side of a call whose agent has opened its own.
#[derive(Debug)]
pub(super) struct Opened<I, O> {
    /// What is for the agent. Its call ends when this is dropped.
    pub(super) input: Sender<I>,
    /// What is for the client.
    pub(super) answers: Receiver<O>,
    /// The agent has said all there is, or the client is gone.
    pub(super) done: CancellationToken,
}

/// A client's place among those that wait. Dropping it, also because the client has cancelled, gives the place up.
#[derive(Debug)]
#[must_use]
struct Place<'a, I, O> {
    relays: &'a Relays<I, O>,
    id: String,
}

impl<I, O> Drop for Place<'_, I, O> {
    fn drop(&mut self) {
        self.relays.take(&self.id);
    }
}

impl<I, O> Relays<I, O> {
    fn put(&self, id: String, waiting: Waiting<I, O>) -> Place<'_, I, O> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), waiting);
        Place { relays: self, id }
    }

    fn take(&self, id: &str) -> Option<Waiting<I, O>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// As `take`, if the call is that node's; `None`: whoever's it is.
    fn take_from(&self, id: &str, node: Option<NodeId>) -> Option<Waiting<I, O>> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).filter(|waiting| node.is_none_or(|node| node == waiting.node))?;
        all.remove(id)
    }

    /// Gives an order to a node's agent that names the call, and waits until the agent has opened its side.
    ///
    /// # Errors
    /// `UNAVAILABLE`: the order is not taken (`false`), or nothing comes of it in time.
    pub(super) async fn open(
        &self,
        node: NodeId,
        order: impl FnOnce(String) -> bool,
    ) -> Result<Opened<I, O>, Status> {
        let id = random_id()?;
        let (input, inputs) = mpsc::channel(WINDOW);
        let (responses, answers) = mpsc::channel(WINDOW);
        let (opened, open) = oneshot::channel();
        let done = CancellationToken::new();
        let _place = self.put(id.clone(), Waiting { node, inputs, responses, opened, done: done.clone() });
        if !order(id) {
            return Err(Status::unavailable("the node's agent is too busy"));
        }
        match tokio::time::timeout(PATIENCE, open).await {
            Ok(Ok(())) => Ok(Opened { input, answers, done }),
            _ => Err(Status::unavailable("the node's agent did not answer")),
        }
    }

    /// Takes up an agent's side of a call, from that node, if any: what comes back is for the agent.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`: it does not say which call. `NOT_FOUND`: nobody waits for that, from that node.
    pub(super) async fn accept<M: FromAgent<Output = O>>(
        &self,
        from: Option<NodeId>,
        mut messages: Streaming<M>,
    ) -> Result<Receiver<I>, Status>
    where
        O: Send + 'static,
    {
        let Some(Said::Id(id)) = messages.message().await?.and_then(FromAgent::said) else {
            return Err(Status::invalid_argument("the first message must be `id`"));
        };
        let nobody = || Status::not_found("nobody waits for that call any more");
        let Waiting { inputs, responses, opened, done, .. } = self.take_from(&id, from).ok_or_else(nobody)?;
        opened.send(()).map_err(|()| nobody())?;
        tokio::spawn(drain(messages, responses, done));
        Ok(inputs)
    }
}

impl Api {
    /// The node whose certificate is behind a request; `None`: whoever rules the controller may be any.
    ///
    /// # Errors
    /// `NOT_FOUND`: the node has not registered.
    pub(super) fn speaker<T>(&self, request: &Request<T>) -> Result<Option<NodeId>, Status> {
        let Some(Caller::Node(name)) = request.extensions().get() else { return Ok(None) };
        let find = |state: &State| {
            let pool = state.pool_named(&name.pool)?.id;
            state.node_named(pool, &name.node).map(|node| node.id)
        };
        let unknown = || Status::not_found(format!("{name} has not registered"));
        self.orchestrator.intent().read(find).ok_or_else(unknown).map(Some)
    }

    /// What a node's agent is to be sent.
    ///
    /// # Errors
    /// `UNAVAILABLE`: it is not connected.
    pub(super) async fn outbox(&self, node: NodeId) -> Result<std::sync::Arc<Outbox>, Status> {
        let outbox = self.orchestrator.outbox(node).await.map_err(refused)?;
        outbox.ok_or_else(|| Status::unavailable("the node's agent is not connected"))
    }
}

/// Passes what an agent says to the client, until that has ended or either side is gone.
async fn drain<M: FromAgent>(
    mut messages: Streaming<M>,
    responses: Sender<M::Output>,
    done: CancellationToken,
) {
    let _done = done.drop_guard();
    loop {
        // Dropping the agent's stream tells it that nobody listens any more.
        let message = tokio::select! {
            message = messages.message() => message,
            () = responses.closed() => return,
        };
        let response = match message.map(|message| message.map(FromAgent::said)) {
            Ok(Some(Some(Said::Output(output)))) => Ok(output),
            Ok(Some(Some(Said::Failed(why)))) => Err(Status::failed_precondition(why)),
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

/// What nobody can guess.
pub(super) fn random_id() -> Result<String, Status> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Status::internal("the system has no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_gives_up_leaves_nothing_behind() {
        let relays: Relays<(), ()> = Relays::default();
        let waiting = || Waiting {
            node: NodeId(1),
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
        let refused = relays.open(NodeId(1), |_| false).await.map(drop);
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unavailable);
        assert!(relays.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_the_node_that_was_asked_answers() {
        let relays: Relays<(), ()> = Relays::default();
        let order = |id: String| {
            assert_eq!(id.len(), 32);
            assert!(relays.take_from(&id, Some(NodeId(2))).is_none());
            let waiting = relays.take_from(&id, Some(NodeId(1))).unwrap();
            waiting.opened.send(()).unwrap();
            true
        };
        relays.open(NodeId(1), order).await.unwrap();
    }
}
