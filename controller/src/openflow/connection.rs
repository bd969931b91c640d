//! One connection: bytes between a socket and the channel, requests joined to answers, one bundle at a time.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use flowlib::channel::{Channel, CloseReason, Config, Event};
use flowlib::openflow::{BundleAdd, BundleControl, BundleControlType, BundleFlags, ErrorMsg, Message};
use flowlib::segment::Step;
use flowlib::types::Xid;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
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
    Socket(#[from] std::io::Error),
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
pub(super) struct Connection {
    stream: TcpStream,
    channel: Channel,
    commands: mpsc::Receiver<Command>,
    hearers: Hearers,
    open: Option<oneshot::Sender<()>>,
    waiting: HashMap<Xid, Reply<Result<Message, ErrorMsg>>>,
    running: Option<Running>,
    bundles: VecDeque<(Vec<Step>, Reply<Outcome>)>,
    last_bundle: u32,
    outgoing: Vec<u8>,
    /// Of all bytes that wait for slow switches, those of this one.
    backlog: Share,
    counts: Counts,
}

/// An open connection that another kind of session goes on with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) stream: TcpStream,
    pub(super) channel: Channel,
    /// Bytes that the socket has not taken yet.
    pub(super) outgoing: Vec<u8>,
}

const ATOMIC: BundleFlags = BundleFlags::ATOMIC.union(BundleFlags::ORDERED);

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
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
            backlog: Share::of(&around.counts.backlog),
            counts: around.counts.clone(),
        }
    }

    /// Serves the connection until it ends; gives back what another session could go on with. Whoever waits for an answer,
    /// or for what is said unasked, learns that it has ended.
    pub(super) async fn run(mut self) -> (End, Parts) {
        let end = self.serve().await;
        (end, Parts { stream: self.stream, channel: self.channel, outgoing: self.outgoing })
    }

    /// Cancel safety: `readable` takes nothing, `write` nothing that it does not return, `recv` loses nothing.
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
            let (reader, mut writer) = self.stream.split();
            tokio::select! {
                ready = reader.readable() => match ready.and_then(|()| read(&reader, &mut self.channel)) {
                    Ok(0) => return End::HungUp,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return error.into(),
                },
                n = writer.write(&self.outgoing), if !self.outgoing.is_empty() => match n {
                    Ok(n) => self.written(n),
                    Err(error) => return error.into(),
                },
                command = self.commands.recv(), if self.outgoing.len() < BACKLOG => match command {
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

    /// What the socket has taken is not kept, nor the room that a large bundle had.
    fn written(&mut self, n: usize) {
        self.outgoing.drain(..n);
        if self.outgoing.is_empty() {
            self.outgoing.shrink_to(KEPT);
        }
    }

    /// Sends what is still to be sent to a peer that is told why it is closed, without waiting for a slow one.
    async fn last_words(&mut self, reason: CloseReason) -> End {
        self.outgoing.extend(self.channel.poll_transmit().unwrap_or_default());
        if let Err(error) = self.stream.try_write(&self.outgoing) {
            tracing::debug!(%error, "peer not told why its connection is closed");
        }
        if let Err(error) = self.stream.shutdown().await {
            tracing::debug!(%error, "connection not shut down in order");
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

/// Hands over what has come; gives back how much that was.
fn read(reader: &ReadHalf<'_>, channel: &mut Channel) -> std::io::Result<usize> {
    let mut buffer = [0; READ];
    let n = reader.try_read(&mut buffer)?;
    channel.handle_bytes(Instant::now(), &buffer[..n]);
    Ok(n)
}

/// Waits until then; for ever if never.
async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
