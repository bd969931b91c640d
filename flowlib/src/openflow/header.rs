//! The header that every OpenFlow message of every version begins with.

use crate::types::Xid;
use crate::wire::{DecodeError, Fixed, Part, Reader, Wire, Writer};

/// The length of a message's header in bytes.
pub const HEADER_LEN: usize = 8;

/// The header of a message of any version.
///
/// ```text
///  0         1         2                   4                                       8
///  | version |  type   |      length       |                  xid                  | body ...
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The version: 4 for OpenFlow 1.3.
    pub version: u8,
    /// The type; what it means is up to the version, but for the first five.
    pub message_type: u8,
    /// The length of the whole message in bytes, as the header says it.
    pub len: u16,
    /// The transaction.
    pub xid: Xid,
}

impl Header {
    /// The header at the front of `bytes`, whatever the rest is.
    ///
    /// # Errors
    /// `Truncated` if there are fewer than 8 bytes.
    pub fn peek(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes, Part::Message))
    }

    /// The header of a message of ours; its length is to be patched.
    pub(super) fn ours(message_type: u8, xid: Xid) -> Self {
        Self { version: super::VERSION, message_type, len: 0, xid }
    }
}

/// Shape: version `u8`, type `u8`, length `u16`, xid `u32`.
///
/// Source: OpenFlow 1.3.5 §7.1.
impl Wire for Header {
    #[inline]
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut fixed = r.fixed::<HEADER_LEN>()?;
        let (version, message_type) = (fixed.u8()?, fixed.u8()?);
        Ok(Self { version, message_type, len: fixed.u16()?, xid: Xid(fixed.u32()?) })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mut header = Fixed::<HEADER_LEN>::default();
        header.u8(self.version);
        header.u8(self.message_type);
        header.u16(self.len);
        header.u32(self.xid.0);
        header.append_to(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_bytes_of_any_version() {
        let found = Header::peek(&[1, 77, 0, 9, 0, 0, 0, 3, 9]).unwrap();
        assert_eq!(found, Header { version: 1, message_type: 77, len: 9, xid: Xid(3) });
        let error = Header::peek(&[4, 0, 0, 8, 0, 0, 0]).unwrap_err();
        assert_eq!(error.to_string(), "bad message at byte 0: needs 8 bytes more, has 7");
    }
}
