//! A key's fields by their names in the registry.

use super::key::{Key, Tunnel, TunnelOption, VlanTag, ethertype};
use crate::openflow::oxm::{Field, FieldValue, field};
use crate::types::{MacAddr, PortNo};

const REGS: [Field; 16] = [
    field::REG0,
    field::REG1,
    field::REG2,
    field::REG3,
    field::REG4,
    field::REG5,
    field::REG6,
    field::REG7,
    field::REG8,
    field::REG9,
    field::REG10,
    field::REG11,
    field::REG12,
    field::REG13,
    field::REG14,
    field::REG15,
];

/// Two registers each, the more significant first.
const XREGS: [Field; 8] = [
    field::XREG0,
    field::XREG1,
    field::XREG2,
    field::XREG3,
    field::XREG4,
    field::XREG5,
    field::XREG6,
    field::XREG7,
];

/// Four registers each, the most significant first.
const XXREGS: [Field; 4] = [field::XXREG0, field::XXREG1, field::XXREG2, field::XXREG3];

/// Where a field lies in the registers: the first register, and how many.
fn registers(field: Field) -> Option<(usize, usize)> {
    let find = |list: &[Field]| list.iter().position(|known| *known == field);
    find(&REGS)
        .map(|n| (n, 1))
        .or_else(|| find(&XREGS).map(|n| (n * 2, 2)))
        .or_else(|| find(&XXREGS).map(|n| (n * 4, 4)))
}

fn mac(value: MacAddr) -> FieldValue {
    FieldValue::from(value)
}

/// Reserved ports of OpenFlow 1.3 have the upper 16 bits set, which the 16-bit form lacks.
fn port_from_u16(port: u16) -> PortNo {
    PortNo(if port >= 0xff00 { 0xffff_0000 | u32::from(port) } else { port.into() })
}

const LABEL_SHIFT: u32 = 12;
const CLASS_SHIFT: u32 = 9;

/// What a change of a label's bits leaves of it.
fn with_bits(word: u32, shift: u32, mask: u32, value: u32) -> u32 {
    word & !(mask << shift) | (value & mask) << shift
}

impl Key {
    /// A field's value; of a field that the packet does not have, zero.
    ///
    /// Fields that share a place (see [`Key`]) are not told apart here: that is for prerequisites to do.
    #[must_use]
    pub fn get(&self, field: Field) -> FieldValue {
        match field {
            field::DP_HASH => self.dp_hash.into(),
            field::RECIRC_ID => self.recirc_id.into(),
            field::CONJ_ID => self.conj_id.into(),
            field::PACKET_TYPE => self.packet_type.into(),
            field::IN_PORT => self.in_port.into(),
            field::NX_IN_PORT => (self.in_port.0 as u16).into(),
            field::ACTSET_OUTPUT => self.actset_output.into(),
            field::PKT_MARK => self.pkt_mark.into(),
            field::METADATA => self.metadata.into(),
            field::TUNNEL_ID => self.tunnel.id.into(),
            field::TUN_IPV4_SRC => self.tunnel.src.into(),
            field::TUN_IPV4_DST => self.tunnel.dst.into(),
            field::TUN_IPV6_SRC => self.tunnel.ipv6_src.into(),
            field::TUN_IPV6_DST => self.tunnel.ipv6_dst.into(),
            field::TUN_GBP_ID => self.tunnel.gbp_id.into(),
            field::TUN_GBP_FLAGS => self.tunnel.gbp_flags.into(),
            field::TUN_ERSPAN_VER => self.tunnel.erspan_ver.into(),
            field::TUN_ERSPAN_IDX => self.tunnel.erspan_idx.into(),
            field::TUN_ERSPAN_DIR => self.tunnel.erspan_dir.into(),
            field::TUN_ERSPAN_HWID => self.tunnel.erspan_hwid.into(),
            field::TUN_GTPU_FLAGS => self.tunnel.gtpu_flags.into(),
            field::TUN_GTPU_MSGTYPE => self.tunnel.gtpu_msgtype.into(),
            // Of all flags, the field has only this one.
            field::TUN_FLAGS => u8::from(self.tunnel.flags & Tunnel::OAM != 0).into(),
            _ => self.get_connection(field).or_else(|| self.get_header(field)).unwrap_or_else(|| {
                let value = |(first, n)| {
                    self.regs.iter().skip(first).take(n).fold(0, |sum, reg| sum << 32 | u128::from(*reg))
                };
                registers(field).map_or(FieldValue::ZERO, |place| value(place).into())
            }),
        }
    }

    /// The value of a field of tunnel metadata; of one that is not there, nothing.
    #[must_use]
    pub fn option(&self, field: Field) -> &[u8] {
        self.tunnel.options.iter().find(|option| option.field == field).map_or(&[], |option| &option.value)
    }

