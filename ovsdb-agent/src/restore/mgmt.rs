//! An OpenFlow connection to a bridge's management socket: the shell around a channel.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use flowlib::channel::{Channel, CloseReason, Config, Event};
use flowlib::openflow::{
    ErrorMsg, Flow, FlowStatsRequest, Message, MultipartReply, MultipartReplyBody, MultipartRequestBody,
};
use flowlib::types::{DatapathId, TableId, Xid};
use flowlib::wire::EncodeError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The ledger's table.
pub const LEDGER: TableId = TableId(62);

/// Why the connection is of no more use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MgmtError {
    /// The system could not connect, read or write.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The switch closed it.
    #[error("the switch closed the connection")]
    Ended,
    /// The channel closed it, and why.
    #[error("{0}")]
    Channel(CloseReason),
    /// No answer in time.
    #[error("no answer within {waited:?}")]
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// The switch answered with an error what it must be able to do.
    #[error("the switch refused: {0:?}")]
    Refused(ErrorMsg),
    /// The switch answered with another kind of message than the one asked for.
    #[error("the switch answered {what} with something else")]
    Unexpected {
        /// What was asked.
        what: &'static str,
    },
    /// What was to be sent has no encoding.
    #[error("cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}

/// A connection that is open.
#[derive(Debug)]
pub struct Management {
    stream: UnixStream,
    channel: Channel,
    input: Vec<u8>,
    output: Vec<u8>,
    patience: Duration,
}

impl Management {
    /// Connects and agrees on a version.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn connect(path: &Path, patience: Duration) -> Result<Self, MgmtError> {
        let stream = UnixStream::connect(path).await?;
        let channel = Channel::new(Instant::now(), Config::default());
        let mut management =
            Self { stream, channel, input: vec![0; READ_SIZE], output: Vec::new(), patience };
        while management.next_event().await? != Event::Open {}
        Ok(management)
    }

    /// Keeps the connection alive until it ends. Cancel safe.
    pub async fn idle(&mut self) -> MgmtError {
        loop {
            if let Err(error) = self.next_event().await {
                return error;
            }
        }
    }

    /// Queues a message; it goes out with the next request.
    ///
    /// # Errors
    /// `Encode`.
    pub fn send(&mut self, message: &Message) -> Result<Xid, MgmtError> {
        Ok(self.channel.send(message)?)
    }

    /// Sends a request and waits for its answer. Errors that answer what was queued before it come with it.
    ///
    /// # Errors
    /// See `MgmtError`; `Refused` is left to the caller: the inner result.
    pub async fn ask(&mut self, request: &Message) -> Result<Answer, MgmtError> {
        let asked = self.channel.send(request)?;
        let patience = self.patience;
        let answer = async {
            let mut errors = BTreeMap::new();
            loop {
                match self.next_event().await? {
                    Event::Reply { xid, message } if xid == asked => {
                        return Ok(Answer { errors, reply: Ok(message) });
                    }
                    Event::Error { xid, error } if xid == asked => {
                        return Ok(Answer { errors, reply: Err(error) });
                    }
                    Event::Error { xid, error } => drop(errors.insert(xid, error)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(patience, answer).await.map_err(|_| MgmtError::Silent { waited: patience })?
    }

    /// Waits until the switch has dealt with all that was sent; the errors it brought, by xid.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn barrier(&mut self) -> Result<BTreeMap<Xid, ErrorMsg>, MgmtError> {
        let answer = self.ask(&Message::BarrierRequest).await?;
        answer.reply.map_err(MgmtError::Refused)?;
        Ok(answer.errors)
    }

    /// The bridge's datapath id.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn datapath_id(&mut self) -> Result<DatapathId, MgmtError> {
        match self.ask(&Message::FeaturesRequest).await?.reply.map_err(MgmtError::Refused)? {
            Message::FeaturesReply(features) => Ok(features.datapath_id),
            _ => Err(MgmtError::Unexpected { what: "a request for its features" }),
        }
    }

    /// The ledger's rows, sorted.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn ledger(&mut self) -> Result<Vec<Flow>, MgmtError> {
        self.flows(FlowStatsRequest::of_table(LEDGER)).await
    }

    /// Flows, sorted.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn flows(&mut self, request: FlowStatsRequest) -> Result<Vec<Flow>, MgmtError> {
        match self.dump(MultipartRequestBody::Flow(request)).await? {
            MultipartReplyBody::Flow(stats) => {
                let mut flows: Vec<Flow> = stats.into_iter().map(|stats| stats.flow).collect();
                flows.sort();
                Ok(flows)
            }
            _ => Err(MgmtError::Unexpected { what: "a request for flows" }),
        }
    }

    /// Asks a multipart question.
    ///
    /// # Errors
    /// See `MgmtError`.
    pub async fn dump(&mut self, body: MultipartRequestBody) -> Result<MultipartReplyBody, MgmtError> {
        let answer = self.ask(&Message::MultipartRequest(body.into())).await?;
        match answer.reply.map_err(MgmtError::Refused)? {
            Message::MultipartReply(MultipartReply { body, .. }) => Ok(body),
            _ => Err(MgmtError::Unexpected { what: "a multipart request" }),
        }
    }

    /// Reads and writes until something comes. Cancel safe: what is not written yet stays in `output`.
    async fn next_event(&mut self) -> Result<Event, MgmtError> {
        loop {
            match self.channel.poll_event() {
                Some(Event::Closed(reason)) => return Err(MgmtError::Channel(reason)),
                Some(event) => return Ok(event),
                None => {}
            }
            if let Some(bytes) = self.channel.poll_transmit() {
                self.output.extend(bytes);
            }
            let due = self.channel.poll_timeout().ok_or(MgmtError::Ended)?;
            let (mut reader, mut writer) = self.stream.split();
            // Cancel safe: neither read nor write takes anything from its source unless it completes.
            tokio::select! {
                n_read = reader.read(&mut self.input) => match n_read? {
                    0 => return Err(MgmtError::Ended),
                    n_read => {
                        let bytes = self.input.get(..n_read).unwrap_or_default();
                        self.channel.handle_bytes(Instant::now(), bytes);
                    }
                },
                n_written = writer.write(&self.output), if !self.output.is_empty() => {
                    let n_written = n_written?.min(self.output.len());
                    self.output.drain(..n_written);
                }
                () = tokio::time::sleep_until(due.into()) => self.channel.handle_timeout(Instant::now()),
            }
        }
    }
}

/// What a request brought.
#[derive(Debug)]
pub struct Answer {
    /// Errors that answer what was sent before, by its xid.
    pub errors: BTreeMap<Xid, ErrorMsg>,
    /// The reply, or the request's own error.
    pub reply: Result<Message, ErrorMsg>,
}

const READ_SIZE: usize = 64 << 10;
