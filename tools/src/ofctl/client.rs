//! A connection to a switch: moves bytes between a socket and a channel.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use flowlib::channel::{Channel, Config, Event};
use flowlib::openflow::{Message, MultipartReplyBody, MultipartRequestBody};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::target::Target;

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// An open channel to a switch. Asks one thing at a time.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    channel: Channel,
}

impl Client {
    /// Connects; the version is agreed on with the first request.
    pub(super) async fn connect(target: &Target) -> Result<Self> {
        let cannot = || format!("cannot connect to {target}");
        let stream: Box<dyn Stream> = match target {
            Target::Unix(path) => Box::new(UnixStream::connect(path).await.with_context(cannot)?),
            Target::Tcp(address) => Box::new(TcpStream::connect(address).await.with_context(cannot)?),
        };
        Ok(Self { stream, channel: Channel::new(Instant::now(), Config::default()) })
    }

    /// Asks a multipart question.
    pub(super) async fn multipart(&mut self, body: MultipartRequestBody) -> Result<MultipartReplyBody> {
        match self.request(&Message::MultipartRequest(body.into())).await? {
            Message::MultipartReply(reply) => Ok(reply.body),
            other => bail!("the switch answered with a message of type {}", other.message_type()),
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(&mut self, message: &Message) -> Result<Message> {
        let asked = self.channel.send(message)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            while let Some(event) = self.channel.poll_event() {
                match event {
                    Event::Reply { xid, message } if xid == asked => return Ok(message),
                    Event::Error { xid, error } if xid == asked => bail!("the switch refuses: {error}"),
                    Event::Closed(reason) => return Err(reason).context("the channel closed"),
                    // What the switch says unasked is of no interest here.
                    Event::Open | Event::Reply { .. } | Event::Error { .. } | Event::Message { .. } => {}
                }
            }
            if let Some(bytes) = self.channel.poll_transmit() {
                self.stream.write_all(&bytes).await?;
            }
            // Both branches may be cancelled: a read that is dropped has taken nothing.
            let due = self.channel.poll_timeout().unwrap_or_else(Instant::now);
            tokio::select! {
                read = self.stream.read(&mut buffer) => match read? {
                    0 => bail!("the switch closed the connection"),
                    n => self.channel.handle_bytes(Instant::now(), &buffer[..n]),
                },
                () = tokio::time::sleep_until(due.into()) => self.channel.handle_timeout(Instant::now()),
            }
        }
    }
}