    /// Gives a field of tunnel metadata a value.
    pub fn set_option(&mut self, field: Field, value: Box<[u8]>) {
        let options = &mut self.tunnel.options;
        match options.binary_search_by_key(&field, |option| option.field) {
            Ok(at) => options[at].value = value,
            Err(at) => options.insert(at, TunnelOption { field, value }),
        }
    }

    /// Takes a field of tunnel metadata away.
    pub fn delete_option(&mut self, field: Field) {
        self.tunnel.options.retain(|option| option.field != field);
    }

    fn get_connection(&self, field: Field) -> Option<FieldValue> {
        Some(match field {
            field::CT_STATE => self.ct.state.into(),
            field::CT_ZONE => self.ct.zone.into(),
            field::CT_MARK => self.ct.mark.into(),
            field::CT_LABEL => self.ct.label.into(),
            field::CT_NW_PROTO => self.ct.nw_proto.into(),
            field::CT_NW_SRC => self.ct.nw_src.into(),
            field::CT_NW_DST => self.ct.nw_dst.into(),
            field::CT_IPV6_SRC => self.ct.ipv6_src.into(),
            field::CT_IPV6_DST => self.ct.ipv6_dst.into(),
            field::CT_TP_SRC => self.ct.tp_src.into(),
            field::CT_TP_DST => self.ct.tp_dst.into(),
            _ => return None,
        })
    }

    fn get_header(&self, field: Field) -> Option<FieldValue> {
        let (tci, label) = (self.vlans[0].tci, self.mpls[0]);
        Some(match field {
            field::ETH_SRC => mac(self.eth_src),
            field::ETH_DST => mac(self.eth_dst),
            field::ETH_TYPE => self.eth_type.into(),
            field::VLAN_TCI => tci.into(),
            field::VLAN_VID => (tci & 0x1fff).into(),
            field::VLAN_PCP => (tci >> 13).into(),
            field::MPLS_LABEL => (label >> LABEL_SHIFT).into(),
            field::MPLS_TC => (label >> CLASS_SHIFT & 7).into(),
            field::MPLS_BOS => (label >> 8 & 1).into(),
            field::MPLS_TTL => (label & 0xff).into(),
            field::IPV4_SRC | field::ARP_SPA => self.nw_src.into(),
            field::IPV4_DST | field::ARP_TPA => self.nw_dst.into(),
            field::IPV6_SRC => self.ipv6_src.into(),
            field::IPV6_DST => self.ipv6_dst.into(),
            field::IPV6_FLABEL => self.ipv6_label.into(),
            field::IP_FRAG => self.nw_frag.into(),
            field::IP_DSCP => (self.nw_tos >> 2).into(),
            field::NW_TOS => (self.nw_tos & 0xfc).into(),
            field::IP_ECN => (self.nw_tos & 3).into(),
            field::IP_TTL => self.nw_ttl.into(),
            field::IP_PROTO | field::ARP_OP => self.nw_proto.into(),
            field::TCP_SRC | field::UDP_SRC | field::SCTP_SRC => self.tp_src.into(),
            field::TCP_DST | field::UDP_DST | field::SCTP_DST => self.tp_dst.into(),
            field::TCP_FLAGS => self.tcp_flags.into(),
            field::ICMPV4_TYPE | field::ICMPV6_TYPE => (self.tp_src as u8).into(),
            field::ICMPV4_CODE | field::ICMPV6_CODE => (self.tp_dst as u8).into(),
            field::ND_TARGET => self.nd_target.into(),
            field::ND_SLL | field::ARP_SHA => mac(self.arp_sha),
            field::ND_TLL | field::ARP_THA => mac(self.arp_tha),
            field::ND_RESERVED => self.igmp_group.into(),
            field::ND_OPTIONS_TYPE => (self.tcp_flags as u8).into(),
            field::NSH_FLAGS => self.nsh.flags.into(),
            field::NSH_TTL => self.nsh.ttl.into(),
            field::NSH_MDTYPE => self.nsh.mdtype.into(),
            field::NSH_NP => self.nsh.next_proto.into(),
            field::NSH_SPI => (self.nsh.path >> 8).into(),
            field::NSH_SI => (self.nsh.path & 0xff).into(),
            field::NSH_C1 => self.nsh.context[0].into(),
            field::NSH_C2 => self.nsh.context[1].into(),
            field::NSH_C3 => self.nsh.context[2].into(),
            field::NSH_C4 => self.nsh.context[3].into(),
            _ => return None,
        })
    }

