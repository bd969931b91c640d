//! Echoes, on messages as bytes.

const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;

/// Whether the message asks for an echo.
#[must_use]
pub fn is_echo_request(message: &[u8]) -> bool {
    message.get(1) == Some(&ECHO_REQUEST)
}

/// Appends the answer to an echo request: the same bytes as another type.
pub fn echo_reply(request: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(request);
    if let Some(message_type) = out.get_mut(at..).and_then(|reply| reply.get_mut(1)) {
        *message_type = ECHO_REPLY;
    }
}
