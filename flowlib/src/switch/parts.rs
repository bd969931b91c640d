//! Long answers, cut into messages between their items.

use crate::openflow::{Message, MultipartReplyBody};
use crate::types::Xid;

/// A multipart answer that is being written.
#[derive(Debug)]
pub(super) struct Parts {
    header: Vec<u8>,
    out: Vec<u8>,
    /// Where the message that is being written begins.
    start: usize,
}

/// Where a multipart answer says its length, and whether more follows.
const LEN_AT: usize = 2;
const FLAGS_AT: usize = 10;

impl Parts {
    /// An answer of the type of `empty`, which has no items.
    pub(super) fn new(xid: Xid, empty: MultipartReplyBody) -> Self {
        let mut header = Vec::new();
        Message::MultipartReply(empty.into()).encode(xid, &mut header).expect("it is empty");
        Self { out: header.clone(), header, start: 0 }
    }

    /// Adds an item.
    pub(super) fn item(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.out.len();
        write(&mut self.out);
        if self.out.len() - self.start > usize::from(u16::MAX) && at - self.start > self.header.len() {
            let item = self.out.split_off(at);
            self.out[self.start + FLAGS_AT + 1] |= 1;
            self.close();
            self.start = self.out.len();
            self.out.extend_from_slice(&self.header);
            self.out.extend(item);
        }
    }

    fn close(&mut self) {
        let len = u16::try_from(self.out.len() - self.start).expect("an item fits into a message");
        self.out[self.start + LEN_AT..][..2].copy_from_slice(&len.to_be_bytes());
    }

    /// The messages.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.close();
        self.out
    }
}
