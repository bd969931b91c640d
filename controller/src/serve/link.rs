//! One connection of the API: its bytes, and what is known of the other end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use crate::access::{Pass, Peer};

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: Stream,
    peer: Peer,
    /// Of a node's connection: when it is to be cut.
    pass: Option<Watched>,
    /// Of anybody else's connection: the place that it takes.
    _place: Option<OwnedSemaphorePermit>,
    /// Until when the other end must have said something, as long as it has not.
    silence: Option<Pin<Box<Sleep>>>,
}

/// As what somebody is connected over TLS.
#[derive(Debug)]
pub(super) enum Standing {
    /// As an admitted node.
    Node(Pass),
    /// As anybody else, in one of the places that there are for these.
    Guest(OwnedSemaphorePermit),
}

#[derive(Debug)]
struct Watched {
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _pass: Pass,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Link {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Self::new(Stream::Tcp(stream), Peer::Plain)
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream), Peer::Unix)
    }

    /// One over TLS; a node's is cut when its pass says so.
    pub(super) fn tls(stream: TlsStream<TcpStream>, peer: Peer, standing: Standing) -> Self {
        let watched =
            |pass: Pass| Watched { cut: Box::pin(pass.cut().clone().cancelled_owned()), _pass: pass };
        let (pass, place) = match standing {
            Standing::Node(pass) => (Some(watched(pass)), None),
            Standing::Guest(place) => (None, Some(place)),
        };
        Self { pass, _place: place, ..Self::new(Stream::Tls(Box::new(stream)), peer) }
    }

    fn new(stream: Stream, peer: Peer) -> Self {
        Self { stream, peer, pass: None, _place: None, silence: None }
    }

    /// Ends it if the other end says nothing for so long from now on.
    pub(super) fn unless_silent_for(mut self, time: Duration) -> Self {
        self.silence = Some(Box::pin(tokio::time::sleep(time)));
        self
    }

    /// Whether the other end has been silent for too long; `read` is what reading has come to.
    fn check_silence(&mut self, cx: &mut Context<'_>, read: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        let Some(silence) = &mut self.silence else { return read };
        if read.is_ready() {
            self.silence = None;
            return read;
        }
        silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(watched) = &mut self.pass else { return Ok(()) };
        match watched.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the node is revoked")),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Link {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Somebody always waits for more to read, so that a cut is noticed at once.
        self.check(cx)?;
        let read = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        self.check_silence(cx, read)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_at_first_is_cut_off_and_who_has_spoken_is_not() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut link = Link::unix(far).unless_silent_for(LONG);
        near.write_all(b"a").await.unwrap();
        assert_eq!(link.read_u8().await.unwrap(), b'a');
        assert!(tokio::time::timeout(LONG * 2, link.read_u8()).await.is_err(), "it may think");

        let (_near, far) = UnixStream::pair().unwrap();
        let mut link = Link::unix(far).unless_silent_for(LONG);
        let begun = Instant::now();
        assert_eq!(link.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!((LONG..LONG * 2).contains(&begun.elapsed()));
    }
}
