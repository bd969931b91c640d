//! Fields by name and their bits: `NXM_NX_REG0[0..15]`.

use super::error::{ParseError, Piece, Problem};
use super::printer::Printer;
use crate::openflow::oxm::field;
use crate::openflow::{Field, SubField};

/// Names that are not in the registry: those of the other family, and old ones of ovs-fields(7).
const ALIASES: &[(&str, Field)] = &[
    ("dl_src", field::ETH_SRC),
    ("dl_dst", field::ETH_DST),
    ("dl_type", field::ETH_TYPE),
    ("nw_src", field::IPV4_SRC),
    ("nw_dst", field::IPV4_DST),
    ("ip_proto", field::IP_PROTO),
    ("ip_ecn", field::IP_ECN),
    ("ip_ttl", field::IP_TTL),
    ("nw_frag", field::IP_FRAG),
    ("dl_vlan_pcp", field::VLAN_PCP),
    ("tunnel_id", field::TUNNEL_ID),
    ("OXM_OF_ETH_SRC", field::ETH_SRC),
    ("OXM_OF_ETH_DST", field::ETH_DST),
    ("OXM_OF_ETH_TYPE", field::ETH_TYPE),
    ("OXM_OF_IPV4_SRC", field::IPV4_SRC),
    ("OXM_OF_IPV4_DST", field::IPV4_DST),
    ("OXM_OF_IPV6_SRC", field::IPV6_SRC),
    ("OXM_OF_IPV6_DST", field::IPV6_DST),
    ("OXM_OF_IPV6_FLABEL", field::IPV6_FLABEL),
    ("OXM_OF_IP_PROTO", field::IP_PROTO),
    ("OXM_OF_IP_ECN", field::IP_ECN),
    ("OXM_OF_TCP_SRC", field::TCP_SRC),
    ("OXM_OF_TCP_DST", field::TCP_DST),
    ("OXM_OF_UDP_SRC", field::UDP_SRC),
    ("OXM_OF_UDP_DST", field::UDP_DST),
    ("OXM_OF_ICMPV4_TYPE", field::ICMPV4_TYPE),
    ("OXM_OF_ICMPV4_CODE", field::ICMPV4_CODE),
    ("OXM_OF_ICMPV6_TYPE", field::ICMPV6_TYPE),
    ("OXM_OF_ICMPV6_CODE", field::ICMPV6_CODE),
    ("OXM_OF_ARP_OP", field::ARP_OP),
    ("OXM_OF_ARP_SPA", field::ARP_SPA),
    ("OXM_OF_ARP_TPA", field::ARP_TPA),
    ("OXM_OF_ARP_SHA", field::ARP_SHA),
    ("OXM_OF_ARP_THA", field::ARP_THA),
    ("OXM_OF_ND_TARGET", field::ND_TARGET),
    ("OXM_OF_ND_SLL", field::ND_SLL),
    ("OXM_OF_ND_TLL", field::ND_TLL),
    ("OXM_OF_TUNNEL_ID", field::TUNNEL_ID),
];

/// The field of that name in any spelling.
pub(super) fn find_field(name: &str) -> Option<Field> {
    let listed = || Field::all().find(|field| field.name() == name || field.info().nxm_name == name);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, field)| *field);
    alias.or_else(listed)
}

/// Appends the name of some bits.
pub(super) fn format(out: &mut Printer<'_>, sub: SubField) {
    out.push_str(sub.field.info().nxm_name);
    let last = (sub.start_bit + sub.n_bits).saturating_sub(1);
    if sub == SubField::all(sub.field) {
        out.push_str("[]");
    } else if sub.n_bits == 1 {
        out.push_str(&format!("[{}]", sub.start_bit));
    } else {
        out.push_str(&format!("[{}..{last}]", sub.start_bit));
    }
}

/// Reads `NAME[]`, `NAME[BIT]` or `NAME[FIRST..LAST]`; a bare name is all of the field.
pub(super) fn parse(piece: Piece<'_>) -> Result<SubField, ParseError> {
    let (name, bits) = match piece.split_once("[") {
        Some((name, bits)) => {
            let bits = bits.strip_suffix("]").ok_or_else(|| piece.error(Problem::Unbalanced))?;
            (name, bits)
        }
        None => (piece, piece.slice(0, 0)),
    };
    let field = find_field(name.text()).ok_or_else(|| name.error(Problem::UnknownSubField))?;
    let sub = if bits.is_empty() {
        SubField::all(field)
    } else {
        let (first, last) = bits.split_once("..").unwrap_or((bits, bits));
        let (first, last) = (first.u16()?, last.u16()?);
        if last < first || last >= field.n_bits() {
            return Err(bits.error(Problem::BadBits));
        }
        SubField::bits(field, first, last)
    };
    Ok(sub)
}
