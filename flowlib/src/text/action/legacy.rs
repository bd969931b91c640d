//! Actions that newer ones replace.

use super::{hex, in_parentheses, value};
use crate::openflow::action::Legacy;
use crate::text::printer::{Printer, Role};

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
