//! An OpenFlow channel, either side of it, as a state machine without sockets or a clock.
//!
//! ```text
//!  bytes, time ──handle_*──▶ deframer ─▶ negotiate ─▶ transaction ──poll_event──▶ what came
//!  messages ─────send──────▶                liveness              ──poll_transmit─▶ bytes
//! ```
//!
//! Cuts the stream into messages, agrees on OpenFlow 1.3, answers echoes and asks for them, gives out xids, joins
//! answers and errors to what they answer. What messages mean is left to the user. Promises: whatever the bytes,
//! it ends in `Closed` with a reason or goes on; what it keeps is bounded by [`Config`] and by what is not polled.
//!
//! What it is made of is public for who handles messages as bytes and decodes but few: [`Deframer`], [`say_hello`] and
//! [`hear_hello`], [`echo_reply`], [`AnswerKind`].

mod deframer;
mod echo;
mod liveness;
mod negotiate;
mod transaction;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use deframer::{BadFrame, Deframer};
pub use echo::{echo_reply, is_echo_request};
pub use negotiate::{hear_hello, say_hello};
pub use transaction::{AnswerKind, has_more};

use liveness::{Due, Liveness};
use transaction::{Joined, Transactions};

use crate::openflow::{ErrorMsg, HEADER_LEN, Message, PacketInRef, bundle};
use crate::types::Xid;
use crate::wire::{DecodeError, EncodeError};

/// The limits of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a HELLO may take.
    pub hello_timeout: Duration,
    /// How long nothing may come before the peer is asked, and then before it is given up.
    pub idle_interval: Duration,
    /// How long a multipart answer may be in all, in bytes.
    pub max_multipart_len: usize,
    /// How many bytes may wait to be sent when an echo is to be answered.
    pub max_backlog_len: usize,
    /// Only listens to what others say to each other, as on a bridge's `snoop` socket: beyond its HELLO nothing is
    /// sent, no message is an answer to it, and silence is no fault.
    pub is_listener: bool,
    /// Gives out messages that cannot be decoded, instead of answering with an error and closing.
    pub shows_bad_messages: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(5),
            idle_interval: Duration::from_secs(5),
            max_multipart_len: 256 << 20,
            max_backlog_len: 64 << 20,
            is_listener: false,
            shows_bad_messages: false,
        }
    }
}

/// What came over a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The version is agreed on: messages go both ways from now on.
    Open,
    /// A whole answer to what was sent under that xid; the parts of a multipart one are joined.
    Reply {
        /// The request's.
        xid: Xid,
        /// The answer.
        message: Message,
    },
    /// What was sent under that xid failed.
    Error {
        /// The failed message's.
        xid: Xid,
        /// How.
        error: ErrorMsg,
    },
    /// A message that answers nothing: packet-in, port status, flow removed, or a request of the peer.
    Message {
        /// The peer's.
        xid: Xid,
        /// The message.
        message: Message,
    },
    /// An answer that nobody waits for: too late, under a wrong xid, or another than the request has.
    Stray {
        /// Its xid.
        xid: Xid,
        /// The answer, or a part of it.
        message: Message,
    },
    /// A message that cannot be decoded, if [`Config::shows_bad_messages`].
    Bad {
        /// The message.
        bytes: Vec<u8>,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// It is over. What is still to be transmitted should be, then the connection closed.
    Closed(CloseReason),
}

/// Why a channel closed itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The stream cannot be cut into messages.
    #[error("bad bytes from the peer: {0}")]
    BadFrame(#[from] BadFrame),
    /// A message that cannot be decoded.
    #[error("bad bytes from the peer: {error} (message type {message_type}, xid {xid:#x})")]
    BadMessage {
        /// The type in its header.
        message_type: u8,
        /// The xid in its header.
        xid: u32,
        /// What is wrong.
        error: DecodeError,
    },
    /// Something else than a HELLO came first.
    #[error("the peer began with a message of type {message_type}, not with a hello")]
    NoHello {
        /// The type that came.
        message_type: u8,
    },
    /// The peer does not speak our version.
    #[error("the peer does not speak OpenFlow 1.3; its highest version is {version:#04x}")]
    Version {
        /// The highest it speaks.
        version: u8,
    },
    /// The peer refused our HELLO.
    #[error("the peer refused our hello: {0}")]
    HelloRefused(ErrorMsg),
    /// No HELLO came in time.
    #[error("no hello from the peer in time")]
    HelloTimeout,
    /// The peer did not answer an echo request in time.
    #[error("the peer does not answer echo requests")]
    Unresponsive,
    /// A multipart answer beyond the limit.
    #[error("a multipart answer of more than {limit} bytes")]
    MultipartTooLong {
        /// [`Config::max_multipart_len`].
        limit: usize,
    },
    /// Parts of different types under one xid.
    #[error("parts of different types in one multipart answer")]
    MultipartMixed,
    /// The peer sends echo requests but does not read the answers.
    #[error("the peer does not read what is sent to it")]
    Backlog,
}

