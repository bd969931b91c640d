//! Sets of actions, as groups and tables say which they know.

use super::super::printer::Printer;

/// The types of OpenFlow 1.3 and the words for them, in the order in which ovs-ofctl lists them.
///
/// Source: `ofpact_bitmap_to_openflow` and `ofpact_name` in `lib/ofp-actions.c` of Open vSwitch 3.1.
const NAMES: &[(u32, &str)] = &[
    (0, "output"),
    (22, "group"),
    (25, "set_field"),
    (18, "strip_vlan"),
    (17, "push_vlan"),
    (23, "mod_nw_ttl"),
    (24, "dec_ttl"),
    (15, "set_mpls_ttl"),
    (16, "dec_mpls_ttl"),
    (19, "push_mpls"),
    (20, "pop_mpls"),
    (21, "set_queue"),
];

/// Those types among `bits` that Open vSwitch knows.
pub(super) fn known(bits: u32) -> u32 {
    NAMES.iter().fold(0, |known, (bit, _)| known | 1 << bit) & bits
}

/// Appends the words for a set of action types with spaces between them; types that Open vSwitch does not know are
/// left out.
pub(super) fn format(p: &mut Printer<'_>, bits: u32) {
    if known(bits) == 0 {
        p.push_str("<none>");
    }
    let mut separator = "";
    for (_, name) in NAMES.iter().filter(|(bit, _)| bits >> bit & 1 == 1) {
        p.push_str(separator);
        p.push_str(name);
        separator = " ";
    }
}
