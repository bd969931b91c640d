//! Values of fields.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::{ParseError, Piece, Problem};
use super::printer::Printer;
use crate::openflow::oxm::Format;
use crate::openflow::{Field, FieldValue};
use crate::types::{MacAddr, PortNo};

const PORT_NAMES: &[(PortNo, &str)] = &[
    (PortNo::IN_PORT, "IN_PORT"),
    (PortNo::TABLE, "TABLE"),
    (PortNo::NORMAL, "NORMAL"),
    (PortNo::FLOOD, "FLOOD"),
    (PortNo::ALL, "ALL"),
    (PortNo::CONTROLLER, "CONTROLLER"),
    (PortNo::LOCAL, "LOCAL"),
    (PortNo::ANY, "ANY"),
];

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
    match PORT_NAMES.iter().find(|(number, _)| *number == port) {
        Some((_, name)) => (*name).to_owned(),
        None => port.to_string(),
    }
}

/// Appends a number of any width in hex.
pub(super) fn format_wide(out: &mut Printer<'_>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes.iter().skip(zeros);
    let result = match digits.next() {
        None => write!(out, "0"),
        Some(first) => write!(out, "{first:#x}"),
    };
    result.expect("writing to a string does not fail");
    digits.for_each(|byte| write!(out, "{byte:02x}").expect("writing to a string does not fail"));
}

/// The port that a name (in any case) or a number says.
pub(super) fn parse_port(piece: Piece<'_>) -> Result<PortNo, ParseError> {
    let named = PORT_NAMES.iter().find(|(_, name)| piece.text().eq_ignore_ascii_case(name));
    match named {
        Some((port, _)) => Ok(*port),
        None => match piece.number(32) {
            // Numbers of reserved ports in OpenFlow 1.0, as ovs-ofctl takes them.
            Ok(number @ 0xfff8..=0xffff) => Ok(PortNo(number as u32 | 0xffff_0000)),
            Ok(number) => Ok(PortNo(number as u32)),
            Err(_) => Err(piece.error(Problem::Expected("a port"))),
        },
    }
}

/// Appends a value, and its mask if it has one.
pub(super) fn format(out: &mut Printer<'_>, field: Field, value: FieldValue, mask: Option<FieldValue>) {
    let result = match field.info().format {
        Format::Port => {
            out.push_str(&format_port(port_of(field, value)));
            Ok(())
        }
        Format::Mac => match mask {
            None => write!(out, "{}", value.to_mac()),
            Some(mask) => write!(out, "{}/{}", value.to_mac(), mask.to_mac()),
        },
        Format::Ipv4 => match mask.map(|mask| (mask, prefix_len(mask.to_u32().into(), 32))) {
            None => write!(out, "{}", value.to_ipv4()),
            Some((_, Some(len))) => write!(out, "{}/{len}", value.to_ipv4()),
            Some((mask, None)) => write!(out, "{}/{}", value.to_ipv4(), mask.to_ipv4()),
        },
        Format::Ipv6 => match mask.map(|mask| (mask, prefix_len(mask.to_u128(), 128))) {
            None => write!(out, "{}", value.to_ipv6()),
            Some((_, Some(len))) => write!(out, "{}/{len}", value.to_ipv6()),
            Some((mask, None)) => write!(out, "{}/{}", value.to_ipv6(), mask.to_ipv6()),
        },
        Format::Frag => {
            out.push_str(fragment_name(value, mask).unwrap_or("<error>"));
            Ok(())
        }
        Format::CtState => format_flags(out, CT_STATE, value, mask),
        Format::TcpFlags => format_flags(out, TCP_FLAGS, value, mask),
        Format::TunFlags => format_flags(out, TUN_FLAGS, value, mask),
        Format::PacketType => write!(out, "({},{:#x})", value.to_u32() >> 16, value.to_u16()),
        Format::Decimal => match mask {
            None => write!(out, "{}", value.to_u128()),
            Some(mask) => write!(out, "{value}/{mask}"),
        },
        Format::Hex => match mask {
            None => write!(out, "{value}"),
            Some(mask) => write!(out, "{value}/{mask}"),
        },
    };
    result.expect("writing to a string does not fail");
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
fn format_flags(
    out: &mut Printer<'_>,
    names: &[&str],
    value: FieldValue,
    mask: Option<FieldValue>,
) -> std::fmt::Result {
    let (bits, Some(mask)) = (value.to_u32(), mask.map(FieldValue::to_u32)) else {
        let set: Vec<_> = flags_in(names, value.to_u32()).collect();
        return if set.is_empty() { write!(out, "0") } else { write!(out, "{}", set.join("|")) };
    };
    if mask >> names.len() != 0 {
        return write!(out, "{bits:#x}/{mask:#x}");
    }
    for (at, name) in names.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
        write!(out, "{}{name}", if bits >> at & 1 == 1 { '+' } else { '-' })?;
    }
    Ok(())
}

fn flags_in<'a>(names: &'a [&str], bits: u32) -> impl Iterator<Item = &'a str> {
    names.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, name)| *name)
}

fn fragment_name(value: FieldValue, mask: Option<FieldValue>) -> Option<&'static str> {
    let mask = mask.map_or(3, |mask| mask.to_u16() & 3);
    FRAGMENTS
        .iter()
        .find(|(bits, of, _)| u16::from(*bits) == value.to_u16() && u16::from(*of) == mask)
        .map(|(_, _, name)| *name)
}

/// Reads a value, and the mask behind a slash if there is one.
pub(super) fn parse(field: Field, piece: Piece<'_>) -> Result<(FieldValue, Option<FieldValue>), ParseError> {
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
        _ => {}
    }
    let (value, mask) = match piece.split_once("/") {
        Some((value, mask)) => (value, Some(mask)),
        None => (piece, None),
    };
    let parsed = parse_whole(field, value)?;
    match mask {
        None => Ok((parsed, None)),
        Some(mask) if !field.info().maskable => Err(mask.error(Problem::NoMask)),
        Some(mask) => Ok((parsed, Some(parse_mask(field, mask)?))),
    }
}

fn parse_whole(field: Field, piece: Piece<'_>) -> Result<FieldValue, ParseError> {
    let text = piece.text();
    let value = match field.info().format {
        Format::Port => {
            let port = parse_port(piece)?;
            FieldValue::from(port).and(field.full_mask())
        }
        Format::Mac => {
            text.parse::<MacAddr>().map_err(|_| piece.error(Problem::Expected("a MAC address")))?.into()
        }
        Format::Ipv4 => {
            text.parse::<Ipv4Addr>().map_err(|_| piece.error(Problem::Expected("an IPv4 address")))?.into()
        }
        Format::Ipv6 => {
            text.parse::<Ipv6Addr>().map_err(|_| piece.error(Problem::Expected("an IPv6 address")))?.into()
        }
        _ => piece.number(field.info().value_bits)?.into(),
    };
    Ok(value)
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
