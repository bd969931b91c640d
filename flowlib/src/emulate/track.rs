//! The step that sends a packet through the connection tracker.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::DatapathAction;
use super::conntrack::Request;
use super::field;
use super::outcome::ResumeReason;
use super::trace::NodeKind;
use super::translate::Translation;
use crate::openflow::action::{Ct, CtFlags, CtZone, Nat, NatFlags};
use crate::openflow::oxm::{FieldValue, field as names};
use crate::openflow::{Action, Field};
use crate::packet::{Conntrack, ethertype};

impl Translation<'_> {
    /// Tells the datapath to track the packet, and sends a copy on if a table is given. The packet itself is not
    /// tracked any more.
    ///
    /// Source: `compose_conntrack_action` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
    pub(super) fn track(&mut self, ct: &Ct) {
        let zone = match ct.zone {
            CtZone::Number(zone) => zone,
            CtZone::Field(src) => field::read(&self.key, src).to_u16(),
        };
        let nat = self.nat.take();
        let request = Request {
            zone,
            is_commit: ct.flags.contains(CtFlags::COMMIT),
            is_forced: ct.flags.contains(CtFlags::FORCE),
            nat: nat.as_ref(),
            mark: (self.key.ct.mark, written(ct, names::CT_MARK) as u32),
            label: (self.key.ct.label, written(ct, names::CT_LABEL)),
            has_side_effects: self.has_side_effects,
        };
        self.emit(DatapathAction::Ct(arguments(ct, &request)));
        let mut tracked = self.key.clone();
        if self.has_given_states {
            tracked.ct.zone = zone;
        } else {
            self.switch.connections.process(&mut tracked, &request);
            if tracked.ct.state & (Conntrack::SRC_NAT | Conntrack::DST_NAT) != 0 {
                self.translated = Some(Box::new(tracked.clone()));
            }
        }
        if let Some(table) = ct.recirc_table {
            self.is_tracked = true;
            let mut resume = self.resume(ResumeReason::Conntrack, table, [].into());
            resume.key = tracked;
            resume.nat = nat;
            self.resumes.push(resume);
            let text = "A clone of the packet is forked to recirculate. The forked pipeline will be resumed at table";
            self.note(NodeKind::Detail, format!("{text} {table}."));
        }
        self.key.ct = Conntrack::default();
        self.is_tracked = false;
        let text = "Sets the packet to an untracked state, and clears all the conntrack fields.";
        self.note(NodeKind::Detail, text);
    }

    /// Gives the packet the addresses of its connection's first one, or its own again; says whether it has any.
    pub(super) fn swap_with_original(&mut self) -> bool {
        let key = &mut self.key;
        if key.ct.nw_proto == 0 || !ethertype::is_ip(key.eth_type) {
            return false;
        }
        std::mem::swap(&mut key.nw_proto, &mut key.ct.nw_proto);
        std::mem::swap(&mut key.tp_src, &mut key.ct.tp_src);
        std::mem::swap(&mut key.tp_dst, &mut key.ct.tp_dst);
        if key.eth_type == ethertype::IPV4 {
            std::mem::swap(&mut key.nw_src, &mut key.ct.nw_src);
            std::mem::swap(&mut key.nw_dst, &mut key.ct.nw_dst);
        } else {
            std::mem::swap(&mut key.ipv6_src, &mut key.ct.ipv6_src);
            std::mem::swap(&mut key.ipv6_dst, &mut key.ct.ipv6_dst);
        }
        true
    }
}

/// The bits of a connection's field that its actions write.
fn written(ct: &Ct, field: Field) -> u128 {
    let bits = |start: u16, n: u16| FieldValue::ones(n).to_u128().checked_shl(start.into()).unwrap_or(0);
    let of = |action: &Action| match action {
        Action::SetField { field: found, .. } if *found == field => field.full_mask().to_u128(),
        Action::RegLoad2(entry) if entry.field == field => entry.mask.unwrap_or(field.full_mask()).to_u128(),
        Action::RegLoad { dst, .. } | Action::RegMove { dst, .. } | Action::CopyField { dst, .. }
            if dst.field == field =>
        {
            bits(dst.start_bit, dst.n_bits)
        }
        _ => 0,
    };
    ct.actions.iter().fold(0, |all, action| all | of(action))
}

/// What stands between the parentheses in the datapath's words.
fn arguments(ct: &Ct, request: &Request<'_>) -> String {
    let mut parts = Vec::new();
    if request.is_commit {
        parts.push(if request.is_forced { "force_commit".to_owned() } else { "commit".to_owned() });
    }
    if request.zone != 0 {
        parts.push(format!("zone={}", request.zone));
    }
    if request.mark.1 != 0 {
        parts.push(format!("mark={:#x}/{:#x}", request.mark.0 & request.mark.1, request.mark.1));
    }
    if request.label.1 != 0 {
        parts.push(format!("label={:#x}/{:#x}", request.label.0 & request.label.1, request.label.1));
    }
    match ct.alg {
        21 => parts.push("helper=ftp".to_owned()),
        69 => parts.push("helper=tftp".to_owned()),
        _ => {}
    }
    parts.extend(request.nat.map(nat_text));
    parts.join(",")
}

fn nat_text(nat: &Nat) -> String {
    let direction = match nat.flags {
        flags if flags.contains(NatFlags::SRC) => "src",
        flags if flags.contains(NatFlags::DST) => "dst",
        _ => return "nat".to_owned(),
    };
    let mut text = direction.to_owned();
    if let Some(range) = nat.range {
        let bracketed = |address: IpAddr| match address {
            IpAddr::V6(address) if range.min_port.is_some() => format!("[{address}]"),
            _ => address.to_string(),
        };
        let ends: BTreeSet<_> = [Some(range.min), range.max].into_iter().flatten().collect();
        let ends: Vec<_> = ends.into_iter().map(bracketed).collect();
        text.push_str(&format!("={}", ends.join("-")));
        if let Some(port) = range.min_port {
            text.push_str(&format!(":{port}"));
            if let Some(last) = range.max_port.filter(|last| *last > port) {
                text.push_str(&format!("-{last}"));
            }
        }
    }
    for (flag, name) in
        [(NatFlags::PERSISTENT, "persistent"), (NatFlags::HASH, "hash"), (NatFlags::RANDOM, "random")]
    {
        if nat.flags.contains(flag) {
            text.push_str(&format!(",{name}"));
        }
    }
    format!("nat({text})")
}
