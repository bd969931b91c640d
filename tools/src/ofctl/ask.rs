//! Questions and their answers.

use anyhow::Result;
use flowlib::channel::{AnswerKind, has_more};
use flowlib::openflow::{ErrorCode, ErrorMsg, Message, MultipartRequest, MultipartRequestBody};
use flowlib::text::{Style, Verbosity, print_message};

use super::link::{Connection, Failure, Next, header};

/// How a question ended.
#[derive(Debug)]
#[must_use]
pub(super) enum Answer {
    /// All of the answer has come.
    Complete,
    /// The switch refused; with its OFPT_ERROR.
    Refused(Vec<u8>),
}

pub(super) const ERROR: u8 = 1;
/// The longest answer that is waited for, in parts and in bytes: far beyond any table that a switch holds.
const MAX_PARTS: u64 = 1 << 18;
const MAX_LEN: u64 = 4 << 30;

/// A message under a new xid.
///
/// # Errors
/// If it has no encoding.
pub(super) fn encode(message: &Message) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    message.encode(Connection::new_xid(), &mut bytes)?;
    Ok(bytes)
}

/// A multipart request under a new xid.
///
/// # Errors
/// If it has no encoding.
pub(super) fn multipart(body: MultipartRequestBody) -> Result<Vec<u8>> {
    encode(&Message::MultipartRequest(MultipartRequest::from(body)))
}

/// Sends a question that must be answered; each message of the answer goes to `take` as it comes.
///
/// # Errors
/// If the switch refuses; and as [`try_ask`].
pub(super) fn ask(
    connection: &mut Connection,
    request: &[u8],
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    match try_ask(connection, request, take)? {
        Answer::Complete => Ok(()),
        Answer::Refused(error) => Err(Failure::BadReply(describe(&error)).into()),
    }
}

/// As [`ask`], for what a switch need not have: if it knows no such question, nothing comes.
///
/// # Errors
/// If the switch refuses for another reason; and as [`try_ask`].
pub(super) fn ask_optional(
    connection: &mut Connection,
    request: &[u8],
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    match try_ask(connection, request, take)? {
        Answer::Refused(error) if error_code(&error) != Some(ErrorCode::OFPBRC_BAD_STAT) => {
            Err(Failure::BadReply(describe(&error)).into())
        }
        Answer::Complete | Answer::Refused(_) => Ok(()),
    }
}

/// Sends a question; each message of the answer goes to `take` as it comes.
///
/// # Errors
/// [`Failure`], and what `take` says.
pub(super) fn try_ask(
    connection: &mut Connection,
    request: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Answer> {
    let (_, xid) = header(request);
    let kind = AnswerKind::to(request);
    let place = connection.place().clone();
    let (mut parts, mut len, mut answer) = (0, 0, Answer::Complete);
    connection.ask(request, |message| {
        let (message_type, message_xid) = header(message);
        if message_xid != xid {
            return Ok(Next::Ignored);
        }
        if message_type == ERROR {
            answer = Answer::Refused(message.to_vec());
            return Ok(Next::Done);
        }
        if kind.is_none() || AnswerKind::of(message) != kind {
            return Err(Failure::BadReply(describe(message)).into());
        }
        take(message)?;
        parts += 1;
        len += message.len() as u64;
        if !has_more(message) {
            return Ok(Next::Done);
        }
        if parts == MAX_PARTS || len > MAX_LEN {
            return Err(Failure::Endless { place: place.clone(), parts }.into());
        }
        Ok::<_, anyhow::Error>(Next::More)
    })?;
    Ok(answer)
}

/// The code of an OFPT_ERROR.
pub(super) fn error_code(error: &[u8]) -> Option<ErrorCode> {
    match Message::decode(error) {
        Ok((_, Message::Error(ErrorMsg { code, .. }))) => Some(code),
        _ => None,
    }
}

/// A message in a few words, for errors.
pub(super) fn describe(message: &[u8]) -> String {
    let mut text = String::new();
    print_message(&mut text, message, Style::default(), Verbosity(1));
    text.trim_end().to_owned()
}
