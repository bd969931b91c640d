//! HELLO: which versions a peer speaks.

use crate::wire::{DecodeError, Part, Reader, Writer};

/// A HELLO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The version in the header: the highest the sender speaks.
    pub version: u8,
    /// What it says besides.
    pub elements: Vec<HelloElement>,
}

/// An element of a HELLO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HelloElement {
    /// OFPHET_VERSIONBITMAP: bit `v % 32` of word `v / 32` is set if version `v` is spoken.
    VersionBitmap(Vec<u32>),
    /// What cannot be cut into elements, byte for byte: the last that there is.
    Garbage(Box<[u8]>),
    /// Anything else, byte for byte.
    Unknown {
        /// The type.
        element_type: u16,
        /// All that follows type and length, without padding.
        body: Box<[u8]>,
    },
}

const VERSION_BITMAP: u16 = 1;

impl Hello {
    /// A HELLO of someone who speaks these versions, all below 32.
    #[must_use]
    pub fn new(versions: &[u8]) -> Self {
        let bitmap = versions.iter().filter(|v| **v < 32).fold(0, |bits, version| bits | 1u32 << version);
        Self {
            version: versions.iter().copied().max().unwrap_or(super::VERSION),
            elements: vec![HelloElement::VersionBitmap(vec![bitmap])],
        }
    }

    /// Whether the sender speaks `version`: by its bitmap, or without one if the header's version is not lower.
    #[must_use]
    pub fn speaks(&self, version: u8) -> bool {
        let bitmap = self.elements.iter().find_map(|element| match element {
            HelloElement::VersionBitmap(words) => Some(words),
            HelloElement::Garbage(_) | HelloElement::Unknown { .. } => None,
        });
        match bitmap {
            Some(words) => {
                words.get(usize::from(version / 32)).is_some_and(|word| word & 1 << (version % 32) != 0)
            }
            None => self.version >= version,
        }
    }

    /// Shape: elements: type `u16`, length `u16` without padding, body, zeros to a multiple of 8. What cannot be cut
    /// like that is kept: a HELLO may come from a version that is yet to be.
    ///
    /// Source: OpenFlow 1.3.5 §7.5.1.
    pub(super) fn decode(version: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Hello);
        let mut elements = Vec::new();
        while !r.is_empty() {
            let at = r.clone();
            match HelloElement::decode(r) {
                Ok(element) => elements.push(element),
                Err(_) => {
                    elements.push(HelloElement::Garbage(at.peek().into()));
                    r.rest();
                }
            }
        }
        Ok(Self { version, elements })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        for element in &self.elements {
            let mark = w.mark();
            match element {
                HelloElement::VersionBitmap(words) => {
                    w.u16(VERSION_BITMAP);
                    w.u16(0);
                    for word in words {
                        w.u32(*word);
                    }
                }
                HelloElement::Garbage(bytes) => {
                    w.bytes(bytes);
                    continue;
                }
                HelloElement::Unknown { element_type, body } => {
                    w.u16(*element_type);
                    w.u16(0);
                    w.bytes(body);
                }
            }
            w.patch_len(mark, 2);
            w.pad8(mark);
        }
    }
}

impl HelloElement {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let element_type = r.u16()?;
        let len = usize::from(r.u16()?);
        let mut body = r.body(len, 4, Part::Hello)?;
        r.skip(len.next_multiple_of(8) - len)?;
        if element_type != VERSION_BITMAP || body.len() % 4 != 0 {
            return Ok(Self::Unknown { element_type, body: body.rest().into() });
        }
        let mut words = Vec::new();
        while !body.is_empty() {
            words.push(body.u32()?);
        }
        Ok(Self::VersionBitmap(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_decides_over_the_header() {
        assert!(Hello::new(&[4]).speaks(4));
        assert!(!Hello::new(&[1, 5]).speaks(4));
        assert!(Hello { version: 6, elements: vec![] }.speaks(4));
        assert!(!Hello { version: 1, elements: vec![] }.speaks(4));
    }
}
