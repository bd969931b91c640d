//! A match: which packets a flow is for.

use ipnet::IpNet;

use super::{Field, FieldValue, Header, OxmId, WideField, read_header};
use crate::types::PortNo;
use crate::wire::{DecodeError, Fixed, Part, Problem, Reader, Wire, Writer};

/// One field of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchField {
    /// The field.
    pub field: Field,
    /// Its value; bits outside of the mask are 0.
    pub value: FieldValue,
    /// The bits that are matched, if not all: neither empty nor full.
    pub mask: Option<FieldValue>,
}

/// A field that is not in the registry, as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawOxm {
    /// Its header.
    pub header: u32,
    /// All that follows the header: experimenter number, value, mask.
    pub body: Box<[u8]>,
}

/// The packets a flow is for: all those in which every field has its value.
///
/// Canonical: fields are kept in the registry's order, a full mask is no mask, an empty one no field, a field
/// with several names bears its first. So equal matches encode to equal bytes. Fields that are not in the
/// registry are kept byte for byte, behind the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Match {
    fields: Vec<MatchField>,
    rare: Option<Box<Rare>>,
}

/// What few matches have, apart from them so that they are small. It is never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Rare {
    wide: Vec<WideField>,
    unknown: Vec<RawOxm>,
}

impl Match {
    /// Every packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Narrows it to packets whose `field` is `value`; an earlier value of the field is forgotten.
    /// Bits of the value that the field does not have are cut off.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<FieldValue>) -> Self {
        self.set(field, value.into(), None);
        self
    }

    /// Narrows it to packets whose `field` has the bits of `value` where `mask` has ones.
    #[must_use]
    pub fn with_masked(
        mut self,
        field: Field,
        value: impl Into<FieldValue>,
        mask: impl Into<FieldValue>,
    ) -> Self {
        self.set(field, value.into(), Some(mask.into()));
        self
    }

    /// Narrows it to packets whose `field` lies in the network; a network of all addresses matches all.
    #[must_use]
    pub fn with_prefix(mut self, field: Field, net: impl Into<IpNet>) -> Self {
        let net = net.into();
        self.set(field, net.network().into(), Some(net.netmask().into()));
        self
    }

    /// Sets a field's value and mask in place, made canonical.
    pub fn set(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        let full = field.full_mask();
        let mask = mask.map_or(full, |mask| mask.and(full));
        let place = self.fields.binary_search_by_key(&field, |entry| entry.field);
        if mask == FieldValue::ZERO {
            if let Ok(at) = place {
                self.fields.remove(at);
            }
            return;
        }
        let entry = MatchField { field, value: value.and(mask), mask: (mask != full).then_some(mask) };
        match place {
            Ok(at) => self.fields[at] = entry,
            Err(at) => self.fields.insert(at, entry),
        }
    }

    /// How many of the other fields stand before those of tunnel metadata.
    fn n_before_wide(&self) -> usize {
        self.fields.partition_point(|entry| entry.field < super::field::TUN_METADATA0)
    }

    /// Takes away the zeros that fields of tunnel metadata begin with. They say how wide the switch made a field, not
    /// what is matched: two matches that say the same are equal without them.
    pub fn trim_wide(&mut self) {
        for entry in self.rare.iter_mut().flat_map(|rare| &mut rare.wide) {
            let trimmed = WideField::new(entry.field, &entry.value, entry.mask.as_deref());
            *entry = trimmed.expect("less of a value is no longer than it");
        }
    }

    /// Sets a field of tunnel metadata in place.
    pub fn set_wide(&mut self, entry: WideField) {
        let wide = &mut self.rare.get_or_insert_default().wide;
        match wide.binary_search_by_key(&entry.field, |entry| entry.field) {
            Ok(at) => wide[at] = entry,
            Err(at) => wide.insert(at, entry),
        }
    }

    /// The fields of tunnel metadata, in their order.
    #[must_use]
    pub fn wide(&self) -> &[WideField] {
        self.rare.as_ref().map_or(&[], |rare| &rare.wide)
    }

    /// Its fields but for those of tunnel metadata, in the registry's order.
    pub fn iter(&self) -> std::slice::Iter<'_, MatchField> {
        self.fields.iter()
    }

    /// Its fields, in the registry's order.
    pub(crate) fn entries(&self) -> &[MatchField] {
        &self.fields
    }

    /// The fields that are not in the registry.
    #[must_use]
    pub fn unknown(&self) -> &[RawOxm] {
        self.rare.as_ref().map_or(&[], |rare| &rare.unknown)
    }

    /// It without the fields that are not in the registry.
    pub(crate) fn without_unknown(&self) -> std::borrow::Cow<'_, Self> {
        if self.unknown().is_empty() {
            return std::borrow::Cow::Borrowed(self);
        }
        let wide = self.wide().to_vec();
        let rare = (!wide.is_empty()).then(|| Box::new(Rare { wide, unknown: Vec::new() }));
        std::borrow::Cow::Owned(Self { fields: self.fields.clone(), rare })
    }

    /// Whether it matches every packet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.rare.is_none()
    }

    /// What it says of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&MatchField> {
        let at = self.fields.binary_search_by_key(&field, |entry| entry.field).ok()?;
        self.fields.get(at)
    }

    /// The value of a field that is matched in full.
    #[must_use]
    pub fn exact(&self, field: Field) -> Option<FieldValue> {
        self.get(field).filter(|entry| entry.mask.is_none()).map(|entry| entry.value)
    }

    /// Reads OXMs that are all of `r`.
    ///
    /// # Errors
    /// As [`Match::decode`].
    pub(crate) fn decode_oxms(mut r: Reader<'_>) -> Result<Self, DecodeError> {
        // Eight bytes are the shortest OXM that is usual: one allocation does.
        let mut found = Self { fields: Vec::with_capacity(r.len().div_ceil(8)), rare: None };
        while !r.is_empty() {
            found.decode_oxm(&mut r)?;
        }
        Ok(found)
    }

    /// Reads a match, and of it only the port.
    pub(crate) fn find_in_port(r: &mut Reader<'_>) -> Result<Option<PortNo>, DecodeError> {
        Self::read(r, |mut r| {
            while !r.is_empty() {
                let header = r.u32()?;
                if header == IN_PORT_HEADER {
                    return Ok(Some(PortNo(r.u32()?)));
                }
                r.skip((header & 0xff) as usize)?;
            }
            Ok(None)
        })
    }

    /// Reads a match's header and padding, and what is between by `read`.
    #[inline]
    fn read<'a, T>(
        r: &mut Reader<'a>,
        read: impl FnOnce(Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let part = r.part();
        r.set_part(Part::Match);
        let at = r.clone();
        let (match_type, len) = (r.u16()?, usize::from(r.u16()?));
        if match_type != 1 {
            // The match of OpenFlow 1.1 is known by its one length; it is no match of 1.3.
            let is_short = match_type == 0 && len != 88;
            let length = Problem::BadLength { found: len };
            return Err(at.error(if is_short {
                length
            } else {
                Problem::BadType { found: match_type.into() }
            }));
        }
        let found = read(r.body(len, 4, Part::Match)?)?;
        r.skip(len.next_multiple_of(8) - len)?;
        r.set_part(part);
        Ok(found)
    }

    #[inline]
    fn decode_oxm(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = r.clone();
        let header = read_header(r)?;
        let Some(field) = header.field.filter(|field| !field.is_wide()) else {
            *r = at;
            return self.decode_rare(r, header);
        };
        let mut entry = MatchField::decode_body(r, &at, field, header)?;
        if let Some(mask) = entry.mask {
            let info = field.info();
            let mask = mask.and(info.full_mask);
            if mask == FieldValue::ZERO {
                return self.decode_empty(&at, entry, header.raw);
            }
            entry.mask = (mask != info.full_mask).then_some(mask);
            if entry.mask.is_some() && !info.maskable {
                return Err(at.error(Problem::BadMask { header: header.raw }));
            }
        }
        match self.fields.last() {
            Some(last) if last.field >= field => self.decode_late(&at, entry, header.raw),
            _ => {
                self.fields.push(entry);
                Ok(())
            }
        }
    }

    /// Takes a field that is not in the registry, or one of tunnel metadata.
    #[cold]
    fn decode_rare(&mut self, r: &mut Reader<'_>, header: Header) -> Result<(), DecodeError> {
        if header.field.is_some() {
            return self.decode_wide(r);
        }
        let len = (header.raw & 0xff) as usize;
        if header.body_len().is_none() {
            return Err(r.error(Problem::BadLength { found: len }));
        }
        r.skip(4)?;
        let oxm = RawOxm { header: header.raw, body: r.bytes(len)?.into() };
        self.rare.get_or_insert_default().unknown.push(oxm);
        Ok(())
    }

    /// Takes a field that comes behind one that stands behind it in the registry.
    fn decode_late(&mut self, at: &Reader<'_>, entry: MatchField, header: u32) -> Result<(), DecodeError> {
        match self.fields.binary_search_by_key(&entry.field, |entry| entry.field) {
            Ok(_) => Err(at.error(Problem::DuplicateField { header })),
            Err(place) => {
                self.fields.insert(place, entry);
                Ok(())
            }
        }
    }

    /// Takes a field with a mask of zeros, which matches nothing: canonical form has no such entry.
    #[cold]
    fn decode_empty(&self, at: &Reader<'_>, entry: MatchField, header: u32) -> Result<(), DecodeError> {
        if !entry.field.info().maskable {
            return Err(at.error(Problem::BadMask { header }));
        }
        match self.get(entry.field) {
            Some(_) => Err(at.error(Problem::DuplicateField { header })),
            None => Ok(()),
        }
    }

    fn decode_wide(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = r.clone();
        let entry = WideField::decode(r)?;
        if self.wide().iter().any(|other| other.field == entry.field) {
            let header = read_header(&mut at.clone())?;
            return Err(at.error(Problem::DuplicateField { header: header.raw }));
        }
        self.set_wide(entry);
        Ok(())
    }

    /// Writes its OXMs, without a header or padding.
    pub(crate) fn encode_oxms(&self, w: &mut Writer<'_>) {
        let Some(rare) = &self.rare else {
            return self.fields.iter().for_each(|entry| entry.encode_in_match(w));
        };
        let (before, behind) = self.fields.split_at(self.n_before_wide());
        before.iter().for_each(|entry| entry.encode_in_match(w));
        rare.wide.iter().for_each(|entry| entry.encode(w));
        behind.iter().for_each(|entry| entry.encode_in_match(w));
        for RawOxm { header, body } in &rare.unknown {
            w.u32(*header);
            w.bytes(body);
        }
    }
}

