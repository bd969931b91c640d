//! Matches as `dump-flows` prints them.
//!
//! A match is printed as the switch's flow key it stands for: in the order of `match_format` in `lib/match.c` of
//! Open vSwitch 3.1, with one word for ethertype and protocol, and registers for what lies over them.

use super::field_value::{self, CT_STATE, TCP_FLAGS, TUN_FLAGS};
use super::printer::{Printer, Role};
use crate::openflow::oxm::{Format, MatchField, VLAN_PRESENT, WideField, field};
use crate::openflow::{Field, FieldValue, Match};
use crate::types::{PortNo, Priority};

/// The priority of a flow that says none; it is not printed. Source: ovs-ofctl(8).
pub(super) const DEFAULT_PRIORITY: Priority = Priority(0x8000);

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
static RANKS: [u8; Field::COUNT] = {
    let mut ranks = [u8::MAX; Field::COUNT];
    let mut at = 0;
    while at < ranks.len() {
        ranks[at] = rank_of(Field::name_at(at));
        at += 1;
    }
    ranks
};

const DL_TYPE_RANK: u8 = rank_of("dl_type");
const WIDE_RANK: u8 = rank_of("tun_metadata");

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

/// A match as `dump-flows` prints it; one of every packet is empty.
#[must_use]
pub fn format_match(flow_match: &Match) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), DEFAULT_PRIORITY, flow_match);
    out
}

/// Appends a priority, if it is not the default one, and a match; says whether it appended anything.
pub(super) fn format(out: &mut Printer<'_>, priority: Priority, flow_match: &Match) -> bool {
    let mut words = Words { kind: Kind::of(flow_match), flow_match, is_first: true, out };
    if priority != DEFAULT_PRIORITY {
        words.separate();
        words.out.put(Role::Special, "priority=");
        words.out.dec(priority.0);
    }
    // The order of a match on the wire is another one. There are few fields: an insertion sort is quick.
    let mut order = [(0, 0); Field::COUNT];
    let mut len = 0;
    for (at, entry) in flow_match.iter().enumerate().take(Field::COUNT) {
        let rank = match entry.field {
            field::ETH_TYPE if words.kind.ethertype_word.is_none() => DL_TYPE_RANK,
            other => RANKS[other.index()],
        };
        let mut place = len;
        while place > 0 && order[place - 1].0 > rank {
            order[place] = order[place - 1];
            place -= 1;
        }
        order[place] = (rank, at as u8);
        len += 1;
    }
    let entries = flow_match.entries();
    let (before, behind) = order[..len].split_at(order[..len].partition_point(|(rank, _)| *rank < WIDE_RANK));
    for (_, at) in before {
        words.entry(&entries[usize::from(*at)]);
    }
    for entry in flow_match.wide() {
        words.wide(entry);
    }
    for (_, at) in behind {
        words.entry(&entries[usize::from(*at)]);
    }
    for unknown in flow_match.unknown() {
        words.separate();
        words.out.push_str("oxm_");
        words.out.hex_digits(unknown.header.into(), 8);
        words.out.push_str("=");
        for byte in &unknown.body {
            words.out.hex_digits((*byte).into(), 2);
        }
    }
    !words.is_first
}

/// What packets a match is for, as far as it decides words.
#[derive(Clone, Copy, Debug)]
struct Kind {
    ethertype: Option<u16>,
    /// The word for ethertype, and protocol if `word_has_protocol`.
    ethertype_word: Option<&'static str>,
    word_has_protocol: bool,
}

impl Kind {
    fn of(flow_match: &Match) -> Self {
        let exact = |field| flow_match.exact(field).map(FieldValue::to_u16);
        let packet_type = flow_match.exact(field::PACKET_TYPE).map(FieldValue::to_u32);
        // Packets of namespace 1 bear their ethertype in their type.
        let bare =
            packet_type.filter(|packet_type| packet_type >> 16 == 1).map(|packet_type| packet_type as u16);
        let is_ethernet = flow_match.get(field::ETH_TYPE).is_some();
        let ethertype = bare.or_else(|| exact(field::ETH_TYPE));
        let protocol = exact(field::IP_PROTO);
        let of_protocol = match (ethertype, protocol) {
            _ if !is_ethernet => None,
            (Some(0x0800), Some(1)) => Some("icmp"),
            (Some(0x0800), Some(6)) => Some("tcp"),
            (Some(0x0800), Some(17)) => Some("udp"),
            (Some(0x0800), Some(132)) => Some("sctp"),
            (Some(0x86dd), Some(6)) => Some("tcp6"),
            (Some(0x86dd), Some(17)) => Some("udp6"),
            (Some(0x86dd), Some(58)) => Some("icmp6"),
            (Some(0x86dd), Some(132)) => Some("sctp6"),
            _ => None,
        };
        let ethertype_word = of_protocol.or_else(|| match ethertype.filter(|_| is_ethernet)? {
            0x0800 => Some("ip"),
            0x0806 => Some("arp"),
            0x8035 => Some("rarp"),
            0x8847 => Some("mpls"),
            0x8848 => Some("mplsm"),
            0x86dd => Some("ipv6"),
            _ => None,
        });
        Self { ethertype, ethertype_word, word_has_protocol: of_protocol.is_some() }
    }

