//! Actions of older versions and of Nicira that newer ones replace. Open vSwitch still takes them in OpenFlow 1.3.

use std::net::Ipv4Addr;

use crate::openflow::oxm::{Field, FieldValue, OxmId, field};
use crate::types::MacAddr;
use crate::wire::{DecodeError, Problem, Reader, Writer};

use super::Action;

/// An action that a newer one replaces; it is written as it came.
///
/// Source: OpenFlow 1.1 §A.2.5; `lib/ofp-actions.c` of Open vSwitch 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Legacy {
    /// OFPAT_SET_VLAN_VID.
    SetVlanVid(u16),
    /// OFPAT_SET_VLAN_PCP.
    SetVlanPcp(u8),
    /// OFPAT_SET_DL_SRC.
    SetDlSrc(MacAddr),
    /// OFPAT_SET_DL_DST.
    SetDlDst(MacAddr),
    /// OFPAT_SET_NW_SRC.
    SetNwSrc(Ipv4Addr),
    /// OFPAT_SET_NW_DST.
    SetNwDst(Ipv4Addr),
    /// OFPAT_SET_NW_TOS: the DSCP in the upper six bits.
    SetNwTos(u8),
    /// OFPAT_SET_NW_ECN.
    SetNwEcn(u8),
    /// OFPAT_SET_TP_SRC.
    SetTpSrc(u16),
    /// OFPAT_SET_TP_DST.
    SetTpDst(u16),
    /// OFPAT_SET_MPLS_LABEL.
    SetMplsLabel(u32),
    /// OFPAT_SET_MPLS_TC.
    SetMplsTc(u8),
    /// NXAST_SET_TUNNEL.
    SetTunnel(u32),
    /// NXAST_SET_TUNNEL64.
    SetTunnel64(u64),
}

const SET_VLAN_VID: u16 = 1;
const SET_VLAN_PCP: u16 = 2;
const SET_DL_SRC: u16 = 3;
const SET_DL_DST: u16 = 4;
const SET_NW_SRC: u16 = 5;
const SET_NW_DST: u16 = 6;
const SET_NW_TOS: u16 = 7;
const SET_NW_ECN: u16 = 8;
const SET_TP_SRC: u16 = 9;
const SET_TP_DST: u16 = 10;
const SET_MPLS_LABEL: u16 = 13;
const SET_MPLS_TC: u16 = 14;
/// NXAST_SET_TUNNEL.
const SET_TUNNEL: u16 = 2;
/// NXAST_SET_TUNNEL64.
const SET_TUNNEL64: u16 = 9;

impl Legacy {
    /// Reads the body of an action of that type; of a type that is not one of these, nothing.
    ///
    /// # Errors
    /// `BadValue` on bits that the field does not have.
    pub(super) fn decode(action_type: u16, r: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
        let at = r.clone();
        let found = match action_type {
            SET_VLAN_VID => Self::SetVlanVid(r.u16()?),
            SET_VLAN_PCP => Self::SetVlanPcp(r.u8()?),
            SET_DL_SRC => Self::SetDlSrc(MacAddr(r.array()?)),
            SET_DL_DST => Self::SetDlDst(MacAddr(r.array()?)),
            SET_NW_SRC => Self::SetNwSrc(r.u32()?.into()),
            SET_NW_DST => Self::SetNwDst(r.u32()?.into()),
            SET_NW_TOS => Self::SetNwTos(r.u8()?),
            SET_NW_ECN => Self::SetNwEcn(r.u8()?),
            SET_TP_SRC => Self::SetTpSrc(r.u16()?),
            SET_TP_DST => Self::SetTpDst(r.u16()?),
            SET_MPLS_LABEL => Self::SetMplsLabel(r.u32()?),
            SET_MPLS_TC => Self::SetMplsTc(r.u8()?),
            _ => return Ok(None),
        };
        if let Some(found) = found.overflow() {
            return Err(at.error(Problem::BadValue { found }));
        }
        let read = at.len() - r.len() + 4;
        r.skip(read.next_multiple_of(8) - read)?;
        if matches!(found, Self::SetDlSrc(_) | Self::SetDlDst(_)) && !r.is_empty() {
            r.skip(r.len().min(6))?;
        }
        Ok(Some(Action::Legacy(found)))
    }

    /// Reads NXAST_SET_TUNNEL behind its subtype.
    ///
    /// Shape: 2 zeros, the id.
    pub(super) fn decode_tunnel(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
        r.skip(2)?;
        r.u32().map(|id| Action::Legacy(Self::SetTunnel(id)))
    }

    /// Reads NXAST_SET_TUNNEL64 behind its subtype.
    ///
    /// Shape: 6 zeros, the id.
    pub(super) fn decode_tunnel64(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
        r.skip(6)?;
        r.u64().map(|id| Action::Legacy(Self::SetTunnel64(id)))
    }

