//! The one list of match fields.
//!
//! The order of the list is the order of fields in an encoded match: a field stands behind its prerequisites.
//! Source: ovs-fields(7); OpenFlow 1.3.5 §7.2.3.7.

use super::{Field, FieldInfo, FieldValue, Format, OxmId, Prerequisite};

/// Declares the fields: constant, name, names on the wire (the first is the one we write), name of subfields in
/// text, width in bits, bytes on the wire, whether a mask is allowed, whether actions may write it, prerequisite,
/// how text shows it.
macro_rules! fields {
    ($($konst:ident $name:literal [$($id:expr),+] $nxm:literal $bits:literal $bytes:literal $mask:ident $access:ident $prereq:ident $format:ident;)*) => {
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
            value_bits: value_bits(Index::$konst, $bits),
            n_bytes: $bytes,
            spells_mask: spells_mask(Index::$konst),
            maskable: matches!(Mask::$mask, Mask::Bits),
            writable: matches!(Access::$access, Access::Rw),
            action_id: action_id(&[$($id),+]),
            prerequisite: Prerequisite::$prereq,
            format: Format::$format,
            full_mask: FieldValue::ones(value_bits(Index::$konst, $bits)),
            wire_mask: FieldValue::ones(8 * $bytes),
        }),*];

        const IDS: &[(u16, &[OxmId])] = &[$((Index::$konst as u16, &[$($id),+])),*];
    };
}

enum Mask {
    Whole,
    Bits,
}

enum Access {
    Ro,
    Rw,
}

/// A VLAN's number has twelve bits; a match has one more, which says that there is a tag. Of a connection's state
/// eight bits have a meaning. Open vSwitch takes all that the bytes of ERSPAN's fields can hold.
const fn value_bits(index: Index, n_bits: u16) -> u16 {
    match index {
        Index::VLAN_VID => 13,
        Index::CT_STATE | Index::TUN_ERSPAN_VER | Index::TUN_ERSPAN_DIR | Index::TUN_ERSPAN_HWID => 8,
        Index::TUN_ERSPAN_IDX => 32,
        _ => n_bits,
    }
}

/// Flags of which Open vSwitch matches all that have a meaning by a mask.
const fn spells_mask(index: Index) -> bool {
    matches!(index, Index::CT_STATE | Index::TUN_FLAGS)
}

