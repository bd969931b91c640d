//! How values are read.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::flags;
use crate::openflow::oxm::Format;
use crate::openflow::{Field, FieldValue};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::names::Names;
use crate::text::port::parse_port;
use crate::types::MacAddr;

/// Reads a value, and the mask behind a slash unless it covers all; `*` is a mask of nothing. The field is not one
/// of tunnel metadata.
///
/// A number may have as many bits as the field's bytes, which can be more than it has a meaning for, and more than
/// the mask has.
///
/// # Errors
/// Says what would be a value; that the field cannot have that mask.
///
/// Source: `mf_parse` in `lib/meta-flow.c` of Open vSwitch 3.1.
pub(in crate::text) fn parse(
    field: Field,
    piece: Piece<'_>,
    names: Option<&Names>,
) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    if piece.text() == "*" {
        return Ok((FieldValue::ZERO, Some(FieldValue::ZERO)));
    }
    match field.info().format {
        Format::CtState | Format::TcpFlags | Format::TunFlags => flags::parse(field, piece),
        Format::Frag => flags::parse_fragments(piece),
        Format::PacketType => parse_packet_type(piece).map(|value| (value, None)),
        Format::Port => {
            let port = parse_port(piece, names)?;
            Ok((FieldValue::from(port).and(field.full_mask()), None))
        }
        _ => parse_masked(field, piece),
    }
}

fn parse_masked(field: Field, piece: Piece<'_>) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
    let Some((value, mask)) = piece.split_once("/") else {
        return Ok((parse_whole(field, piece)?, None));
    };
    let parsed = parse_whole(field, value)?;
    let bits = parse_mask(field, mask)?;
    if bits == field.wire_mask() {
        return Ok((parsed, None));
    }
    if !field.info().maskable && bits != FieldValue::ZERO {
        return Err(mask.error(Problem::NoMask));
    }
    Ok((parsed, Some(bits)))
}

fn parse_whole(field: Field, piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    Ok(match field.info().format {
        Format::Mac => parse_mac(piece)?.into(),
        Format::Ipv4 => parse_ipv4(piece)?.into(),
        Format::Ipv6 => {
            let address = piece.text().parse::<Ipv6Addr>();
            address.map_err(|_| piece.error(Problem::Expected("an IPv6 address")))?.into()
        }
        _ => parse_integer(piece, 8 * u16::from(field.n_bytes()))?.into(),
    })
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
        _ => parse_whole(field, piece),
    }
}

/// Reads a number of at most `n_bits` as strtoull(3) does: with a sign or not, and `-1` is the highest of 64 bits.
pub(in crate::text) fn parse_integer(piece: Piece<'_>, n_bits: u16) -> Result<u128, ParseError> {
    match piece.text().as_bytes() {
        [b'+', ..] => piece.slice(1, piece.text().len()).number(n_bits),
        [b'-', ..] => {
            let number = piece.slice(1, piece.text().len()).u64()?.wrapping_neg().into();
            if n_bits < 64 && number >> n_bits != 0 {
                return Err(piece.error(Problem::TooBig(n_bits)));
            }
            Ok(number)
        }
        b"0x" | b"0X" => Ok(0),
        _ => piece.number(n_bits),
    }
}

/// Reads four decimal numbers, of each the lowest 8 bits.
fn parse_ipv4(piece: Piece<'_>) -> Result<Ipv4Addr, ParseError> {
    let bad = || piece.error(Problem::Expected("an IPv4 address"));
    let mut octets = [0_u8; 4];
    let mut numbers = piece.text().split('.');
    for octet in &mut octets {
        let digits = numbers.next().filter(|digits| !digits.is_empty()).ok_or_else(bad)?;
        for digit in digits.bytes() {
            if !digit.is_ascii_digit() {
                return Err(bad());
            }
            *octet = octet.wrapping_mul(10).wrapping_add(digit - b'0');
        }
    }
    if numbers.next().is_some() { Err(bad()) } else { Ok(octets.into()) }
}

/// Reads six hex numbers with colons between them, of each the lowest 8 bits.
pub(in crate::text) fn parse_mac(piece: Piece<'_>) -> Result<MacAddr, ParseError> {
    let bad = || piece.error(Problem::Expected("an Ethernet address: 00:11:22:33:44:55"));
    let mut octets = [0_u8; 6];
    let (mut at, mut n_digits) = (0, 0);
    for byte in piece.text().bytes() {
        match char::from(byte).to_digit(16) {
            Some(digit) => {
                octets[at] = octets[at] << 4 | digit as u8;
                n_digits += 1;
            }
            None if byte == b':' && n_digits > 0 && at < 5 => {
                at += 1;
                n_digits = 0;
            }
            _ => return Err(bad()),
        }
    }
    if at == 5 && n_digits > 0 { Ok(MacAddr(octets)) } else { Err(bad()) }
}

/// Reads `(NAMESPACE,TYPE)`, before which the name may stand: `learn` prints it twice.
fn parse_packet_type(piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    let bad = || piece.error(Problem::Expected("a namespace and a type: (1,0x800)"));
    let piece = piece.strip_prefix("packet_type=").unwrap_or(piece);
    let inside = piece.strip_prefix("(").and_then(|rest| rest.split_once(")")).ok_or_else(bad)?.0;
    let (namespace, of_it) = inside.split_once(",").ok_or_else(bad)?;
    Ok((u32::from(namespace.trim().u16()?) << 16 | u32::from(of_it.trim().u16()?)).into())
}
