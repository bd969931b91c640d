//! The shell around a session: one task that owns the socket, the clock and the backoff.
//!
//! Callers hold a `Client`; the task ends when the last one is dropped. Requests go through a bounded channel, so a
//! caller that asks faster than the server answers waits.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use weir_metrics::Histogram;

use crate::ovsdb::error::Error;
use crate::ovsdb::operation::{Operation, Outcome};
use crate::ovsdb::replica::Replica;
use crate::ovsdb::session::{Event, Session, Settings, Token};

/// Where the database listens: `unix:PATH` or `tcp:HOST:PORT`, as in ovsdb(7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix:PATH`
    Unix(PathBuf),
    /// `tcp:HOST:PORT`; an IPv6 host in brackets.
    Tcp(String),
}

/// The text is no connection method that we have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither unix:PATH nor tcp:HOST:PORT")]
pub struct BadAddress(String);

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is.
    pub address: Address,
    /// What the session is told.
    pub settings: Settings,
    /// The first wait after a lost connection; each failed attempt doubles it.
    pub min_backoff: Duration,
    /// The longest wait between attempts.
    pub max_backoff: Duration,
}

/// What the client knows of the database and of its connection.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// True while transactions are taken.
    pub is_live: bool,
    /// `None` until the first connection has become live; kept, as last known, while there is none.
    pub replica: Option<Arc<Replica>>,
    /// Why the last connection ended or could not be made; `None` once live.
    pub error: Option<Error>,
}

/// A handle to the connection; clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    link: watch::Receiver<Link>,
    /// How long transactions took, those that were done and those that were not.
    times: Option<[Histogram; 2]>,
}

#[derive(Debug)]
struct Request {
    operations: Vec<Operation>,
    reply: oneshot::Sender<Result<Vec<Outcome>, Error>>,
}

impl Config {
    /// Waits 10 ms to 1 s between attempts.
    pub fn new(address: Address, settings: Settings) -> Self {
        let (min_backoff, max_backoff) = (Duration::from_millis(10), Duration::from_secs(1));
        Self { address, settings, min_backoff, max_backoff }
    }
}

impl Client {
    /// Starts the connection's task on the current runtime.
    pub fn start(config: Config) -> Self {
        let (requests, receiver) = mpsc::channel(MAX_WAITING);
        let (sender, link) = watch::channel(Link::default());
        let shell = Shell {
            session: Session::new(config.settings.clone()),
            config,
            epoch: Instant::now(),
            requests: receiver,
            link: sender,
            waiting: BTreeMap::new(),
            next_token: 0,
        };
        tokio::spawn(shell.run());
        Self { requests, link, times: None }
    }

