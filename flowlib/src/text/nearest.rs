//! The word that was meant, perhaps, by one that is not known.

use super::error::Problem;
use crate::openflow::Field;

/// Words of a flow that are no fields. Source: ovs-ofctl(8), ovs-fields(7).
const SHORTHANDS: &[&str] = &[
    "actions",
    "arp",
    "check_overlap",
    "cookie",
    "dl_vlan",
    "eth",
    "hard_timeout",
    "icmp",
    "icmp6",
    "idle_timeout",
    "ip",
    "ipv6",
    "mpls",
    "mplsm",
    "nw_tos",
    "out_group",
    "out_port",
    "priority",
    "rarp",
    "reset_counts",
    "sctp",
    "sctp6",
    "send_flow_rem",
    "table",
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "vlan_tci",
];

/// Actions and instructions. Source: ovs-actions(7).
const ACTIONS: &[&str] = &[
    "all",
    "bundle",
    "bundle_load",
    "check_pkt_larger",
    "clear_actions",
    "clone",
    "conjunction",
    "controller",
    "copy_ttl_in",
    "copy_ttl_out",
    "ct",
    "ct_clear",
    "dec_mpls_ttl",
    "dec_nsh_ttl",
    "dec_ttl",
    "decap",
    "delete_field",
    "drop",
    "encap",
    "enqueue",
    "exit",
    "fin_timeout",
    "flood",
    "goto_table",
    "group",
    "in_port",
    "learn",
    "load",
    "local",
    "meter",
    "mod_dl_dst",
    "mod_dl_src",
    "mod_nw_dst",
    "mod_nw_ecn",
    "mod_nw_src",
    "mod_nw_tos",
    "mod_nw_ttl",
    "mod_tp_dst",
    "mod_tp_src",
    "mod_vlan_pcp",
    "mod_vlan_vid",
    "move",
    "multipath",
    "normal",
    "note",
    "output",
    "pop",
    "pop_mpls",
    "pop_queue",
    "pop_vlan",
    "push",
    "push_mpls",
    "push_vlan",
    "resubmit",
    "sample",
    "set_field",
    "set_mpls_label",
    "set_mpls_tc",
    "set_mpls_ttl",
    "set_queue",
    "set_tunnel",
    "set_tunnel64",
    "strip_vlan",
    "write_actions",
    "write_metadata",
];

/// The word that comes nearest to one that is not known, if one is near.
pub(super) fn word(problem: Problem, found: &str) -> Option<&'static str> {
    match problem {
        Problem::UnknownField => nearest(Field::all_names().chain(SHORTHANDS.iter().copied()), found),
        Problem::UnknownSubField => nearest(Field::all_names(), found.split('[').next().unwrap_or(found)),
        Problem::UnknownAction => nearest(ACTIONS.iter().copied(), found),
        _ => None,
    }
}

/// At most every third letter may differ.
fn nearest(words: impl Iterator<Item = &'static str>, found: &str) -> Option<&'static str> {
    if found.len() > 40 {
        return None;
    }
    words
        .map(|word| (strsim::damerau_levenshtein(word, found), word))
        // What is known, but has no place there, was not meant.
        .filter(|(distance, _)| *distance > 0 && *distance * 3 <= found.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::super::flow::parse_flow;
    use super::*;

    #[test]
    fn what_was_meant_is_said() {
        for (flow, end) in [
            ("tpc,actions=drop", "column 1: `tpc` is not a match field; did you mean tcp?"),
            ("ip,nwdst=1.2.3.4,actions=drop", "`nwdst` is not a match field; did you mean nw_dst?"),
            ("actions=set_feild:1->reg0", "`set_feild` is not an action; did you mean set_field?"),
            ("frobnicate=1,actions=drop", "`frobnicate` is not a match field"),
        ] {
            let error = parse_flow(flow).unwrap_err().to_string();
            assert!(error.ends_with(end), "{error}");
        }
    }

    #[test]
    fn the_actions_are_known() {
        for action in ACTIONS {
            let read = parse_flow(&format!("actions={action}("));
            assert!(!read.is_err_and(|error| error.problem == Problem::UnknownAction), "{action}");
        }
    }
}
