//! Cuts a stream of bytes into messages.

use crate::openflow::HEADER_LEN;

/// Cuts a stream of bytes into messages by the length in their headers.
///
/// Bytes are pushed, or read into [`Deframer::room`] without being copied. Keeps at most one message that is not whole,
/// so at most 65,534 bytes, and what came last.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Where in the buffer the bytes are that came and were not given out.
    start: usize,
    end: usize,
}

/// A length field below the length of a header: the stream cannot be cut any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {len} bytes, less than its header")]
pub struct BadFrame {
    /// The length that came.
    pub len: u16,
}

impl Deframer {
    /// One with a buffer of so many bytes. If it has room for the longest message twice, it never grows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity], start: 0, end: 0 }
    }

    /// Takes in bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.room(bytes.len()).get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.filled(bytes.len());
    }

    /// Where the next bytes of the stream may be read to, at least `min` of them. Then call [`Deframer::filled`].
    pub fn room(&mut self, min: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < min {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < min {
                self.buffer.resize(self.end.saturating_add(min), 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were read into [`Deframer::room`].
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// `BadFrame`, and again for ever after.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, BadFrame> {
        let rest = &self.buffer[self.start..self.end];
        let Some(&[_, _, high, low]) = rest.first_chunk() else {
            return Ok(None);
        };
        let len = u16::from_be_bytes([high, low]);
        if usize::from(len) < HEADER_LEN {
            return Err(BadFrame { len });
        }
        let message = rest.get(..len.into());
        self.start += message.map_or(0, <[u8]>::len);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut stream = Vec::new();
        for n in 0..40u8 {
            let len: u16 = if n % 7 == 0 { u16::MAX } else { 8 + u16::from(n) };
            let mut message = vec![n; len.into()];
            message[2..4].copy_from_slice(&len.to_be_bytes());
            stream.extend(message);
        }
        stream
    }

    fn take_all(deframer: &mut Deframer, found: &mut Vec<u8>) {
        while let Some(message) = deframer.next_message().unwrap() {
            assert_eq!(message.len(), usize::from(u16::from_be_bytes([message[2], message[3]])));
            found.extend_from_slice(message);
        }
    }

    #[test]
    fn finds_messages_wherever_the_stream_is_cut() {
        let stream = stream();
        for step in [1, 3, 4096, 200_000] {
            let (mut deframer, mut found) = (Deframer::default(), Vec::new());
            for piece in stream.chunks(step) {
                deframer.push(piece);
                take_all(&mut deframer, &mut found);
            }
            assert!(found == stream, "step {step}");
        }
    }

    #[test]
    fn reads_a_stream_into_one_buffer_that_does_not_grow() {
        let stream = stream();
        for step in [3, 4096, 200_000] {
            let (mut deframer, mut found) = (Deframer::with_capacity(2 << 16), Vec::new());
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let room = deframer.room(1 << 16);
                let len = room.len().min(step).min(rest.len());
                room[..len].copy_from_slice(&rest[..len]);
                deframer.filled(len);
                rest = &rest[len..];
                take_all(&mut deframer, &mut found);
            }
            assert!(found == stream, "step {step}");
            assert_eq!(deframer.buffer.len(), 2 << 16);
        }
    }

    #[test]
    fn refuses_a_length_below_the_header() {
        let mut deframer = Deframer::default();
        deframer.push(&[4, 0, 0, 7]);
        assert_eq!(deframer.next_message(), Err(BadFrame { len: 7 }));
    }
}
