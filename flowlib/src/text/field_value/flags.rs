//! Values that are sets of flags, and the kinds of fragments.

use crate::openflow::oxm::field;
use crate::openflow::{Field, FieldValue};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::printer::Printer;

/// The names of a field's flags, from the lowest bit up.
pub(super) fn names(field: Field) -> &'static [&'static str] {
    match field {
        field::CT_STATE => &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"],
        field::TUN_FLAGS => &["oam"],
        _ => &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"],
    }
}

/// nw_frag: value and mask by name. Source: ovs-fields(7).
const FRAGMENTS: &[(u8, u8, &str)] =
    &[(0, 3, "no"), (1, 1, "yes"), (1, 3, "first"), (3, 3, "later"), (0, 2, "not_later")];

/// The kind of fragments that a match is for. Two of the bits matter.
pub(super) fn fragment_name(value: FieldValue, mask: Option<FieldValue>) -> &'static str {
    match (mask.map_or(3, FieldValue::to_u16) & 3, value.to_u16() & 3) {
        (3, 0) | (1, 0) => "no",
        (3, 1) => "first",
        (3, 3) | (2, 2) => "later",
        (1, _) => "yes",
        (2, _) => "not_later",
        _ => "<error>",
    }
}

/// Reads the name of a kind of fragments, in any case.
pub(super) fn parse_fragments(piece: Piece<'_>) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    let found = FRAGMENTS.iter().find(|(_, _, name)| name.eq_ignore_ascii_case(piece.text()));
    match found {
        Some((value, mask, _)) => Ok(((*value).into(), Some((*mask).into()))),
        None => Err(piece.error(Problem::Expected("no, yes, first, later or not_later"))),
    }
}

/// Appends flags that are matched, each with a sign: `+new-est`.
///
/// Source: `format_flags_masked` in `lib/flow.c` of Open vSwitch 3.1.
pub(super) fn format_signed(out: &mut Printer<'_>, names: &[&str], bits: u32, mask: u32) {
    if mask == 0 {
        return out.push_str("0");
    }
    let mut left = mask;
    while left != 0 {
        let at = left.trailing_zeros();
        out.push_str(if bits >> at & 1 == 1 { "+" } else { "-" });
        out.push_str(names.get(at as usize).unwrap_or(&"[Unknown]"));
        left &= left - 1;
    }
}

/// Appends the flags that are set: `syn|ack`; bits without a name follow as a number.
pub(super) fn format_set(out: &mut Printer<'_>, names: &[&str], bits: u32) {
    if bits == 0 {
        return out.push_str("0");
    }
    let mut separator = "";
    for (_, name) in names.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
        out.push_str(separator);
        out.push_str(name);
        separator = "|";
    }
    let unknown = bits >> names.len() << names.len();
    if unknown != 0 {
        out.push_str(separator);
        out.hex(unknown);
    }
}

/// Reads `+new-est`, a list `syn|ack`, which may be empty, or a number with or without a mask.
///
/// # Errors
/// Says what would be a flag; that one is there twice.
///
/// Source: `parse_flags` in `lib/flow.c` of Open vSwitch 3.1.
pub(super) fn parse(field: Field, piece: Piece<'_>) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    let names = names(field);
    match piece.text().as_bytes() {
        [] => Ok((FieldValue::ZERO, None)),
        [b'+' | b'-', ..] => parse_signed(names, piece),
        [b'0'..=b'9', ..] if !piece.text().contains('|') => {
            let n_bits = field.info().value_bits;
            match piece.split_once("/") {
                Some((value, mask)) => Ok((value.number(n_bits)?.into(), Some(mask.number(n_bits)?.into()))),
                None => Ok((piece.number(n_bits)?.into(), None)),
            }
        }
        _ => {
            let mut bits = 0;
            let mut rest = Some(piece.strip_suffix("|").unwrap_or(piece));
            while let Some(piece) = rest {
                let (word, behind) = piece.split_once("|").map_or((piece, None), |(a, b)| (a, Some(b)));
                bits |= match word.text().as_bytes().first() {
                    Some(b'0'..=b'9') => word.number(field.info().value_bits)? as u32,
                    _ => flag(names, word)?,
                };
                rest = behind;
            }
            Ok((bits.into(), None))
        }
    }
}

/// Reads `+new-est`: flags that are to be set or not, each once.
fn parse_signed(names: &[&str], piece: Piece<'_>) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    let text = piece.text();
    let (mut bits, mut mask, mut at) = (0, 0, 0);
    while at < text.len() {
        let rest = piece.slice(at + 1, text.len());
        let len = rest.text().find(['+', '-']).unwrap_or(rest.text().len());
        let word = rest.slice(0, len);
        let bit = flag(names, word)?;
        if mask & bit != 0 {
            return Err(word.error(Problem::Expected("left out: the flag is there already")));
        }
        mask |= bit;
        if text.as_bytes().get(at) == Some(&b'+') {
            bits |= bit;
        }
        at += 1 + len;
    }
    Ok((bits.into(), Some(mask.into())))
}

fn flag(names: &[&str], word: Piece<'_>) -> Result<u32, ParseError> {
    match names.iter().position(|name| *name == word.text()) {
        Some(bit) => Ok(1 << bit),
        None => Err(word.error(Problem::Expected("a flag of this field"))),
    }
}