/// An OpenFlow channel.
///
/// Feed it with [`Channel::handle_bytes`] and [`Channel::handle_timeout`], and after either, and after sending,
/// empty [`Channel::poll_event`] and [`Channel::poll_transmit`] and look at [`Channel::poll_timeout`].
#[derive(Debug)]
pub struct Channel {
    config: Config,
    state: State,
    deframer: Deframer,
    transactions: Transactions,
    transmit: Vec<u8>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    /// Our HELLO is on its way; waits for the peer's. Goes to `Open`, or to `Closed` at the deadline.
    Hello {
        deadline: Instant,
        /// What was sent before the peer's HELLO came.
        held: Vec<u8>,
    },
    /// Messages go both ways. Goes to `Closed`.
    Open { liveness: Liveness },
    /// Others' messages come. Goes to `Closed`.
    Listening,
    /// Nothing happens any more.
    Closed,
}

impl Channel {
    /// A channel over a connection that has just been made. Its HELLO is ready to be transmitted.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        let mut transactions = Transactions::new(config.max_multipart_len);
        let mut transmit = Vec::new();
        say_hello(transactions.allocate(), &mut transmit);
        Self {
            config,
            state: State::Hello { deadline: now + config.hello_timeout, held: Vec::new() },
            deframer: Deframer::default(),
            transactions,
            transmit,
            events: VecDeque::new(),
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Sends a message under a new xid, which is given back. Before the version is agreed on it is held; after
    /// the end it is lost.
    ///
    /// # Errors
    /// If it has no encoding; then nothing is sent.
    pub fn send(&mut self, message: &Message) -> Result<Xid, EncodeError> {
        let xid = self.transactions.allocate();
        self.send_with_xid(xid, message)?;
        Ok(xid)
    }

    /// Sends a message under the xid of the request it answers. A multipart answer is sent in as many parts as it
    /// takes, unless it is said to be a part itself.
    ///
    /// # Errors
    /// If it has no encoding; then nothing is sent.
    pub fn send_with_xid(&mut self, xid: Xid, message: &Message) -> Result<(), EncodeError> {
        if let Some(out) = Self::outgoing(&mut self.state, &mut self.transmit) {
            let start = out.len();
            match message {
                Message::MultipartReply(reply) if !reply.has_more() => reply.encode_parts(xid, out)?,
                _ => message.encode(xid, out)?,
            }
            self.transactions.sent(xid, &out[start..]);
        }
        Ok(())
    }

    /// Gives up a request: what still comes of its answer is [`Event::Stray`].
    pub fn forget(&mut self, xid: Xid) {
        self.transactions.forget(xid);
    }

    /// How many requests wait for their answer.
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.transactions.n_waiting()
    }

    /// Sends a message that is already encoded, with a new xid in place of the one in it (and in the message
    /// within, if it is a bundle-add).
    pub fn send_encoded(&mut self, message: &[u8]) -> Xid {
        let xid = self.transactions.allocate();
        if let Some(out) = Self::outgoing(&mut self.state, &mut self.transmit) {
            let start = out.len();
            out.extend_from_slice(message);
            let sent = &mut out[start..];
            patch_xid(sent, 0, xid);
            if is_bundle_add(sent) {
                patch_xid(sent, bundle::INNER_OFFSET, xid);
            }
            self.transactions.sent(xid, sent);
        }
        xid
    }

    /// Where what is sent goes in this state.
    fn outgoing<'a>(state: &'a mut State, transmit: &'a mut Vec<u8>) -> Option<&'a mut Vec<u8>> {
        match state {
            State::Hello { held, .. } => Some(held),
            State::Open { .. } => Some(transmit),
            State::Listening | State::Closed => None,
        }
    }

