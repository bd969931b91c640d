//! Actions. One file a family, as in `openflow::action`.

/// Appends formatted text to a printer.
macro_rules! put {
    ($out:expr, $($format:tt)+) => {
        std::fmt::Write::write_fmt($out, format_args!($($format)+)).expect("writing to a string does not fail")
    };
}

mod bundle;
mod controller;
mod ct;
mod encap;
mod field;
mod learn;
mod legacy;
mod read;
mod sample;
#[cfg(test)]
mod tests;

pub use read::parse_actions;
pub(super) use read::{ActionReader, is_drop, parse_list};

use super::printer::{Printer, Role};
use crate::openflow::Action;
use crate::types::{PortNo, TableId};

/// An action as `dump-flows` prints it.
#[must_use]
pub fn format_action(action: &Action) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), action);
    out
}

/// Appends actions with commas between them.
pub(super) fn format_list(out: &mut Printer<'_>, actions: &[Action]) {
    for (n, action) in actions.iter().enumerate() {
        if n > 0 {
            out.push_str(",");
        }
        format(out, action);
    }
}

/// Appends an action.
pub(super) fn format(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::Output { port, max_len } => format_output(out, *port, *max_len),
        Action::OutputTrunc { port, max_len } => {
            out.put(Role::Special, "output");
            out.push_str("(port=");
            out.port(*port);
            put!(out, ",max_len={max_len})");
        }
        Action::Controller(controller) => controller::format(out, controller),
        Action::Group(group) => value(out, Role::Special, "group:", group),
        Action::Bundle(bundle) => bundle::format(out, bundle),
        Action::Multipath(multipath) => bundle::format_multipath(out, multipath),
        Action::SetQueue(queue) => value(out, Role::Param, "set_queue:", queue),
        Action::Encap(encap) => encap::format(out, encap),
        Action::Decap { packet_type } => encap::format_decap(out, *packet_type),
        Action::DecTtlCntIds(ids) => format_cnt_ids(out, ids),
        Action::Legacy(legacy) => legacy::format(out, *legacy),
        Action::Resubmit { port, table, with_ct_orig } => format_resubmit(out, *port, *table, *with_ct_orig),
        Action::Clone(actions) => {
            out.put(Role::Paren, "clone(");
            format_list_or_drop(out, actions);
            out.put(Role::Paren, ")");
        }
        Action::Ct(ct) => ct::format(out, ct),
        Action::Nat(nat) => ct::format_nat(out, nat),
        Action::Learn(learn) => learn::format(out, learn),
        Action::Conjunction { clause, n_clauses, id } => {
            out.put(Role::Paren, "conjunction(");
            put!(out, "{id},{}/{n_clauses}", u16::from(*clause) + 1);
            out.put(Role::Paren, ")");
        }
        Action::FinTimeout { idle_timeout_s, hard_timeout_s } => {
            out.put(Role::Paren, "fin_timeout(");
            let mut list = Arguments::default();
            list.add_unless_zero(out, "idle_timeout=", (*idle_timeout_s).into());
            list.add_unless_zero(out, "hard_timeout=", (*hard_timeout_s).into());
            out.put(Role::Paren, ")");
        }
        Action::Sample(sample) => sample::format(out, sample),
        Action::Note(bytes) => {
            out.put(Role::Param, "note:");
            format_bytes(out, bytes);
        }
        Action::Unknown { action_type, body } => {
            put!(out, "unknown({action_type:#x},");
            format_bytes(out, body);
            out.push_str(")");
        }
        _ => format_simple(out, action),
    }
}

/// The actions that are a word, or a word and a number or two.
fn format_simple(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::CopyTtlOut => out.put(Role::Value, "copy_ttl_out"),
        Action::CopyTtlIn => out.put(Role::Value, "copy_ttl_in"),
        Action::SetMplsTtl(ttl) => in_parentheses(out, "set_mpls_ttl(", ttl),
        Action::DecMplsTtl => out.put(Role::Value, "dec_mpls_ttl"),
        Action::PushVlan(ethertype) => value(out, Role::Param, "push_vlan:", format_args!("{ethertype:#x}")),
        Action::PopVlan => out.put(Role::Value, "pop_vlan"),
        Action::PushMpls(ethertype) => {
            value(out, Role::Param, "push_mpls:", format_args!("{ethertype:#06x}"));
        }
        Action::PopMpls(ethertype) => value(out, Role::Param, "pop_mpls:", format_args!("{ethertype:#06x}")),
        Action::PushPbb(ethertype) => value(out, Role::Param, "push_pbb:", format_args!("{ethertype:#06x}")),
        Action::PopPbb => out.put(Role::Value, "pop_pbb"),
        Action::PopQueue => out.put(Role::Value, "pop_queue"),
        Action::SetNwTtl(ttl) => value(out, Role::Param, "mod_nw_ttl:", ttl),
        Action::DecNwTtl => out.put(Role::Paren, "dec_ttl"),
        Action::DecNshTtl => out.put(Role::Special, "dec_nsh_ttl"),
        Action::Exit => out.put(Role::Special, "exit"),
        Action::CtClear => out.put(Role::Value, "ct_clear"),
        Action::DebugSlow => out.put(Role::Value, "debug_slow"),
        Action::DebugRecirc => out.put(Role::Value, "debug_recirc"),
        Action::WriteMetadata { metadata, mask } => format_metadata(out, *metadata, *mask),
        _ => field::format(out, action),
    }
}

