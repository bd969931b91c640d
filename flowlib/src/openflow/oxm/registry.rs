//! The one list of match fields.
//!
//! The order of the list is the order of fields in an encoded match: a field stands behind its prerequisites.
//! Source: ovs-fields(7); OpenFlow 1.3.5 §7.2.3.7.

use super::{Field, FieldInfo, Format, OxmId, Prerequisite};

/// Declares the fields: constant, name, names on the wire (the first is the one we write), name of subfields in
/// text, width in bits, whether a mask is allowed, prerequisite, how text shows it.
macro_rules! fields {
    ($($konst:ident $name:literal [$($id:expr),+] $nxm:literal $bits:literal $mask:ident $prereq:ident $format:ident;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy)]
        enum Index { $($konst),* }

        /// The fields by name.
        pub mod field {
            use super::{Field, Index};
            $(
                #[doc = concat!("`", $name, "` (", $nxm, "), ", $bits, " bits.")]
                pub const $konst: Field = Field(Index::$konst as u16);
            )*
        }

        /// Every field there is, in the order of an encoded match.
        pub(super) static REGISTRY: &[FieldInfo] = &[$(FieldInfo {
            name: $name,
            nxm_name: $nxm,
            ids: &[$($id),+],
            n_bits: $bits,
            maskable: Mask::$mask.allowed(),
            prerequisite: Prerequisite::$prereq,
            format: Format::$format,
        }),*];

        const IDS: &[(u16, &[OxmId])] = &[$((Index::$konst as u16, &[$($id),+])),*];
    };
}

enum Mask {
    Whole,
    Bits,
}

impl Mask {
    const fn allowed(self) -> bool {
        matches!(self, Self::Bits)
    }
}

const fn oxm(number: u8) -> OxmId {
    OxmId { class: OxmId::OPENFLOW_BASIC, number, experimenter: 0 }
}

const fn pkt_reg(number: u8) -> OxmId {
    OxmId { class: OxmId::PACKET_REGISTERS, number, experimenter: 0 }
}

const fn nxm0(number: u8) -> OxmId {
    OxmId { class: OxmId::NXM_0, number, experimenter: 0 }
}

const fn nxm1(number: u8) -> OxmId {
    OxmId { class: OxmId::NXM_1, number, experimenter: 0 }
}

const fn onf(number: u8) -> OxmId {
    OxmId { class: OxmId::EXPERIMENTER, number, experimenter: OxmId::ONF }
}

