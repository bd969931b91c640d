//! Changes that are ready to be sent, and which line each came from.

use std::ops::Range;

use anyhow::{Context, Result};
use flowlib::openflow::{BundleAdd, BundleFlags, HEADER_LEN, Message};
use flowlib::text::{Names, ParseError};
use flowlib::types::Xid;

use super::file::{BadText, Line, Lines};
use super::link::{Connection, header};
use super::switch::Switch;

/// Messages that change a switch, in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The messages one behind another.
    bytes: Vec<u8>,
    /// The line of each, 0 if none.
    lines: Vec<u32>,
    /// The xid of the first, once they are numbered.
    first: Xid,
    /// How far the xids of two are apart.
    step: u32,
}

/// A message of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// The message.
    pub(super) message: &'a [u8],
    /// Its place in the batch.
    pub(super) index: usize,
    /// The line it came from, if any.
    pub(super) line: Option<u32>,
}

impl Batch {
    /// One message for each line of a file.
    ///
    /// # Errors
    /// [`BadText`] of the first line that cannot be read; nothing is sent then.
    pub(super) fn of_lines(
        switch: &Switch<'_>,
        lines: &Lines,
        parse: impl Fn(&str, Option<&Names>) -> Result<Message, ParseError> + Sync,
    ) -> Result<Self> {
        let pieces = lines.in_pieces(|piece| {
            let mut batch = Self::default();
            for line in piece {
                let message = switch.parse_more(|names| parse(line.text, names))?;
                batch.push(&message.map_err(|error| lines.bad(line, error))?, line)?;
            }
            Ok(batch)
        })?;
        switch.leave_out_xids();
        let mut all = Self::default();
        for piece in pieces {
            all.bytes.extend_from_slice(&piece.bytes);
            all.lines.extend_from_slice(&piece.lines);
        }
        Ok(all)
    }

    /// One message for an argument.
    ///
    /// # Errors
    /// [`BadText`].
    pub(super) fn of_argument(
        switch: &Switch<'_>,
        text: &str,
        parse: impl Fn(&str, Option<&Names>) -> Result<Message, ParseError>,
    ) -> Result<Self> {
        let message = switch.parse(|names| parse(text, names))?;
        let mut batch = Self::default();
        batch.add(&message.map_err(|error| BadText::argument(text, error))?)?;
        Ok(batch)
    }

    /// Adds a message that came from a line.
    ///
    /// # Errors
    /// If it has no encoding.
    pub(super) fn push(&mut self, message: &Message, line: Line<'_>) -> Result<()> {
        self.add(message).with_context(|| format!("line {}", line.number))?;
        if let Some(last) = self.lines.last_mut() {
            *last = line.number;
        }
        Ok(())
    }

    /// Adds a message that is encoded already, from a line or from none (0).
    pub(super) fn push_encoded(&mut self, message: &[u8], line: u32) {
        self.bytes.extend_from_slice(message);
        self.lines.push(line);
    }

    /// The messages with their lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut at = 0;
        self.lines.iter().map_while(move |line| {
            let from = at;
            at += self.message_len(at)?;
            Some((*line, self.bytes.get(from..at)?))
        })
    }

    /// Adds a message.
    ///
    /// # Errors
    /// If it has no encoding.
    pub(super) fn add(&mut self, message: &Message) -> Result<()> {
        message.encode(Xid(0), &mut self.bytes)?;
        self.lines.push(0);
        Ok(())
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Gives the messages new xids, `step` apart.
    pub(super) fn number(&mut self, step: u32) {
        let n = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        (self.first, self.step) = (Connection::new_xids(n.saturating_mul(step)), step);
        let (mut at, mut xid) = (0, self.first.0);
        while let Some(len) = self.message_len(at) {
            if let Some(place) = self.bytes.get_mut(at + 4..at + HEADER_LEN) {
                place.copy_from_slice(&xid.to_be_bytes());
            }
            xid = xid.wrapping_add(step);
            at += len;
        }
    }

    /// A range of the messages in pieces of a good size.
    pub(super) fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = Piece<'_>> {
        let mut left = range.len();
        let mut at = self.byte_of(range.start);
        std::iter::from_fn(move || {
            let from = at;
            let mut count = 0;
            while let Some(len) = self.message_len(at).filter(|_| count < left && at - from < PIECE) {
                at += len;
                count += 1;
            }
            left -= count;
            let bytes = self.bytes.get(from..at).filter(|bytes| !bytes.is_empty())?;
            Some(Piece { bytes })
        })
    }

    /// The first message of a range that is too long for a bundle, if there is one.
    pub(super) fn too_long_for_bundle(&self, range: Range<usize>) -> Option<Member<'_>> {
        let mut messages = self.iter().enumerate().take(range.end).skip(range.start);
        let (index, (line, message)) = messages.find(|(_, (_, message))| message.len() > MAX_BUNDLED)?;
        Some(Member { message, index, line: (line != 0).then_some(line) })
    }

    /// Where the message of that index begins, or the end.
    fn byte_of(&self, index: usize) -> usize {
        (0..index).try_fold(0, |at, _| self.message_len(at).map(|len| at + len)).unwrap_or(self.bytes.len())
    }

    /// The message with that xid.
    pub(super) fn member(&self, xid: Xid) -> Option<Member<'_>> {
        let distance = xid.0.wrapping_sub(self.first.0);
        let index =
            (self.step > 0 && distance.is_multiple_of(self.step)).then(|| distance / self.step)? as usize;
        let line = self.lines.get(index).copied()?;
        let at = self.byte_of(index);
        let message = self.bytes.get(at..at + self.message_len(at)?)?;
        Some(Member { message, index, line: (line != 0).then_some(line) })
    }

    /// The length of the message that begins at byte `at`.
    fn message_len(&self, at: usize) -> Option<usize> {
        message_len(self.bytes.get(at..)?)
    }
}

