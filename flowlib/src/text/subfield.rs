//! Fields by name and their bits: `NXM_NX_REG0[0..15]`.

use super::error::{ParseError, Piece, Problem};
use super::printer::Printer;
use crate::openflow::oxm::field;
use crate::openflow::{Field, SubField};

/// The field of that name in any spelling. Three that Open vSwitch does not have are not written in text.
pub(super) fn find_field(name: &str) -> Option<Field> {
    let is_known =
        |field: &Field| !matches!(*field, field::IN_PHY_PORT | field::PBB_ISID | field::IPV6_EXTHDR);
    Field::from_name(name).filter(is_known)
}

/// The field of that name, which is not the one on the wire.
pub(super) fn find_short_name(name: &str) -> Option<Field> {
    // Only names on the wire have capitals.
    if name.starts_with(|c: char| c.is_ascii_uppercase()) { None } else { find_field(name) }
}

/// Whether a text begins with the name of a field, of which bits may follow.
pub(super) fn names_field(piece: Piece<'_>) -> bool {
    find_field(piece.split_once("[").map_or(piece, |(name, _)| name).text()).is_some()
}

/// Reads the name of a field.
pub(super) fn parse_field(piece: Piece<'_>) -> Result<Field, ParseError> {
    find_field(piece.text()).ok_or_else(|| piece.error(Problem::UnknownSubField))
}

/// Some bits of a field: `NXM_NX_REG0[0..15]`.
#[must_use]
pub fn format_subfield(sub: SubField) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), sub);
    out
}

/// Appends the name of some bits.
pub(super) fn format(out: &mut Printer<'_>, sub: SubField) {
    out.push_str(sub.field.info().nxm_name);
    let last = (sub.start_bit + sub.n_bits).saturating_sub(1);
    if sub == SubField::all(sub.field) {
        out.push_str("[]");
    } else if sub.n_bits == 1 {
        out.push_str("[");
        out.dec(sub.start_bit);
        out.push_str("]");
    } else {
        out.push_str("[");
        out.dec(sub.start_bit);
        out.push_str("..");
        out.dec(last);
        out.push_str("]");
    }
}

/// Reads `NAME[]`, `NAME[BIT]` or `NAME[FIRST..LAST]`; a bare name is all of the field.
pub(super) fn parse(piece: Piece<'_>) -> Result<SubField, ParseError> {
    let (name, bits) = match piece.split_once("[") {
        Some((name, bits)) => {
            let bits = bits.strip_suffix("]").ok_or_else(|| piece.error(Problem::Unbalanced))?;
            (name, bits)
        }
        None => (piece, piece.slice(0, 0)),
    };
    let field = parse_field(name)?;
    let sub = if bits.is_empty() {
        SubField::all(field)
    } else {
        let (first, last) = bits.split_once("..").unwrap_or((bits, bits));
        let (first, last) = (first.u16()?, last.u16()?);
        if last < first || last >= field.n_bits() {
            return Err(bits.error(Problem::BadBits));
        }
        SubField::bits(field, first, last)
    };
    Ok(sub)
}
