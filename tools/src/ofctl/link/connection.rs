//! Messages over a transport.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flowlib::channel::{CloseReason, Deframer, echo_reply, hear_hello, is_echo_request, say_hello};
use flowlib::openflow::HEADER_LEN;
use flowlib::types::Xid;

use super::failure::Failure;
use super::target::{Place, Socket, Target};
use super::tls::Identity;
use super::transport::Transport;

/// How long a switch may take. What comes of an answer earns it more time, as of [`SLOWEST`]; other messages do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ofctl) enum Patience {
    /// That long, pauses taken together.
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
    inbox: Deframer,
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

/// How long a switch may take for what comes in one message.
const PATIENCE: Duration = Duration::from_secs(60);
/// How fast a long answer must come, in bytes a second.
const SLOWEST: u64 = 16 << 10;
/// How much is put together before it is written.
const BATCH: usize = 256 << 10;
/// How much may wait to be written: what is beyond answers a peer that asks and does not read.
pub(super) const MAX_BACKLOG: usize = 16 << 20;
/// The longest message.
const LONGEST: usize = 1 << 16;

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
                Ok(transport) => return Ok(Self::over(place, transport, Patience::For(PATIENCE))),
                // Of a word, the next place is tried.
                Err(Failure::Connect { error, .. })
                    if !target.has_method() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::NoSwitch(target.to_string()))
    }

    pub(super) fn over(place: Place, transport: Transport, patience: Patience) -> Self {
        let inbox = Deframer::with_capacity(4 * LONGEST);
        Self { place, transport, inbox, outbox: Vec::new(), sent: 0, patience }
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

    pub(super) fn negotiate(&mut self) -> Result<(), Failure> {
        say_hello(Self::new_xid(), &mut self.outbox);
        let first = self.receive_any()?;
        hear_hello(&first, &mut self.outbox).map_err(|reason| {
            // The peer may know why, but whether it hears it changes nothing.
            self.write().ok();
            Failure::Channel { place: self.place.clone(), reason }
        })
    }

    /// Puts a message to what is to be sent.
    pub(in crate::ofctl) fn send(&mut self, message: &[u8]) {
        self.outbox.extend_from_slice(message);
    }

    /// The next message, whatever it is.
    ///
    /// # Errors
    /// [`Failure`]; `NoAnswer` after the patience.
    pub(in crate::ofctl) fn receive_any(&mut self) -> Result<Vec<u8>, Failure> {
        let since = Instant::now();
        loop {
            match self.inbox.next_message() {
                Ok(Some(message)) => return Ok(message.to_vec()),
                Ok(None) => self.pump(since, false)?,
                Err(error) => return Err(Failure::channel(&self.place, error)),
            }
        }
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
            if has_more && self.waiting() < BATCH {
                has_more = more(&mut self.outbox)?;
                since = Instant::now();
            }
            let place = &self.place;
            while let Some(message) =
                self.inbox.next_message().map_err(|error| Failure::channel(place, error))?
            {
                if is_echo_request(message) {
                    echo_reply(message, &mut self.outbox);
                    continue;
                }
                let start = Instant::now();
                let next = take(message)?;
                // Whoever reads what we print may take his time; that is not the peer's.
                since += start.elapsed();
                match next {
                    Next::More => since = later(since, message.len()),
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
        let until = match self.patience {
            Patience::For(time) if since.elapsed() >= time => {
                return Err(Failure::NoAnswer { place: self.place.clone(), after: time });
            }
            Patience::For(time) => Some(since + time),
            Patience::Endless => None,
        };
        self.write().map_err(|error| Failure::broken(&self.place, error))?;
        if self.waiting() > MAX_BACKLOG {
            return Err(Failure::channel(&self.place, CloseReason::Backlog));
        }
        match self.read() {
            Ok(0) => return Err(Failure::Closed(self.place.clone())),
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(Failure::broken(&self.place, error)),
        }
        if has_more && self.waiting() < BATCH {
            return Ok(());
        }
        let waited = self.transport.wait(self.waiting() > 0, until);
        waited.map_err(|error| Failure::broken(&self.place, error))
    }

    /// How many bytes wait to be written.
    fn waiting(&self) -> usize {
        self.outbox.len() - self.sent
    }

    fn read(&mut self) -> io::Result<usize> {
        let len = self.transport.read(self.inbox.room(LONGEST))?;
        self.inbox.filled(len);
        Ok(len)
    }

    fn write(&mut self) -> io::Result<()> {
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

/// From when on a peer is slow that was so since then, and has sent so many bytes of an answer now.
fn later(since: Instant, len: usize) -> Instant {
    let earned = Duration::from_micros(len as u64 * 1_000_000 / SLOWEST);
    (since + earned).min(Instant::now())
}
