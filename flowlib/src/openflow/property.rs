//! Properties: what a message says besides its fixed part.

use crate::wire::{DecodeError, Part, Problem, Reader, Writer};

/// The type of an experimenter's property.
pub const EXPERIMENTER: u16 = 0xffff;

/// A property that is not known here, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawProperty {
    /// The type; [`EXPERIMENTER`] for an experimenter's.
    pub property_type: u16,
    /// All that follows type and length, without padding.
    pub body: Box<[u8]>,
}

impl RawProperty {
    /// Keeps a property whose type and value were read.
    pub(super) fn keep(property_type: u16, mut value: Reader<'_>) -> Self {
        Self { property_type, body: value.rest().into() }
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        put(w, self.property_type, |w| w.bytes(&self.body));
    }
}

/// Reads the type of a property and gives a reader of its value.
///
/// Shape: type `u16`, length `u16` of both and the value, the value, zeros to a multiple of 8. Types from
/// `first_experimenter` on begin with an experimenter `u32`, which is not 0, and its type `u32`.
///
/// # Errors
/// `BadLength` if the property or its padding ends behind `r`.
///
/// Source: OpenFlow 1.4.1 §7.2.2; `lib/ofp-prop.c` of Open vSwitch 3.1.
pub(crate) fn take<'a>(
    r: &mut Reader<'a>,
    first_experimenter: u32,
) -> Result<(u16, Reader<'a>), DecodeError> {
    r.set_part(Part::Property);
    let at = r.clone();
    let (property_type, len) = (r.u16()?, usize::from(r.u16()?));
    if len.next_multiple_of(8) > at.len() {
        return Err(at.error(Problem::BadLength { found: len }));
    }
    let value = r.body(len, 4, Part::Property)?;
    r.skip(len.next_multiple_of(8) - len)?;
    if u32::from(property_type) >= first_experimenter {
        let mut head = value.clone();
        let experimenter = head.u32()?;
        head.skip(4)?;
        if experimenter == 0 {
            return Err(at.error(Problem::BadExperimenter { found: 0 }));
        }
    }
    Ok((property_type, value))
}

/// Takes a value of 8 bits; what follows it is padding, which some senders count.
pub(crate) fn u8(value: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let found = value.u8()?;
    value.rest();
    Ok(found)
}

/// Takes a value of 16 bits; what follows it is padding, which some senders count.
pub(crate) fn u16(value: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let found = value.u16()?;
    value.rest();
    Ok(found)
}

/// Writes a property whose value `value` writes.
pub(super) fn put(w: &mut Writer<'_>, property_type: u16, value: impl FnOnce(&mut Writer<'_>)) {
    let mark = w.mark();
    w.u16(property_type);
    w.u16(0);
    value(w);
    w.patch_len(mark, 2);
    w.pad8(mark);
}

/// Writes a property whose value stands on an 8-byte boundary: a `u64`, or further properties.
pub(super) fn put_aligned(w: &mut Writer<'_>, property_type: u16, value: impl FnOnce(&mut Writer<'_>)) {
    put(w, property_type, |w| {
        w.zeros(4);
        value(w);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_does_not_know_and_pads_it() {
        let bytes = [0, 9, 0, 5, 7, 0, 0, 0];
        let mut r = Reader::new(&bytes, Part::Message);
        let (property_type, value) = take(&mut r, 0xffff).unwrap();
        assert!(r.is_empty());
        let mut out = Vec::new();
        RawProperty::keep(property_type, value).encode(&mut Writer::new(&mut out));
        assert_eq!(out, bytes);
    }

    #[test]
    fn refuses_padding_that_is_cut_and_an_experimenter_that_is_nobody() {
        let cut = take(&mut Reader::new(&[0, 9, 0, 5, 7, 0, 0], Part::Message), 0xffff).unwrap_err();
        assert_eq!(cut.problem, Problem::BadLength { found: 5 });
        let bytes = [0xff, 0xff, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let nobody = take(&mut Reader::new(&bytes, Part::Message), 0xffff).unwrap_err();
        assert_eq!(nobody.problem, Problem::BadExperimenter { found: 0 });
    }
}
