//! A registry proxy as if it were on this host.
//!
//! Docker speaks HTTP without TLS only to registries in 127.0.0.0/8, unless its settings name others: this spares every node
//! such a setting. What passes is not looked at. It lasts as long as one pull.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

/// A port of this host that leads to a registry proxy, until it is dropped.
pub(super) struct Loopback {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Loopback {
    /// Opens a port that leads to `to`, a host and a port.
    ///
    /// # Errors
    /// Nobody takes connections there, or there is no port left here.
    pub(super) async fn open(to: String) -> io::Result<Self> {
        // Whoever connects here would only see that the connection is lost.
        connect(&to).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, _task: AbortOnDropHandle::new(tokio::spawn(serve(listener, to))) })
    }

    /// Where to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, to: String) {
    let mut streams = JoinSet::new();
    loop {
        // Both are cancel safe.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(streams.spawn(relay(stream, to.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "a connection for a registry proxy is not taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = streams.join_next() => {}
        }
    }
}

/// Both ends learn of an error by the end of their connection.
async fn relay(mut here: TcpStream, to: String) {
    let relayed = async { copy_bidirectional(&mut here, &mut connect(&to).await?).await };
    if let Err(error) = relayed.await {
        tracing::debug!(to, %error, "a connection to a registry proxy has ended");
    }
}

async fn connect(to: &str) -> io::Result<TcpStream> {
    timeout(CONNECT, TcpStream::connect(to)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

const CONNECT: Duration = Duration::from_secs(5);

/// How long to wait when connections cannot be taken, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn leads_there_and_back_and_ends_with_its_owner() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let loopback = Loopback::open(there.local_addr().unwrap().to_string()).await.unwrap();
        drop(there.accept().await.unwrap());
        let mut here = TcpStream::connect(loopback.address()).await.unwrap();
        here.write_all(b"ask").await.unwrap();
        let (mut far, _) = there.accept().await.unwrap();
        let mut asked = [0; 3];
        far.read_exact(&mut asked).await.unwrap();
        far.write_all(&asked).await.unwrap();
        let mut answer = [0; 3];
        here.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ask");
        drop(loopback);
        assert_eq!(far.read(&mut asked).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn nobody_there_is_said_at_once() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(Loopback::open(gone.to_string()).await.is_err());
    }
}
