//! How values are printed, in matches and in actions.

use super::flags::{self, fragment_name};
use crate::openflow::oxm::{Format, field};
use crate::openflow::{Field, FieldValue};
use crate::text::printer::Printer;
use crate::types::PortNo;

/// Where a value stands. Open vSwitch prints a few of them differently there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::text) enum Use {
    /// In a match, behind the name of its field. Source: `match_format` in `lib/match.c` of Open vSwitch 3.1.
    Match,
    /// In an action. Source: `mf_format` in `lib/meta-flow.c` of Open vSwitch 3.1.
    Action,
}

/// A port by number, or by name if it is a reserved one.
#[must_use]
pub fn format_port(port: PortNo) -> String {
    let mut out = String::new();
    Printer::plain(&mut out).port(port);
    out
}

/// A field's value.
#[must_use]
pub fn format_field_value(field: Field, value: FieldValue) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), field, value, None, Use::Action);
    out
}

/// Appends a value, and its mask if it has one.
pub(in crate::text) fn format(
    out: &mut Printer<'_>,
    field: Field,
    value: FieldValue,
    mask: Option<FieldValue>,
    at: Use,
) {
    if at == Use::Action && mask == Some(FieldValue::ZERO) {
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
            if let Some(mask) = mask.filter(|mask| !prefix(out, mask.to_u32().into(), 32)) {
                out.push_str("/");
                out.ipv4(mask.to_ipv4());
            }
        }
        Format::Ipv6 => {
            out.ipv6(value.to_ipv6());
            if let Some(mask) = mask.filter(|mask| !prefix(out, mask.to_u128(), 128)) {
                out.push_str("/");
                out.ipv6(mask.to_ipv6());
            }
        }
        Format::Frag => out.push_str(fragment_name(value, mask)),
        Format::CtState | Format::TcpFlags | Format::TunFlags => format_flags(out, field, value, mask, at),
        Format::PacketType => packet_type(out, value.to_u32()),
        Format::Decimal => decimal(out, value, mask, at),
        Format::Hex => {
            out.alternate_hex(value.to_u128());
            if let Some(mask) = mask {
                out.push_str("/");
                out.alternate_hex(mask.to_u128());
            }
        }
    }
}

fn decimal(out: &mut Printer<'_>, value: FieldValue, mask: Option<FieldValue>, at: Use) {
    match mask {
        None => out.dec(value.to_u128() as u64),
        Some(mask) if at == Use::Match => {
            out.hex(value.to_u128());
            out.push_str("/");
            out.hex(mask.to_u128());
        }
        Some(mask) => {
            out.dec(value.to_u128() as u64);
            out.push_str("/");
            out.alternate_hex(mask.to_u128());
        }
    }
}

/// Matched flags bear signs; a value that is matched whole, or set, is a list of those that are set. Open vSwitch
/// takes `ct_state` for matched wherever it stands.
fn format_flags(out: &mut Printer<'_>, field: Field, value: FieldValue, mask: Option<FieldValue>, at: Use) {
    let (names, bits) = (flags::names(field), value.to_u32());
    match (mask, at) {
        (Some(mask), _) => flags::format_signed(out, names, bits, mask.to_u32()),
        (None, Use::Action) if field == field::CT_STATE => flags::format_signed(out, names, bits, u32::MAX),
        (None, _) => flags::format_set(out, names, bits),
    }
}

/// Appends `packet_type=(NAMESPACE,TYPE)`. A number of one digit needs no 0x.
pub(in crate::text) fn packet_type(out: &mut Printer<'_>, packet_type: u32) {
    out.push_str("packet_type=(");
    for (number, behind) in [(packet_type >> 16, ","), (packet_type & 0xffff, ")")] {
        match number {
            0..10 => out.dec(number),
            _ => out.hex(number),
        }
        out.push_str(behind);
    }
}

/// A field of 16 bits has the ports of OpenFlow 1.0, of which the reserved ones begin at 0xff00.
fn port_of(field: Field, value: FieldValue) -> PortNo {
    let port = value.to_u32();
    if field.n_bits() == 16 && port >= 0xff00 { PortNo(port | 0xffff_0000) } else { PortNo(port) }
}

/// Appends the length of a mask that is one of a prefix; says whether it is.
fn prefix(out: &mut Printer<'_>, mask: u128, n_bits: u32) -> bool {
    let zeros = mask.trailing_zeros().min(n_bits);
    let ones = FieldValue::ones(n_bits as u16).to_u128();
    let is_prefix = mask == ones >> zeros << zeros;
    if is_prefix {
        out.push_str("/");
        out.dec(n_bits - zeros);
    }
    is_prefix
}
