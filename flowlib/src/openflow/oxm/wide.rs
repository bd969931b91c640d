//! Fields of tunnel metadata, which are wider than a `FieldValue`.

use super::{Field, read_header};
use crate::wire::{DecodeError, EncodeError, Problem, Reader, Writer};

/// The value of a field of tunnel metadata, and the bits of it that are meant.
///
/// Its width is what the switch gave the field in its TLV table, which a message does not say; a value has as many
/// bytes as it came with. Source: ovs-fields(7), "tun_metadata0".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WideField {
    /// The field.
    pub field: Field,
    /// The value, big-endian: at most 124 bytes.
    pub value: Box<[u8]>,
    /// The bits that are meant, if not all: as many bytes.
    pub mask: Option<Box<[u8]>>,
}

impl WideField {
    /// Reads one OXM of a known field of tunnel metadata.
    ///
    /// # Errors
    /// `BadLength` if it is too long or value and mask differ in length; `BadWildcards` if there are bits
    /// outside of the mask.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let header = read_header(r)?;
        let Some(field) = header.field.filter(|field| field.is_wide()) else {
            return Err(at.error(Problem::BadField { header: header.raw }));
        };
        let found = (header.raw & 0xff) as usize;
        let (len, is_even) =
            if header.has_mask() { (found / 2, found.is_multiple_of(2)) } else { (found, true) };
        if !field.is_len(Some(len)) || !is_even {
            return Err(at.error(Problem::BadLength { found }));
        }
        let value = r.bytes(len)?;
        let mask = if header.has_mask() { Some(r.bytes(len)?) } else { None };
        let covers = |mask: &[u8]| value.iter().zip(mask).all(|(value, mask)| value & !mask == 0);
        if !mask.is_none_or(covers) {
            return Err(at.error(Problem::BadWildcards { header: header.raw }));
        }
        Ok(Self { field, value: value.into(), mask: mask.map(Into::into) })
    }

    /// Writes it as one OXM.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let is_even = self.mask.as_ref().is_none_or(|mask| mask.len() == self.value.len());
        let len = match u8::try_from(self.value.len()) {
            Ok(len) if is_even && self.field.is_len(Some(len.into())) => len,
            _ => {
                w.fail(EncodeError::TooLong { len: self.value.len() });
                return;
            }
        };
        self.field.id().encode_header(w, self.mask.is_some(), len);
        w.bytes(&self.value);
        if let Some(mask) = &self.mask {
            w.bytes(mask);
        }
    }
}

impl WideField {
    /// A value and the bits of it that are meant, without the zeros that both begin with; `None` if they are longer
    /// than the field.
    #[must_use]
    pub fn new(field: Field, value: &[u8], mask: Option<&[u8]>) -> Option<Self> {
        let n_bytes = usize::from(field.n_bytes());
        let significant = |bytes: &[u8]| bytes.len() - bytes.iter().take_while(|byte| **byte == 0).count();
        let mask = mask.filter(|mask| mask.len() < n_bytes || mask.iter().any(|byte| *byte != 0xff));
        let len = significant(value).max(mask.map_or(0, significant));
        if len > n_bytes {
            return None;
        }
        let padded = |bytes: &[u8]| {
            let mut padded = vec![0; len];
            let kept = bytes.len().min(len);
            padded[len - kept..].copy_from_slice(&bytes[bytes.len() - kept..]);
            padded.into_boxed_slice()
        };
        Some(Self { field, value: padded(value), mask: mask.map(padded) })
    }
}
