//! Messages over a transport.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flowlib::openflow::{HEADER_LEN, Hello, Message, VERSION};
use flowlib::types::Xid;

use super::failure::Failure;
use super::inbox::Inbox;
use super::target::{Place, Socket, Target};
use super::tls::Identity;
use super::transport::Transport;

/// How long nothing that belongs to a request may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ofctl) enum Patience {
    /// That long.
    For(Duration),
    /// For ever: whoever listens waits for what may never happen.
    Endless,
}

/// What is to be done after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ofctl) enum Next {
    /// The message belongs to what is waited for; there will be more.
    More,
    /// The message is of no interest.
    Ignored,
    /// Nothing more is waited for.
    Done,
}

/// An open connection to a switch that has agreed on OpenFlow 1.3.
pub(in crate::ofctl) struct Connection {
    place: Place,
    transport: Transport,
    inbox: Inbox,
    outbox: Vec<u8>,
    /// Bytes at the front of the outbox that are sent.
    sent: usize,
    patience: Patience,
}

/// Type and xid of a message; both 0 of something shorter than a header.
pub(in crate::ofctl) fn header(message: &[u8]) -> (u8, Xid) {
    let xid =
        message.get(4..HEADER_LEN).and_then(<[u8]>::first_chunk).map_or(0, |xid| u32::from_be_bytes(*xid));
    (message.get(1).copied().unwrap_or_default(), Xid(xid))
}

/// How long a switch may say nothing that belongs to a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much is put together before it is written.
const BATCH: usize = 256 << 10;

const ECHO_REQUEST: u8 = 2;

/// The last xid that was given out in this process.
static LAST_XID: AtomicU32 = AtomicU32::new(0);

impl Connection {
    /// Connects to what takes requests, and agrees on the version.
    ///
    /// # Errors
    /// [`Failure`].
    pub(in crate::ofctl) fn open(target: &Target, identity: &Identity) -> Result<Self, Failure> {
        let mut connection = Self::connect(target, identity, Socket::Management)?;
        connection.negotiate()?;
        Ok(connection)
    }

    /// Connects to what repeats the messages of a controller.
    ///
    /// # Errors
    /// [`Failure`].
    pub(in crate::ofctl) fn snoop(target: &Target, identity: &Identity) -> Result<Self, Failure> {
        let mut connection = Self::connect(target, identity, Socket::Snoop)?;
        connection.negotiate()?;
        Ok(connection)
    }