    /// Takes in bytes that came.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.take_in(bytes, |channel, message| channel.handle_message(now, message));
    }

    /// As [`Channel::handle_bytes`], but of a packet-in no event is made: `show` gets it as it lies in the bytes, and
    /// may answer it at once.
    pub fn handle_bytes_showing(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut show: impl FnMut(&mut Self, PacketInRef<'_>),
    ) {
        self.take_in(bytes, |channel, message| match &mut channel.state {
            State::Open { liveness } if PacketInRef::is_one(message) => {
                liveness.heard(now);
                match PacketInRef::decode(message) {
                    Ok(packet) => show(channel, packet),
                    Err(error) => channel.refuse(message, error),
                }
            }
            _ => channel.handle_message(now, message),
        });
    }

    /// Hands over one message after the other, as long as it is not over.
    fn take_in(&mut self, bytes: &[u8], mut handle: impl FnMut(&mut Self, &[u8])) {
        if self.is_closed() {
            return;
        }
        let mut deframer = std::mem::take(&mut self.deframer);
        deframer.push(bytes);
        while !self.is_closed() {
            match deframer.next_message() {
                Ok(Some(message)) => handle(self, message),
                Ok(None) => break,
                Err(error) => self.close(error.into()),
            }
        }
        self.deframer = deframer;
    }

    /// Does what is due at `now`. Calling it too early or too late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Hello { deadline, .. } if now >= *deadline => self.close(CloseReason::HelloTimeout),
            State::Hello { .. } | State::Listening | State::Closed => {}
            State::Open { liveness } => match liveness.due(now) {
                Due::Nothing => {}
                Due::Dead => self.close(CloseReason::Unresponsive),
                Due::Probe => {
                    let xid = self.transactions.allocate();
                    let echo = Message::EchoRequest(Vec::new());
                    echo.encode(xid, &mut self.transmit).expect("an empty echo is short");
                }
            },
        }
    }

    /// When [`Channel::handle_timeout`] should be called; of a closed channel, and of a listener, never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Hello { deadline, .. } => Some(*deadline),
            State::Open { liveness } => Some(liveness.deadline()),
            State::Listening | State::Closed => None,
        }
    }

    /// The next thing that came.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// All bytes that are to be transmitted now.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.transmit.is_empty()).then(|| std::mem::take(&mut self.transmit))
    }

    /// Appends all bytes that are to be transmitted now to `out`. Either keeps its memory, so that nothing is allocated
    /// for what is sent over and over.
    pub fn transmit_to(&mut self, out: &mut Vec<u8>) {
        if out.is_empty() {
            std::mem::swap(out, &mut self.transmit);
        } else {
            out.append(&mut self.transmit);
        }
    }

    fn handle_message(&mut self, now: Instant, bytes: &[u8]) {
        if matches!(self.state, State::Hello { .. }) {
            return self.handle_hello(now, bytes);
        }
        let (xid, message) = match Message::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) if self.config.shows_bad_messages => {
                if let State::Open { liveness } = &mut self.state {
                    liveness.heard(now);
                }
                return self.events.push_back(Event::Bad { bytes: bytes.to_vec(), error });
            }
            Err(error) => return self.refuse(bytes, error),
        };
        match &mut self.state {
            State::Open { liveness } => {
                liveness.heard(now);
                self.handle_open(xid, message, bytes);
            }
            State::Listening => self.events.push_back(Event::Message { xid, message }),
            State::Hello { .. } | State::Closed => {}
        }
    }

    fn handle_hello(&mut self, now: Instant, bytes: &[u8]) {
        if let Err(reason) = hear_hello(bytes, &mut self.transmit) {
            return self.close(reason);
        }
        let open = if self.config.is_listener {
            State::Listening
        } else {
            State::Open { liveness: Liveness::new(now, self.config.idle_interval) }
        };
        if let State::Hello { held, .. } = std::mem::replace(&mut self.state, open)
            && !self.config.is_listener
        {
            self.transmit.extend(held);
        }
        self.events.push_back(Event::Open);
    }

    fn handle_open(&mut self, xid: Xid, message: Message, bytes: &[u8]) {
        match message {
            Message::EchoRequest(_) if self.transmit.len() <= self.config.max_backlog_len => {
                echo_reply(bytes, &mut self.transmit);
            }
            Message::EchoRequest(_) => self.close(CloseReason::Backlog),
            // A second HELLO says nothing new.
            Message::EchoReply(_) | Message::Hello(_) => {}
            Message::Error(error) => {
                self.transactions.forget(xid);
                self.events.push_back(Event::Error { xid, error });
            }
            message => match self.transactions.join(xid, message, bytes) {
                Ok(Joined::Reply(message)) => self.events.push_back(Event::Reply { xid, message }),
                Ok(Joined::Part) => {}
                Ok(Joined::Stray(message)) => self.events.push_back(Event::Stray { xid, message }),
                Ok(Joined::Unasked(message)) => self.events.push_back(Event::Message { xid, message }),
                Err(reason) => self.close(reason),
            },
        }
    }

    /// Answers a message that cannot be decoded, and closes.
    fn refuse(&mut self, bytes: &[u8], error: DecodeError) {
        let reason = negotiate::refuse(bytes, error, &mut self.transmit);
        self.close(reason);
    }

    fn close(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        self.events.push_back(Event::Closed(reason));
    }
}

fn is_bundle_add(message: &[u8]) -> bool {
    message.get(1) == Some(&4) && message.get(12..16) == Some(&bundle::ADD.to_be_bytes())
}

fn patch_xid(message: &mut [u8], at: usize, xid: Xid) {
    if let Some(place) = message.get_mut(at + 4..at + HEADER_LEN) {
        place.copy_from_slice(&xid.0.to_be_bytes());
    }
}

#[cfg(test)]
mod pair;
#[cfg(test)]
mod tests;
