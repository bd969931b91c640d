//! What each step does.

use std::sync::Arc;

use super::field;
use super::hash;
use super::learn;
use super::limits;
use super::outcome::{Failure, ResumeReason};
use super::resume::packet_type_below;
use super::step::{Step, are_reversible};
use super::table::Table;
use super::trace::NodeKind;
use super::translate::{Freeze, Translation};
use crate::openflow::action::{
    Bundle, BundleAlgorithm, Encap, EncapProperty, Learn, LearnFlags, Legacy, Multipath, MultipathAlgorithm,
    PacketInReason,
};
use crate::openflow::oxm::{Field, FieldValue, WideField, field as names};
use crate::openflow::{Action, Flow, Instruction, SubField};
use crate::packet::{Conntrack, Key, Nsh, VlanTag, ethertype};
use crate::text::{format_field_value, format_match, format_subfield};
use crate::types::{MacAddr, PortNo, TableId};

impl Translation<'_> {
    /// Carries out one step.
    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Action(action, nested) => self.act(action, nested),
            Step::Instruction(instruction) => self.instruct(instruction),
            Step::Restore(table, cookie) => {
                (self.table, self.cookie) = (*table, *cookie);
                let cookie = cookie.map_or(u64::MAX, |cookie| cookie.0);
                self.note(NodeKind::Thaw, format!("restored state: table={table}, cookie={cookie:#x}"));
            }
        }
    }

    fn instruct(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::GotoTable(table) => self.enter_table(*table, self.key.in_port, false),
            Instruction::WriteMetadata { metadata, mask } => self.write_metadata(*metadata, *mask),
            Instruction::WriteActions(actions) => {
                self.write_actions(actions);
                self.note_action_set("is");
            }
            Instruction::ClearActions => {
                self.note_action_set("was");
                self.clear_actions();
            }
            Instruction::Meter(meter) => self.meter(*meter),
            Instruction::ApplyActions(_) | Instruction::Unknown { .. } => {}
        }
    }

    fn note_action_set(&mut self, verb: &str) {
        let list = super::action_set::ordered(&self.action_set);
        let text =
            if list.is_empty() { " empty".to_owned() } else { format!(": {}", self.actions_text(&list)) };
        self.note(NodeKind::Detail, format!("action set {verb}{text}"));
    }

    fn write_metadata(&mut self, metadata: u64, mask: u64) {
        self.key.metadata = self.key.metadata & !mask | metadata & mask;
    }

    fn act(&mut self, action: &Action, nested: &Arc<[Step]>) {
        match action {
            Action::Output { port, max_len } => self.output(*port, *max_len),
            Action::OutputTrunc { port, max_len } => self.output_truncated(*port, *max_len),
            Action::OutputReg { src, max_len } => self.output_register(*src, *max_len),
            Action::Controller(controller) if controller.pause => {
                self.freeze(Freeze::Pause(controller.clone()));
            }
            Action::Controller(controller) => {
                self.commit();
                self.tell_controller(controller, false);
            }
            Action::Group(group) => self.group(*group),
            Action::Bundle(bundle) => self.bundle(bundle),
            Action::Multipath(multipath) => self.multipath(multipath),
            Action::SetQueue(queue) => self.key.queue = *queue,
            Action::PopQueue if self.key.queue != self.first_queue() => {
                self.key.queue = self.first_queue();
                let queue = self.key.queue;
                let text = if queue == 0 { "queue = 0".to_owned() } else { format!("queue = {queue:#x}") };
                self.note(NodeKind::Detail, text);
            }
            Action::Resubmit { port, table, with_ct_orig } => {
                let table = table.filter(|table| *table != TableId::ALL).unwrap_or(self.table);
                let in_port = port.filter(|port| *port != PortNo::IN_PORT).unwrap_or(self.key.in_port);
                self.enter_table(table, in_port, *with_ct_orig);
            }
            Action::Clone(_) => self.enter_copy(Arc::clone(nested), !are_reversible(nested)),
            Action::Ct(ct) => self.enter_ct(ct, Arc::clone(nested)),
            Action::Nat(nat) => self.nat = Some((**nat).clone()),
            Action::CtClear if self.is_tracked => {
                self.key.ct = Conntrack::default();
                self.is_tracked = false;
                self.emit(super::DatapathAction::CtClear);
            }
            Action::Learn(learn) => self.learn(learn),
            Action::Conjunction { .. } => {
                self.note(NodeKind::Error, "executing no-op conjunction action");
            }
            Action::Exit => self.is_exiting = true,
            Action::DebugRecirc => self.freeze(Freeze::Resume(ResumeReason::Debug)),
            Action::CheckPktLarger { dst, pkt_len } => self.check_length(*dst, *pkt_len),
            Action::WriteMetadata { metadata, mask } => self.write_metadata(*metadata, *mask),
            Action::CopyTtlOut
            | Action::CopyTtlIn
            | Action::PushPbb(_)
            | Action::PopPbb
            | Action::Unknown { .. } => {
                self.note(NodeKind::Warning, "no such action in Open vSwitch, ignored");
            }
            _ => self.change(action),
        }
    }

    /// The actions that change the packet's headers and fields.
    fn change(&mut self, action: &Action) {
        match action {
            Action::PushVlan(tpid) => self.key.push_vlan(*tpid),
            Action::PopVlan => self.key.pop_vlan(),
            Action::PushMpls(eth_type) => self.push_mpls(*eth_type),
            Action::PopMpls(eth_type) => self.pop_mpls(*eth_type),
            Action::Encap(encap) => self.encap(encap),
            Action::Decap { .. } => self.decap(),
            Action::SetMplsTtl(ttl) => self.set_label_bits(names::MPLS_TTL, (*ttl).into()),
            Action::DecMplsTtl => self.decrement_mpls_ttl(),
            Action::SetNwTtl(ttl) if ethertype::is_ip(self.key.eth_type) => self.key.nw_ttl = *ttl,
            Action::DecNwTtl => self.decrement_ttl(&[0]),
            Action::DecTtlCntIds(ids) => self.decrement_ttl(ids),
            Action::DecNshTtl => self.decrement_nsh_ttl(),
            Action::SetField { field, value } => self.set_field(*field, *value, field.full_mask()),
            Action::RegLoad2(entry) => {
                self.set_field(entry.field, entry.value, entry.mask.unwrap_or(entry.field.full_mask()));
            }
            Action::RegLoad { dst, value } => {
                let at = |bits: u128| FieldValue::from(bits.checked_shl(dst.start_bit.into()).unwrap_or(0));
                self.set_field(dst.field, at((*value).into()), at(FieldValue::ones(dst.n_bits).to_u128()));
            }
            Action::SetWideField(wide) | Action::WideRegLoad2(wide) => self.set_wide(wide),
            Action::RegMove { src, dst } | Action::CopyField { src, dst } => self.copy(*src, *dst),
            Action::StackPush(src) => self.stack.push(field::read(&self.key, *src)),
            Action::StackPop(dst) => match self.stack.pop() {
                Some(value) => self.load(*dst, value),
                None => self.note(NodeKind::Error, "stack underflow"),
            },
            Action::DeleteField(field) => {
                self.key.delete_option(*field);
                self.note(NodeKind::Detail, format!("delete {field}"));
            }
            Action::Legacy(legacy) => self.legacy(*legacy),
            // Notes, samples and timeouts do nothing to the packet.
            _ => {}
        }
    }

    fn set_field(&mut self, field: Field, value: FieldValue, mask: FieldValue) {
        if field::exists(&self.key, field) {
            field::write_masked(&mut self.key, field, value, mask);
        } else {
            self.note(NodeKind::Warning, format!("unmet prerequisites for {field}, set_field ignored"));
        }
    }

    fn set_wide(&mut self, wide: &WideField) {
        let mut value = wide.value.clone();
        if let Some(mask) = &wide.mask {
            let old = self.key.option(wide.field);
            let zeros = std::iter::repeat(&0);
            let places = value.iter_mut().rev().zip(mask.iter().rev()).zip(old.iter().rev().chain(zeros));
            for ((place, mask), old) in places {
                *place = *place & mask | old & !mask;
            }
        }
        self.key.set_option(wide.field, value);
    }

    /// Gives bits a value and says so.
    fn load(&mut self, dst: SubField, value: FieldValue) {
        field::write(&mut self.key, dst, value);
        self.note_subfield(dst);
    }

    fn note_subfield(&mut self, sub: SubField) {
        let value = if sub == SubField::all(sub.field) {
            format_field_value(sub.field, self.key.get(sub.field))
        } else {
            match field::read(&self.key, sub) {
                FieldValue::ZERO => "0".to_owned(),
                value => value.to_string(),
            }
        };
        self.note(NodeKind::Detail, format!("{} is now {value}", format_subfield(sub)));
    }

    fn copy(&mut self, src: SubField, dst: SubField) {
        if field::exists(&self.key, src.field) && field::exists(&self.key, dst.field) {
            let value = field::read(&self.key, src);
            field::write(&mut self.key, dst, value);
        }
        self.note_subfield(dst);
    }

    fn set_label_bits(&mut self, field: Field, value: u32) {
        if ethertype::is_mpls(self.key.eth_type) {
            self.key.set(field, value.into());
        }
    }

    fn push_mpls(&mut self, eth_type: u16) {
        if self.key.n_labels() == 0 {
            self.commit();
            self.covered.push(self.key.clone());
        }
        if !self.key.push_label(eth_type) {
            let why = format!("cannot push more MPLS labels than the {} supported", Key::MAX_LABELS);
            self.fail(Failure::TooManyLabels, why);
        }
    }

    fn pop_mpls(&mut self, eth_type: u16) {
        if self.key.pop_label(eth_type) {
            self.was_mpls |= !ethertype::is_mpls(eth_type);
        } else if self.key.n_labels() >= Key::MAX_LABELS {
            let why = format!("cannot pop from more MPLS labels than the {} supported", Key::MAX_LABELS);
            self.fail(Failure::TooManyLabels, why);
        }
    }

    fn decrement_ttl(&mut self, controllers: &[u16]) {
        if !ethertype::is_ip(self.key.eth_type) {
            return;
        }
        if self.key.nw_ttl > 1 {
            self.key.nw_ttl -= 1;
            return;
        }
        for id in controllers {
            self.tell_invalid_ttl(*id);
        }
        let version = if self.key.eth_type == ethertype::IPV4 { 4 } else { 6 };
        self.note(NodeKind::Warning, format!("IPv{version} decrement TTL exception"));
        self.end_list();
    }

    fn decrement_mpls_ttl(&mut self) {
        if ethertype::is_mpls(self.key.eth_type) {
            if self.key.mpls[0] & 0xff > 1 {
                self.key.mpls[0] -= 1;
                return;
            }
            self.tell_invalid_ttl(0);
        }
        self.note(NodeKind::Warning, "MPLS decrement TTL exception");
        self.end_list();
    }

    fn decrement_nsh_ttl(&mut self) {
        if self.key.eth_type == ethertype::NSH {
            if self.key.nsh.ttl > 1 {
                self.key.nsh.ttl -= 1;
                return;
            }
            self.tell_invalid_ttl(0);
        }
        self.note(NodeKind::Warning, "NSH decrement TTL exception");
        self.end_list();
    }

    fn encap(&mut self, encap: &Encap) {
        self.commit();
        let inner = self.key.packet_type;
        match encap.packet_type {
            Encap::ETHERNET if inner >> 16 == 1 => {
                self.key.packet_type = Encap::ETHERNET;
                (self.key.eth_src, self.key.eth_dst) = (MacAddr::ZERO, MacAddr::ZERO);
                self.key.eth_type = inner as u16;
                self.pending.encap = true;
            }
            Encap::ETHERNET => self.drop_unsupported(
                "Dropping packet as encap(ethernet) is not supported for packet type ethernet.".to_owned(),
            ),
            _ => {
                let next_proto = (1..=4).find(|next| packet_type_below(*next) == Some(inner));
                match next_proto {
                    Some(next_proto) => self.push_nsh(encap, next_proto),
                    None => self.drop_unsupported(format!(
                        "Dropping packet as encap(nsh) is not supported for packet type {}",
                        type_text(inner)
                    )),
                }
            }
        }
    }

    fn push_nsh(&mut self, encap: &Encap, next_proto: u8) {
        let said = encap.properties.iter().find_map(|property| match property {
            EncapProperty::NshMdType(mdtype) => Some(*mdtype),
            EncapProperty::NshTlv { .. } => None,
        });
        self.covered.push(self.key.clone());
        self.key.take_headers(&Key::default());
        self.key.packet_type = Encap::NSH;
        self.key.eth_type = ethertype::NSH;
        self.key.nsh = Nsh { ttl: 63, mdtype: said.unwrap_or(1), next_proto, path: 255, ..Nsh::default() };
        self.pending.encap = true;
    }

    fn decap(&mut self) {
        self.commit();
        if self.key.is_ethernet() {
            if self.key.vlans[0].is_present() {
                self.drop_unsupported(
                    "Dropping packet, cannot decap Ethernet if VLAN is present.".to_owned(),
                );
            } else {
                self.key.packet_type = 1 << 16 | u32::from(self.key.eth_type);
                (self.key.eth_src, self.key.eth_dst) = (MacAddr::ZERO, MacAddr::ZERO);
            }
            return;
        }
        if self.key.packet_type != Encap::NSH {
            let text = type_text(self.key.packet_type);
            self.drop_unsupported(format!(
                "Dropping packet as the decap() does not support packet type {text}"
            ));
            return;
        }
        let Some(packet_type) = packet_type_below(self.key.nsh.next_proto) else {
            let next = self.key.nsh.next_proto;
            self.drop_unsupported(format!("Dropping packet as NSH next protocol {next} is not supported"));
            return;
        };
        self.key.packet_type = packet_type;
        self.pending.decap = true;
        self.freeze(Freeze::Resume(ResumeReason::Headers));
    }

    fn drop_unsupported(&mut self, why: String) {
        self.note(NodeKind::Action, why);
        self.failure = Some(Failure::UnsupportedPacketType);
    }

    fn multipath(&mut self, multipath: &Multipath) {
        let hash = hash::fields(&self.key, multipath.fields, multipath.basis);
        let n_links = u32::from(multipath.max_link) + 1;
        let link = match multipath.algorithm {
            MultipathAlgorithm::MODULO_N => hash % n_links,
            MultipathAlgorithm::HASH_THRESHOLD if n_links == 1 => 0,
            MultipathAlgorithm::HASH_THRESHOLD => hash / (u32::MAX / n_links + 1),
            MultipathAlgorithm::HRW if n_links <= 64 => highest(n_links, |link| hash::two_words(hash, link)),
            MultipathAlgorithm::HRW => iterated(hash, n_links, 0),
            _ => iterated(hash, n_links, multipath.argument),
        };
        self.load(multipath.dst, link.into());
    }

    fn bundle(&mut self, bundle: &Bundle) {
        let mut live =
            bundle.members.iter().copied().enumerate().filter(|(_, port)| self.may_be_chosen(*port));
        let chosen = match bundle.algorithm {
            BundleAlgorithm::ACTIVE_BACKUP => live.next(),
            _ => {
                let hash = hash::fields(&self.key, bundle.fields, bundle.basis);
                let score = |n: usize| hash::two_words(n as u32, hash);
                live.reduce(|best, next| if score(next.0) > score(best.0) { next } else { best })
            }
        };
        let port = chosen.map_or(PortNo::ANY, |(_, port)| port);
        match bundle.dst {
            Some(dst) => self.load(dst, (port.0 as u16).into()),
            None => self.output(port, 0),
        }
    }

    /// Source: `member_enabled_cb` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
    fn may_be_chosen(&self, port: PortNo) -> bool {
        match port {
            PortNo::IN_PORT | PortNo::TABLE | PortNo::NORMAL | PortNo::FLOOD | PortNo::ALL | PortNo::ANY => {
                true
            }
            _ => self.switch.is_port_live(port),
        }
    }

    fn learn(&mut self, learn: &Learn) {
        if !self.has_side_effects {
            self.note(NodeKind::Warning, "suppressing side effects, so learn action ignored");
            return;
        }
        let flow = learn::flow(learn, &self.key);
        self.note(NodeKind::Detail, learned_text(&flow));
        let fits = learn.limit == 0 || self.has_room(&flow, learn.limit as usize);
        if fits {
            self.learned.push(flow);
        }
        if learn.flags.contains(LearnFlags::WRITE_RESULT)
            && let Some(dst) = learn.result_dst
        {
            self.load(dst, u8::from(fits).into());
        }
        if !fits {
            self.note(NodeKind::Detail, "Limit exceeded, learn failed");
        }
    }

    /// Whether the very flow is there already, or there are fewer with its cookie in its table than so many.
    fn has_room(&mut self, flow: &Flow, limit: usize) -> bool {
        let n_there = self.switch.tables.get(&flow.table).map_or(0, Table::len);
        self.spend((n_there + self.learned.len()) / limits::FLOWS_A_LINE);
        let table = self.switch.tables.get(&flow.table);
        let there = table.into_iter().flat_map(Table::iter).map(|entry| &entry.flow);
        let all = there.chain(self.learned.iter().filter(|other| other.table == flow.table));
        let mut n_others = 0;
        for other in all.filter(|other| other.cookie == flow.cookie) {
            if other == flow {
                return true;
            }
            n_others += 1;
        }
        n_others < limit
    }

    fn legacy(&mut self, legacy: Legacy) {
        let is_ip = ethertype::is_ip(self.key.eth_type);
        let is_ipv4 = self.key.eth_type == ethertype::IPV4;
        let has_ports = is_ip && self.key.nw_frag & Key::FRAG_LATER == 0;
        let tagged = self.key.vlans[0].is_present();
        match legacy {
            Legacy::SetVlanVid(vid) if tagged => self.set(names::VLAN_VID, vid & 0xfff | VlanTag::PRESENT),
            Legacy::SetVlanPcp(pcp) if tagged => self.set(names::VLAN_PCP, pcp),
            Legacy::SetDlSrc(address) => self.key.eth_src = address,
            Legacy::SetDlDst(address) => self.key.eth_dst = address,
            Legacy::SetNwSrc(address) if is_ipv4 => self.key.nw_src = address.to_bits(),
            Legacy::SetNwDst(address) if is_ipv4 => self.key.nw_dst = address.to_bits(),
            Legacy::SetNwTos(tos) if is_ip => self.set(names::NW_TOS, tos),
            Legacy::SetNwEcn(ecn) if is_ip => self.set(names::IP_ECN, ecn),
            Legacy::SetTpSrc(port) if has_ports => self.key.tp_src = port,
            Legacy::SetTpDst(port) if has_ports => self.key.tp_dst = port,
            Legacy::SetMplsLabel(label) => self.set_label_bits(names::MPLS_LABEL, label),
            Legacy::SetMplsTc(class) => self.set_label_bits(names::MPLS_TC, class.into()),
            Legacy::SetTunnel(id) => self.key.tunnel.id = id.into(),
            Legacy::SetTunnel64(id) => self.key.tunnel.id = id,
            _ => {}
        }
    }

    fn set(&mut self, field: Field, value: impl Into<FieldValue>) {
        self.key.set(field, value.into());
    }

    fn tell_invalid_ttl(&mut self, controller_id: u16) {
        let controller = crate::openflow::action::Controller {
            reason: PacketInReason::INVALID_TTL,
            controller_id,
            ..Default::default()
        };
        self.commit();
        self.tell_controller(&controller, false);
    }
}