    fn connect(target: &Target, identity: &Identity, socket: Socket) -> Result<Self, Failure> {
        for place in target.places(socket) {
            match Transport::connect(&place, identity, PATIENCE) {
                Ok(transport) => {
                    return Ok(Self {
                        place,
                        transport,
                        inbox: Inbox::new(),
                        outbox: Vec::new(),
                        sent: 0,
                        patience: Patience::For(PATIENCE),
                    });
                }
                // Of a word, the next place is tried.
                Err(Failure::Connect { error, .. })
                    if !target.has_method() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::NoSwitch(target.to_string()))
    }

    /// A new xid. They count on over all connections of the process, as those of ovs-ofctl do.
    pub(in crate::ofctl) fn new_xid() -> Xid {
        Self::new_xids(1)
    }

    /// The first of so many new xids.
    pub(in crate::ofctl) fn new_xids(n: u32) -> Xid {
        Xid(LAST_XID.fetch_add(n, Ordering::Relaxed).wrapping_add(1))
    }

    /// Leaves out xids, where ovs-ofctl would have asked for what was not needed here.
    pub(in crate::ofctl) fn skip_xids(n: u32) {
        LAST_XID.fetch_add(n, Ordering::Relaxed);
    }

    /// The connection in words.
    pub(in crate::ofctl) fn place(&self) -> &Place {
        &self.place
    }

    /// How long the next answers may take.
    pub(in crate::ofctl) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    fn negotiate(&mut self) -> Result<(), Failure> {
        let mut hello = Vec::new();
        Message::Hello(Hello::new(&[VERSION])).encode(Self::new_xid(), &mut hello).expect("a hello is short");
        self.send(&hello);
        let place = self.place.clone();
        let first = self.receive_any()?;
        match Message::decode(first) {
            Ok((_, Message::Hello(hello))) if hello.speaks(VERSION) => Ok(()),
            Ok((_, Message::Hello(hello))) => Err(Failure::Version { place, version: hello.version }),
            Ok((_, Message::Error(error))) => Err(Failure::BadReply(error.to_string())),
            _ => Err(Failure::NoHello { place, message_type: header(first).0 }),
        }
    }

    /// Puts a message to what is to be sent.
    pub(in crate::ofctl) fn send(&mut self, message: &[u8]) {
        self.outbox.extend_from_slice(message);
    }

    /// The next message, whatever it is.
    ///
    /// # Errors
    /// [`Failure`]; `NoAnswer` after the patience.
    pub(in crate::ofctl) fn receive_any(&mut self) -> Result<&[u8], Failure> {
        let since = Instant::now();
        let len = loop {
            match self.inbox.message_len() {
                Ok(Some(len)) => break len,
                Ok(None) => self.pump(since, false)?,
                Err(len) => return Err(Failure::BadFrame { place: self.place.clone(), len }),
            }
        };
        Ok(self.inbox.take(len))
    }

    /// Sends what `more` appends, as fast as the peer takes it, while what comes goes to `take`, until that is done.
    /// `more` says whether there will be more still; echo requests are answered.
    ///
    /// # Errors
    /// [`Failure`], and what `more` and `take` say.
    pub(in crate::ofctl) fn exchange<E: From<Failure>>(
        &mut self,
        mut more: impl FnMut(&mut Vec<u8>) -> Result<bool, E>,
        mut take: impl FnMut(&[u8]) -> Result<Next, E>,
    ) -> Result<(), E> {
        let mut has_more = true;
        let mut since = Instant::now();
        loop {
            if has_more && self.outbox.len() - self.sent < BATCH {
                has_more = more(&mut self.outbox)?;
                since = Instant::now();
            }
            loop {
                let len = match self.inbox.message_len() {
                    Ok(Some(len)) => len,
                    Ok(None) => break,
                    Err(len) => return Err(Failure::BadFrame { place: self.place.clone(), len }.into()),
                };
                let message = self.inbox.take(len);
                if header(message).0 == ECHO_REQUEST {
                    echo(message, &mut self.outbox);
                    continue;
                }
                match take(message)? {
                    Next::More => since = Instant::now(),
                    Next::Ignored => {}
                    Next::Done => return Ok(()),
                }
            }
            self.pump(since, has_more)?;
        }
    }

    /// Sends one message and gives what comes to `take` until that is done.
    ///
    /// # Errors
    /// [`Failure`], and what `take` says.
    pub(in crate::ofctl) fn ask<E: From<Failure>>(
        &mut self,
        message: &[u8],
        take: impl FnMut(&[u8]) -> Result<Next, E>,
    ) -> Result<(), E> {
        self.send(message);
        self.exchange(|_| Ok(false), take)
    }

    /// Sends one message; the first message under its xid.
    ///
    /// # Errors
    /// [`Failure`].
    pub(in crate::ofctl) fn transact(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let (_, xid) = header(message);
        let mut reply = Vec::new();
        self.ask(message, |message| {
            if header(message).1 != xid {
                return Ok(Next::Ignored);
            }
            reply.extend_from_slice(message);
            Ok::<_, Failure>(Next::Done)
        })?;
        Ok(reply)
    }

    /// Moves bytes both ways. If none can be moved, and none are about to be sent, waits until some can.
    fn pump(&mut self, since: Instant, has_more: bool) -> Result<(), Failure> {
        let broken = |place: &Place, error| Failure::Broken { place: place.clone(), error };
        let (until, after) = match self.patience {
            Patience::For(time) => (Some(since + time), time),
            Patience::Endless => (None, Duration::ZERO),
        };
        self.write().map_err(|error| broken(&self.place, error))?;
        match self.inbox.fill(&mut self.transport) {
            Ok(0) => return Err(Failure::Closed(self.place.clone())),
            Ok(_) => return Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(broken(&self.place, error)),
        }
        let waiting = self.outbox.len() - self.sent;
        if has_more && waiting < BATCH {
            return Ok(());
        }
        let wants_write = waiting > 0;
        match self.transport.wait(wants_write, until) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::NoAnswer { place: self.place.clone(), after }),
            Err(error) => Err(broken(&self.place, error)),
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        while self.sent < self.outbox.len() {
            match self.transport.write_some(&self.outbox[self.sent..])? {
                0 => break,
                n => self.sent += n,
            }
        }
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        } else if self.sent > BATCH {
            self.outbox.drain(..self.sent);
            self.sent = 0;
        }
        self.transport.push()
    }
}

/// Appends the answer to an echo request: the same bytes as another type.
fn echo(request: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(request);
    out[at + 1] = ECHO_REQUEST + 1;
}
