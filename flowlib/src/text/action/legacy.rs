//! Actions that newer ones replace.

use std::net::Ipv4Addr;

use super::read::{ActionReader, Place};
use super::{hex, in_parentheses, value};
use crate::openflow::Action;
use crate::openflow::action::{CheckError, Legacy};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::field_value;
use crate::text::port::parse_port;
use crate::text::printer::{Printer, Role};
use crate::types::{MacAddr, PortNo};

/// Appends the word that the action has in ovs-actions(7).
pub(super) fn format(out: &mut Printer<'_>, legacy: Legacy) {
    let role = Role::Param;
    match legacy {
        Legacy::SetVlanVid(vid) => value(out, role, "set_vlan_vid:", vid),
        Legacy::SetVlanPcp(pcp) => value(out, role, "set_vlan_pcp:", pcp),
        Legacy::SetDlSrc(mac) => value(out, role, "mod_dl_src:", mac),
        Legacy::SetDlDst(mac) => value(out, role, "mod_dl_dst:", mac),
        Legacy::SetNwSrc(address) => value(out, role, "mod_nw_src:", address),
        Legacy::SetNwDst(address) => value(out, role, "mod_nw_dst:", address),
        Legacy::SetNwTos(tos) => value(out, role, "mod_nw_tos:", tos),
        Legacy::SetNwEcn(ecn) => value(out, role, "mod_nw_ecn:", ecn),
        Legacy::SetTpSrc(port) => value(out, role, "mod_tp_src:", port),
        Legacy::SetTpDst(port) => value(out, role, "mod_tp_dst:", port),
        Legacy::SetMplsLabel(label) => in_parentheses(out, "set_mpls_label(", label),
        Legacy::SetMplsTc(tc) => in_parentheses(out, "set_mpls_tc(", tc),
        Legacy::SetTunnel(id) => {
            out.put(role, "set_tunnel:");
            hex(out, id.into());
        }
        Legacy::SetTunnel64(id) => {
            out.put(role, "set_tunnel64:");
            hex(out, id.into());
        }
    }
}

/// Reads one of them and appends the action that replaces it in OpenFlow 1.3; says whether it was one.
///
/// A VLAN's number or priority pushes a tag where there need not be one, if the word is that of OpenFlow 1.0.
pub(super) fn read(
    reader: &mut ActionReader<'_>,
    name: &str,
    value: Piece<'_>,
    place: &mut Place<'_, '_>,
) -> Result<bool, ParseError> {
    let in_bits = |n_bits| value.number(n_bits);
    let legacy = match name {
        "set_vlan_vid" | "mod_vlan_vid" => Legacy::SetVlanVid(in_bits(12)? as u16),
        "set_vlan_pcp" | "mod_vlan_pcp" => Legacy::SetVlanPcp(in_bits(3)? as u8),
        "mod_dl_src" => Legacy::SetDlSrc(read_mac(value)?),
        "mod_dl_dst" => Legacy::SetDlDst(read_mac(value)?),
        "mod_nw_src" => Legacy::SetNwSrc(read_ipv4(value)?),
        "mod_nw_dst" => Legacy::SetNwDst(read_ipv4(value)?),
        "mod_nw_tos" if value.u8()? & 3 != 0 => {
            return Err(value.error(Problem::Expected("a multiple of 4")));
        }
        "mod_nw_tos" => Legacy::SetNwTos(value.u8()?),
        "mod_nw_ecn" => Legacy::SetNwEcn(in_bits(2)? as u8),
        "mod_tp_src" => Legacy::SetTpSrc(value.u16()?),
        "mod_tp_dst" => Legacy::SetTpDst(value.u16()?),
        "set_mpls_label" => Legacy::SetMplsLabel(in_bits(20)? as u32),
        "set_mpls_tc" => Legacy::SetMplsTc(in_bits(3)? as u8),
        "set_tunnel" | "set_tunnel64" => Legacy::SetTunnel64(value.u64()?),
        "enqueue" => return read_enqueue(reader, value, place).map(|()| true),
        _ => return Ok(false),
    };
    if matches!(name, "mod_vlan_vid" | "mod_vlan_pcp") && !reader.packets.has_tag() {
        reader.push(Action::PushVlan(0x8100), place)?;
    }
    let checked = Action::Legacy(legacy).check(&mut reader.packets, place.within());
    let is_inconsistent = checked.is_err_and(CheckError::is_inconsistency);
    reader.note_inconsistency(checked, place)?;
    match legacy.set_field(reader.packets.protocol()) {
        Some((field, value)) if !is_inconsistent => {
            reader.push(Action::SetField { field, value }, place)?;
        }
        Some((field, value)) => place.keep(Action::SetField { field, value }),
        None => place.keep(Action::Legacy(legacy)),
    }
    Ok(true)
}

/// OpenFlow 1.3 has a queue set, an output, and the queue set back. Reads `PORT:QUEUE` or `PORT,QUEUE`.
fn read_enqueue(
    reader: &mut ActionReader<'_>,
    value: Piece<'_>,
    place: &mut Place<'_, '_>,
) -> Result<(), ParseError> {
    let bad = || value.error(Problem::Expected("a port and a queue: enqueue(1,2)"));
    let at = value.text().find([':', 'q', ',']).ok_or_else(bad)?;
    let (port, queue) = (value.slice(0, at), value.slice(at + 1, value.text().len()));
    let port = parse_port(port, reader.names)?;
    if port >= PortNo::MAX && port != PortNo::IN_PORT && port != PortNo::LOCAL {
        return Err(value.error(Problem::Expected("a port with a number, LOCAL or IN_PORT")));
    }
    reader.push(Action::SetQueue(queue.u32()?), place)?;
    reader.push(Action::Output { port, max_len: Action::NO_BUFFER }, place)?;
    reader.push(Action::PopQueue, place)
}

fn read_mac(value: Piece<'_>) -> Result<MacAddr, ParseError> {
    field_value::parse_mac(value)
}

fn read_ipv4(value: Piece<'_>) -> Result<Ipv4Addr, ParseError> {
    value.text().parse().map_err(|_| value.error(Problem::Expected("an IPv4 address")))
}
