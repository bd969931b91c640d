//! Values of fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::{ParseError, Piece, Problem};
use super::names::Names;
use super::port::parse_port;
use super::printer::Printer;
use crate::openflow::oxm::{Format, WideField, field};
use crate::openflow::{Field, FieldValue, SubField};
use crate::types::{MacAddr, PortNo};

pub(super) const CT_STATE: &[&str] = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
pub(super) const TCP_FLAGS: &[&str] =
    &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
pub(super) const TUN_FLAGS: &[&str] = &["oam"];

/// nw_frag: value and mask by name. Source: ovs-fields(7).
const FRAGMENTS: &[(u8, u8, &str)] =
    &[(0, 3, "no"), (1, 1, "yes"), (1, 3, "first"), (3, 3, "later"), (0, 2, "not_later")];

/// A port by number, or by name if it is a reserved one.
#[must_use]
pub fn format_port(port: PortNo) -> String {
    let mut out = String::new();
    Printer::plain(&mut out).port(port);
    out
}

/// Appends a value, and its mask if it has one.
///
/// Source: `mf_format` in `lib/meta-flow.c` of Open vSwitch 3.1.
pub(super) fn format(out: &mut Printer<'_>, field: Field, value: FieldValue, mask: Option<FieldValue>) {
    if mask == Some(FieldValue::ZERO) {
        return out.push_str("ANY");
    }
    let mask = mask.filter(|mask| *mask != field.wire_mask());
    match field.info().format {
        Format::Port => out.port(port_of(field, value)),
        Format::Mac => {
            out.mac(value.to_mac());
            if let Some(mask) = mask {
                out.push_str("/");
                out.mac(mask.to_mac());
            }
        }
        Format::Ipv4 => {
            out.ipv4(value.to_ipv4());
            match mask.map(|mask| (mask, prefix_len(mask.to_u32().into(), 32))) {
                None => {}
                Some((_, Some(len))) => prefix(out, len),
                Some((mask, None)) => {
                    out.push_str("/");
                    out.ipv4(mask.to_ipv4());
                }
            }
        }
        Format::Ipv6 => {
            out.ipv6(value.to_ipv6());
            match mask.map(|mask| (mask, prefix_len(mask.to_u128(), 128))) {
                None => {}
                Some((_, Some(len))) => prefix(out, len),
                Some((mask, None)) => {
                    out.push_str("/");
                    out.ipv6(mask.to_ipv6());
                }
            }
        }
        Format::Frag => out.push_str(fragment_name(value, mask).unwrap_or("<error>")),
        Format::CtState => format_flags(out, CT_STATE, value, mask),
        Format::TcpFlags => format_flags(out, TCP_FLAGS, value, mask),
        Format::TunFlags => format_flags(out, TUN_FLAGS, value, mask),
        Format::PacketType => {
            out.push_str("(");
            out.dec(value.to_u32() >> 16);
            out.push_str(",");
            out.hex(value.to_u16());
            out.push_str(")");
        }
        Format::Decimal => {
            out.dec(value.to_u128() as u64);
            hex_mask(out, mask);
        }
        Format::Hex => {
            out.alternate_hex(value.to_u128());
            hex_mask(out, mask);
        }
    }
}

fn prefix(out: &mut Printer<'_>, len: u32) {
    out.push_str("/");
    out.dec(len);
}

fn hex_mask(out: &mut Printer<'_>, mask: Option<FieldValue>) {
    if let Some(mask) = mask {
        out.push_str("/");
        out.alternate_hex(mask.to_u128());
    }
}

/// A field's value.
#[must_use]
pub fn format_field_value(field: Field, value: FieldValue) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), field, value, None);
    out
}

/// Appends a number of any width in hex.
pub(super) fn format_wide(out: &mut Printer<'_>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes.iter().skip(zeros);
    match digits.next() {
        None => out.push_str("0"),
        Some(first) => out.hex(*first),
    }
    digits.for_each(|byte| out.hex_digits((*byte).into(), 2));
}

fn port_of(field: Field, value: FieldValue) -> PortNo {
    let port = value.to_u32();
    // A field of 16 bits has the reserved ports of OpenFlow 1.0.
    if field.n_bits() == 16 && port >= 0xfff8 { PortNo(port | 0xffff_0000) } else { PortNo(port) }
}

