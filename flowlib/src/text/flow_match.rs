//! Matches.

use super::error::{ParseError, Piece, Problem};
use super::printer::Printer;
use super::{field_value, subfield};
use crate::openflow::oxm::{MatchField, VLAN_PRESENT, field};
use crate::openflow::{Field, FieldValue, Match};

/// What a word means: name, ethertype, protocol. Source: ovs-ofctl(8).
const SHORTHANDS: &[(&str, u16, Option<u8>)] = &[
    ("ip", 0x0800, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("ipv6", 0x86dd, None),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
];

/// The order in which ovs-ofctl prints fields; those that are not listed come first.
const PRINT_ORDER: &[Field] = &[
    field::METADATA,
    field::IN_PORT,
    field::NX_IN_PORT,
    field::IN_PHY_PORT,
    field::VLAN_TCI,
    field::VLAN_VID,
    field::ETH_SRC,
    field::ETH_DST,
    field::ETH_TYPE,
    field::IPV6_SRC,
    field::IPV6_DST,
    field::IPV6_FLABEL,
    field::IPV6_EXTHDR,
    field::ARP_SPA,
    field::ARP_TPA,
    field::IPV4_SRC,
    field::IPV4_DST,
    field::IP_PROTO,
    field::ARP_OP,
    field::ARP_SHA,
    field::ARP_THA,
    field::IP_DSCP,
    field::NW_TOS,
    field::IP_ECN,
    field::IP_TTL,
    field::MPLS_LABEL,
    field::MPLS_TC,
    field::MPLS_TTL,
    field::MPLS_BOS,
    field::IP_FRAG,
    field::ICMPV4_TYPE,
    field::ICMPV4_CODE,
    field::ICMPV6_TYPE,
    field::ICMPV6_CODE,
    field::ND_TARGET,
    field::ND_SLL,
    field::ND_TLL,
    field::TCP_SRC,
    field::TCP_DST,
    field::UDP_SRC,
    field::UDP_DST,
    field::SCTP_SRC,
    field::SCTP_DST,
    field::TCP_FLAGS,
];

/// The fields that ovs-ofctl prints before the protocol.
const BEFORE_PROTOCOL: &[Field] = &[
    field::PKT_MARK,
    field::RECIRC_ID,
    field::DP_HASH,
    field::CONJ_ID,
    field::ACTSET_OUTPUT,
    field::CT_STATE,
    field::CT_ZONE,
    field::CT_MARK,
    field::CT_LABEL,
    field::CT_NW_SRC,
    field::CT_IPV6_SRC,
    field::CT_NW_DST,
    field::CT_IPV6_DST,
    field::CT_NW_PROTO,
    field::CT_TP_SRC,
    field::CT_TP_DST,
    field::PACKET_TYPE,
];

/// A match as `dump-flows` prints it; one of every packet is empty.
#[must_use]
pub fn format_match(flow_match: &Match) -> String {
    let mut words = Vec::new();
    for name in BEFORE_PROTOCOL {
        words.extend(flow_match.get(*name).map(|entry| word(entry.field.name(), entry)));
    }
    let shorthand = shorthand_of(flow_match);
    words.extend(shorthand.map(|(name, ..)| name.to_owned()));
    let is_listed = |entry: &&MatchField| {
        PRINT_ORDER.contains(&entry.field)
            || BEFORE_PROTOCOL.contains(&entry.field)
            || entry.field == field::VLAN_PCP
    };
    // Registers come before tunnels, in text but not on the wire.
    let is_register = |entry: &&MatchField| entry.field >= field::REG0 && entry.field <= field::XXREG3;
    let rest = || flow_match.iter().filter(|entry| !is_listed(entry));
    words.extend(rest().filter(is_register).map(|entry| word(entry.field.name(), entry)));
    words.extend(rest().filter(|entry| !is_register(entry)).map(|entry| word(entry.field.name(), entry)));
    for name in PRINT_ORDER {
        let entry = flow_match.get(*name);
        if *name == field::VLAN_VID {
            vlan_words(&mut words, flow_match);
        } else if let Some(entry) = entry.filter(|entry| !is_implied(entry, shorthand)) {
            words.push(word(print_name(entry.field, flow_match), entry));
        }
    }
    for unknown in flow_match.unknown() {
        let hex: String = unknown.body.iter().map(|byte| format!("{byte:02x}")).collect();
        words.push(format!("oxm_{:08x}={hex}", unknown.header));
    }
    words.join(",")
}

/// The longest shorthand that says ethertype and protocol.
fn shorthand_of(flow_match: &Match) -> Option<(&'static str, u16, Option<u8>)> {
    let ethertype = flow_match.exact(field::ETH_TYPE)?.to_u16();
    let protocol = flow_match.exact(field::IP_PROTO).map(|value| value.to_u16());
    let of_type = || SHORTHANDS.iter().filter(|(_, of, _)| *of == ethertype);
    let exact = of_type().find(|(_, _, of)| of.is_some() && of.map(u16::from) == protocol);
    exact.or_else(|| of_type().find(|(_, _, of)| of.is_none())).copied()
}

/// Whether the shorthand says it already.
fn is_implied(entry: &MatchField, shorthand: Option<(&str, u16, Option<u8>)>) -> bool {
    match shorthand {
        Some((_, _, protocol)) => {
            entry.field == field::ETH_TYPE || entry.field == field::IP_PROTO && protocol.is_some()
        }
        None => false,
    }
}

/// The name that ovs-ofctl prints for a field.
fn print_name(name: Field, flow_match: &Match) -> &'static str {
    let is_arp = || {
        let ethertype = flow_match.exact(field::ETH_TYPE).map(FieldValue::to_u16);
        matches!(ethertype, Some(0x0806 | 0x8035))
    };
    match name {
        field::ETH_SRC => "dl_src",
        field::ETH_DST => "dl_dst",
        field::ETH_TYPE => "dl_type",
        field::IPV4_SRC => "nw_src",
        field::IPV4_DST => "nw_dst",
        field::IP_PROTO if is_arp() => "arp_op",
        field::IP_DSCP => "nw_tos",
        field::IP_FRAG => "nw_frag",
        field::ICMPV6_TYPE => "icmp_type",
        field::ICMPV6_CODE => "icmp_code",
        field::TCP_SRC | field::UDP_SRC | field::SCTP_SRC => "tp_src",
        field::TCP_DST | field::UDP_DST | field::SCTP_DST => "tp_dst",
        other => other.name(),
    }
}

