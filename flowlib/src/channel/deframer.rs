//! Cuts a stream of bytes into messages.

use crate::openflow::HEADER_LEN;

/// Cuts a stream of bytes into messages by the length in their headers.
///
/// Keeps at most one message that is not whole, so at most 65,534 bytes, and what was pushed last.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that were given out.
    taken: usize,
}

/// A length field below the length of a header: the stream cannot be cut any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {len} bytes, less than its header")]
pub struct BadFrame {
    /// The length that came.
    pub len: u16,
}

impl Deframer {
    /// Takes in bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// `BadFrame`, and again for ever after.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(&[_, _, high, low]) = rest.first_chunk() else {
            return Ok(None);
        };
        let len = u16::from_be_bytes([high, low]);
        if usize::from(len) < HEADER_LEN {
            return Err(BadFrame { len });
        }
        let message = rest.get(..len.into());
        self.taken += message.map_or(0, <[u8]>::len);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_messages_wherever_the_stream_is_cut() {
        let stream = [4, 2, 0, 8, 0, 0, 0, 1, 4, 2, 0, 10, 0, 0, 0, 2, 7, 7, 4, 20, 0, 8, 0, 0, 0, 3];
        for step in 1..stream.len() {
            let mut deframer = Deframer::default();
            let mut found = Vec::new();
            for piece in stream.chunks(step) {
                deframer.push(piece);
                while let Some(message) = deframer.next_message().unwrap() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found.concat(), stream);
            assert_eq!(found.len(), 3);
        }
    }

    #[test]
    fn refuses_a_length_below_the_header() {
        let mut deframer = Deframer::default();
        deframer.push(&[4, 0, 0, 7]);
        assert_eq!(deframer.next_message(), Err(BadFrame { len: 7 }));
    }
}