    /// The value, if it has bits that its field does not have.
    fn overflow(self) -> Option<u64> {
        let (value, allowed) = match self {
            Self::SetVlanVid(vid) => (u64::from(vid), 0xfff),
            Self::SetVlanPcp(pcp) => (pcp.into(), 7),
            Self::SetNwTos(tos) => (tos.into(), 0xfc),
            Self::SetNwEcn(ecn) => (ecn.into(), 3),
            _ => return None,
        };
        (value & !allowed != 0).then_some(value)
    }

    /// The field that it sets, and to what; of ports, that of a packet of that IP protocol.
    #[must_use]
    pub fn set_field(self, nw_proto: Option<u8>) -> Option<(Field, FieldValue)> {
        let of_protocol = |tcp, udp, sctp| match nw_proto {
            Some(6) => Some(tcp),
            Some(17) => Some(udp),
            Some(132) => Some(sctp),
            _ => None,
        };
        let (field, value) = match self {
            Self::SetVlanVid(vid) => {
                (field::VLAN_VID, FieldValue::from(vid | crate::openflow::oxm::VLAN_PRESENT))
            }
            Self::SetVlanPcp(pcp) => (field::VLAN_PCP, pcp.into()),
            Self::SetDlSrc(mac) => (field::ETH_SRC, mac.into()),
            Self::SetDlDst(mac) => (field::ETH_DST, mac.into()),
            Self::SetNwSrc(address) => (field::IPV4_SRC, address.into()),
            Self::SetNwDst(address) => (field::IPV4_DST, address.into()),
            Self::SetNwTos(tos) => (field::IP_DSCP, (tos >> 2).into()),
            Self::SetNwEcn(ecn) => (field::IP_ECN, ecn.into()),
            Self::SetTpSrc(port) => {
                (of_protocol(field::TCP_SRC, field::UDP_SRC, field::SCTP_SRC)?, port.into())
            }
            Self::SetTpDst(port) => {
                (of_protocol(field::TCP_DST, field::UDP_DST, field::SCTP_DST)?, port.into())
            }
            Self::SetMplsLabel(label) => (field::MPLS_LABEL, label.into()),
            Self::SetMplsTc(tc) => (field::MPLS_TC, tc.into()),
            Self::SetTunnel(id) => (field::TUNNEL_ID, id.into()),
            Self::SetTunnel64(id) => (field::TUNNEL_ID, id.into()),
        };
        Some((field, value))
    }

    /// Writes it in its own spelling.
    pub(super) fn encode(self, w: &mut Writer<'_>) {
        match self {
            Self::SetVlanVid(vid) => plain(w, SET_VLAN_VID, &vid.to_be_bytes()),
            Self::SetVlanPcp(pcp) => plain(w, SET_VLAN_PCP, &[pcp]),
            Self::SetDlSrc(mac) => plain(w, SET_DL_SRC, &mac.0),
            Self::SetDlDst(mac) => plain(w, SET_DL_DST, &mac.0),
            Self::SetNwSrc(address) => plain(w, SET_NW_SRC, &address.octets()),
            Self::SetNwDst(address) => plain(w, SET_NW_DST, &address.octets()),
            Self::SetNwTos(tos) => plain(w, SET_NW_TOS, &[tos]),
            Self::SetNwEcn(ecn) => plain(w, SET_NW_ECN, &[ecn]),
            Self::SetTpSrc(port) => plain(w, SET_TP_SRC, &port.to_be_bytes()),
            Self::SetTpDst(port) => plain(w, SET_TP_DST, &port.to_be_bytes()),
            Self::SetMplsLabel(label) => plain(w, SET_MPLS_LABEL, &label.to_be_bytes()),
            Self::SetMplsTc(tc) => plain(w, SET_MPLS_TC, &[tc]),
            Self::SetTunnel(id) => {
                nicira(w, 16, SET_TUNNEL, 2);
                w.u32(id);
            }
            Self::SetTunnel64(id) => {
                nicira(w, 24, SET_TUNNEL64, 6);
                w.u64(id);
            }
        }
    }
}

fn plain(w: &mut Writer<'_>, action_type: u16, value: &[u8]) {
    let mark = w.mark();
    w.u16(action_type);
    w.u16(0);
    w.bytes(value);
    w.pad8(mark);
    w.patch_len(mark, 2);
}

fn nicira(w: &mut Writer<'_>, len: u16, subtype: u16, zeros: usize) {
    w.u16(super::EXPERIMENTER);
    w.u16(len);
    w.u32(OxmId::NICIRA);
    w.u16(subtype);
    w.zeros(zeros);
}