    /// As it is, and with the times of its transactions noted: of those that were done, and of the others.
    #[must_use]
    pub fn timed(self, times: [Histogram; 2]) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Carries out the operations as one transaction: all of them or none.
    ///
    /// # Errors
    /// `NotConnected` (nothing was sent), `Refused` or `Rpc` (nothing was done), `OutcomeUnknown`, `Stopped`.
    pub async fn transact(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>, Error> {
        let begun = Instant::now();
        let outcome = self.ask(operations).await;
        if let Some([done, failed]) = &self.times {
            let times = if outcome.is_ok() { done } else { failed };
            times.observe(begun.elapsed().as_secs_f64());
        }
        outcome
    }

    async fn ask(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { operations, reply }).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Waits until `look` finds what it wants in the replica; it is called once now and once after each change.
    ///
    /// A replica that was never filled is not shown to it; one whose connection is lost is. There is no deadline:
    /// callers have their own.
    ///
    /// # Errors
    /// `Stopped`.
    pub async fn wait_for<T>(&self, mut look: impl FnMut(&Replica) -> Option<T>) -> Result<T, Error> {
        let mut link = self.link.clone();
        loop {
            let replica = link.borrow_and_update().replica.clone();
            if let Some(found) = replica.as_deref().and_then(&mut look) {
                return Ok(found);
            }
            link.changed().await.map_err(|_| Error::Stopped)?;
        }
    }

    /// Waits until transactions are taken; gives the replica as it then is.
    ///
    /// # Errors
    /// `Stopped`.
    pub async fn live(&self) -> Result<Arc<Replica>, Error> {
        let mut link = self.link.clone();
        let live = link.wait_for(|link| link.is_live).await.map_err(|_| Error::Stopped)?;
        live.replica.clone().ok_or(Error::NotConnected)
    }

    /// The replica as last known; `None` if there never was a connection.
    pub fn replica(&self) -> Option<Arc<Replica>> {
        self.link.borrow().replica.clone()
    }

    /// Tells of every change, of the replica and of the connection; changes in quick succession may come as one.
    pub fn watch(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", host)) if host.contains(':') => Ok(Self::Tcp(host.to_owned())),
            _ => Err(BadAddress(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The task's state.
struct Shell {
    config: Config,
    session: Session,
    /// The moment that the session counts its time from.
    epoch: Instant,
    requests: mpsc::Receiver<Request>,
    link: watch::Sender<Link>,
    waiting: BTreeMap<Token, oneshot::Sender<Result<Vec<Outcome>, Error>>>,
    next_token: Token,
}

/// All clients are gone.
struct Abandoned;

impl Shell {
    async fn run(mut self) {
        let mut backoff = self.config.min_backoff;
        loop {
            let stream = match self.connect().await {
                Ok(stream) => stream,
                Err(Abandoned) => return,
            };
            if let Some(stream) = stream {
                let begun = Instant::now();
                match self.converse(stream).await {
                    // One that breaks as soon as it is live must not be made again and again without a pause.
                    Ok(true) if begun.elapsed() >= self.config.max_backoff => {
                        backoff = self.config.min_backoff
                    }
                    Ok(_) => {}
                    Err(Abandoned) => return,
                }
            }
            if self.pause(backoff).await.is_err() {
                return;
            }
            backoff = (backoff * 2).min(self.config.max_backoff);
        }
    }

    /// Makes a connection; requests that come meanwhile are refused.
    async fn connect(&mut self) -> Result<Option<Box<dyn Stream>>, Abandoned> {
        let patience = self.config.settings.handshake_timeout;
        let address = self.config.address.clone();
        let attempt = tokio::time::timeout(patience, open(&address));
        tokio::pin!(attempt);
        loop {
            // Cancel safe: the attempt goes on, and a receive loses nothing.
            tokio::select! {
                stream = &mut attempt => match stream {
                    Ok(Ok(stream)) => return Ok(Some(stream)),
                    Ok(Err(error)) => self.note_down(error.into()),
                    Err(_) => self.note_down(Error::Silent { silence: patience }),
                },
                request = self.requests.recv() => {
                    self.take(request.ok_or(Abandoned)?);
                    continue;
                }
            }
            return Ok(None);
        }
    }

    /// Waits before the next attempt; requests that come meanwhile are refused.
    async fn pause(&mut self, backoff: Duration) -> Result<(), Abandoned> {
        let until = Instant::now() + backoff;
        loop {
            // Cancel safe: neither a sleep nor a receive loses anything when the other wins.
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                request = self.requests.recv() => self.take(request.ok_or(Abandoned)?),
            }
        }
    }

    /// One connection, from its first byte to its last; true if it became live.
    async fn converse(&mut self, stream: Box<dyn Stream>) -> Result<bool, Abandoned> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut input = vec![0; READ_SIZE];
        let mut output: Vec<u8> = Vec::new();
        let mut was_live = false;
        self.session.handle_connected(self.now());
        loop {
            was_live |= self.session.is_live();
            if self.handle_events() {
                return Ok(was_live);
            }
            if let Some(bytes) = self.session.poll_transmit() {
                output.extend(bytes);
            }
            let due = self.epoch + self.session.poll_timeout().unwrap_or_default();
            let may_ask = self.waiting.len() < MAX_IN_FLIGHT;
            // Cancel safe: read, write and recv take nothing from their source unless they complete.
            tokio::select! {
                n_read = reader.read(&mut input) => match n_read {
                    Ok(0) => self.session.handle_disconnected(Error::Closed),
                    Ok(n_read) => self.session.handle_bytes(self.now(), input.get(..n_read).unwrap_or_default()),
                    Err(error) => self.session.handle_disconnected(error.into()),
                },
                n_written = writer.write(&output), if !output.is_empty() => match n_written {
                    Ok(0) => self.session.handle_disconnected(Error::Closed),
                    Ok(n_written) => drop(output.drain(..n_written.min(output.len()))),
                    Err(error) => self.session.handle_disconnected(error.into()),
                },
                request = self.requests.recv(), if may_ask => self.take(request.ok_or(Abandoned)?),
                () = tokio::time::sleep_until(due) => self.session.handle_timeout(self.now()),
            }
        }
    }

    /// Passes on what the session has to say; true if the connection is over.
    fn handle_events(&mut self) -> bool {
        let mut is_over = false;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Live => {
                    tracing::info!(address = %self.config.address, "ovsdb connected");
                    let replica = Some(self.session.replica().clone());
                    self.link.send_replace(Link { is_live: true, replica, error: None });
                }
                Event::Changed(_) if self.session.is_live() => {
                    let replica = Some(self.session.replica().clone());
                    self.link.send_modify(|link| link.replica = replica);
                }
                Event::Changed(_) => {}
                Event::Transacted(token, outcome) => {
                    // A caller that has stopped waiting has dropped its end: nobody is left to tell.
                    if let Some(reply) = self.waiting.remove(&token) {
                        drop(reply.send(outcome));
                    }
                }
                Event::Down(error) => {
                    self.note_down(error);
                    is_over = true;
                }
            }
        }
        is_over
    }

    fn take(&mut self, request: Request) {
        if request.reply.is_closed() {
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        match self.session.transact(token, &request.operations) {
            Ok(()) => drop(self.waiting.insert(token, request.reply)),
            Err(error) => drop(request.reply.send(Err(error))),
        }
    }

    /// Says once, not at every attempt, that the database is out of reach.
    fn note_down(&mut self, error: Error) {
        let text = error.to_string();
        let known = self.link.borrow().error.as_ref().map(ToString::to_string);
        if known.as_ref() != Some(&text) {
            tracing::warn!(address = %self.config.address, error = %text, "ovsdb not connected");
        }
        self.link.send_modify(|link| {
            link.is_live = false;
            link.error = Some(error);
        });
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

async fn open(address: &Address) -> io::Result<Box<dyn Stream>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(host) => {
            let stream = TcpStream::connect(host).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

const READ_SIZE: usize = 64 << 10;
/// Requests not yet taken up by the task.
const MAX_WAITING: usize = 64;
/// Transactions sent and not yet answered.
const MAX_IN_FLIGHT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_ovs_writes_them() {
        for text in ["unix:/run/db.sock", "tcp:127.0.0.1:6640", "tcp:[::1]:6640"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "/run/db.sock", "tcp:host", "ssl:host:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