fields! {
    DP_HASH "dp_hash" [nxm1(35)] "NXM_NX_DP_HASH" 32 Bits None Hex;
    RECIRC_ID "recirc_id" [nxm1(36)] "NXM_NX_RECIRC_ID" 32 Whole None Hex;
    CONJ_ID "conj_id" [nxm1(37)] "NXM_NX_CONJ_ID" 32 Whole None Decimal;
    PACKET_TYPE "packet_type" [oxm(44)] "OXM_OF_PACKET_TYPE" 32 Whole None Hex;
    IN_PORT "in_port" [oxm(0)] "OXM_OF_IN_PORT" 32 Whole None Port;
    IN_PHY_PORT "in_phy_port" [oxm(1)] "OXM_OF_IN_PHY_PORT" 32 Whole None Port;
    NX_IN_PORT "in_port" [nxm0(0)] "NXM_OF_IN_PORT" 16 Whole None Port;
    ACTSET_OUTPUT "actset_output" [onf(43), oxm(43)] "ONFOXM_ET_ACTSET_OUTPUT" 32 Whole None Port;
    ETH_SRC "eth_src" [oxm(4), nxm0(2)] "NXM_OF_ETH_SRC" 48 Bits None Mac;
    ETH_DST "eth_dst" [oxm(3), nxm0(1)] "NXM_OF_ETH_DST" 48 Bits None Mac;
    ETH_TYPE "eth_type" [oxm(5), nxm0(3)] "NXM_OF_ETH_TYPE" 16 Whole None Hex;
    VLAN_TCI "vlan_tci" [nxm0(4)] "NXM_OF_VLAN_TCI" 16 Bits None Hex;
    VLAN_VID "vlan_vid" [oxm(6)] "OXM_OF_VLAN_VID" 13 Bits None Decimal;
    VLAN_PCP "vlan_pcp" [oxm(7)] "OXM_OF_VLAN_PCP" 3 Whole Vlan Decimal;
    MPLS_LABEL "mpls_label" [oxm(34)] "OXM_OF_MPLS_LABEL" 20 Whole Mpls Decimal;
    MPLS_TC "mpls_tc" [oxm(35)] "OXM_OF_MPLS_TC" 3 Whole Mpls Decimal;
    MPLS_BOS "mpls_bos" [oxm(36)] "OXM_OF_MPLS_BOS" 1 Whole Mpls Decimal;
    MPLS_TTL "mpls_ttl" [nxm1(30)] "NXM_NX_MPLS_TTL" 8 Whole Mpls Decimal;
    PBB_ISID "pbb_isid" [oxm(37)] "OXM_OF_PBB_ISID" 24 Bits None Hex;
    IPV4_SRC "ip_src" [oxm(11), nxm0(7)] "NXM_OF_IP_SRC" 32 Bits Ipv4 Ipv4;
    IPV4_DST "ip_dst" [oxm(12), nxm0(8)] "NXM_OF_IP_DST" 32 Bits Ipv4 Ipv4;
    IPV6_SRC "ipv6_src" [oxm(26), nxm1(19)] "NXM_NX_IPV6_SRC" 128 Bits Ipv6 Ipv6;
    IPV6_DST "ipv6_dst" [oxm(27), nxm1(20)] "NXM_NX_IPV6_DST" 128 Bits Ipv6 Ipv6;
    IPV6_FLABEL "ipv6_label" [oxm(28), nxm1(27)] "NXM_NX_IPV6_LABEL" 20 Bits Ipv6 Hex;
    IPV6_EXTHDR "ipv6_exthdr" [oxm(39)] "OXM_OF_IPV6_EXTHDR" 9 Bits Ipv6 Hex;
    IP_FRAG "ip_frag" [nxm1(26)] "NXM_NX_IP_FRAG" 8 Bits Ip Frag;
    IP_DSCP "ip_dscp" [oxm(8)] "OXM_OF_IP_DSCP" 6 Whole Ip Decimal;
    NW_TOS "nw_tos" [nxm0(5)] "NXM_OF_IP_TOS" 8 Whole Ip Decimal;
    IP_ECN "nw_ecn" [oxm(9), nxm1(28)] "NXM_NX_IP_ECN" 2 Whole Ip Decimal;
    IP_TTL "nw_ttl" [nxm1(29)] "NXM_NX_IP_TTL" 8 Whole Ip Decimal;
    IP_PROTO "nw_proto" [oxm(10), nxm0(6)] "NXM_OF_IP_PROTO" 8 Whole Ip Decimal;
    TCP_SRC "tcp_src" [oxm(13), nxm0(9)] "NXM_OF_TCP_SRC" 16 Bits Tcp Decimal;
    TCP_DST "tcp_dst" [oxm(14), nxm0(10)] "NXM_OF_TCP_DST" 16 Bits Tcp Decimal;
    TCP_FLAGS "tcp_flags" [onf(42), nxm1(34), oxm(42)] "NXM_NX_TCP_FLAGS" 12 Bits Tcp TcpFlags;
    UDP_SRC "udp_src" [oxm(15), nxm0(11)] "NXM_OF_UDP_SRC" 16 Bits Udp Decimal;
    UDP_DST "udp_dst" [oxm(16), nxm0(12)] "NXM_OF_UDP_DST" 16 Bits Udp Decimal;
    SCTP_SRC "sctp_src" [oxm(17)] "OXM_OF_SCTP_SRC" 16 Bits Sctp Decimal;
    SCTP_DST "sctp_dst" [oxm(18)] "OXM_OF_SCTP_DST" 16 Bits Sctp Decimal;
    ICMPV4_TYPE "icmp_type" [oxm(19), nxm0(13)] "NXM_OF_ICMP_TYPE" 8 Whole Icmpv4 Decimal;
    ICMPV4_CODE "icmp_code" [oxm(20), nxm0(14)] "NXM_OF_ICMP_CODE" 8 Whole Icmpv4 Decimal;
    ICMPV6_TYPE "icmpv6_type" [oxm(29), nxm1(21)] "NXM_NX_ICMPV6_TYPE" 8 Whole Icmpv6 Decimal;
    ICMPV6_CODE "icmpv6_code" [oxm(30), nxm1(22)] "NXM_NX_ICMPV6_CODE" 8 Whole Icmpv6 Decimal;
    ND_TARGET "nd_target" [oxm(31), nxm1(23)] "NXM_NX_ND_TARGET" 128 Bits Nd Ipv6;
    ND_SLL "nd_sll" [oxm(32), nxm1(24)] "NXM_NX_ND_SLL" 48 Bits NdSolicit Mac;
    ND_TLL "nd_tll" [oxm(33), nxm1(25)] "NXM_NX_ND_TLL" 48 Bits NdAdvert Mac;
    ARP_OP "arp_op" [oxm(21), nxm0(15)] "NXM_OF_ARP_OP" 16 Whole Arp Decimal;
    ARP_SPA "arp_spa" [oxm(22), nxm0(16)] "NXM_OF_ARP_SPA" 32 Bits Arp Ipv4;
    ARP_TPA "arp_tpa" [oxm(23), nxm0(17)] "NXM_OF_ARP_TPA" 32 Bits Arp Ipv4;
    ARP_SHA "arp_sha" [oxm(24), nxm1(17)] "NXM_NX_ARP_SHA" 48 Bits Arp Mac;
    ARP_THA "arp_tha" [oxm(25), nxm1(18)] "NXM_NX_ARP_THA" 48 Bits Arp Mac;
    TUNNEL_ID "tun_id" [oxm(38), nxm1(16)] "NXM_NX_TUN_ID" 64 Bits None Hex;
    TUN_IPV4_SRC "tun_src" [nxm1(31)] "NXM_NX_TUN_IPV4_SRC" 32 Bits None Ipv4;
    TUN_IPV4_DST "tun_dst" [nxm1(32)] "NXM_NX_TUN_IPV4_DST" 32 Bits None Ipv4;
    TUN_IPV6_SRC "tun_ipv6_src" [nxm1(109)] "NXM_NX_TUN_IPV6_SRC" 128 Bits None Ipv6;
    TUN_IPV6_DST "tun_ipv6_dst" [nxm1(110)] "NXM_NX_TUN_IPV6_DST" 128 Bits None Ipv6;
    TUN_GBP_ID "tun_gbp_id" [nxm1(38)] "NXM_NX_TUN_GBP_ID" 16 Bits None Decimal;
    TUN_GBP_FLAGS "tun_gbp_flags" [nxm1(39)] "NXM_NX_TUN_GBP_FLAGS" 8 Bits None Hex;
    TUN_FLAGS "tun_flags" [nxm1(104)] "NXM_NX_TUN_FLAGS" 16 Bits None TunFlags;
    REG0 "reg0" [nxm1(0)] "NXM_NX_REG0" 32 Bits None Hex;
    REG1 "reg1" [nxm1(1)] "NXM_NX_REG1" 32 Bits None Hex;
    REG2 "reg2" [nxm1(2)] "NXM_NX_REG2" 32 Bits None Hex;
    REG3 "reg3" [nxm1(3)] "NXM_NX_REG3" 32 Bits None Hex;
    REG4 "reg4" [nxm1(4)] "NXM_NX_REG4" 32 Bits None Hex;
    REG5 "reg5" [nxm1(5)] "NXM_NX_REG5" 32 Bits None Hex;
    REG6 "reg6" [nxm1(6)] "NXM_NX_REG6" 32 Bits None Hex;
    REG7 "reg7" [nxm1(7)] "NXM_NX_REG7" 32 Bits None Hex;
    REG8 "reg8" [nxm1(8)] "NXM_NX_REG8" 32 Bits None Hex;
    REG9 "reg9" [nxm1(9)] "NXM_NX_REG9" 32 Bits None Hex;
    REG10 "reg10" [nxm1(10)] "NXM_NX_REG10" 32 Bits None Hex;
    REG11 "reg11" [nxm1(11)] "NXM_NX_REG11" 32 Bits None Hex;
    REG12 "reg12" [nxm1(12)] "NXM_NX_REG12" 32 Bits None Hex;
    REG13 "reg13" [nxm1(13)] "NXM_NX_REG13" 32 Bits None Hex;
    REG14 "reg14" [nxm1(14)] "NXM_NX_REG14" 32 Bits None Hex;
    REG15 "reg15" [nxm1(15)] "NXM_NX_REG15" 32 Bits None Hex;
    XREG0 "xreg0" [pkt_reg(0)] "OXM_OF_PKT_REG0" 64 Bits None Hex;
    XREG1 "xreg1" [pkt_reg(1)] "OXM_OF_PKT_REG1" 64 Bits None Hex;
    XREG2 "xreg2" [pkt_reg(2)] "OXM_OF_PKT_REG2" 64 Bits None Hex;
    XREG3 "xreg3" [pkt_reg(3)] "OXM_OF_PKT_REG3" 64 Bits None Hex;
    XREG4 "xreg4" [pkt_reg(4)] "OXM_OF_PKT_REG4" 64 Bits None Hex;
    XREG5 "xreg5" [pkt_reg(5)] "OXM_OF_PKT_REG5" 64 Bits None Hex;
    XREG6 "xreg6" [pkt_reg(6)] "OXM_OF_PKT_REG6" 64 Bits None Hex;
    XREG7 "xreg7" [pkt_reg(7)] "OXM_OF_PKT_REG7" 64 Bits None Hex;
    XXREG0 "xxreg0" [nxm1(111)] "NXM_NX_XXREG0" 128 Bits None Hex;
    XXREG1 "xxreg1" [nxm1(112)] "NXM_NX_XXREG1" 128 Bits None Hex;
    XXREG2 "xxreg2" [nxm1(113)] "NXM_NX_XXREG2" 128 Bits None Hex;
    XXREG3 "xxreg3" [nxm1(114)] "NXM_NX_XXREG3" 128 Bits None Hex;
    PKT_MARK "pkt_mark" [nxm1(33)] "NXM_NX_PKT_MARK" 32 Bits None Hex;
    CT_STATE "ct_state" [nxm1(105)] "NXM_NX_CT_STATE" 32 Bits None CtState;
    CT_ZONE "ct_zone" [nxm1(106)] "NXM_NX_CT_ZONE" 16 Whole None Decimal;
    CT_MARK "ct_mark" [nxm1(107)] "NXM_NX_CT_MARK" 32 Bits None Hex;
    CT_LABEL "ct_label" [nxm1(108)] "NXM_NX_CT_LABEL" 128 Bits None Hex;
    CT_NW_PROTO "ct_nw_proto" [nxm1(119)] "NXM_NX_CT_NW_PROTO" 8 Whole None Decimal;
    CT_NW_SRC "ct_nw_src" [nxm1(120)] "NXM_NX_CT_NW_SRC" 32 Bits None Ipv4;
    CT_NW_DST "ct_nw_dst" [nxm1(121)] "NXM_NX_CT_NW_DST" 32 Bits None Ipv4;
    CT_IPV6_SRC "ct_ipv6_src" [nxm1(122)] "NXM_NX_CT_IPV6_SRC" 128 Bits None Ipv6;
    CT_IPV6_DST "ct_ipv6_dst" [nxm1(123)] "NXM_NX_CT_IPV6_DST" 128 Bits None Ipv6;
    CT_TP_SRC "ct_tp_src" [nxm1(124)] "NXM_NX_CT_TP_SRC" 16 Bits None Decimal;
    CT_TP_DST "ct_tp_dst" [nxm1(125)] "NXM_NX_CT_TP_DST" 16 Bits None Decimal;
    METADATA "metadata" [oxm(2)] "OXM_OF_METADATA" 64 Bits None Hex;
}

