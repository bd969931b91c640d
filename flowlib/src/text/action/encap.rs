//! New headers around a packet.

use super::hex;
use super::read::parse_bytes;
use crate::openflow::Action;
use crate::openflow::action::{Encap, EncapProperty};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::field_value;
use crate::text::printer::{Printer, Role};

/// Appends `encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))`.
pub(super) fn format(out: &mut Printer<'_>, encap: &Encap) {
    out.put(Role::Paren, "encap(");
    let kind = Encap::KINDS.iter().find(|(packet_type, _)| *packet_type == encap.packet_type);
    out.push_str(kind.map_or("UNKNOWN", |(_, name)| name));
    if !encap.properties.is_empty() {
        out.put(Role::Paren, "(");
        for (n, property) in encap.properties.iter().enumerate() {
            if n > 0 {
                out.push_str(",");
            }
            format_property(out, property);
        }
        out.put(Role::Paren, ")");
    }
    out.put(Role::Paren, ")");
}

fn format_property(out: &mut Printer<'_>, property: &EncapProperty) {
    match property {
        EncapProperty::NshMdType(md_type) => put!(out, "md_type={md_type}"),
        EncapProperty::NshTlv { class, tlv_type, value } => {
            put!(out, "tlv({class:#06x},{tlv_type},");
            field_value::format_wide(out, value);
            out.push_str(")");
        }
    }
}

/// Appends `decap(packet_type(ns=0,type=0))`, or `decap()` if the header says what follows.
pub(super) fn format_decap(out: &mut Printer<'_>, packet_type: u32) {
    out.put(Role::Paren, "decap(");
    if packet_type != Action::USE_NEXT_PROTO {
        put!(out, "packet_type(ns={},type=", packet_type >> 16);
        hex(out, (packet_type & 0xffff).into());
        out.push_str(")");
    }
    out.put(Role::Paren, ")");
}

/// Reads `ethernet`, `mpls`, `mpls_mc`, `nsh` or `nsh(md_type=2,tlv(0x1000,10,0x12345678))`.
pub(super) fn read(value: Piece<'_>) -> Result<Encap, ParseError> {
    let bad = || value.error(Problem::Expected("ethernet, mpls, mpls_mc, nsh or nsh(md_type=1)"));
    let (kind, properties) = value.key_values().next().ok_or_else(bad)?;
    let (packet_type, _) = *Encap::KINDS.iter().find(|(_, name)| *name == kind.text()).ok_or_else(bad)?;
    let mut found = Encap { header_len: 0, packet_type, properties: Vec::new() };
    for (key, value) in properties.key_values() {
        found.properties.push(match key.text() {
            "md_type" if packet_type == Encap::NSH => match value.u8()? {
                md_type @ (1 | 2) => EncapProperty::NshMdType(md_type),
                _ => return Err(value.error(Problem::Expected("1 or 2"))),
            },
            "tlv" if packet_type == Encap::NSH => read_tlv(value)?,
            _ => return Err(key.error(Problem::Expected("md_type or tlv, of nsh"))),
        });
    }
    Ok(found)
}

fn read_tlv(value: Piece<'_>) -> Result<EncapProperty, ParseError> {
    let bad = || value.error(Problem::Expected("a class, a type and a value: 0x1000,10,0x12345678"));
    let (class, rest) = value.split_once(",").ok_or_else(bad)?;
    let (tlv_type, bytes) = rest.split_once(",").ok_or_else(bad)?;
    let digits = bytes.trim().strip_prefix("0x").ok_or_else(bad)?;
    let bytes = parse_bytes(digits)?;
    if bytes.len() > 240 {
        return Err(digits.error(Problem::Expected("at most 240 bytes")));
    }
    Ok(EncapProperty::NshTlv {
        class: class.trim().u16()?,
        tlv_type: tlv_type.trim().u8()?,
        value: bytes.into(),
    })
}

/// Reads nothing or `packet_type(ns=0,type=0)`.
pub(super) fn read_decap(value: Piece<'_>) -> Result<Action, ParseError> {
    let bad = |piece: Piece<'_>| piece.error(Problem::Expected("packet_type(ns=0,type=0), or nothing"));
    let Some((key, inside)) = value.key_values().next() else {
        return Ok(Action::Decap { packet_type: Action::USE_NEXT_PROTO });
    };
    if key.text() != "packet_type" {
        return Err(bad(key));
    }
    let mut arguments = inside.key_values();
    match (arguments.next(), arguments.next()) {
        (Some((first, namespace)), Some((second, of_it)))
            if first.text() == "ns" && second.text() == "type" =>
        {
            if namespace.u16()? > 4 {
                return Err(namespace.error(Problem::Expected("a namespace up to 4")));
            }
            Ok(Action::Decap { packet_type: u32::from(namespace.u16()?) << 16 | u32::from(of_it.u16()?) })
        }
        _ => Err(bad(value)),
    }
}