/// A word and what it is followed by.
fn value(out: &mut Printer<'_>, role: Role, word: &str, value: impl std::fmt::Display) {
    out.put(role, word);
    put!(out, "{value}");
}

fn in_parentheses(out: &mut Printer<'_>, word: &str, value: impl std::fmt::Display) {
    out.put(Role::Paren, word);
    put!(out, "{value}");
    out.put(Role::Paren, ")");
}

fn format_output(out: &mut Printer<'_>, port: PortNo, max_len: u16) {
    if port < PortNo::MAX {
        out.put(Role::Special, "output:");
    }
    out.port(port);
    if port == PortNo::CONTROLLER {
        put!(out, ":{max_len}");
    }
}

fn format_resubmit(out: &mut Printer<'_>, port: Option<PortNo>, table: Option<TableId>, with_ct_orig: bool) {
    let table = table.filter(|table| *table != TableId::ALL);
    if let (Some(port), None) = (port, table) {
        out.put(Role::Special, "resubmit:");
        out.port(port);
        return;
    }
    out.put(Role::Paren, "resubmit(");
    if let Some(port) = port {
        out.port(port);
    }
    out.push_str(",");
    if let Some(table) = table {
        out.table(table);
    }
    if with_ct_orig {
        out.push_str(",ct");
    }
    out.put(Role::Paren, ")");
}

fn format_cnt_ids(out: &mut Printer<'_>, ids: &[u16]) {
    out.put(Role::Paren, "dec_ttl");
    out.put(Role::Paren, "(");
    for (n, id) in ids.iter().enumerate() {
        put!(out, "{}{id}", if n > 0 { "," } else { "" });
    }
    out.put(Role::Paren, ")");
}

/// What the action and the instruction of that name print.
pub(super) fn format_metadata(out: &mut Printer<'_>, metadata: u64, mask: u64) {
    out.put(Role::Param, "write_metadata:");
    hex(out, metadata.into());
    if mask != u64::MAX {
        out.push_str("/");
        hex(out, mask.into());
    }
}

/// Actions in an action; none is `drop`.
pub(super) fn format_list_or_drop(out: &mut Printer<'_>, actions: &[Action]) {
    if actions.is_empty() {
        out.put(Role::Drop, "drop");
    }
    format_list(out, actions);
}

/// A number in hex; 0 bears no prefix, as C prints it.
fn hex(out: &mut Printer<'_>, number: u128) {
    if number == 0 {
        out.push_str("0");
    } else {
        put!(out, "{number:#x}");
    }
}

fn format_bytes(out: &mut Printer<'_>, bytes: &[u8]) {
    for (n, byte) in bytes.iter().enumerate() {
        put!(out, "{}{byte:02x}", if n > 0 { "." } else { "" });
    }
}

/// Arguments with commas between them.
#[derive(Default)]
struct Arguments {
    is_behind_one: bool,
}

impl Arguments {
    /// Begins an argument.
    fn next(&mut self, out: &mut Printer<'_>) {
        if self.is_behind_one {
            out.push_str(",");
        }
        self.is_behind_one = true;
    }

    /// Appends an argument that is a word.
    fn add_word(&mut self, out: &mut Printer<'_>, word: &str) {
        self.next(out);
        out.put(Role::Value, word);
    }

    /// Appends an argument that has a value.
    fn add(&mut self, out: &mut Printer<'_>, key: &str, argument: impl std::fmt::Display) {
        self.next(out);
        value(out, Role::Param, key, argument);
    }

    /// Appends an argument that says nothing if it is 0.
    fn add_unless_zero(&mut self, out: &mut Printer<'_>, key: &str, argument: u32) {
        if argument != 0 {
            self.add(out, key, argument);
        }
    }
}