/// The number of leading ones, if nothing but zeros follows.
fn prefix_len(mask: u128, n_bits: u32) -> Option<u32> {
    let zeros = mask.trailing_zeros().min(n_bits);
    let ones = FieldValue::ones(n_bits as u16).to_u128();
    (mask == ones >> zeros << zeros).then_some(n_bits - zeros)
}

/// Flags that are matched each bear a sign; a value matched whole is a list of those that are set.
fn format_flags(out: &mut Printer<'_>, names: &[&str], value: FieldValue, mask: Option<FieldValue>) {
    let bits = value.to_u32();
    let shown = mask.map_or(bits, FieldValue::to_u32);
    if shown == 0 {
        return out.push_str("0");
    }
    if mask.is_some() && shown >> names.len() != 0 {
        out.hex(bits);
        out.push_str("/");
        return out.hex(shown);
    }
    let mut is_first = true;
    for (at, name) in names.iter().enumerate().filter(|(at, _)| shown >> at & 1 == 1) {
        match mask {
            Some(_) => out.push_str(if bits >> at & 1 == 1 { "+" } else { "-" }),
            None if is_first => {}
            None => out.push_str("|"),
        }
        out.push_str(name);
        is_first = false;
    }
}

fn fragment_name(value: FieldValue, mask: Option<FieldValue>) -> Option<&'static str> {
    let mask = mask.map_or(3, |mask| mask.to_u16() & 3);
    FRAGMENTS
        .iter()
        .find(|(bits, of, _)| u16::from(*bits) == value.to_u16() && u16::from(*of) == mask)
        .map(|(_, _, name)| *name)
}

/// Reads a value, and the mask behind a slash if there is one. The field is not one of tunnel metadata.
///
/// # Errors
/// Says what would be a value; that the field cannot have that mask.
///
/// Source: `mf_parse` in `lib/meta-flow.c` of Open vSwitch 3.1.
pub(super) fn parse(
    field: Field,
    piece: Piece<'_>,
    names: Option<&Names>,
) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    match field.info().format {
        Format::CtState => return parse_flags(field, CT_STATE, piece),
        Format::TcpFlags => return parse_flags(field, TCP_FLAGS, piece),
        Format::TunFlags => return parse_flags(field, TUN_FLAGS, piece),
        Format::Frag => {
            let found = FRAGMENTS.iter().find(|(_, _, name)| *name == piece.text());
            return match found {
                Some((value, mask, _)) => Ok(((*value).into(), Some((*mask).into()))),
                None => Err(piece.error(Problem::Expected("no, yes, first, later or not_later"))),
            };
        }
        Format::PacketType => return parse_packet_type(piece).map(|value| (value, None)),
        Format::Port => {
            let port = parse_port(piece, names)?;
            return Ok((FieldValue::from(port).and(field.full_mask()), None));
        }
        _ => {}
    }
    let Some((value, mask)) = piece.split_once("/") else {
        return Ok((parse_whole(field, piece)?, None));
    };
    let parsed = parse_whole(field, value)?;
    let bits = parse_mask(field, mask)?;
    let is_whole = bits.and(field.full_mask()) == field.full_mask();
    if !is_whole && !field.info().maskable {
        return Err(mask.error(Problem::NoMask));
    }
    Ok((parsed.and(bits), Some(bits)))
}

fn parse_whole(field: Field, piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    let text = piece.text();
    let value = match field.info().format {
        Format::Mac => parse_mac(piece)?.into(),
        Format::Ipv4 => {
            text.parse::<Ipv4Addr>().map_err(|_| piece.error(Problem::Expected("an IPv4 address")))?.into()
        }
        Format::Ipv6 => {
            text.parse::<Ipv6Addr>().map_err(|_| piece.error(Problem::Expected("an IPv6 address")))?.into()
        }
        _ => piece.number(field.info().value_bits)?.into(),
    };
    if field == field::NW_TOS && FieldValue::to_u16(value) & 3 != 0 {
        return Err(piece.error(Problem::Expected("a multiple of 4")));
    }
    Ok(value)
}

/// Reads six numbers of one or two hex digits with colons between them.
pub(super) fn parse_mac(piece: Piece<'_>) -> Result<MacAddr, ParseError> {
    let mut octets = [0_u8; 6];
    let (mut at, mut n_digits) = (0, 0);
    for byte in piece.text().bytes() {
        match char::from(byte).to_digit(16) {
            Some(digit) if n_digits < 2 => {
                octets[at] = octets[at] << 4 | digit as u8;
                n_digits += 1;
            }
            None if byte == b':' && n_digits > 0 && at < 5 => {
                at += 1;
                n_digits = 0;
            }
            _ => {
                at = 0;
                break;
            }
        }
    }
    if at == 5 && n_digits > 0 {
        Ok(MacAddr(octets))
    } else {
        Err(piece.error(Problem::Expected("an Ethernet address: 00:11:22:33:44:55")))
    }
}

