//! What the words of a match mean together.

use super::format_match;
use crate::openflow::oxm::{MatchField, WideField, field};
use crate::openflow::{Field, FieldValue, Match};

/// A match out of which fields were left that its packets do not have, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The match as it was written.
    pub before: String,
    /// The match as it is used.
    pub after: String,
}

/// Where a field is kept until it is known what it means.
pub(super) fn place_of(field: Field) -> Field {
    match field {
        field::NX_IN_PORT => field::IN_PORT,
        field::ARP_SPA => field::IPV4_SRC,
        field::ARP_TPA => field::IPV4_DST,
        field::ARP_OP => field::IP_PROTO,
        field::NW_TOS => field::IP_DSCP,
        field::ND_SLL => field::ARP_SHA,
        field::ND_TLL => field::ARP_THA,
        field::UDP_SRC | field::SCTP_SRC | field::ICMPV4_TYPE | field::ICMPV6_TYPE => field::TCP_SRC,
        field::UDP_DST | field::SCTP_DST | field::ICMPV4_CODE | field::ICMPV6_CODE => field::TCP_DST,
        other => other,
    }
}

/// What a place means in a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Field(Field),
    /// The VLAN tag, which is two fields.
    Tag,
    /// Nothing. ovs-ofctl says so unless `is_quiet`.
    None {
        is_quiet: bool,
    },
}

/// What packets the words are for, as far as it decides meanings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) ethertype: u16,
    protocol: u16,
    /// `icmp_type` of ICMPv6.
    icmpv6_type: u16,
    /// Whether a packet with that type is one of neighbour discovery.
    has_no_code: bool,
    packet_type: u32,
    /// Whether the protocol of the connection is asked for.
    has_ct_protocol: bool,
}

impl Kind {
    pub(super) fn of(places: &Match, packet_type: u32) -> Self {
        let number = |field| places.exact(field).map_or(0, FieldValue::to_u16);
        let ethertype = if packet_type >> 16 == 1 { packet_type as u16 } else { number(field::ETH_TYPE) };
        let protocol = number(field::IP_PROTO);
        let is_icmpv6 = ethertype == 0x86dd && protocol == 58;
        let icmpv6_type = if is_icmpv6 { number(field::TCP_SRC) } else { 0 };
        let has_no_code = number(field::TCP_DST) == 0;
        let has_ct_protocol = number(field::CT_NW_PROTO) != 0;
        Self { ethertype, protocol, icmpv6_type, has_no_code, packet_type, has_ct_protocol }
    }

    fn is_ip(self) -> bool {
        matches!(self.ethertype, 0x0800 | 0x86dd)
    }

    fn is_arp(self) -> bool {
        matches!(self.ethertype, 0x0806 | 0x8035)
    }

    /// What a place means here.
    pub(super) fn meaning(self, entry: &MatchField) -> Meaning {
        let nothing = Meaning::None { is_quiet: false };
        let quietly = Meaning::None { is_quiet: true };
        let when = |is_so: bool, otherwise| if is_so { Meaning::Field(entry.field) } else { otherwise };
        match entry.field {
            field::VLAN_TCI => Meaning::Tag,
            field::IPV4_SRC if self.is_arp() => Meaning::Field(field::ARP_SPA),
            field::IPV4_DST if self.is_arp() => Meaning::Field(field::ARP_TPA),
            field::IPV4_SRC | field::IPV4_DST => when(self.ethertype == 0x0800, nothing),
            field::IP_PROTO if self.is_arp() => Meaning::Field(field::ARP_OP),
            field::IP_PROTO | field::IP_DSCP | field::IP_ECN | field::IP_TTL => when(self.is_ip(), nothing),
            field::IP_FRAG => when(self.is_ip(), quietly),
            field::IPV6_SRC | field::IPV6_DST | field::IPV6_FLABEL => when(self.ethertype == 0x86dd, nothing),
            field::MPLS_LABEL | field::MPLS_TC | field::MPLS_BOS | field::MPLS_TTL => {
                when(matches!(self.ethertype, 0x8847 | 0x8848), nothing)
            }
            field::TCP_SRC | field::TCP_DST => self.transport(entry.field),
            field::TCP_FLAGS => when(self.is_ip() && self.protocol == 6, quietly),
            field::ARP_SHA | field::ARP_THA if self.is_arp() => Meaning::Field(entry.field),
            field::ARP_SHA if self.icmpv6_type == 135 => self.discovery(field::ND_SLL),
            field::ARP_THA if self.icmpv6_type == 136 => self.discovery(field::ND_TLL),
            field::ARP_SHA | field::ARP_THA => nothing,
            field::ND_TARGET if matches!(self.icmpv6_type, 135 | 136) => self.discovery(field::ND_TARGET),
            field::ND_TARGET => nothing,
            field::ND_RESERVED | field::ND_OPTIONS_TYPE if matches!(self.icmpv6_type, 135 | 136) => {
                self.discovery(entry.field)
            }
            field::ND_RESERVED | field::ND_OPTIONS_TYPE => quietly,
            field::CT_NW_PROTO | field::CT_TP_SRC | field::CT_TP_DST => when(self.has_ct_protocol, quietly),
            field::ETH_SRC | field::ETH_DST => when(self.packet_type == 0, nothing),
            other => Meaning::Field(other),
        }
    }

