//! One connection: bytes between a socket and the channel, requests joined to answers, one bundle at a time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use flowlib::channel::{Channel, CloseReason, Config, Event};
use flowlib::openflow::{BundleAdd, BundleControl, BundleControlType, BundleFlags, ErrorMsg, Message};
use flowlib::segment::Step;
use flowlib::types::Xid;
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{mpsc, oneshot};

use super::complaints::Culprit;
use super::counts::{Counts, Share};
use super::session::Surroundings;
use super::switch::{Command, Committed, Outcome, Refusal};
use super::watch::Watch;

/// Bytes that may wait for a slow switch before nothing new is sent to it.
const BACKLOG: usize = 1 << 20;
/// Bytes that may wait, answers to its echoes among them, before it is given up.
const BACKLOG_MAX: usize = 16 << 20;
/// Bytes that are read at once. They lie on the stack: thousands of connections wait with nothing to read.
const READ: usize = 16 << 10;
/// Room for bytes to be sent that a connection keeps.
const KEPT: usize = 4 << 10;
/// How long a peer may take to hear that its connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);
/// Requests that may wait before those are forgotten for which nobody waits any more.
const ABANDONED_MAX: usize = 64;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The protocol was broken, or nothing came any more.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Socket(#[from] io::Error),
    /// The switch hung up.
    #[error("the switch closed the connection")]
    HungUp,
    /// The session has ended.
    #[error("the session has ended")]
    Released,
    /// The switch was served as a learning switch, and a node has its datapath id now.
    #[error("a node has the datapath id now")]
    Known,
}

type Reply<T> = oneshot::Sender<T>;

/// A bundle on its way.
#[derive(Debug)]
struct Running {
    id: u32,
    first: u32,
    n: usize,
    sent: Instant,
    stage: Stage,
    refusals: Vec<Refusal>,
    reply: Reply<Outcome>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// All messages are on their way; waits for the barrier behind them.
    Adding { open: Xid, barrier: Xid },
    /// The barrier was answered then, and the commit is on its way; waits for its reply, or for an error.
    Committing { commit: Xid, barrier: Instant },
}

/// Who is told what the switch says unasked. Never waited for: a switch that talks too much is not listened to.
#[derive(Debug)]
pub(super) struct Hearers {
    /// Changes of flows by others.
    pub(super) watch: Watch,
    /// All else.
    pub(super) unasked: mpsc::Sender<Message>,
    /// Whose fault it is that something is not heard.
    pub(super) culprit: Arc<Culprit>,
}

#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    channel: Channel,
    commands: mpsc::Receiver<Command>,
    hearers: Hearers,
    open: Option<oneshot::Sender<()>>,
    waiting: HashMap<Xid, Reply<Result<Message, ErrorMsg>>>,
    running: Option<Running>,
    bundles: VecDeque<(Vec<Step>, Reply<Outcome>)>,
    last_bundle: u32,
    outgoing: Vec<u8>,
    /// The stream has taken what it has not sent yet, as TLS does.
    unflushed: bool,
    /// Of all bytes that wait for slow switches, those of this one.
    backlog: Share,
    counts: Counts,
}

/// An open connection that another kind of session goes on with.
#[derive(Debug)]
pub(super) struct Parts<S> {
    pub(super) stream: S,
    pub(super) channel: Channel,
    /// Bytes that the socket has not taken yet.
    pub(super) outgoing: Vec<u8>,
}

