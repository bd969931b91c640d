//! A handle to a connected switch: requests, bundles, messages.

use std::time::Instant;

use flowlib::openflow::{
    ErrorMsg, Flow, FlowStatsRequest, Message, MultipartReply, MultipartReplyBody, MultipartRequestBody,
};
use flowlib::segment::Step;
use flowlib::types::Cookie;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, timeout};

/// How long a switch may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a connection is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Send, and forget.
    Send(Vec<Message>),
    /// Send, and hand over the answer. Boxed: the queue of each connection has room for many commands.
    Request(Box<Message>, oneshot::Sender<Result<Message, ErrorMsg>>),
    /// Carry out all steps in one bundle, or none.
    Bundle(Vec<Step>, oneshot::Sender<Outcome>),
}

/// What became of a bundle: when it went its ways, or what was refused.
pub type Outcome = Result<Committed, Vec<Refusal>>;

/// When a bundle went its ways.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// All its messages were handed to the socket, and the barrier behind them.
    pub sent: Instant,
    /// The switch had answered that barrier.
    pub barrier: Instant,
    /// The switch had confirmed the commit.
    pub confirmed: Instant,
}

/// A message of a bundle that the switch refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which step; `None`: the bundle as such.
    pub step: Option<usize>,
    /// Why.
    pub error: ErrorMsg,
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
    /// No answer in time.
    #[error("the switch has not answered {0} within {PATIENCE:?}")]
    Silent(&'static str),
    /// The switch refused it.
    #[error("the switch refused {what}: {error}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its error.
        error: ErrorMsg,
    },
    /// The answer was to something else.
    #[error("the switch answered {0} with something else")]
    Mismatch(&'static str),
}

/// A connected switch. Copies are handles to the same connection.
#[derive(Clone, Debug)]
pub struct Switch {
    commands: mpsc::Sender<Command>,
}

impl Switch {
    pub(super) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// Sends messages that need no answer; drops them if the connection has too much to do or is gone.
    pub fn send(&self, messages: Vec<Message>) {
        let n = messages.len();
        if self.commands.try_send(Command::Send(messages)).is_err() {
            tracing::warn!(n, "messages for a busy or vanished switch dropped");
        }
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// No answer, or an error instead of one.
    pub async fn request(&self, what: &'static str, message: Message) -> Result<Message, SwitchError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Request(Box::new(message), reply))
            .await
            .map_err(|_| SwitchError::Gone)?;
        let answer = timeout(PATIENCE, answer).await.map_err(|_| SwitchError::Silent(what))?;
        answer.map_err(|_| SwitchError::Gone)?.map_err(|error| SwitchError::Refused { what, error })
    }

    /// Sends messages that only errors answer, and waits until the switch is done with them.
    ///
    /// # Errors
    /// As [`Self::request`]; the first of several.
    pub async fn confirmed(&self, what: &'static str, messages: Vec<Message>) -> Result<(), SwitchError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut failures = Vec::with_capacity(messages.len());
        for message in messages {
            let (reply, failed) = oneshot::channel();
            self.commands
                .send(Command::Request(Box::new(message), reply))
                .await
                .map_err(|_| SwitchError::Gone)?;
            failures.push(failed);
        }
        self.request(what, Message::BarrierRequest).await?;
        // An error comes before the answer to the barrier, or not at all.
        match failures.iter_mut().find_map(|failed| failed.try_recv().ok()?.err()) {
            Some(error) => Err(SwitchError::Refused { what, error }),
            None => Ok(()),
        }
    }

    /// Whether both are handles to the same connection.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.commands.same_channel(&other.commands)
    }

    /// Asks for statistics or descriptions.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn multipart(
        &self,
        what: &'static str,
        body: MultipartRequestBody,
    ) -> Result<MultipartReplyBody, SwitchError> {
        match self.request(what, Message::MultipartRequest(body.into())).await? {
            Message::MultipartReply(MultipartReply { body, .. }) => Ok(body),
            _ => Err(SwitchError::Mismatch(what)),
        }
    }

    /// Its flows.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn flows(
        &self,
        what: &'static str,
        request: FlowStatsRequest,
    ) -> Result<Vec<Flow>, SwitchError> {
        match self.multipart(what, MultipartRequestBody::Flow(request)).await? {
            MultipartReplyBody::Flow(flows) => Ok(flows.into_iter().map(|stats| stats.flow).collect()),
            _ => Err(SwitchError::Mismatch(what)),
        }
    }

    /// How many flows it has whose cookie is `cookie` where `mask` has ones.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn count(&self, cookie: Cookie, mask: u64) -> Result<usize, SwitchError> {
        let what = "how many flows it has";
        let request = MultipartRequestBody::Aggregate(FlowStatsRequest::by_cookie(cookie, mask));
        match self.multipart(what, request).await? {
            MultipartReplyBody::Aggregate(stats) => Ok(stats.flow_count as usize),
            _ => Err(SwitchError::Mismatch(what)),
        }
    }

    /// Carries out all steps at once, or none: commits only after a barrier that brought no error.
    ///
    /// # Errors
    /// What was refused (nothing has changed then), or that nobody knows.
    pub async fn bundle(&self, steps: Vec<Step>) -> Result<Outcome, SwitchError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Bundle(steps, reply)).await.map_err(|_| SwitchError::Gone)?;
        let answer = timeout(PATIENCE, answer).await.map_err(|_| SwitchError::Silent("a bundle"))?;
        answer.map_err(|_| SwitchError::Gone)
    }
}
