//! A byte stream that never blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};

use super::failure::Failure;
use super::target::Place;
use super::tls::Identity;

/// A connected socket in non-blocking mode, with TLS or without.
pub(super) enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// Connects.
    ///
    /// # Errors
    /// `Connect`, `Identity` or `NoMethod`.
    pub(super) fn connect(place: &Place, identity: &Identity, patience: Duration) -> Result<Self, Failure> {
        let failed = |error| Failure::Connect { place: place.clone(), error };
        Ok(match place {
            Place::Unix(path) => Self::Unix(unix(path).map_err(failed)?),
            Place::Tcp(host, port) => Self::Tcp(tcp(host, *port, patience).map_err(failed)?),
            Place::Tls(host, port) => {
                let session = identity.session(host)?;
                let socket = tcp(host, *port, patience).map_err(failed)?;
                Self::Tls(Box::new(StreamOwned::new(session, socket)))
            }
            Place::Unknown(_) => return Err(Failure::NoMethod(place.clone())),
        })
    }

    /// Writes what can be written now; the number of bytes.
    pub(super) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Unix(socket) => socket.write(bytes),
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        };
        written.or_else(not_now)
    }

    /// Sends on what was written and lies in the transport itself.
    pub(super) fn push(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
            Self::Tls(stream) => stream.flush().map(|()| 0).or_else(not_now).map(drop),
        }
    }

    /// Waits until it can be read, or written if it `wants_write`, or `until` has come.
    pub(super) fn wait(&self, wants_write: bool, until: Option<Instant>) -> io::Result<()> {
        let (fd, wants_write): (BorrowedFd<'_>, bool) = match self {
            Self::Unix(socket) => (socket.as_fd(), wants_write),
            Self::Tcp(socket) => (socket.as_fd(), wants_write),
            // While hands are shaken, the session takes nothing from us; whether the socket does is no help.
            Self::Tls(stream) => {
                let takes = wants_write && !stream.conn.is_handshaking();
                (stream.sock.as_fd(), takes || stream.conn.wants_write())
            }
        };
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, wants_write);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left
                .map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
            match poll(&mut [PollFd::from_borrowed_fd(fd, interest)], left.as_ref()) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Reads what has come; `WouldBlock` if nothing has.
impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(buffer),
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(stream) => match stream.read(buffer) {
                // Most peers close the socket without closing TLS first; the messages tell whether all was said.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

fn not_now(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

fn unix(path: &Path) -> io::Result<UnixStream> {
    let socket = UnixStream::connect(path)?;
    // Whole flow tables go through it: as much as the system allows, up to this, is in flight.
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER).ok();
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tcp(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

const SOCKET_BUFFER: usize = 1 << 20;