    fn is_arp(self) -> bool {
        matches!(self.ethertype, Some(0x0806 | 0x8035))
    }
}

/// Prints the words of one match.
struct Words<'p, 'a, 'm> {
    out: &'p mut Printer<'a>,
    flow_match: &'m Match,
    kind: Kind,
    is_first: bool,
}

impl Words<'_, '_, '_> {
    fn separate(&mut self) {
        if !self.is_first {
            self.out.push_str(",");
        }
        self.is_first = false;
    }

    /// Begins a word: `name=`.
    fn name(&mut self, name: &str) {
        self.separate();
        self.out.put_name(Role::Param, name);
    }

    /// Begins a word that ovs-ofctl gives no colour.
    fn plain_name(&mut self, name: &str) {
        self.separate();
        self.out.push_str(name);
        self.out.push_str("=");
    }

    fn entry(&mut self, entry: &MatchField) {
        let MatchField { field, value, mask } = *entry;
        match field {
            field::ETH_TYPE => self.ethertype(value),
            field::IP_PROTO if self.kind.word_has_protocol => {}
            field::IP_PROTO if self.kind.is_arp() => self.decimal("arp_op", value, mask),
            field::VLAN_VID => self.vlan(),
            field::VLAN_PCP if self.flow_match.get(field::VLAN_VID).is_some() => {}
            field::VLAN_PCP => self.vlan(),
            field::VLAN_TCI => self.tag(value.to_u16(), mask.map_or(0xffff, FieldValue::to_u16)),
            field::PACKET_TYPE if value == FieldValue::ZERO => {}
            field::PACKET_TYPE => self.packet_type(value.to_u32()),
            field::CONJ_ID => {
                self.separate();
                self.out.put(Role::Param, "conj_id");
                self.out.push_str("=");
                self.out.dec(value.to_u32());
            }
            field::IP_DSCP => {
                self.name("nw_tos");
                self.out.dec(value.to_u16() << 2);
            }
            field::IPV6_FLABEL => {
                self.name("ipv6_label");
                self.padded_hex(value, mask, 5);
            }
            _ => self.by_format(field, value, mask),
        }
    }

    /// A field of tunnel metadata; matched in no bit it need only be there.
    fn wide(&mut self, entry: &WideField) {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        self.separate();
        self.out.push_str(entry.field.name());
        if entry.mask.as_deref().is_some_and(is_zero) {
            return;
        }
        self.out.push_str("=");
        field_value::format_wide(self.out, &entry.value);
        // Ones in all bytes that matter are no mask to ovs-ofctl.
        let is_part = |mask: &&[u8]| mask.iter().skip_while(|byte| **byte == 0).any(|byte| *byte != 0xff);
        if let Some(mask) = entry.mask.as_deref().filter(is_part) {
            self.out.push_str("/");
            field_value::format_wide(self.out, mask);
        }
    }

    fn by_format(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        match field.info().format {
            Format::Port => {
                self.name(self.print_name(field));
                let port = value.to_u32();
                // A field of 16 bits has the ports of OpenFlow 1.0.
                let is_reserved = field.n_bits() == 16 && port >= 0xff00;
                self.out.port(PortNo(if is_reserved { port | 0xffff_0000 } else { port }));
            }
            Format::Mac => {
                self.name(self.print_name(field));
                self.out.mac(value.to_mac());
                if let Some(mask) = mask {
                    self.out.push_str("/");
                    self.out.mac(mask.to_mac());
                }
            }
            Format::Ipv4 => {
                self.name(self.print_name(field));
                self.out.ipv4(value.to_ipv4());
                match mask.map(|mask| (mask, prefix_len(mask, 32))) {
                    None => {}
                    Some((_, Some(len))) => self.prefix(len),
                    Some((mask, None)) => {
                        self.out.push_str("/");
                        self.out.ipv4(mask.to_ipv4());
                    }
                }
            }
            Format::Ipv6 => {
                self.name(field.name());
                self.out.ipv6(value.to_ipv6());
                match mask.map(|mask| (mask, prefix_len(mask, 128))) {
                    None => {}
                    Some((_, Some(len))) => self.prefix(len),
                    Some((mask, None)) => {
                        self.out.push_str("/");
                        self.out.ipv6(mask.to_ipv6());
                    }
                }
            }
            Format::Frag => {
                self.name("nw_frag");
                self.out.push_str(fragment_name(value.to_u16(), mask.map_or(3, FieldValue::to_u16)));
            }
            Format::CtState => {
                // Open vSwitch keeps no more bits.
                let known = FieldValue::ones(8);
                let mask = mask.map(|mask| mask.and(known)).filter(|mask| *mask != known);
                self.flags("ct_state", CT_STATE, value.and(known), mask);
            }
            Format::TcpFlags => self.flags("tcp_flags", TCP_FLAGS, value, mask),
            Format::TunFlags => self.flags("tun_flags", TUN_FLAGS, value, mask.or(Some(FieldValue::ones(1)))),
            Format::Decimal => self.decimal(self.print_name(field), value, mask),
            Format::Hex if field == field::CT_ZONE => self.decimal("ct_zone", value, mask),
            Format::Hex => self.hex(field, value, mask),
            Format::PacketType => self.packet_type(value.to_u32()),
        }
    }

    /// The name by which a field is printed.
    fn print_name(&self, field: Field) -> &'static str {
        match field {
            field::IN_PORT => "in_port",
            field::TUN_GTPU_FLAGS => "gtpu_flags",
            field::TUN_GTPU_MSGTYPE => "gtpu_msgtype",
            field::ETH_SRC => "dl_src",
            field::ETH_DST => "dl_dst",
            field::IPV4_SRC if self.kind.is_arp() => "arp_spa",
            field::IPV4_DST if self.kind.is_arp() => "arp_tpa",
            field::IPV4_SRC => "nw_src",
            field::IPV4_DST => "nw_dst",
            field::ICMPV6_TYPE => "icmp_type",
            field::ICMPV6_CODE => "icmp_code",
            field::TCP_SRC | field::UDP_SRC | field::SCTP_SRC => "tp_src",
            field::TCP_DST | field::UDP_DST | field::SCTP_DST => "tp_dst",
            other => other.name(),
        }
    }

    fn ethertype(&mut self, value: FieldValue) {
        match self.kind.ethertype_word {
            Some(word) => {
                self.separate();
                self.out.put(Role::Value, word);
            }
            None => {
                self.name("dl_type");
                self.padded_hex(value, None, 4);
            }
        }
    }

    fn packet_type(&mut self, value: u32) {
        self.plain_name("packet_type");
        self.out.push_str("(");
        self.out.dec(value >> 16);
        self.out.push_str(",");
        self.out.hex(value & 0xffff);
        self.out.push_str(")");
    }

    fn decimal(&mut self, name: &str, value: FieldValue, mask: Option<FieldValue>) {
        self.name(name);
        match mask {
            None => self.out.dec(value.to_u128() as u64),
            Some(_) => self.padded_hex(value, mask, 1),
        }
    }

    fn hex(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        if is_over_registers(field) {
            return self.registers(field, value, mask.unwrap_or(field.full_mask()));
        }
        match field {
            field::TUN_GBP_FLAGS => {
                self.plain_name("tun_gbp_flags");
                self.out.alternate_hex(value.to_u32());
                return;
            }
            _ => self.name(self.print_name(field)),
        }
        self.out.alternate_hex(value.to_u128());
        if let Some(mask) = mask {
            self.out.push_str("/");
            self.out.alternate_hex(mask.to_u128());
        }
    }

    /// The registers of 32 bits that a wider one lies over, from the upper half down.
    fn registers(&mut self, field: Field, value: FieldValue, mask: FieldValue) {
        let (first, count) = match field.n_bits() {
            64 => (2 * (field.index() - field::XREG0.index()), 2),
            _ => (4 * (field.index() - field::XXREG0.index()), 4),
        };
        for at in 0..count {
            let shift = 32 * (count - 1 - at);
            let part = |whole: FieldValue| (whole.to_u128() >> shift) as u32;
            if part(mask) == 0 {
                continue;
            }
            self.separate();
            let mut digits = *b"reg00=";
            let register = first + at;
            let name = if register < 10 {
                digits[3] = b'0' + register as u8;
                digits[4] = b'=';
                &digits[..5]
            } else {
                digits[3] = b'1';
                digits[4] = b'0' + (register - 10) as u8;
                &digits[..]
            };
            self.out.put(Role::Param, std::str::from_utf8(name).expect("a name of letters and digits"));
            self.out.alternate_hex(part(value));
            if part(mask) != u32::MAX {
                self.out.push_str("/");
                self.out.alternate_hex(part(mask));
            }
        }
    }

    fn padded_hex(&mut self, value: FieldValue, mask: Option<FieldValue>, width: usize) {
        self.out.push_str("0x");
        self.out.hex_digits(value.to_u128(), width);
        if let Some(mask) = mask {
            self.out.push_str("/0x");
            self.out.hex_digits(mask.to_u128(), width);
        }
    }

    fn prefix(&mut self, len: u32) {
        self.out.push_str("/");
        self.out.dec(len);
    }

    /// Flags that are matched each bear a sign; a value matched whole is a list of those that are set.
    fn flags(&mut self, name: &str, names: &[&str], value: FieldValue, mask: Option<FieldValue>) {
        self.name(name);
        let bits = value.to_u32();
        let tested = mask.map_or(bits, FieldValue::to_u32);
        let mut is_first = true;
        for (at, name) in names.iter().enumerate().filter(|(at, _)| tested >> at & 1 == 1) {
            match mask {
                Some(_) => self.out.push_str(if bits >> at & 1 == 1 { "+" } else { "-" }),
                None if is_first => {}
                None => self.out.push_str("|"),
            }
            self.out.push_str(name);
            is_first = false;
        }
        if tested == 0 {
            self.out.push_str("0");
        } else if tested >> names.len() != 0 {
            self.padded_hex(value, mask, 1);
        }
    }

    /// The fields of a VLAN tag.
    fn vlan(&mut self) {
        let bits = |field: Field, shift: u16| {
            self.flow_match.get(field).map_or((0, 0), |entry| {
                let mask = entry.mask.unwrap_or(field.full_mask());
                (entry.value.to_u16() << shift, mask.to_u16() << shift)
            })
        };
        let (vid, vid_mask) = bits(field::VLAN_VID, 0);
        let (pcp, pcp_mask) = bits(field::VLAN_PCP, 13);
        // Only tagged packets have a priority.
        let tagged = if pcp_mask != 0 { VLAN_PRESENT } else { 0 };
        self.tag(vid | pcp | tagged, vid_mask | pcp_mask | tagged);
    }

    /// `dl_vlan`, `dl_vlan_pcp` or `vlan_tci`, whichever says it.
    fn tag(&mut self, tci: u16, mask: u16) {
        const VID: u16 = 0x0fff;
        const PCP: u16 = 0xe000;
        let is_whole = |part: u16| mask & part == 0 || mask & part == part;
        let is_tagged = tci & mask & VLAN_PRESENT != 0;
        if !(is_tagged && is_whole(VID) && is_whole(PCP) && mask & (VID | PCP) != 0) {
            return self.tci(tci, mask);
        }
        if mask & VID != 0 {
            self.name("dl_vlan");
            self.out.dec(tci & VID);
        }
        if mask & PCP != 0 {
            self.name("dl_vlan_pcp");
            self.out.dec(tci >> 13);
        }
    }

    fn tci(&mut self, tci: u16, mask: u16) {
        self.name("vlan_tci");
        let mask = (mask != 0xffff).then(|| FieldValue::from(mask));
        self.padded_hex(tci.into(), mask, 4);
    }
}