fn parse_mask(field: Field, piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    let is_address = matches!(field.info().format, Format::Ipv4 | Format::Ipv6);
    match piece.text().parse::<u16>() {
        Ok(len) if is_address => {
            let zeros = field.n_bits().checked_sub(len);
            let zeros = zeros.ok_or_else(|| piece.error(Problem::Expected("a prefix length")))?;
            let mask = field.full_mask().to_u128();
            Ok(mask.checked_shr(zeros.into()).map_or(0, |bits| bits << zeros).into())
        }
        _ if is_address || field.info().format == Format::Mac => parse_whole(field, piece),
        _ => piece.number(8 * u16::from(field.n_bytes())).map(Into::into),
    }
}

/// Reads `(NAMESPACE,TYPE)`.
fn parse_packet_type(piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    let bad = || piece.error(Problem::Expected("a namespace and a type: (1,0x800)"));
    let inside = piece.strip_prefix("(").and_then(|rest| rest.strip_suffix(")")).ok_or_else(bad)?;
    let (namespace, of_it) = inside.split_once(",").ok_or_else(bad)?;
    Ok((u32::from(namespace.trim().u16()?) << 16 | u32::from(of_it.trim().u16()?)).into())
}

/// Reads a value of a field of tunnel metadata, and the mask behind a slash if there is one.
pub(super) fn parse_wide(field: Field, piece: Piece<'_>) -> Result<WideField, ParseError> {
    let n_bits = field.n_bits();
    let too_big = || piece.error(Problem::TooBig(n_bits));
    let (value, mask) = piece.split_once("/").unwrap_or((piece, piece.slice(0, 0)));
    let number = parse_wide_number(value, n_bits)?;
    if mask.is_empty() {
        return WideField::new(field, &number, None).ok_or_else(too_big);
    }
    // Bits outside of the mask lengthen the field in spite of it.
    let mut found =
        WideField::new(field, &number, Some(&parse_wide_number(mask, n_bits)?)).ok_or_else(too_big)?;
    if let Some(mask) = &found.mask {
        found.value.iter_mut().zip(mask).for_each(|(value, mask)| *value &= mask);
    }
    Ok(found)
}

/// A number in bits of a field of tunnel metadata.
pub(super) fn wide_bits(dst: SubField, number: &[u8]) -> WideField {
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
pub(super) fn parse_wide_number(piece: Piece<'_>, n_bits: u16) -> Result<Vec<u8>, ParseError> {
    let text = piece.text();
    let digits = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.len() > 32 => digits.trim_start_matches('0'),
        _ => return piece.number(n_bits).map(|number| number.to_be_bytes().to_vec()),
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

/// Reads `+new-est`, a list `syn|ack`, or a number with or without a mask.
fn parse_flags(
    field: Field,
    names: &[&str],
    piece: Piece<'_>,
) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    let text = piece.text();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match piece.split_once("/") {
            Some((value, mask)) => Ok((
                value.number(field.info().value_bits)?.into(),
                Some(mask.number(field.info().value_bits)?.into()),
            )),
            None => Ok((piece.number(field.info().value_bits)?.into(), None)),
        };
    }
    let is_signed = text.starts_with(['+', '-']);
    let (mut bits, mut mask) = (0u32, 0u32);
    for (at, word) in words(text, if is_signed { &['+', '-'] } else { &['|'] }) {
        let here = piece.slice(at, at + word.len());
        let bit = names.iter().position(|name| *name == word);
        let bit = 1 << bit.ok_or_else(|| here.error(Problem::Expected("a flag of this field")))?;
        mask |= bit;
        if !is_signed || text.get(..at).is_some_and(|before| before.ends_with('+')) {
            bits |= bit;
        }
    }
    Ok((bits.into(), is_signed.then(|| mask.into())))
}

/// The words between separators, and where they stand; empty ones are left out.
fn words<'a>(text: &'a str, separators: &'a [char]) -> impl Iterator<Item = (usize, &'a str)> {
    let mut at = 0;
    text.split(separators).filter_map(move |word| {
        let start = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some((start, word))
    })
}
