//! New headers around a packet.

use super::hex;
use crate::openflow::Action;
use crate::openflow::action::{Encap, EncapProperty};
use crate::text::printer::{Printer, Role};

/// Appends `encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))`.
pub(super) fn format(out: &mut Printer<'_>, encap: &Encap) {
    out.put(Role::Paren, "encap(");
    out.push_str(if encap.packet_type == Encap::NSH { "nsh" } else { "ethernet" });
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
            put!(out, "tlv({class:#06x},{tlv_type},0x");
            value.iter().for_each(|byte| put!(out, "{byte:02x}"));
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