/// Whether it lies over registers of 32 bits, by which it is printed.
pub(super) fn is_over_registers(field: Field) -> bool {
    field >= field::XREG0 && field <= field::XXREG3
}

/// The number of leading ones, if nothing but zeros follows.
fn prefix_len(mask: FieldValue, n_bits: u32) -> Option<u32> {
    let mask = mask.to_u128();
    let zeros = mask.trailing_zeros().min(n_bits);
    let ones = FieldValue::ones(n_bits as u16).to_u128();
    (mask == ones >> zeros << zeros).then_some(n_bits - zeros)
}

fn fragment_name(value: u16, mask: u16) -> &'static str {
    match (mask & 3, value & 3) {
        (3, 0) | (1, 0) => "no",
        (3, 1) => "first",
        (3, 3) | (2, 2) => "later",
        (1, _) => "yes",
        (2, _) => "not_later",
        _ => "<error>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_place_in_the_order() {
        for field in Field::all() {
            assert!(RANKS[field.index()] != u8::MAX || field == field::PBB_ISID, "{field}");
        }
    }

    #[test]
    fn a_wide_register_is_printed_by_the_narrow_ones() {
        let wide = Match::new().with_masked(field::XREG5, 0xff_0000_0005_u64, 0xff_0000_000f_u64);
        assert_eq!(format_match(&wide), "reg10=0xff/0xff,reg11=0x5/0xf");
        let wider = Match::new().with(field::XXREG0, 5_u64);
        assert_eq!(format_match(&wider), "reg0=0,reg1=0,reg2=0,reg3=0x5");
    }

    #[test]
    fn zero_is_printed_as_c_does() {
        let zero = Match::new().with(field::REG0, 0_u32).with(field::IPV6_FLABEL, 0_u32);
        assert_eq!(format_match(&zero), "reg0=0,ipv6_label=0x00000");
    }
}
