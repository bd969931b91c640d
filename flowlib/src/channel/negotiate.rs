//! The first messages: our HELLO, whether the peer's suits, and what it is told if not.

use super::CloseReason;
use crate::openflow::{ErrorCode, ErrorMsg, Hello, Message, VERSION};
use crate::types::Xid;
use crate::wire::DecodeError;

/// Appends the HELLO we send.
pub fn say_hello(xid: Xid, out: &mut Vec<u8>) {
    Message::Hello(Hello::new(&[VERSION])).encode(xid, out).expect("a hello is short");
}

/// Takes in the first message of the peer, which must be a HELLO of someone who speaks our version.
///
/// # Errors
/// Why there will be no channel. The OFPT_ERROR that says so, if one is due, is appended to `out` under the xid of the
/// message.
///
/// Source: OpenFlow 1.3.5 §6.3.1.
pub fn hear_hello(first: &[u8], out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let (xid, message) = Message::decode(first).map_err(|error| refuse(first, error, out))?;
    let hello = match message {
        Message::Hello(hello) if hello.speaks(VERSION) => return Ok(()),
        Message::Hello(hello) => hello,
        Message::Error(error) => return Err(CloseReason::HelloRefused(error)),
        other => return Err(CloseReason::NoHello { message_type: other.message_type() }),
    };
    let text = format!("OpenFlow 1.3 (0x04) is spoken here; your highest version is {:#04x}", hello.version);
    let error = ErrorMsg { code: ErrorCode::OFPHFC_INCOMPATIBLE, data: text.into_bytes() };
    Message::Error(error).encode(xid, out).expect("our text is short");
    Err(CloseReason::Version { version: hello.version })
}

/// Answers a message that cannot be decoded; why that is the end.
pub(super) fn refuse(bytes: &[u8], error: DecodeError, out: &mut Vec<u8>) -> CloseReason {
    let message_type = bytes.get(1).copied().unwrap_or_default();
    let xid = bytes.get(4..8).and_then(<[u8]>::first_chunk).map_or(0, |xid| u32::from_be_bytes(*xid));
    let answer = Message::Error(ErrorMsg::for_decode_error(&error, bytes));
    answer.encode(Xid(xid), out).expect("the answer holds 64 bytes of it");
    CloseReason::BadMessage { message_type, xid, error }
}
