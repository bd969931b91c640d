//! Questions and their answers.

use anyhow::Result;
use flowlib::openflow::{Message, MultipartRequest, MultipartRequestBody};
use flowlib::text::{Style, Verbosity, print_message};

use super::link::{Connection, Failure, Next, header};

/// How a question ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of the answer has come.
    Complete,
    /// The switch refused; with its OFPT_ERROR.
    Refused(Vec<u8>),
}

pub(super) const ERROR: u8 = 1;
const EXPERIMENTER: u8 = 4;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
/// OFPMPF_REPLY_MORE.
const MORE: u16 = 1;
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

/// Sends a question; each message of the answer goes to `take` as it comes.
///
/// # Errors
/// [`Failure`], and what `take` says.
pub(super) fn ask(
    connection: &mut Connection,
    request: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Answer> {
    let (request_type, xid) = header(request);
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
        let has_more = match has_more(request_type, multipart_type(request), message) {
            Some(has_more) => has_more,
            None => return Err(Failure::BadReply(describe(message)).into()),
        };
        take(message)?;
        parts += 1;
        len += message.len() as u64;
        if !has_more {
            return Ok(Next::Done);
        }
        if parts == MAX_PARTS || len > MAX_LEN {
            return Err(Failure::Endless { place: place.clone(), parts }.into());
        }
        Ok::<_, anyhow::Error>(Next::More)
    })?;
    Ok(answer)
}

/// Whether more messages of the answer follow this one; nothing if it is no answer to such a request.
fn has_more(request_type: u8, multipart_type: Option<[u8; 2]>, message: &[u8]) -> Option<bool> {
    let (message_type, _) = header(message);
    match request_type {
        MULTIPART_REQUEST if message_type == MULTIPART_REPLY => {
            let flags = u16::from_be_bytes(*message.get(10..12)?.first_chunk()?);
            (self::multipart_type(message) == multipart_type).then_some(flags & MORE != 0)
        }
        MULTIPART_REQUEST => None,
        EXPERIMENTER => (message_type == EXPERIMENTER).then_some(false),
        _ => (message_type == request_type + 1).then_some(false),
    }
}

fn multipart_type(message: &[u8]) -> Option<[u8; 2]> {
    message.get(8..10)?.first_chunk().copied()
}

/// A message in a few words, for errors.
pub(super) fn describe(message: &[u8]) -> String {
    let mut text = String::new();
    print_message(&mut text, message, Style::default(), Verbosity(1));
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_type_that_was_asked_for() {
        let reply = |flags: u8, multipart_type: u8| {
            [4, 19, 0, 16, 0, 0, 0, 1, 0, multipart_type, 0, flags, 0, 0, 0, 0]
        };
        let asked = Some([0, 1]);
        assert_eq!(has_more(MULTIPART_REQUEST, asked, &reply(1, 1)), Some(true));
        assert_eq!(has_more(MULTIPART_REQUEST, asked, &reply(0, 1)), Some(false));
        assert_eq!(has_more(MULTIPART_REQUEST, asked, &reply(0, 2)), None);
        assert_eq!(has_more(MULTIPART_REQUEST, asked, &[4, 19, 0, 8, 0, 0, 0, 1]), None);
        assert_eq!(has_more(5, None, &[4, 6, 0, 8, 0, 0, 0, 1]), Some(false));
        assert_eq!(has_more(5, None, &[4, 8, 0, 8, 0, 0, 0, 1]), None);
    }
}