/// How many fields there are.
pub(super) const COUNT: usize = IDS.len();

const NONE: u16 = u16::MAX;

/// The fields of one class by number, made at compile time.
const fn class_table(class: u16) -> [u16; 128] {
    let mut table = [NONE; 128];
    let mut i = 0;
    while i < IDS.len() {
        let (index, ids) = IDS[i];
        let mut j = 0;
        while j < ids.len() {
            if ids[j].class == class {
                table[ids[j].number as usize] = index;
            }
            j += 1;
        }
        i += 1;
    }
    table
}

static BASIC: [u16; 128] = class_table(OxmId::OPENFLOW_BASIC);
static REGISTERS: [u16; 128] = class_table(OxmId::PACKET_REGISTERS);
static NXM_0: [u16; 128] = class_table(OxmId::NXM_0);
static NXM_1: [u16; 128] = class_table(OxmId::NXM_1);

/// The field of that name on the wire.
#[inline]
pub(super) fn find(id: OxmId) -> Option<Field> {
    let table = match id.class {
        OxmId::OPENFLOW_BASIC => &BASIC,
        OxmId::PACKET_REGISTERS => &REGISTERS,
        OxmId::NXM_0 => &NXM_0,
        OxmId::NXM_1 => &NXM_1,
        _ => {
            let (index, _) = IDS.iter().find(|(_, ids)| ids.contains(&id))?;
            return Some(Field(*index));
        }
    };
    table.get(usize::from(id.number)).copied().filter(|index| *index != NONE).map(Field)
}