/// The name that Nicira's actions write: the first that is in one of Nicira's classes, else the first.
const fn action_id(ids: &[OxmId]) -> OxmId {
    let mut i = 0;
    while i < ids.len() {
        if ids[i].class == OxmId::NXM_0 || ids[i].class == OxmId::NXM_1 {
            return ids[i];
        }
        i += 1;
    }
    ids[0]
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

const fn experimenter(experimenter: u32, number: u8) -> OxmId {
    OxmId { class: OxmId::EXPERIMENTER, number, experimenter }
}

const fn onf(number: u8) -> OxmId {
    experimenter(OxmId::ONF, number)
}

const fn nicira(number: u8) -> OxmId {
    experimenter(OxmId::NICIRA, number)
}

const fn nsh(number: u8) -> OxmId {
    experimenter(OxmId::NSH, number)
}

const fn ericsson(number: u8) -> OxmId {
    OxmId { class: OxmId::ERICSSON, number, experimenter: 0 }
}

fields! {
    PACKET_TYPE "packet_type" [oxm(44)] "OXM_OF_PACKET_TYPE" 32 4 Whole Ro None PacketType;
    DP_HASH "dp_hash" [nxm1(35)] "NXM_NX_DP_HASH" 32 4 Bits Ro None Hex;
    RECIRC_ID "recirc_id" [nxm1(36)] "NXM_NX_RECIRC_ID" 32 4 Whole Ro None Decimal;
    CONJ_ID "conj_id" [nxm1(37)] "NXM_NX_CONJ_ID" 32 4 Whole Ro None Decimal;
    IN_PORT "in_port_oxm" [oxm(0)] "OXM_OF_IN_PORT" 32 4 Whole Rw None Port;
    IN_PHY_PORT "in_phy_port" [oxm(1)] "OXM_OF_IN_PHY_PORT" 32 4 Whole Ro None Port;
    NX_IN_PORT "in_port" [nxm0(0)] "NXM_OF_IN_PORT" 16 2 Whole Rw None Port;
    ACTSET_OUTPUT "actset_output" [onf(43), oxm(43)] "ONFOXM_ET_ACTSET_OUTPUT" 32 4 Whole Ro None Port;
    ETH_SRC "eth_src" [oxm(4), nxm0(2)] "NXM_OF_ETH_SRC" 48 6 Bits Rw Ethernet Mac;
    ETH_DST "eth_dst" [oxm(3), nxm0(1)] "NXM_OF_ETH_DST" 48 6 Bits Rw Ethernet Mac;
    ETH_TYPE "eth_type" [oxm(5), nxm0(3)] "NXM_OF_ETH_TYPE" 16 2 Whole Ro Ethernet Hex;
    VLAN_TCI "vlan_tci" [nxm0(4)] "NXM_OF_VLAN_TCI" 16 2 Bits Rw Ethernet Hex;
    VLAN_VID "vlan_vid" [oxm(6)] "OXM_OF_VLAN_VID" 12 2 Bits Rw Ethernet Decimal;
    VLAN_PCP "vlan_pcp" [oxm(7)] "OXM_OF_VLAN_PCP" 3 1 Whole Rw Vlan Decimal;
    MPLS_TC "mpls_tc" [oxm(35)] "OXM_OF_MPLS_TC" 3 1 Whole Rw Mpls Decimal;
    MPLS_BOS "mpls_bos" [oxm(36)] "OXM_OF_MPLS_BOS" 1 1 Whole Ro Mpls Decimal;
    MPLS_TTL "mpls_ttl" [nxm1(30)] "NXM_NX_MPLS_TTL" 8 1 Whole Rw Mpls Decimal;
    MPLS_LABEL "mpls_label" [oxm(34)] "OXM_OF_MPLS_LABEL" 20 4 Whole Rw Mpls Decimal;
    PBB_ISID "pbb_isid" [oxm(37)] "OXM_OF_PBB_ISID" 24 3 Bits Rw None Hex;
    IPV4_SRC "ip_src" [oxm(11), nxm0(7)] "NXM_OF_IP_SRC" 32 4 Bits Rw Ipv4 Ipv4;
    IPV4_DST "ip_dst" [oxm(12), nxm0(8)] "NXM_OF_IP_DST" 32 4 Bits Rw Ipv4 Ipv4;
    IPV6_SRC "ipv6_src" [oxm(26), nxm1(19)] "NXM_NX_IPV6_SRC" 128 16 Bits Rw Ipv6 Ipv6;
    IPV6_DST "ipv6_dst" [oxm(27), nxm1(20)] "NXM_NX_IPV6_DST" 128 16 Bits Rw Ipv6 Ipv6;
    IP_FRAG "ip_frag" [nxm1(26)] "NXM_NX_IP_FRAG" 2 1 Bits Ro Ip Frag;
    IP_DSCP "ip_dscp" [oxm(8)] "OXM_OF_IP_DSCP" 6 1 Whole Rw Ip Decimal;
    NW_TOS "nw_tos" [nxm0(5)] "NXM_OF_IP_TOS" 8 1 Whole Rw Ip Decimal;
    IP_ECN "nw_ecn" [oxm(9), nxm1(28)] "NXM_NX_IP_ECN" 2 1 Whole Rw Ip Decimal;
    IP_TTL "nw_ttl" [nxm1(29)] "NXM_NX_IP_TTL" 8 1 Whole Rw Ip Decimal;
    IPV6_FLABEL "ipv6_label" [oxm(28), nxm1(27)] "NXM_NX_IPV6_LABEL" 20 4 Bits Rw Ipv6 Hex;
    IP_PROTO "nw_proto" [oxm(10), nxm0(6)] "NXM_OF_IP_PROTO" 8 1 Whole Ro Ip Decimal;
    TCP_SRC "tcp_src" [oxm(13), nxm0(9)] "NXM_OF_TCP_SRC" 16 2 Bits Rw Tcp Decimal;
    TCP_DST "tcp_dst" [oxm(14), nxm0(10)] "NXM_OF_TCP_DST" 16 2 Bits Rw Tcp Decimal;
    TCP_FLAGS "tcp_flags" [onf(42), nxm1(34), oxm(42)] "NXM_NX_TCP_FLAGS" 12 2 Bits Ro Tcp TcpFlags;
    UDP_SRC "udp_src" [oxm(15), nxm0(11)] "NXM_OF_UDP_SRC" 16 2 Bits Rw Udp Decimal;
    UDP_DST "udp_dst" [oxm(16), nxm0(12)] "NXM_OF_UDP_DST" 16 2 Bits Rw Udp Decimal;
    SCTP_SRC "sctp_src" [oxm(17)] "OXM_OF_SCTP_SRC" 16 2 Bits Rw Sctp Decimal;
    SCTP_DST "sctp_dst" [oxm(18)] "OXM_OF_SCTP_DST" 16 2 Bits Rw Sctp Decimal;
    ICMPV4_TYPE "icmp_type" [oxm(19), nxm0(13)] "NXM_OF_ICMP_TYPE" 8 1 Whole Rw Icmpv4 Decimal;
    ICMPV4_CODE "icmp_code" [oxm(20), nxm0(14)] "NXM_OF_ICMP_CODE" 8 1 Whole Rw Icmpv4 Decimal;
    ICMPV6_TYPE "icmpv6_type" [oxm(29), nxm1(21)] "NXM_NX_ICMPV6_TYPE" 8 1 Whole Rw Icmpv6 Decimal;
    ICMPV6_CODE "icmpv6_code" [oxm(30), nxm1(22)] "NXM_NX_ICMPV6_CODE" 8 1 Whole Rw Icmpv6 Decimal;
    IPV6_EXTHDR "ipv6_exthdr" [oxm(39)] "OXM_OF_IPV6_EXTHDR" 9 2 Bits Ro Ipv6 Hex;
    ND_TARGET "nd_target" [oxm(31), nxm1(23)] "NXM_NX_ND_TARGET" 128 16 Bits Rw Nd Ipv6;
    ND_SLL "nd_sll" [oxm(32), nxm1(24)] "NXM_NX_ND_SLL" 48 6 Bits Rw NdSolicit Mac;
    ND_TLL "nd_tll" [oxm(33), nxm1(25)] "NXM_NX_ND_TLL" 48 6 Bits Rw NdAdvert Mac;
    ND_RESERVED "nd_reserved" [ericsson(1)] "ERICOXM_OF_ICMPV6_ND_RESERVED" 32 4 Whole Rw Nd Decimal;
    ND_OPTIONS_TYPE "nd_options_type" [ericsson(2)] "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE" 8 1 Whole Rw Nd Decimal;
    ARP_OP "arp_op" [oxm(21), nxm0(15)] "NXM_OF_ARP_OP" 16 2 Whole Rw Arp Decimal;
    ARP_SPA "arp_spa" [oxm(22), nxm0(16)] "NXM_OF_ARP_SPA" 32 4 Bits Rw Arp Ipv4;
    ARP_TPA "arp_tpa" [oxm(23), nxm0(17)] "NXM_OF_ARP_TPA" 32 4 Bits Rw Arp Ipv4;
    ARP_SHA "arp_sha" [oxm(24), nxm1(17)] "NXM_NX_ARP_SHA" 48 6 Bits Rw Arp Mac;
    ARP_THA "arp_tha" [oxm(25), nxm1(18)] "NXM_NX_ARP_THA" 48 6 Bits Rw Arp Mac;
    TUNNEL_ID "tun_id" [oxm(38), nxm1(16)] "NXM_NX_TUN_ID" 64 8 Bits Rw None Hex;
    TUN_FLAGS "tun_flags" [nxm1(104)] "NXM_NX_TUN_FLAGS" 1 2 Bits Rw None TunFlags;
    TUN_IPV4_SRC "tun_src" [nxm1(31)] "NXM_NX_TUN_IPV4_SRC" 32 4 Bits Rw None Ipv4;
    TUN_IPV4_DST "tun_dst" [nxm1(32)] "NXM_NX_TUN_IPV4_DST" 32 4 Bits Rw None Ipv4;
    TUN_IPV6_SRC "tun_ipv6_src" [nxm1(109)] "NXM_NX_TUN_IPV6_SRC" 128 16 Bits Rw None Ipv6;
    TUN_IPV6_DST "tun_ipv6_dst" [nxm1(110)] "NXM_NX_TUN_IPV6_DST" 128 16 Bits Rw None Ipv6;
    TUN_GBP_ID "tun_gbp_id" [nxm1(38)] "NXM_NX_TUN_GBP_ID" 16 2 Bits Rw None Decimal;
    TUN_GBP_FLAGS "tun_gbp_flags" [nxm1(39)] "NXM_NX_TUN_GBP_FLAGS" 8 1 Bits Rw None Hex;
    TUN_METADATA0 "tun_metadata0" [nxm1(40)] "NXM_NX_TUN_METADATA0" 992 124 Bits Rw None Hex;
    TUN_METADATA1 "tun_metadata1" [nxm1(41)] "NXM_NX_TUN_METADATA1" 992 124 Bits Rw None Hex;
    TUN_METADATA2 "tun_metadata2" [nxm1(42)] "NXM_NX_TUN_METADATA2" 992 124 Bits Rw None Hex;
    TUN_METADATA3 "tun_metadata3" [nxm1(43)] "NXM_NX_TUN_METADATA3" 992 124 Bits Rw None Hex;
    TUN_METADATA4 "tun_metadata4" [nxm1(44)] "NXM_NX_TUN_METADATA4" 992 124 Bits Rw None Hex;
    TUN_METADATA5 "tun_metadata5" [nxm1(45)] "NXM_NX_TUN_METADATA5" 992 124 Bits Rw None Hex;
    TUN_METADATA6 "tun_metadata6" [nxm1(46)] "NXM_NX_TUN_METADATA6" 992 124 Bits Rw None Hex;
    TUN_METADATA7 "tun_metadata7" [nxm1(47)] "NXM_NX_TUN_METADATA7" 992 124 Bits Rw None Hex;
    TUN_METADATA8 "tun_metadata8" [nxm1(48)] "NXM_NX_TUN_METADATA8" 992 124 Bits Rw None Hex;
    TUN_METADATA9 "tun_metadata9" [nxm1(49)] "NXM_NX_TUN_METADATA9" 992 124 Bits Rw None Hex;
    TUN_METADATA10 "tun_metadata10" [nxm1(50)] "NXM_NX_TUN_METADATA10" 992 124 Bits Rw None Hex;
    TUN_METADATA11 "tun_metadata11" [nxm1(51)] "NXM_NX_TUN_METADATA11" 992 124 Bits Rw None Hex;
    TUN_METADATA12 "tun_metadata12" [nxm1(52)] "NXM_NX_TUN_METADATA12" 992 124 Bits Rw None Hex;
    TUN_METADATA13 "tun_metadata13" [nxm1(53)] "NXM_NX_TUN_METADATA13" 992 124 Bits Rw None Hex;
    TUN_METADATA14 "tun_metadata14" [nxm1(54)] "NXM_NX_TUN_METADATA14" 992 124 Bits Rw None Hex;
    TUN_METADATA15 "tun_metadata15" [nxm1(55)] "NXM_NX_TUN_METADATA15" 992 124 Bits Rw None Hex;
    TUN_METADATA16 "tun_metadata16" [nxm1(56)] "NXM_NX_TUN_METADATA16" 992 124 Bits Rw None Hex;
    TUN_METADATA17 "tun_metadata17" [nxm1(57)] "NXM_NX_TUN_METADATA17" 992 124 Bits Rw None Hex;
    TUN_METADATA18 "tun_metadata18" [nxm1(58)] "NXM_NX_TUN_METADATA18" 992 124 Bits Rw None Hex;
    TUN_METADATA19 "tun_metadata19" [nxm1(59)] "NXM_NX_TUN_METADATA19" 992 124 Bits Rw None Hex;
    TUN_METADATA20 "tun_metadata20" [nxm1(60)] "NXM_NX_TUN_METADATA20" 992 124 Bits Rw None Hex;
    TUN_METADATA21 "tun_metadata21" [nxm1(61)] "NXM_NX_TUN_METADATA21" 992 124 Bits Rw None Hex;
    TUN_METADATA22 "tun_metadata22" [nxm1(62)] "NXM_NX_TUN_METADATA22" 992 124 Bits Rw None Hex;
    TUN_METADATA23 "tun_metadata23" [nxm1(63)] "NXM_NX_TUN_METADATA23" 992 124 Bits Rw None Hex;
    TUN_METADATA24 "tun_metadata24" [nxm1(64)] "NXM_NX_TUN_METADATA24" 992 124 Bits Rw None Hex;
    TUN_METADATA25 "tun_metadata25" [nxm1(65)] "NXM_NX_TUN_METADATA25" 992 124 Bits Rw None Hex;
    TUN_METADATA26 "tun_metadata26" [nxm1(66)] "NXM_NX_TUN_METADATA26" 992 124 Bits Rw None Hex;
    TUN_METADATA27 "tun_metadata27" [nxm1(67)] "NXM_NX_TUN_METADATA27" 992 124 Bits Rw None Hex;
    TUN_METADATA28 "tun_metadata28" [nxm1(68)] "NXM_NX_TUN_METADATA28" 992 124 Bits Rw None Hex;
    TUN_METADATA29 "tun_metadata29" [nxm1(69)] "NXM_NX_TUN_METADATA29" 992 124 Bits Rw None Hex;
    TUN_METADATA30 "tun_metadata30" [nxm1(70)] "NXM_NX_TUN_METADATA30" 992 124 Bits Rw None Hex;
    TUN_METADATA31 "tun_metadata31" [nxm1(71)] "NXM_NX_TUN_METADATA31" 992 124 Bits Rw None Hex;
    TUN_METADATA32 "tun_metadata32" [nxm1(72)] "NXM_NX_TUN_METADATA32" 992 124 Bits Rw None Hex;
    TUN_METADATA33 "tun_metadata33" [nxm1(73)] "NXM_NX_TUN_METADATA33" 992 124 Bits Rw None Hex;
    TUN_METADATA34 "tun_metadata34" [nxm1(74)] "NXM_NX_TUN_METADATA34" 992 124 Bits Rw None Hex;
    TUN_METADATA35 "tun_metadata35" [nxm1(75)] "NXM_NX_TUN_METADATA35" 992 124 Bits Rw None Hex;
    TUN_METADATA36 "tun_metadata36" [nxm1(76)] "NXM_NX_TUN_METADATA36" 992 124 Bits Rw None Hex;
    TUN_METADATA37 "tun_metadata37" [nxm1(77)] "NXM_NX_TUN_METADATA37" 992 124 Bits Rw None Hex;
    TUN_METADATA38 "tun_metadata38" [nxm1(78)] "NXM_NX_TUN_METADATA38" 992 124 Bits Rw None Hex;
    TUN_METADATA39 "tun_metadata39" [nxm1(79)] "NXM_NX_TUN_METADATA39" 992 124 Bits Rw None Hex;
    TUN_METADATA40 "tun_metadata40" [nxm1(80)] "NXM_NX_TUN_METADATA40" 992 124 Bits Rw None Hex;
    TUN_METADATA41 "tun_metadata41" [nxm1(81)] "NXM_NX_TUN_METADATA41" 992 124 Bits Rw None Hex;
    TUN_METADATA42 "tun_metadata42" [nxm1(82)] "NXM_NX_TUN_METADATA42" 992 124 Bits Rw None Hex;
    TUN_METADATA43 "tun_metadata43" [nxm1(83)] "NXM_NX_TUN_METADATA43" 992 124 Bits Rw None Hex;
    TUN_METADATA44 "tun_metadata44" [nxm1(84)] "NXM_NX_TUN_METADATA44" 992 124 Bits Rw None Hex;
    TUN_METADATA45 "tun_metadata45" [nxm1(85)] "NXM_NX_TUN_METADATA45" 992 124 Bits Rw None Hex;
    TUN_METADATA46 "tun_metadata46" [nxm1(86)] "NXM_NX_TUN_METADATA46" 992 124 Bits Rw None Hex;
    TUN_METADATA47 "tun_metadata47" [nxm1(87)] "NXM_NX_TUN_METADATA47" 992 124 Bits Rw None Hex;
    TUN_METADATA48 "tun_metadata48" [nxm1(88)] "NXM_NX_TUN_METADATA48" 992 124 Bits Rw None Hex;
    TUN_METADATA49 "tun_metadata49" [nxm1(89)] "NXM_NX_TUN_METADATA49" 992 124 Bits Rw None Hex;
    TUN_METADATA50 "tun_metadata50" [nxm1(90)] "NXM_NX_TUN_METADATA50" 992 124 Bits Rw None Hex;
    TUN_METADATA51 "tun_metadata51" [nxm1(91)] "NXM_NX_TUN_METADATA51" 992 124 Bits Rw None Hex;
    TUN_METADATA52 "tun_metadata52" [nxm1(92)] "NXM_NX_TUN_METADATA52" 992 124 Bits Rw None Hex;
    TUN_METADATA53 "tun_metadata53" [nxm1(93)] "NXM_NX_TUN_METADATA53" 992 124 Bits Rw None Hex;
    TUN_METADATA54 "tun_metadata54" [nxm1(94)] "NXM_NX_TUN_METADATA54" 992 124 Bits Rw None Hex;
    TUN_METADATA55 "tun_metadata55" [nxm1(95)] "NXM_NX_TUN_METADATA55" 992 124 Bits Rw None Hex;
    TUN_METADATA56 "tun_metadata56" [nxm1(96)] "NXM_NX_TUN_METADATA56" 992 124 Bits Rw None Hex;
    TUN_METADATA57 "tun_metadata57" [nxm1(97)] "NXM_NX_TUN_METADATA57" 992 124 Bits Rw None Hex;
    TUN_METADATA58 "tun_metadata58" [nxm1(98)] "NXM_NX_TUN_METADATA58" 992 124 Bits Rw None Hex;
    TUN_METADATA59 "tun_metadata59" [nxm1(99)] "NXM_NX_TUN_METADATA59" 992 124 Bits Rw None Hex;
    TUN_METADATA60 "tun_metadata60" [nxm1(100)] "NXM_NX_TUN_METADATA60" 992 124 Bits Rw None Hex;
    TUN_METADATA61 "tun_metadata61" [nxm1(101)] "NXM_NX_TUN_METADATA61" 992 124 Bits Rw None Hex;
    TUN_METADATA62 "tun_metadata62" [nxm1(102)] "NXM_NX_TUN_METADATA62" 992 124 Bits Rw None Hex;
    TUN_METADATA63 "tun_metadata63" [nxm1(103)] "NXM_NX_TUN_METADATA63" 992 124 Bits Rw None Hex;
    TUN_ERSPAN_IDX "tun_erspan_idx" [nicira(11)] "NXOXM_ET_ERSPAN_IDX" 20 4 Bits Rw None Hex;
    TUN_ERSPAN_VER "tun_erspan_ver" [nicira(12)] "NXOXM_ET_ERSPAN_VER" 4 1 Bits Rw None Decimal;
    TUN_ERSPAN_DIR "tun_erspan_dir" [nicira(13)] "NXOXM_ET_ERSPAN_DIR" 1 1 Bits Rw None Decimal;
    TUN_ERSPAN_HWID "tun_erspan_hwid" [nicira(14)] "NXOXM_ET_ERSPAN_HWID" 6 1 Bits Rw None Hex;
    TUN_GTPU_FLAGS "tun_gtpu_flags" [nicira(15)] "NXOXM_ET_GTPU_FLAGS" 8 1 Bits Ro None Hex;
    TUN_GTPU_MSGTYPE "tun_gtpu_msgtype" [nicira(16)] "NXOXM_ET_GTPU_MSGTYPE" 8 1 Bits Ro None Decimal;
    NSH_FLAGS "nsh_flags" [nsh(1)] "NXOXM_NSH_FLAGS" 8 1 Bits Rw Nsh Decimal;
    NSH_TTL "nsh_ttl" [nsh(10)] "NXOXM_NSH_TTL" 8 1 Whole Rw Nsh Decimal;
    NSH_MDTYPE "nsh_mdtype" [nsh(2)] "NXOXM_NSH_MDTYPE" 8 1 Whole Ro Nsh Decimal;
    NSH_NP "nsh_np" [nsh(3)] "NXOXM_NSH_NP" 8 1 Whole Ro Nsh Decimal;
    NSH_SPI "nsh_spi" [nsh(4)] "NXOXM_NSH_SPI" 24 4 Whole Rw Nsh Hex;
    NSH_SI "nsh_si" [nsh(5)] "NXOXM_NSH_SI" 8 1 Whole Rw Nsh Decimal;
    NSH_C1 "nsh_c1" [nsh(6)] "NXOXM_NSH_C1" 32 4 Bits Rw Nsh Hex;
    NSH_C2 "nsh_c2" [nsh(7)] "NXOXM_NSH_C2" 32 4 Bits Rw Nsh Hex;
    NSH_C3 "nsh_c3" [nsh(8)] "NXOXM_NSH_C3" 32 4 Bits Rw Nsh Hex;
    NSH_C4 "nsh_c4" [nsh(9)] "NXOXM_NSH_C4" 32 4 Bits Rw Nsh Hex;
    REG0 "reg0" [nxm1(0)] "NXM_NX_REG0" 32 4 Bits Rw None Hex;
    REG1 "reg1" [nxm1(1)] "NXM_NX_REG1" 32 4 Bits Rw None Hex;
    REG2 "reg2" [nxm1(2)] "NXM_NX_REG2" 32 4 Bits Rw None Hex;
    REG3 "reg3" [nxm1(3)] "NXM_NX_REG3" 32 4 Bits Rw None Hex;
    REG4 "reg4" [nxm1(4)] "NXM_NX_REG4" 32 4 Bits Rw None Hex;
    REG5 "reg5" [nxm1(5)] "NXM_NX_REG5" 32 4 Bits Rw None Hex;
    REG6 "reg6" [nxm1(6)] "NXM_NX_REG6" 32 4 Bits Rw None Hex;
    REG7 "reg7" [nxm1(7)] "NXM_NX_REG7" 32 4 Bits Rw None Hex;
    REG8 "reg8" [nxm1(8)] "NXM_NX_REG8" 32 4 Bits Rw None Hex;
    REG9 "reg9" [nxm1(9)] "NXM_NX_REG9" 32 4 Bits Rw None Hex;
    REG10 "reg10" [nxm1(10)] "NXM_NX_REG10" 32 4 Bits Rw None Hex;
    REG11 "reg11" [nxm1(11)] "NXM_NX_REG11" 32 4 Bits Rw None Hex;
    REG12 "reg12" [nxm1(12)] "NXM_NX_REG12" 32 4 Bits Rw None Hex;
    REG13 "reg13" [nxm1(13)] "NXM_NX_REG13" 32 4 Bits Rw None Hex;
    REG14 "reg14" [nxm1(14)] "NXM_NX_REG14" 32 4 Bits Rw None Hex;
    REG15 "reg15" [nxm1(15)] "NXM_NX_REG15" 32 4 Bits Rw None Hex;
    XREG0 "xreg0" [pkt_reg(0)] "OXM_OF_PKT_REG0" 64 8 Bits Rw None Hex;
    XREG1 "xreg1" [pkt_reg(1)] "OXM_OF_PKT_REG1" 64 8 Bits Rw None Hex;
    XREG2 "xreg2" [pkt_reg(2)] "OXM_OF_PKT_REG2" 64 8 Bits Rw None Hex;
    XREG3 "xreg3" [pkt_reg(3)] "OXM_OF_PKT_REG3" 64 8 Bits Rw None Hex;
    XREG4 "xreg4" [pkt_reg(4)] "OXM_OF_PKT_REG4" 64 8 Bits Rw None Hex;
    XREG5 "xreg5" [pkt_reg(5)] "OXM_OF_PKT_REG5" 64 8 Bits Rw None Hex;
    XREG6 "xreg6" [pkt_reg(6)] "OXM_OF_PKT_REG6" 64 8 Bits Rw None Hex;
    XREG7 "xreg7" [pkt_reg(7)] "OXM_OF_PKT_REG7" 64 8 Bits Rw None Hex;
    XXREG0 "xxreg0" [nxm1(111)] "NXM_NX_XXREG0" 128 16 Bits Rw None Hex;
    XXREG1 "xxreg1" [nxm1(112)] "NXM_NX_XXREG1" 128 16 Bits Rw None Hex;
    XXREG2 "xxreg2" [nxm1(113)] "NXM_NX_XXREG2" 128 16 Bits Rw None Hex;
    XXREG3 "xxreg3" [nxm1(114)] "NXM_NX_XXREG3" 128 16 Bits Rw None Hex;
    PKT_MARK "pkt_mark" [nxm1(33)] "NXM_NX_PKT_MARK" 32 4 Bits Rw None Hex;
    CT_STATE "ct_state" [nxm1(105)] "NXM_NX_CT_STATE" 32 4 Bits Ro None CtState;
    CT_ZONE "ct_zone" [nxm1(106)] "NXM_NX_CT_ZONE" 16 2 Whole Ro None Hex;
    CT_MARK "ct_mark" [nxm1(107)] "NXM_NX_CT_MARK" 32 4 Bits Rw None Hex;
    CT_LABEL "ct_label" [nxm1(108)] "NXM_NX_CT_LABEL" 128 16 Bits Rw None Hex;
    CT_NW_PROTO "ct_nw_proto" [nxm1(119)] "NXM_NX_CT_NW_PROTO" 8 1 Whole Ro Ct Decimal;
    CT_NW_SRC "ct_nw_src" [nxm1(120)] "NXM_NX_CT_NW_SRC" 32 4 Bits Ro Ct Ipv4;
    CT_NW_DST "ct_nw_dst" [nxm1(121)] "NXM_NX_CT_NW_DST" 32 4 Bits Ro Ct Ipv4;
    CT_IPV6_SRC "ct_ipv6_src" [nxm1(122)] "NXM_NX_CT_IPV6_SRC" 128 16 Bits Ro Ct Ipv6;
    CT_IPV6_DST "ct_ipv6_dst" [nxm1(123)] "NXM_NX_CT_IPV6_DST" 128 16 Bits Ro Ct Ipv6;
    CT_TP_SRC "ct_tp_src" [nxm1(124)] "NXM_NX_CT_TP_SRC" 16 2 Bits Ro Ct Decimal;
    CT_TP_DST "ct_tp_dst" [nxm1(125)] "NXM_NX_CT_TP_DST" 16 2 Bits Ro Ct Decimal;
    METADATA "metadata" [oxm(2)] "OXM_OF_METADATA" 64 8 Bits Rw None Hex;
}

/// How many fields there are.
pub(super) const COUNT: usize = IDS.len();

const NONE: u16 = u16::MAX;

/// The fields of one class by number, made at compile time.
const fn class_table(class: u16, experimenter: u32) -> [u16; 128] {
    let mut table = [NONE; 128];
    let mut i = 0;
    while i < IDS.len() {
        let (index, ids) = IDS[i];
        let mut j = 0;
        while j < ids.len() {
            if ids[j].class == class && ids[j].experimenter == experimenter {
                table[ids[j].number as usize] = index;
            }
            j += 1;
        }
        i += 1;
    }
    table
}

static BASIC: [u16; 128] = class_table(OxmId::OPENFLOW_BASIC, 0);
static REGISTERS: [u16; 128] = class_table(OxmId::PACKET_REGISTERS, 0);
static NXM_0: [u16; 128] = class_table(OxmId::NXM_0, 0);
static NXM_1: [u16; 128] = class_table(OxmId::NXM_1, 0);
static ONF: [u16; 128] = class_table(OxmId::EXPERIMENTER, OxmId::ONF);
static NICIRA: [u16; 128] = class_table(OxmId::EXPERIMENTER, OxmId::NICIRA);
static NSH: [u16; 128] = class_table(OxmId::EXPERIMENTER, OxmId::NSH);
static ERICSSON: [u16; 128] = class_table(OxmId::ERICSSON, 0);

/// The field of that name on the wire.
#[inline]
pub(super) fn find(id: OxmId) -> Option<Field> {
    let table = match (id.class, id.experimenter) {
        (OxmId::OPENFLOW_BASIC, _) => &BASIC,
        (OxmId::PACKET_REGISTERS, _) => &REGISTERS,
        (OxmId::NXM_0, _) => &NXM_0,
        (OxmId::NXM_1, _) => &NXM_1,
        (OxmId::EXPERIMENTER, OxmId::ONF) => &ONF,
        (OxmId::EXPERIMENTER, OxmId::NICIRA) => &NICIRA,
        (OxmId::EXPERIMENTER, OxmId::NSH) => &NSH,
        (OxmId::ERICSSON, _) => &ERICSSON,
        _ => return None,
    };
    table.get(usize::from(id.number)).copied().filter(|index| *index != NONE).map(Field)
}