fn word(name: &str, entry: &MatchField) -> String {
    let mut out = format!("{name}=");
    match (entry.field, entry.mask) {
        // In a match the type of service stands in its upper six bits.
        (field::IP_DSCP, _) => out.push_str(&(entry.value.to_u16() << 2).to_string()),
        (field::IPV6_FLABEL, None) => out.push_str(&format!("{:#07x}", entry.value.to_u32())),
        (field::ETH_TYPE, None) => out.push_str(&format!("{:#06x}", entry.value.to_u16())),
        _ => field_value::format(&mut Printer::plain(&mut out), entry.field, entry.value, entry.mask),
    }
    out
}

/// `dl_vlan`, `dl_vlan_pcp` or `vlan_tci`, whichever says it.
fn vlan_words(words: &mut Vec<String>, flow_match: &Match) {
    const VID: u16 = 0x0fff;
    let bits = |entry: &MatchField| {
        let mask = entry.mask.unwrap_or(entry.field.full_mask());
        (entry.value.to_u16(), mask.to_u16())
    };
    let (value, mask) = flow_match.get(field::VLAN_VID).map_or((0, 0), bits);
    let (pcp, pcp_mask) = flow_match.get(field::VLAN_PCP).map_or((0, 0), bits);
    let is_tagged = mask & value & VLAN_PRESENT != 0;
    if mask == 0 && pcp_mask == 0 {
        return;
    }
    let vid_is_whole = mask & VID == VID;
    if is_tagged && (vid_is_whole || mask & VID == 0) && (vid_is_whole || pcp_mask != 0) {
        if vid_is_whole {
            words.push(format!("dl_vlan={}", value & VID));
        }
        if pcp_mask != 0 {
            words.push(format!("dl_vlan_pcp={pcp}"));
        }
        return;
    }
    let (tci, tci_mask) = (value | pcp << 13, mask | pcp_mask << 13);
    words.push(if tci_mask == 0xffff {
        format!("vlan_tci={tci:#06x}")
    } else {
        format!("vlan_tci={tci:#06x}/{tci_mask:#06x}")
    });
}

/// The words of a match, collected before any is understood: what `tp_src` means depends on the others.
#[derive(Debug, Default)]
pub(super) struct MatchWords<'a>(Vec<(Piece<'a>, Option<Piece<'a>>)>);

impl<'a> MatchWords<'a> {
    pub(super) fn push(&mut self, key: Piece<'a>, value: Option<Piece<'a>>) {
        self.0.push((key, value));
    }