    /// Gives a field a value. A field that no key has is left alone.
    pub fn set(&mut self, field: Field, value: FieldValue) {
        let number = value.to_u32();
        match field {
            field::DP_HASH => self.dp_hash = number,
            field::RECIRC_ID => self.recirc_id = number,
            field::CONJ_ID => self.conj_id = number,
            field::PACKET_TYPE => self.packet_type = number,
            field::IN_PORT => self.in_port = PortNo(number),
            field::NX_IN_PORT => self.in_port = port_from_u16(value.to_u16()),
            field::ACTSET_OUTPUT => self.actset_output = PortNo(number),
            field::PKT_MARK => self.pkt_mark = number,
            field::METADATA => self.metadata = value.to_u128() as u64,
            field::TUNNEL_ID => self.tunnel.id = value.to_u128() as u64,
            field::TUN_IPV4_SRC => self.tunnel.src = number,
            field::TUN_IPV4_DST => self.tunnel.dst = number,
            field::TUN_IPV6_SRC => self.tunnel.ipv6_src = value.to_u128(),
            field::TUN_IPV6_DST => self.tunnel.ipv6_dst = value.to_u128(),
            field::TUN_GBP_ID => self.tunnel.gbp_id = value.to_u16(),
            field::TUN_GBP_FLAGS => self.tunnel.gbp_flags = number as u8,
            field::TUN_ERSPAN_VER => self.tunnel.erspan_ver = number as u8,
            field::TUN_ERSPAN_IDX => self.tunnel.erspan_idx = number,
            field::TUN_ERSPAN_DIR => self.tunnel.erspan_dir = number as u8,
            field::TUN_ERSPAN_HWID => self.tunnel.erspan_hwid = number as u8,
            field::TUN_GTPU_FLAGS => self.tunnel.gtpu_flags = number as u8,
            field::TUN_GTPU_MSGTYPE => self.tunnel.gtpu_msgtype = number as u8,
            field::TUN_FLAGS => {
                self.tunnel.flags &= !Tunnel::OAM;
                if number & 1 != 0 {
                    self.tunnel.flags |= Tunnel::OAM;
                }
            }
            _ => {
                if let Some((first, n)) = registers(field) {
                    for (shift, reg) in self.regs.iter_mut().skip(first).take(n).rev().enumerate() {
                        *reg = (value.to_u128() >> (shift * 32)) as u32;
                    }
                } else if !self.set_connection(field, value) && !self.set_link(field, value) {
                    self.set_network(field, value);
                }
            }
        }
    }

    /// Says whether it was one of them.
    fn set_connection(&mut self, field: Field, value: FieldValue) -> bool {
        let ct = &mut self.ct;
        match field {
            field::CT_STATE => ct.state = value.to_u32(),
            field::CT_ZONE => ct.zone = value.to_u16(),
            field::CT_MARK => ct.mark = value.to_u32(),
            field::CT_LABEL => ct.label = value.to_u128(),
            field::CT_NW_PROTO => ct.nw_proto = value.to_u32() as u8,
            field::CT_NW_SRC => ct.nw_src = value.to_u32(),
            field::CT_NW_DST => ct.nw_dst = value.to_u32(),
            field::CT_IPV6_SRC => ct.ipv6_src = value.to_u128(),
            field::CT_IPV6_DST => ct.ipv6_dst = value.to_u128(),
            field::CT_TP_SRC => ct.tp_src = value.to_u16(),
            field::CT_TP_DST => ct.tp_dst = value.to_u16(),
            _ => return false,
        }
        true
    }

    /// Says whether it was one of them.
    fn set_link(&mut self, field: Field, value: FieldValue) -> bool {
        let (number, label) = (value.to_u32(), self.mpls[0]);
        match field {
            field::ETH_SRC => self.eth_src = value.to_mac(),
            field::ETH_DST => self.eth_dst = value.to_mac(),
            field::ETH_TYPE => self.eth_type = value.to_u16(),
            field::VLAN_TCI => self.set_tci(value.to_u16()),
            field::VLAN_VID => self.set_tci(self.vlans[0].tci & !0x1fff | value.to_u16() & 0x1fff),
            field::VLAN_PCP => {
                self.set_tci(self.vlans[0].tci & 0x1fff | value.to_u16() << 13 | VlanTag::PRESENT);
            }
            field::MPLS_LABEL => self.mpls[0] = with_bits(label, LABEL_SHIFT, 0xf_ffff, number),
            field::MPLS_TC => self.mpls[0] = with_bits(label, CLASS_SHIFT, 7, number),
            field::MPLS_BOS => self.mpls[0] = with_bits(label, 8, 1, number),
            field::MPLS_TTL => self.mpls[0] = with_bits(label, 0, 0xff, number),
            _ => return false,
        }
        true
    }

