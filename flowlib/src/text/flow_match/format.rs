//! Matches as `dump-flows` prints them.
//!
//! A match is printed as the switch's flow key it stands for: in the order of `match_format` in `lib/match.c` of
//! Open vSwitch 3.1, with one word for ethertype and protocol, and registers for what lies over them.

use super::order::{DL_TYPE_RANK, RANKS, WIDE_RANK};
use crate::openflow::oxm::{MatchField, VLAN_PRESENT, WideField, field};
use crate::openflow::{Field, FieldValue, Match};
use crate::text::field_value::{self, Use};
use crate::text::printer::{Printer, Role};
use crate::text::protocol_words;
use crate::types::Priority;

/// The priority of a flow that says none; it is not printed. Source: ovs-ofctl(8).
pub(in crate::text) const DEFAULT_PRIORITY: Priority = Priority(0x8000);

/// A match as `dump-flows` prints it; one of every packet is empty.
#[must_use]
pub fn format_match(flow_match: &Match) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), DEFAULT_PRIORITY, flow_match);
    out
}

/// Appends a priority, if it is not the default one, and a match; says whether it appended anything.
pub(in crate::text) fn format(out: &mut Printer<'_>, priority: Priority, flow_match: &Match) -> bool {
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
        let word = ethertype.filter(|_| is_ethernet).and_then(|it| protocol_words::word(it, protocol));
        Self {
            ethertype,
            ethertype_word: word.map(|(word, _)| word),
            word_has_protocol: word.is_some_and(|(_, has_protocol)| has_protocol),
        }
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

    fn entry(&mut self, entry: &MatchField) {
        let MatchField { field, value, mask } = *entry;
        if is_over_registers(field) {
            return self.registers(field, value, mask.unwrap_or(field.full_mask()));
        }
        match field {
            field::ETH_TYPE => self.ethertype(value),
            field::IP_PROTO if self.kind.word_has_protocol => {}
            field::VLAN_VID => self.vlan(),
            field::VLAN_PCP if self.flow_match.get(field::VLAN_VID).is_some() => {}
            field::VLAN_PCP => self.vlan(),
            field::VLAN_TCI => self.tag(value.to_u16(), mask.map_or(0xffff, FieldValue::to_u16)),
            field::PACKET_TYPE if value == FieldValue::ZERO => {}
            field::PACKET_TYPE => {
                self.separate();
                field_value::packet_type(self.out, value.to_u32());
            }
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
            _ if is_of_tunnel(field) => self.tunnel(field, value),
            // Only headers of that type have them.
            field::NSH_C1 | field::NSH_C2 | field::NSH_C3 | field::NSH_C4
                if self.flow_match.exact(field::NSH_MDTYPE) != Some(1_u8.into()) => {}
            _ => self.value(field, value, mask),
        }
    }

    /// What Open vSwitch prints of some tunnels, always without a mask and without a colour.
    fn tunnel(&mut self, field: Field, value: FieldValue) {
        let is_erspan = |version: u8| {
            self.flow_match.get(field::TUN_ERSPAN_VER).is_some_and(|entry| entry.value == version.into())
        };
        let is_there = match field {
            field::TUN_ERSPAN_IDX => is_erspan(1),
            field::TUN_ERSPAN_DIR | field::TUN_ERSPAN_HWID => is_erspan(2),
            _ => true,
        };
        if is_there {
            self.separate();
            self.out.push_str(print_name(field, self.kind));
            self.out.push_str("=");
            field_value::format(self.out, field, value, None, Use::Match);
        }
    }

    /// A field that is shown by its name and its value.
    fn value(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        self.name(print_name(field, self.kind));
        match field {
            field::CT_STATE => {
                // Open vSwitch keeps no more bits.
                let known = FieldValue::ones(8);
                let mask = mask.map(|mask| mask.and(known)).filter(|mask| *mask != known);
                field_value::format(self.out, field, value.and(known), mask, Use::Match);
            }
            // There are more flags than can be matched.
            field::TUN_FLAGS => {
                field_value::format(self.out, field, value, mask.or(Some(FieldValue::ones(1))), Use::Match);
            }
            field::RECIRC_ID => self.out.alternate_hex(value.to_u32()),
            field::CT_ZONE => self.out.dec(value.to_u32()),
            field::NSH_SPI | field::NSH_C1 | field::NSH_C2 | field::NSH_C3 | field::NSH_C4 => {
                self.padded_hex(value, mask, 1);
            }
            field::NSH_FLAGS if mask.is_some() => self.padded_hex(value, mask, 2),
            _ => field_value::format(self.out, field, value, mask, Use::Match),
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

fn is_of_tunnel(field: Field) -> bool {
    field >= field::TUN_GBP_FLAGS && field <= field::TUN_GTPU_MSGTYPE
}

/// The name by which a field is printed.
fn print_name(field: Field, kind: Kind) -> &'static str {
    match field {
        field::IN_PORT => "in_port",
        field::TUN_GTPU_FLAGS => "gtpu_flags",
        field::TUN_GTPU_MSGTYPE => "gtpu_msgtype",
        field::ETH_SRC => "dl_src",
        field::ETH_DST => "dl_dst",
        field::IPV4_SRC if kind.is_arp() => "arp_spa",
        field::IPV4_DST if kind.is_arp() => "arp_tpa",
        field::IP_PROTO if kind.is_arp() => "arp_op",
        field::IPV4_SRC => "nw_src",
        field::IPV4_DST => "nw_dst",
        field::IP_FRAG => "nw_frag",
        field::ICMPV6_TYPE => "icmp_type",
        field::ICMPV6_CODE => "icmp_code",
        field::TCP_SRC | field::UDP_SRC | field::SCTP_SRC => "tp_src",
        field::TCP_DST | field::UDP_DST | field::SCTP_DST => "tp_dst",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