    /// Understands them.
    pub(super) fn resolve(self) -> Result<Match, ParseError> {
        let mut found = Match::new();
        let (first, second): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(key, value)| {
            value.is_none() || matches!(key.text(), "dl_type" | "eth_type" | "nw_proto" | "ip_proto")
        });
        for (key, value) in first.into_iter().chain(second) {
            match value {
                None => parse_shorthand(&mut found, key)?,
                Some(value) => parse_field(&mut found, key, value)?,
            }
        }
        Ok(found)
    }
}

fn parse_shorthand(found: &mut Match, key: Piece<'_>) -> Result<(), ParseError> {
    let shorthand = SHORTHANDS.iter().find(|(name, ..)| *name == key.text());
    let (_, ethertype, protocol) = shorthand.ok_or_else(|| key.error(Problem::UnknownField))?;
    found.set(field::ETH_TYPE, (*ethertype).into(), None);
    if let Some(protocol) = protocol {
        found.set(field::IP_PROTO, (*protocol).into(), None);
    }
    Ok(())
}

fn parse_field(found: &mut Match, key: Piece<'_>, value: Piece<'_>) -> Result<(), ParseError> {
    match key.text() {
        "vlan_tci" => return parse_tci(found, value),
        "dl_vlan" => {
            let vid = value.u16()?;
            if vid == 0xffff {
                found.set(field::VLAN_VID, FieldValue::ZERO, None);
            } else if vid <= 0x0fff {
                found.set(field::VLAN_VID, (vid | VLAN_PRESENT).into(), None);
            } else {
                return Err(value.error(Problem::TooBig(12)));
            }
            return Ok(());
        }
        "dl_vlan_pcp" | "vlan_pcp" => {
            if found.get(field::VLAN_VID).is_none() {
                let present = FieldValue::from(VLAN_PRESENT);
                found.set(field::VLAN_VID, present, Some(present));
            }
            found.set(field::VLAN_PCP, value.number(3)?.into(), None);
            return Ok(());
        }
        "nw_tos" => {
            let tos = value.u8()?;
            if tos & 3 != 0 {
                return Err(value.error(Problem::Expected("a multiple of 4")));
            }
            found.set(field::IP_DSCP, (tos >> 2).into(), None);
            return Ok(());
        }
        _ => {}
    }
    let name = field_named(found, key)?;
    let (parsed, mask) = field_value::parse(name, value)?;
    found.set(name, parsed, mask);
    Ok(())
}

/// The field a name means in this match.
fn field_named(found: &Match, key: Piece<'_>) -> Result<Field, ParseError> {
    let is_ipv6 = found.exact(field::ETH_TYPE).map(FieldValue::to_u16) == Some(0x86dd);
    let protocol = found.exact(field::IP_PROTO).map(FieldValue::to_u16);
    let by_protocol = |fields: [Field; 3]| match protocol {
        Some(6) => Ok(fields[0]),
        Some(17) => Ok(fields[1]),
        Some(132) => Ok(fields[2]),
        _ => Err(key.error(Problem::Prerequisite("tcp, udp or sctp"))),
    };
    match key.text() {
        "tp_src" => by_protocol([field::TCP_SRC, field::UDP_SRC, field::SCTP_SRC]),
        "tp_dst" => by_protocol([field::TCP_DST, field::UDP_DST, field::SCTP_DST]),
        "icmp_type" if is_ipv6 => Ok(field::ICMPV6_TYPE),
        "icmp_code" if is_ipv6 => Ok(field::ICMPV6_CODE),
        name => subfield::find_field(name).ok_or_else(|| key.error(Problem::UnknownField)),
    }
}

fn parse_tci(found: &mut Match, value: Piece<'_>) -> Result<(), ParseError> {
    let (tci, mask) = match value.split_once("/") {
        Some((tci, mask)) => (tci.u16()?, mask.u16()?),
        None => (value.u16()?, 0xffff),
    };
    if tci & !mask != 0 {
        return Err(value.error(Problem::Expected("a value within its mask")));
    }
    if value.text().split('/').count() == 1 && tci == 0 {
        // No tag at all: there is no priority to match either.
        found.set(field::VLAN_VID, FieldValue::ZERO, None);
        return Ok(());
    }
    found.set(field::VLAN_VID, (tci & 0x1fff).into(), Some((mask & 0x1fff).into()));
    match mask >> 13 {
        0 => {}
        7 => found.set(field::VLAN_PCP, (tci >> 13).into(), None),
        _ => return Err(value.error(Problem::Expected("a mask with all or none of the upper 3 bits"))),
    }
    Ok(())
}
