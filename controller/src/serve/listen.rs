//! Where the API is served: TCP addresses, with TLS and without, and unix sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use super::link::{Link, Standing};
use crate::access::{Access, Peer, tls};

/// How often a silent peer is asked for a sign of life, and how long it may take: a node that lost its power leaves no
/// other trace.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Connections that the kernel keeps until they are accepted, if net.core.somaxconn allows so many: after a restart a whole
/// fleet connects at once, and a peer that finds the queue full tries again after longer and longer pauses.
const QUEUE: u32 = 65_535;
/// Handshakes under way on one listener; further connections wait in the kernel's queue.
const HANDSHAKES: usize = 256;
/// How long a peer may be silent after the handshake.
const SILENCE: Duration = Duration::from_secs(10);
/// Connections over TLS that are no admitted node's, on one listener and at the same time, at most.
const GUESTS: u64 = 1024;
/// Between tries to accept: there are no file descriptors left, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A TCP socket with TLS.
    Tls(SocketAddr),
    /// A unix socket at a path.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.strip_prefix("unix:"), text.strip_prefix("tls:")) {
            (Some(""), _) => Err("a unix socket needs a path, as in unix:/run/weir/api.sock".to_owned()),
            (Some(path), _) => Ok(Self::Unix(path.into())),
            (None, Some(address)) => address.parse().map(Self::Tls).map_err(|_| bad(text)),
            (None, None) => text.parse().map(Self::Tcp).map_err(|_| bad(text)),
        }
    }
}

fn bad(text: &str) -> String {
    format!(
        "`{text}` is no address to listen on: it should look like 127.0.0.1:7400, tls:10.0.0.1:7400 or \
         unix:/run/weir/api.sock"
    )
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "tls:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Whether other machines can reach it, and what is said on it can be read on the way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().is_loopback(),
            Self::Tls(_) | Self::Unix(_) => false,
        }
    }
}

/// A listener that is bound, and takes connections from now on.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP socket.
    Tcp(TcpListener),
    /// On a TCP socket, with TLS.
    Tls(TcpListener, Tls),
    /// On a unix socket.
    Unix(UnixListener),
}

/// What a listener with TLS needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Shakes hands.
    pub acceptor: tls::Acceptor,
    /// Knows which nodes may connect.
    pub access: Access,
}

/// Takes connections at an address from now on.
///
/// # Errors
/// The system's.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the process before this one may still be ending there.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

impl Listener {
    /// Binds. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The system's; `AddrInUse` also if somebody listens on the socket file; `InvalidInput` if the address wants TLS and
    /// there is none.
    pub async fn bind(address: &Address, tls: Option<&Tls>) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Address::Tls(address) => {
                let tls = tls.ok_or(io::ErrorKind::InvalidInput)?;
                bind_tcp(*address).map(|listener| Self::Tls(listener, tls.clone()))
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                Ok(Self::Unix(listener))
            }
        }
    }

    /// Serves until cancelled, and then until the requests at hand are answered.
    ///
    /// # Errors
    /// The transport's.
    pub async fn serve(self, routes: Routes, stop: CancellationToken) -> Result<(), tonic::transport::Error> {
        let mut server = Server::builder()
            // For JSON and `/metrics`.
            .accept_http1(true)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE));
        let router = server.add_routes(routes);
        let stop = stop.cancelled_owned();
        match self {
            Self::Tcp(listener) => {
                let incoming = accept(async move || listener.accept().await.map(|(stream, _)| tcp(stream)));
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
            Self::Tls(listener, tls) => {
                router.serve_with_incoming_shutdown(handshakes(listener, tls), stop).await
            }
            Self::Unix(listener) => {
                let incoming =
                    accept(async move || listener.accept().await.map(|(stream, _)| Link::unix(stream)));
                router.serve_with_incoming_shutdown(incoming, stop).await
            }
        }
    }
}

fn tcp(stream: TcpStream) -> Link {
    Link::tcp(without_delay(stream))
}

fn without_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    stream
}

/// Connections, one after the other, for ever.
fn accept<T>(mut next: impl AsyncFnMut() -> io::Result<T>) -> impl Stream<Item = io::Result<T>> {
    async_stream::stream! {
        loop {
            match next().await {
                Ok(link) => yield Ok(link),
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Connections that have shaken hands, for ever. Nobody waits for another's handshake.
fn handshakes(listener: TcpListener, tls: Tls) -> impl Stream<Item = io::Result<Link>> {
    async_stream::stream! {
        let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
        let acceptor = match tls.acceptor.listener(&protocols) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(%error, "no TLS");
                return;
            }
        };
        let guests = Arc::new(Semaphore::new(guests()));
        let mut under_way = JoinSet::new();
        loop {
            // Cancel safe: both take nothing unless they win.
            let done = tokio::select! {
                accepted = listener.accept(), if under_way.len() < HANDSHAKES => match accepted {
                    Ok((stream, peer)) => {
                        let (acceptor, access) = (acceptor.clone(), tls.access.clone());
                        let guests = guests.clone();
                        under_way.spawn(async move {
                            let link = shake(stream, &acceptor, &access, guests).await;
                            link.inspect_err(|error| tracing::info!(%peer, %error, "no TLS connection")).ok()
                        });
                        None
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                        None
                    }
                },
                Some(done) = under_way.join_next() => done.ok().flatten(),
            };
            if let Some(link) = done {
                yield Ok(link);
            }
        }
    }
}

async fn shake(
    stream: TcpStream,
    acceptor: &tls::Listener,
    access: &Access,
    guests: Arc<Semaphore>,
) -> io::Result<Link> {
    let (stream, shown) = acceptor.accept(without_delay(stream)).await?;
    // One that is not admitted may say what it wants, and is told each time that it is not.
    let pass = shown.as_ref().ok().and_then(Option::as_ref).and_then(|name| access.admit(name).ok());
    let standing = match pass {
        Some(pass) => Standing::Node(pass),
        None => Standing::Guest(place(guests)?),
    };
    Ok(Link::tls(stream, Peer::Tls(shown), standing).unless_silent_for(SILENCE))
}

/// A place for somebody who is no node.
fn place(guests: Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    guests.try_acquire_owned().map_err(|_| io::Error::other("too many connections that are no node's"))
}

/// How many places there are for those who are no nodes: an eighth of the files that may be open, so that nodes have the
/// others.
fn guests() -> usize {
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(GUESTS, |(_, most)| most / 8);
    usize::try_from(most.clamp(1, GUESTS)).unwrap_or(1)
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is no socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_no_node_has_a_place_or_is_turned_away() {
        assert!((1..=1024).contains(&guests()));
        let guests = Arc::new(Semaphore::new(1));
        let first = place(guests.clone()).unwrap();
        assert!(place(guests.clone()).is_err());
        drop(first);
        assert!(place(guests).is_ok());
    }
}