impl<'a> IntoIterator for &'a Match {
    type Item = &'a MatchField;
    type IntoIter = std::slice::Iter<'a, MatchField>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// OXM_OF_IN_PORT without a mask: class 0x8000, field 0, 4 bytes. Source: OpenFlow 1.3.5 §7.2.3.7.
const IN_PORT_HEADER: u32 = 0x8000_0004;

/// Reads a match with its header and padding.
///
/// Shape: type `u16` 1 (OXM), length `u16` of header and OXMs without padding; OXMs; zeros up to a multiple of 8.
///
/// Source: OpenFlow 1.3.5 §7.2.3.1.
impl Wire for Match {
    #[inline]
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(r, Self::decode_oxms)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(1);
        w.u16(0);
        self.encode_oxms(w);
        w.patch_len(mark, 2);
        w.pad8(mark);
    }
}

impl MatchField {
    /// Reads one OXM of a known field that is not one of tunnel metadata. A mask of nothing but ones
    /// becomes none.
    ///
    /// # Errors
    /// `BadLength` if the length is not the field's width (twice it with a mask); `BadWildcards` if there are bits
    /// outside of mask or field.
    #[inline]
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let header = read_header(r)?;
        match header.field {
            Some(field) => Self::decode_body(r, &at, field, header),
            None => Err(at.error(Problem::BadField { header: header.raw })),
        }
    }

    /// Reads what follows the header that begins at `at`.
    #[inline(always)]
    pub(crate) fn decode_body(
        r: &mut Reader<'_>,
        at: &Reader<'_>,
        field: Field,
        header: Header,
    ) -> Result<Self, DecodeError> {
        let info = field.info();
        if header.body_len() != Some(usize::from(info.n_bytes) << u32::from(header.has_mask())) {
            return Err(at.error(Problem::BadLength { found: (header.raw & 0xff) as usize }));
        }
        let value = FieldValue::decode(r, info.n_bytes)?;
        let mut mask = None;
        let mut bits = info.full_mask;
        if header.has_mask() {
            let found = FieldValue::decode(r, info.n_bytes)?;
            mask = (found != info.wire_mask).then_some(found);
            bits = bits.and(found);
        }
        if value.and(bits) != value {
            return Err(at.error(Problem::BadWildcards { header: header.raw }));
        }
        Ok(Self { field, value, mask })
    }

    /// Writes it as it stands in a match: Open vSwitch spells some full masks.
    #[inline]
    fn encode_in_match(&self, w: &mut Writer<'_>) {
        let field = self.field;
        if self.mask.is_none() && field.info().spells_mask {
            Self { mask: Some(field.full_mask()), ..*self }.encode_as(w, field.id());
        } else {
            self.encode_as(w, field.id());
        }
    }

    /// Writes it as Nicira's actions name it.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        self.encode_as(w, self.field.info().action_id);
    }

    /// Writes it under one of the field's names.
    #[inline]
    pub(crate) fn encode_as(&self, w: &mut Writer<'_>, id: OxmId) {
        let n_bytes = self.field.n_bytes();
        let has_mask = self.mask.is_some();
        let number = self.value.to_u128() as u64;
        // The commonest are appended at once.
        match n_bytes {
            _ if id.class == OxmId::EXPERIMENTER || n_bytes > 8 => {
                id.encode_header(w, has_mask, n_bytes);
                self.value.encode(w, n_bytes);
            }
            4 => w.u64(u64::from(id.header(has_mask, 4 << u8::from(has_mask))) << 32 | number & 0xffff_ffff),
            _ => {
                let header = id.header(has_mask, n_bytes << u8::from(has_mask));
                let at = 8 - n_bytes.min(8);
                let mut fixed = Fixed::<12>::default();
                fixed.u32(header);
                fixed.u64(number << (8 * u32::from(at)));
                fixed.append_first(w, 4 + n_bytes);
            }
        }
        if let Some(mask) = &self.mask {
            mask.encode(w, n_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field;
    use super::*;

    #[test]
    fn the_order_of_building_does_not_matter() {
        let net: IpNet = "10.1.0.0/16".parse().unwrap();
        let one = Match::new().with(field::ETH_TYPE, 0x800_u16).with_prefix(field::IPV4_DST, net);
        let two = Match::new().with_prefix(field::IPV4_DST, net).with(field::ETH_TYPE, 0x800_u16);
        assert_eq!(one, two);
        let mut bytes = Vec::new();
        let mut w = Writer::new(&mut bytes);
        one.encode(&mut w);
        w.finish().unwrap();
        assert_eq!(
            bytes,
            [0, 1, 0, 22, 0x80, 0, 0x0a, 2, 8, 0, 0x80, 0, 0x19, 8, 10, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0]
        );
        assert_eq!(Match::decode(&mut Reader::new(&bytes, Part::Message)), Ok(one));
    }

    #[test]
    fn keeps_a_field_it_does_not_know() {
        let bytes = [0, 1, 0, 13, 0xff, 0xff, 0x04, 5, 0, 0, 0, 7, 9, 0, 0, 0];
        let found = Match::decode(&mut Reader::new(&bytes, Part::Message)).unwrap();
        assert_eq!(found.unknown().len(), 1);
        let mut out = Vec::new();
        found.encode(&mut Writer::new(&mut out));
        assert_eq!(out, bytes);
    }

    #[test]
    fn rejects_an_experimenter_s_field_too_short_for_its_number() {
        let short = [0, 1, 0, 14, 0xff, 0xff, 0x04, 2, 0, 0, 0x80, 0, 0x2c, 0, 0, 0];
        let error = Match::decode(&mut Reader::new(&short, Part::Message)).unwrap_err();
        assert_eq!(error.problem, Problem::BadLength { found: 2 });
    }

    #[test]
    fn rejects_a_field_that_comes_twice_and_bits_outside_of_the_mask() {
        let twice = [0, 1, 0, 16, 0x80, 0, 0x0a, 2, 8, 0, 0x80, 0, 0x0a, 2, 8, 0];
        let error = Match::decode(&mut Reader::new(&twice, Part::Message)).unwrap_err();
        assert!(matches!(error.problem, Problem::DuplicateField { .. }), "{error}");
        let wild = [0, 1, 0, 16, 0, 1, 1, 8, 0, 0, 0, 3, 0, 0, 0, 1];
        let error = Match::decode(&mut Reader::new(&wild, Part::Message)).unwrap_err();
        assert!(matches!(error.problem, Problem::BadWildcards { .. }), "{error}");
    }
}