const ATOMIC: BundleFlags = BundleFlags::ATOMIC.union(BundleFlags::ORDERED);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(
        stream: S,
        commands: mpsc::Receiver<Command>,
        hearers: Hearers,
        open: oneshot::Sender<()>,
        around: &Surroundings,
    ) -> Self {
        let config = Config { idle_interval: around.switch_idle, ..Config::default() };
        Self {
            stream,
            channel: Channel::new(Instant::now(), config),
            commands,
            hearers,
            open: Some(open),
            waiting: HashMap::new(),
            running: None,
            bundles: VecDeque::new(),
            last_bundle: 0,
            outgoing: Vec::new(),
            unflushed: false,
            backlog: Share::of(&around.counts.backlog),
            counts: around.counts.clone(),
        }
    }

    /// Serves the connection until it ends; gives back what another session could go on with. Whoever waits for an answer,
    /// or for what is said unasked, learns that it has ended.
    pub(super) async fn run(mut self) -> (End, Parts<S>) {
        let end = self.serve().await;
        (end, Parts { stream: self.stream, channel: self.channel, outgoing: self.outgoing })
    }

    /// Cancel safety: `transfer` loses nothing, since what it does is done at once; `recv` loses nothing.
    async fn serve(&mut self) -> End {
        loop {
            if let Some(bytes) = self.channel.poll_transmit() {
                self.outgoing.extend(bytes);
            }
            self.backlog.set(self.outgoing.len());
            if self.outgoing.len() > BACKLOG_MAX {
                return CloseReason::Backlog.into();
            }
            if self.outgoing.len() >= BACKLOG && self.commands.is_closed() {
                return End::Released;
            }
            let deadline = self.channel.poll_timeout().map(tokio::time::Instant::from_std);
            let Self { stream, channel, commands, outgoing, unflushed, .. } = self;
            let is_slow = outgoing.len() >= BACKLOG;
            let transfer = std::future::poll_fn(|cx| transfer(stream, channel, outgoing, unflushed, cx));
            tokio::select! {
                transferred = transfer => match transferred {
                    Ok(true) => {}
                    Ok(false) => return End::HungUp,
                    Err(error) => return error.into(),
                },
                command = commands.recv(), if !is_slow => match command {
                    Some(command) => self.command(command),
                    None => return End::Released,
                },
                () = at(deadline) => self.channel.handle_timeout(Instant::now()),
            }
            if let Some(reason) = self.events() {
                return self.last_words(reason).await;
            }
        }
    }

    /// Sends what is still to be sent to a peer that is told why it is closed, without waiting for a slow one.
    async fn last_words(&mut self, reason: CloseReason) -> End {
        self.outgoing.extend(self.channel.poll_transmit().unwrap_or_default());
        if let Some(Err(error)) = self.stream.write(&self.outgoing).now_or_never() {
            tracing::debug!(%error, "peer not told why its connection is closed");
        }
        match tokio::time::timeout(FAREWELL, self.stream.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "connection not shut down in order"),
            Err(_) => tracing::debug!("connection not shut down in time"),
        }
        reason.into()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Send(messages) => {
                for message in &messages {
                    self.send(message);
                }
            }
            Command::Request(message, reply) => {
                if self.waiting.len() >= ABANDONED_MAX {
                    self.waiting.retain(|_, reply| !reply.is_closed());
                }
                let xid = self.send(&message);
                self.waiting.insert(xid, reply);
            }
            Command::Bundle(steps, reply) => {
                self.bundles.push_back((steps, reply));
                self.next_bundle();
            }
        }
    }

    fn send(&mut self, message: &Message) -> Xid {
        self.channel.send(message).unwrap_or_else(|error| {
            tracing::error!(%error, "message without an encoding");
            Xid(0)
        })
    }

    /// Sends open, all messages and a barrier at once.
    fn next_bundle(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some((steps, reply)) = self.bundles.pop_front() else { return };
        self.last_bundle = self.last_bundle.wrapping_add(1);
        let id = self.last_bundle;
        let open = self.control(id, BundleControlType::OPEN_REQUEST);
        let mut bytes = Vec::with_capacity(512);
        let mut first = open.0;
        for (nth, step) in steps.iter().enumerate() {
            bytes.clear();
            if let Err(error) = BundleAdd::wrap(Xid(0), id, ATOMIC, step.bytes(), &mut bytes) {
                tracing::error!(%error, "flow mod too long for a bundle");
                continue;
            }
            let xid = self.channel.send_encoded(&bytes);
            if nth == 0 {
                first = xid.0;
            }
        }
        let barrier = self.send(&Message::BarrierRequest);
        let stage = Stage::Adding { open, barrier };
        let sent = Instant::now();
        self.running = Some(Running { id, first, n: steps.len(), sent, stage, refusals: Vec::new(), reply });
    }

    fn control(&mut self, bundle_id: u32, control_type: BundleControlType) -> Xid {
        self.send(&Message::BundleControl(BundleControl::new(bundle_id, control_type, ATOMIC)))
    }

    /// Handles all that has come; gives back why the connection is to end.
    fn events(&mut self) -> Option<CloseReason> {
        while let Some(event) = self.channel.poll_event() {
            match event {
                Event::Open => {
                    if let Some(open) = self.open.take() {
                        let waited_for = open.send(()).is_ok();
                        tracing::debug!(waited_for, "version agreed on");
                    }
                }
                Event::Reply { xid, message } => self.answered(xid, message),
                Event::Error { xid, error } => self.failed(xid, error),
                Event::Message { message, .. } => {
                    if let Some(message) = self.hearers.watch.take_up(message)
                        && self.hearers.unasked.try_send(message).is_err()
                    {
                        self.counts.packet_ins_dropped.add(1);
                        self.hearers.culprit.floods();
                    }
                }
                Event::Stray { xid, message } => {
                    let message_type = message.message_type();
                    tracing::debug!(%xid, message_type, "answer that nobody waits for");
                }
                Event::Bad { error, .. } => tracing::debug!(%error, "message that cannot be decoded"),
                Event::Closed(reason) => return Some(reason),
            }
        }
        None
    }

    fn answered(&mut self, xid: Xid, message: Message) {
        if let Some(reply) = self.waiting.remove(&xid) {
            drop(reply.send(Ok(message)));
            return;
        }
        match self.running.as_ref().map(|running| (running.id, running.stage, running.refusals.is_empty())) {
            Some((id, Stage::Adding { barrier, .. }, true)) if barrier == xid => {
                let commit = self.control(id, BundleControlType::COMMIT_REQUEST);
                if let Some(running) = &mut self.running {
                    running.stage = Stage::Committing { commit, barrier: Instant::now() };
                }
            }
            Some((id, Stage::Adding { barrier, .. }, false)) if barrier == xid => {
                self.control(id, BundleControlType::DISCARD_REQUEST);
                self.end_bundle();
            }
            Some((_, Stage::Committing { commit, .. }, _)) if commit == xid => self.end_bundle(),
            _ => {}
        }
    }

    fn failed(&mut self, xid: Xid, error: ErrorMsg) {
        if let Some(reply) = self.waiting.remove(&xid) {
            drop(reply.send(Err(error)));
            return;
        }
        let Some(running) = &mut self.running else {
            tracing::warn!(%error, xid = %xid, "error for a message that needed no answer");
            return;
        };
        let step = xid.0.checked_sub(running.first).map(|n| n as usize).filter(|n| *n < running.n);
        match running.stage {
            Stage::Adding { open, .. } if open == xid => running.refusals.push(Refusal { step: None, error }),
            Stage::Committing { commit, .. } if commit == xid => {
                // The switch has named the message before, if it was one's fault.
                if running.refusals.is_empty() {
                    running.refusals.push(Refusal { step: None, error });
                }
                self.end_bundle();
            }
            _ if step.is_some() => running.refusals.push(Refusal { step, error }),
            _ => tracing::debug!(%error, xid = %xid, "error for a message that needed no answer"),
        }
    }

    fn end_bundle(&mut self) {
        if let Some(Running { sent, stage, refusals, reply, .. }) = self.running.take() {
            let outcome = match stage {
                Stage::Committing { barrier, .. } if refusals.is_empty() => {
                    Ok(Committed { sent, barrier, confirmed: Instant::now() })
                }
                _ => Err(refusals),
            };
            // Nobody waits any more if the session has ended.
            drop(reply.send(outcome));
        }
        self.next_bundle();
    }
}

/// Hands over what has come, and sends what is to be sent; ready as soon as any of that was possible. `false`: the peer has
/// hung up.
fn transfer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    channel: &mut Channel,
    outgoing: &mut Vec<u8>,
    unflushed: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    let received = read(stream, channel, cx)?;
    if received == Poll::Ready(0) {
        return Poll::Ready(Ok(false));
    }
    let mut progress = received.is_ready();
    if !outgoing.is_empty() {
        if let Poll::Ready(n) = Pin::new(&mut *stream).poll_write(cx, outgoing)? {
            (progress, *unflushed) = (true, true);
            // What the socket has taken is not kept, nor the room that a large bundle had.
            outgoing.drain(..n);
            if outgoing.is_empty() {
                outgoing.shrink_to(KEPT);
            }
        }
    } else if *unflushed && Pin::new(stream).poll_flush(cx)?.is_ready() {
        *unflushed = false;
    }
    if progress { Poll::Ready(Ok(true)) } else { Poll::Pending }
}

/// Hands over what has come; gives back how much that was.
fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    channel: &mut Channel,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut buffer = [0; READ];
    let mut buffer = ReadBuf::new(&mut buffer);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    channel.handle_bytes(Instant::now(), buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Waits until then; for ever if never.
async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
