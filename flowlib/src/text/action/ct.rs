//! The connection tracker.

use std::net::IpAddr;

use super::{Arguments, format_list};
use crate::openflow::Action;
use crate::openflow::action::{Ct, CtFlags, CtZone, Nat, NatFlags, NatRange};
use crate::text::printer::{Printer, Role};
use crate::text::subfield;

/// The protocols whose related connections are found, by their ports.
const ALGS: &[(u16, &str)] = &[(21, "ftp"), (69, "tftp")];

/// Appends `ct(commit,table=…,zone=…,nat(…),exec(…),alg=…)`.
pub(super) fn format(out: &mut Printer<'_>, ct: &Ct) {
    out.put(Role::Paren, "ct(");
    let mut list = Arguments::default();
    if ct.flags.contains(CtFlags::COMMIT) {
        list.add_word(out, "commit");
    }
    if ct.flags.contains(CtFlags::FORCE) {
        list.add_word(out, "force");
    }
    if let Some(table) = ct.recirc_table {
        list.next(out);
        out.put(Role::Special, "table=");
        out.table(table);
    }
    match ct.zone {
        CtZone::Number(zone) => list.add_unless_zero(out, "zone=", zone.into()),
        CtZone::Field(zone) => {
            list.add(out, "zone=", "");
            subfield::format(out, zone);
        }
    }
    // A translation that comes first stands outside of `exec`.
    let (nat, actions) = match ct.actions.split_first() {
        Some((Action::Nat(nat), rest)) => (Some(nat), rest),
        _ => (None, &ct.actions[..]),
    };
    if let Some(nat) = nat {
        list.next(out);
        format_nat(out, nat);
    }
    if !actions.is_empty() {
        list.next(out);
        out.put(Role::Paren, "exec(");
        format_list(out, actions);
        out.put(Role::Paren, ")");
    }
    match ALGS.iter().find(|(port, _)| *port == ct.alg) {
        Some((_, name)) => list.add(out, "alg=", name),
        None => list.add_unless_zero(out, "alg=", ct.alg.into()),
    }
    out.put(Role::Paren, ")");
}

/// Appends `nat(src=10.0.0.1-10.0.0.9:1-9,random)`, or `nat` alone.
pub(super) fn format_nat(out: &mut Printer<'_>, nat: &Nat) {
    out.put(Role::Paren, "nat");
    if !nat.flags.intersects(NatFlags::SRC | NatFlags::DST) {
        return;
    }
    out.put(Role::Paren, "(");
    out.put(Role::Param, if nat.flags.contains(NatFlags::SRC) { "src" } else { "dst" });
    if let Some(range) = &nat.range {
        out.put(Role::Param, "=");
        format_range(out, range);
        for (_, word) in FLAGS.iter().filter(|(flag, _)| nat.flags.contains(*flag)) {
            out.push_str(",");
            out.put(Role::Value, word);
        }
    }
    out.put(Role::Paren, ")");
}

const FLAGS: &[(NatFlags, &str)] =
    &[(NatFlags::PERSISTENT, "persistent"), (NatFlags::HASH, "hash"), (NatFlags::RANDOM, "random")];

fn format_range(out: &mut Printer<'_>, range: &NatRange) {
    let format_address = |out: &mut Printer<'_>, address: IpAddr| match address {
        IpAddr::V6(address) if range.min_port.is_some() => put!(out, "[{address}]"),
        _ => put!(out, "{address}"),
    };
    format_address(out, range.min);
    if let Some(max) = range.max.filter(|max| *max != range.min) {
        out.push_str("-");
        format_address(out, max);
    }
    if let Some(min) = range.min_port {
        put!(out, ":{min}");
        if let Some(max) = range.max_port.filter(|max| *max != min) {
            put!(out, "-{max}");
        }
    }
}
