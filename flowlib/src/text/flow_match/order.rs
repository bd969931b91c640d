//! The order in which the fields of a match are printed.

use crate::openflow::Field;

/// The order in which fields are printed. The ethertype's or protocol's own word stands at `eth_type`, which is
/// printed itself, if it has no word, where `dl_type` stands. Fields that are not listed come last.
const ORDER: &[&str] = &[
    "pkt_mark",
    "recirc_id",
    "dp_hash",
    "conj_id",
    "actset_output",
    "ct_state",
    "ct_zone",
    "ct_mark",
    "ct_label",
    "ct_nw_src",
    "ct_ipv6_src",
    "ct_nw_dst",
    "ct_ipv6_dst",
    "ct_nw_proto",
    "ct_tp_src",
    "ct_tp_dst",
    "packet_type",
    "eth_type",
    "xxreg0",
    "xreg0",
    "reg0",
    "reg1",
    "xreg1",
    "reg2",
    "reg3",
    "xxreg1",
    "xreg2",
    "reg4",
    "reg5",
    "xreg3",
    "reg6",
    "reg7",
    "xxreg2",
    "xreg4",
    "reg8",
    "reg9",
    "xreg5",
    "reg10",
    "reg11",
    "xxreg3",
    "xreg6",
    "reg12",
    "reg13",
    "xreg7",
    "reg14",
    "reg15",
    "tun_id",
    "tun_src",
    "tun_dst",
    "tun_ipv6_src",
    "tun_ipv6_dst",
    "tun_gbp_id",
    "tun_gbp_flags",
    "tun_erspan_ver",
    "tun_erspan_idx",
    "tun_erspan_dir",
    "tun_erspan_hwid",
    "tun_gtpu_flags",
    "tun_gtpu_msgtype",
    "tun_flags",
    "tun_metadata",
    "metadata",
    "in_port",
    "in_port_oxm",
    "in_phy_port",
    "vlan_tci",
    "vlan_vid",
    "vlan_pcp",
    "eth_src",
    "eth_dst",
    "dl_type",
    "ipv6_src",
    "ipv6_dst",
    "ipv6_label",
    "ipv6_exthdr",
    "arp_spa",
    "arp_tpa",
    "nsh_flags",
    "nsh_ttl",
    "nsh_mdtype",
    "nsh_np",
    "nsh_spi",
    "nsh_si",
    "nsh_c1",
    "nsh_c2",
    "nsh_c3",
    "nsh_c4",
    "ip_src",
    "ip_dst",
    "nw_proto",
    "arp_op",
    "arp_sha",
    "arp_tha",
    "ip_dscp",
    "nw_tos",
    "nw_ecn",
    "nw_ttl",
    "mpls_label",
    "mpls_tc",
    "mpls_ttl",
    "mpls_bos",
    "ip_frag",
    "icmp_type",
    "icmp_code",
    "icmpv6_type",
    "icmpv6_code",
    "nd_target",
    "nd_sll",
    "nd_tll",
    "nd_reserved",
    "nd_options_type",
    "tcp_src",
    "udp_src",
    "sctp_src",
    "tcp_dst",
    "udp_dst",
    "sctp_dst",
    "tcp_flags",
];

/// The place of each field in [`ORDER`], by [`Field::index`].
pub(super) static RANKS: [u8; Field::COUNT] = {
    let mut ranks = [u8::MAX; Field::COUNT];
    let mut at = 0;
    while at < ranks.len() {
        ranks[at] = rank_of(Field::name_at(at));
        at += 1;
    }
    ranks
};

/// The place of an ethertype that has no word.
pub(super) const DL_TYPE_RANK: u8 = rank_of("dl_type");
/// The place of all tunnel metadata.
pub(super) const WIDE_RANK: u8 = rank_of("tun_metadata");

const fn rank_of(name: &str) -> u8 {
    let mut rank = 0;
    while rank < ORDER.len() {
        let listed = ORDER[rank].as_bytes();
        let is_numbered = is_prefix(b"tun_metadata", listed);
        if is_prefix(listed, name.as_bytes()) && (is_numbered || listed.len() == name.len()) {
            return rank as u8;
        }
        rank += 1;
    }
    u8::MAX
}

const fn is_prefix(prefix: &[u8], text: &[u8]) -> bool {
    let mut at = 0;
    while at < prefix.len() {
        if at >= text.len() || prefix[at] != text[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;

    #[test]
    fn every_field_has_a_place_in_the_order() {
        for field in Field::all() {
            assert!(RANKS[field.index()] != u8::MAX || field == field::PBB_ISID, "{field}");
        }
    }
}