fn type_text(packet_type: u32) -> String {
    format!("({},{:#x})", packet_type >> 16, packet_type & 0xffff)
}

/// The number below `n` with the highest score; of equal ones the first.
fn highest(n: u32, score: impl Fn(u32) -> u32) -> u32 {
    (1..n).fold(0, |best, next| if score(next) > score(best) { next } else { best })
}

/// The first of a row of hashes that is a link.
fn iterated(hash: u32, n_links: u32, modulo: u32) -> u32 {
    let modulo = if modulo < n_links || modulo / 2 > n_links { n_links.next_power_of_two() } else { modulo };
    let links = (0..MAX_TRIES).map(|n| hash::two_words(hash, n) % modulo);
    links.into_iter().find(|link| *link < n_links).unwrap_or(0)
}

/// More tries than any hash needs: each finds a link in a third of all cases at least.
const MAX_TRIES: u32 = 4096;

fn learned_text(flow: &Flow) -> String {
    let mut text =
        format!("table={} {} priority={}", flow.table, format_match(&flow.flow_match), flow.priority);
    if flow.flow_match.is_empty() {
        text = format!("table={} priority={}", flow.table, flow.priority);
    }
    if flow.cookie.0 != 0 {
        text.push_str(&format!(" cookie={}", flow.cookie));
    }
    if flow.idle_timeout_s != 0 {
        text.push_str(&format!(" idle={}", flow.idle_timeout_s));
    }
    if flow.hard_timeout_s != 0 {
        text.push_str(&format!(" hard={}", flow.hard_timeout_s));
    }
    text.push_str(" actions=");
    text.push_str(&crate::text::format_instructions(&flow.instructions));
    text
}