    fn discovery(self, field: Field) -> Meaning {
        if self.has_no_code { Meaning::Field(field) } else { Meaning::None { is_quiet: true } }
    }

    fn transport(self, place: Field) -> Meaning {
        let is_src = place == field::TCP_SRC;
        let either = |src, dst| Meaning::Field(if is_src { src } else { dst });
        match (self.ethertype, self.protocol) {
            (0x0800 | 0x86dd, 6) => Meaning::Field(place),
            (0x0800 | 0x86dd, 17) => either(field::UDP_SRC, field::UDP_DST),
            (0x0800 | 0x86dd, 132) => either(field::SCTP_SRC, field::SCTP_DST),
            (0x0800, 1) => either(field::ICMPV4_TYPE, field::ICMPV4_CODE),
            (0x86dd, 58) => either(field::ICMPV6_TYPE, field::ICMPV6_CODE),
            _ => Meaning::None { is_quiet: false },
        }
    }

    /// The match that the places mean, and what was left out.
    pub(super) fn understand(self, places: &Match, wide: &[WideField]) -> (Match, Option<Box<Normalized>>) {
        let mut found = Match::new();
        let mut is_lost = false;
        for entry in places {
            let MatchField { value, mask, .. } = *entry;
            match self.meaning(entry) {
                Meaning::Field(field) => found.set(field, value, mask),
                Meaning::Tag => {
                    let (tci, mask) = (value.to_u16(), mask.map_or(0xffff, FieldValue::to_u16));
                    let vid = tci & 0x1fff;
                    found.set(field::VLAN_VID, vid.into(), Some((mask & 0x1fff).into()));
                    if vid != 0 && mask & 0xe000 != 0 {
                        found.set(field::VLAN_PCP, (tci >> 13).into(), None);
                    }
                }
                Meaning::None { is_quiet } => is_lost |= !is_quiet,
            }
        }
        let normalized = is_lost.then(|| {
            let before = format_match(&self.spelled(places, wide, |_| true));
            let is_kept = |meaning| meaning != Meaning::None { is_quiet: false };
            Box::new(Normalized { before, after: format_match(&self.spelled(places, wide, is_kept)) })
        });
        (found, normalized)
    }

    /// The places that are kept as a match to be printed, with what means nothing but would be printed.
    fn spelled(self, places: &Match, wide: &[WideField], is_kept: fn(Meaning) -> bool) -> Match {
        let mut spelled = Match::new().with(field::PACKET_TYPE, self.packet_type);
        let is_icmpv6 = self.ethertype == 0x86dd && self.protocol == 58;
        for entry in places.iter().filter(|entry| is_kept(self.meaning(entry))) {
            let field = match (entry.field, self.meaning(entry)) {
                (_, Meaning::Field(field)) => field,
                (field::ARP_SHA, _) if is_icmpv6 => field::ND_SLL,
                (field::ARP_THA, _) if is_icmpv6 => field::ND_TLL,
                (field::ND_TARGET, _) if is_icmpv6 => field::ND_TARGET,
                (field::ARP_SHA | field::ARP_THA | field::ND_TARGET | field::TCP_FLAGS, _) => continue,
                (field::IPV6_SRC | field::IPV6_DST | field::IPV6_FLABEL, _) => continue,
                (field::IPV4_SRC | field::IPV4_DST, _) if matches!(self.ethertype, 0x86dd | 0x894f) => {
                    continue;
                }
                (other, _) => other,
            };
            spelled.set(field, entry.value, entry.mask);
        }
        wide.iter().for_each(|entry| spelled.set_wide(entry.clone()));
        spelled
    }
}
