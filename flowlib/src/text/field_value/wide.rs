//! Values of tunnel metadata, which are wider than numbers are.

use super::parse::parse_integer;
use crate::openflow::oxm::WideField;
use crate::openflow::{Field, SubField};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::printer::Printer;

/// Appends a number of any width in hex.
pub(in crate::text) fn format_wide(out: &mut Printer<'_>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes.iter().skip(zeros);
    match digits.next() {
        None => out.push_str("0"),
        Some(first) => out.hex(*first),
    }
    digits.for_each(|byte| out.hex_digits((*byte).into(), 2));
}

/// Reads a value of a field of tunnel metadata, and the mask behind a slash if there is one; `*` is a mask of
/// nothing.
pub(in crate::text) fn parse_wide(field: Field, piece: Piece<'_>) -> Result<WideField, ParseError> {
    let n_bits = field.n_bits();
    let too_big = || piece.error(Problem::TooBig(n_bits));
    if piece.text() == "*" {
        return Ok(WideField { field, value: [].into(), mask: Some([].into()) });
    }
    let Some((value, mask)) = piece.split_once("/") else {
        return WideField::new(field, &parse_wide_number(piece, n_bits)?, None).ok_or_else(too_big);
    };
    let number = parse_wide_number(value, n_bits)?;
    // Bits outside of the mask lengthen the field in spite of it.
    let mut found =
        WideField::new(field, &number, Some(&parse_wide_number(mask, n_bits)?)).ok_or_else(too_big)?;
    if let Some(mask) = &found.mask {
        found.value.iter_mut().zip(mask).for_each(|(value, mask)| *value &= mask);
    }
    Ok(found)
}

/// A number in bits of a field of tunnel metadata.
pub(in crate::text) fn wide_bits(dst: SubField, number: &[u8]) -> WideField {
    let n_bytes = usize::from(dst.field.n_bytes());
    let (mut value, mut mask) = (vec![0; n_bytes], vec![0; n_bytes]);
    for bit in 0..usize::from(dst.n_bits) {
        let at = bit + usize::from(dst.start_bit);
        let (byte, flag) = (n_bytes - 1 - at / 8, 1 << (at % 8));
        mask[byte] |= flag;
        let is_set =
            number.len().checked_sub(1 + bit / 8).is_some_and(|from| number[from] >> (bit % 8) & 1 == 1);
        if is_set {
            value[byte] |= flag;
        }
    }
    WideField::new(dst.field, &value, Some(&mask)).expect("bits of the field make no longer value")
}

/// Reads a number of any width; one of more than 128 bits in hex.
pub(in crate::text) fn parse_wide_number(piece: Piece<'_>, n_bits: u16) -> Result<Vec<u8>, ParseError> {
    let text = piece.text();
    let digits = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.len() > 32 => digits.trim_start_matches('0'),
        _ => return parse_integer(piece, n_bits).map(|number| number.to_be_bytes().to_vec()),
    };
    if digits.len() > usize::from(n_bits).div_ceil(4) {
        return Err(piece.error(Problem::TooBig(n_bits)));
    }
    let mut bytes = vec![0_u8; digits.len().div_ceil(2)];
    for (at, digit) in digits.bytes().rev().enumerate() {
        let digit =
            char::from(digit).to_digit(16).ok_or_else(|| piece.error(Problem::Expected("a number")))?;
        let from_end = bytes.len() - 1 - at / 2;
        bytes[from_end] |= (digit as u8) << (4 * (at % 2));
    }
    Ok(bytes)
}