    /// A tag that had no ethertype gets one.
    fn set_tci(&mut self, tci: u16) {
        let tag = &mut self.vlans[0];
        tag.tci = tci;
        if tag.tpid == 0 && tci != 0 {
            tag.tpid = ethertype::VLAN;
        }
    }

    fn set_network(&mut self, field: Field, value: FieldValue) {
        let (short, number) = (value.to_u16(), value.to_u32());
        let byte = number as u8;
        match field {
            field::IPV4_SRC | field::ARP_SPA => self.nw_src = number,
            field::IPV4_DST | field::ARP_TPA => self.nw_dst = number,
            field::IPV6_SRC => self.ipv6_src = value.to_u128(),
            field::IPV6_DST => self.ipv6_dst = value.to_u128(),
            field::IPV6_FLABEL => self.ipv6_label = number & 0xf_ffff,
            field::IP_FRAG => self.nw_frag = byte & (Self::FRAG_ANY | Self::FRAG_LATER),
            field::IP_DSCP => self.nw_tos = self.nw_tos & 3 | byte << 2,
            field::NW_TOS => self.nw_tos = self.nw_tos & 3 | byte & 0xfc,
            field::IP_ECN => self.nw_tos = self.nw_tos & 0xfc | byte & 3,
            field::IP_TTL => self.nw_ttl = byte,
            field::IP_PROTO | field::ARP_OP => self.nw_proto = byte,
            field::TCP_SRC | field::UDP_SRC | field::SCTP_SRC => self.tp_src = short,
            field::TCP_DST | field::UDP_DST | field::SCTP_DST => self.tp_dst = short,
            field::TCP_FLAGS => self.tcp_flags = short,
            field::ICMPV4_TYPE | field::ICMPV6_TYPE => self.tp_src = byte.into(),
            field::ICMPV4_CODE | field::ICMPV6_CODE => self.tp_dst = byte.into(),
            field::ND_TARGET => self.nd_target = value.to_u128(),
            field::ND_SLL | field::ARP_SHA => self.arp_sha = value.to_mac(),
            field::ND_TLL | field::ARP_THA => self.arp_tha = value.to_mac(),
            field::ND_RESERVED => self.igmp_group = number,
            field::ND_OPTIONS_TYPE => self.tcp_flags = byte.into(),
            field::NSH_FLAGS => self.nsh.flags = byte,
            field::NSH_TTL => self.nsh.ttl = byte,
            field::NSH_MDTYPE => self.nsh.mdtype = byte,
            field::NSH_NP => self.nsh.next_proto = byte,
            field::NSH_SPI => self.nsh.path = self.nsh.path & 0xff | number << 8,
            field::NSH_SI => self.nsh.path = self.nsh.path & !0xff | number & 0xff,
            field::NSH_C1 => self.nsh.context[0] = number,
            field::NSH_C2 => self.nsh.context[1] = number,
            field::NSH_C3 => self.nsh.context[2] = number,
            field::NSH_C4 => self.nsh.context[3] = number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of frames in frames and of bytes behind headers, no key says anything.
    const NOWHERE: [Field; 3] = [field::IN_PHY_PORT, field::PBB_ISID, field::IPV6_EXTHDR];

    #[test]
    fn every_field_has_a_place_and_only_that() {
        for known in Field::all().filter(|field| !field.is_wide() && !NOWHERE.contains(field)) {
            let mut key = Key::default();
            // Every tag has the bit that says that it is there.
            let value = FieldValue::ones(known.n_bits());
            let value = match known {
                field::NW_TOS => 0xfc_u8.into(),
                // Open vSwitch keeps 8 bits of it.
                field::ARP_OP => 0xff_u8.into(),
                _ => value,
            };
            key.set(known, value);
            assert_eq!(key.get(known), value, "{known}");
            key.set(known, FieldValue::ZERO);
            let is_tag = matches!(known, field::VLAN_VID | field::VLAN_PCP | field::VLAN_TCI);
            assert!(is_tag || key == Key::default(), "{known} leaves {key:?}");
        }
    }

    #[test]
    fn tunnel_options_come_and_go() {
        let mut key = Key::default();
        key.set_option(field::TUN_METADATA1, [1, 2].into());
        key.set_option(field::TUN_METADATA0, [3].into());
        key.set_option(field::TUN_METADATA1, [4].into());
        assert_eq!(
            (key.option(field::TUN_METADATA0), key.option(field::TUN_METADATA1)),
            (&[3][..], &[4][..])
        );
        key.delete_option(field::TUN_METADATA1);
        assert_eq!(key.option(field::TUN_METADATA1), []);
        assert_eq!(key.tunnel.options.len(), 1);
    }
}