/// The length of the message that begins there.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let len = bytes.get(2..4)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*len)).max(HEADER_LEN))
}

/// Some messages of a batch, one behind another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    bytes: &'a [u8],
}

impl Piece<'_> {
    /// Appends them.
    pub(super) fn append(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes);
    }

    /// Appends each as a message for a bundle.
    ///
    /// # Errors
    /// If one is too long for that; see [`Batch::too_long_for_bundle`].
    pub(super) fn append_wrapped(self, bundle: (u32, BundleFlags), out: &mut Vec<u8>) -> Result<()> {
        let mut rest = self.bytes;
        while let Some((message, behind)) = message_len(rest).and_then(|len| rest.split_at_checked(len)) {
            BundleAdd::wrap(header(message).1, bundle.0, bundle.1, message, out)?;
            rest = behind;
        }
        Ok(())
    }
}

/// The longest message that a bundle can have: what is wrapped around it has 24 bytes.
pub(super) const MAX_BUNDLED: usize = u16::MAX as usize - 24;

/// How much is appended at once.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use flowlib::openflow::FlowMod;
    use flowlib::types::Cookie;

    fn batch(n: u64) -> Batch {
        let mut batch = Batch::default();
        for cookie in 0..n {
            batch.add(&Message::FlowMod(FlowMod { cookie: Cookie(cookie), ..FlowMod::default() })).unwrap();
        }
        batch
    }

    #[test]
    fn a_member_is_found_by_its_xid() {
        let mut batch = batch(5);
        batch.number(2);
        let xid = Xid(batch.first.0 + 6);
        let member = batch.member(xid).unwrap();
        assert_eq!(member.index, 3);
        assert_eq!(Message::decode(member.message).unwrap().0, xid);
        assert!(batch.member(Xid(xid.0 - 1)).is_none(), "a barrier's");
        assert!(batch.member(Xid(batch.first.0 + 10)).is_none(), "behind the last");
    }

    #[test]
    fn pieces_are_whole_messages_and_all_of_the_range() {
        let batch = batch(3000);
        let mut out = Vec::new();
        for piece in batch.pieces(10..2990) {
            let before = out.len();
            piece.append(&mut out);
            assert!(out.len() > before && (out.len() - before).is_multiple_of(56));
        }
        assert_eq!(out, batch.bytes[10 * 56..2990 * 56]);
    }

    #[test]
    fn a_message_that_is_too_long_for_a_bundle_is_found() {
        let mut batch = batch(3);
        let mut message = vec![0; MAX_BUNDLED + 1];
        message[2..4].copy_from_slice(&(MAX_BUNDLED as u16 + 1).to_be_bytes());
        batch.push_encoded(&message, 7);
        let found = |range| batch.too_long_for_bundle(range).map(|member| (member.index, member.line));
        assert_eq!(found(0..4), Some((3, Some(7))));
        assert_eq!(found(0..3), None);
        let wrap = |len: usize| {
            BundleAdd::wrap(Xid(0), 0, BundleFlags::ATOMIC, &message[..len], &mut Vec::new()).is_ok()
        };
        assert!(wrap(MAX_BUNDLED) && !wrap(MAX_BUNDLED + 1));
    }
}
