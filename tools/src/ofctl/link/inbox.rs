//! Bytes that came, cut into messages where they lie.

use std::io::{self, Read};

use flowlib::openflow::HEADER_LEN;

/// Bytes that came and were not taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Room for several messages of the largest kind.
const CAPACITY: usize = 256 << 10;
/// The longest message, which must always fit behind what is kept.
const LONGEST: usize = u16::MAX as usize;

impl Inbox {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; CAPACITY], start: 0, end: 0 }
    }

    /// Reads once. The number of bytes; 0 at the end of the stream.
    pub(super) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if CAPACITY - self.start < LONGEST + 1 || self.end == CAPACITY {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let len = source.read(&mut self.buffer[self.end..])?;
        self.end += len;
        Ok(len)
    }

    /// The length of the message in front, if all of it is here.
    ///
    /// # Errors
    /// A length below that of a header.
    pub(super) fn message_len(&self) -> Result<Option<usize>, u16> {
        let rest = &self.buffer[self.start..self.end];
        let Some(&[_, _, high, low]) = rest.first_chunk() else { return Ok(None) };
        let len = u16::from_be_bytes([high, low]);
        if usize::from(len) < HEADER_LEN {
            return Err(len);
        }
        Ok((rest.len() >= usize::from(len)).then_some(len.into()))
    }

    /// Takes the message in front, whose length [`Inbox::message_len`] gave.
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let from = self.start;
        self.start += len;
        &self.buffer[from..self.start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_messages_however_they_come() {
        let mut stream = Vec::new();
        for n in 0..40u8 {
            let len: u16 = if n % 3 == 0 { u16::MAX } else { 8 + u16::from(n) };
            let mut message = vec![n; len.into()];
            message[2..4].copy_from_slice(&len.to_be_bytes());
            stream.extend(message);
        }
        for step in [3, 4096, 200_000] {
            let mut inbox = Inbox::new();
            let (mut rest, mut found) = (&stream[..], Vec::new());
            while !rest.is_empty() {
                let mut piece = &rest[..step.min(rest.len())];
                let len = inbox.fill(&mut piece).unwrap();
                assert!(len > 0, "there is always room");
                rest = &rest[len..];
                while let Some(len) = inbox.message_len().unwrap() {
                    found.extend_from_slice(inbox.take(len));
                }
            }
            assert!(found == stream, "step {step}");
        }
    }

    #[test]
    fn refuses_a_length_below_the_header() {
        let mut inbox = Inbox::new();
        inbox.fill(&mut &[4u8, 0, 0, 7][..]).unwrap();
        assert_eq!(inbox.message_len(), Err(7));
    }
}
