//! Where packets leave: ports, groups, meters, the controller.

use std::sync::Arc;

use super::DatapathAction;
use super::field;
use super::group::Compiled;
use super::limits;
use super::liveness::{Liveness, MAX_LINKS, TooManyLinks};
use super::outcome::{Output, ResumeReason, ToController};
use super::trace::NodeKind;
use super::translate::{Freeze, Translation};
use crate::openflow::action::{Controller, PacketInReason};
use crate::openflow::{Bucket, GroupType, SubField};
use crate::packet::Key;
use crate::text::format_port;
use crate::types::{GroupId, MeterId, PortNo, TableId};

impl Translation<'_> {
    /// To a port, real or reserved.
    pub(super) fn output(&mut self, port: PortNo, max_len: u16) {
        match port {
            PortNo::IN_PORT => self.output_to(self.key.in_port, None),
            PortNo::TABLE => self.enter_table(TableId(0), self.key.in_port, false),
            PortNo::NORMAL => self.normal(),
            PortNo::FLOOD | PortNo::ALL => {
                let is_meant = |no_flood: bool| port == PortNo::ALL || !no_flood;
                let in_port = self.key.in_port;
                let ports = self.switch.ports.values().filter(|port| is_meant(port.no_flood));
                let ports: Vec<_> = ports.map(|port| port.number).filter(|port| *port != in_port).collect();
                for port in ports {
                    self.output_to(port, None);
                }
            }
            PortNo::CONTROLLER => {
                let reason = match (self.in_bucket(), self.in_action_set) {
                    (true, _) => PacketInReason::GROUP,
                    (_, true) => PacketInReason::ACTION_SET,
                    _ => PacketInReason::ACTION,
                };
                self.commit();
                self.tell_controller(&Controller { max_len, reason, ..Controller::default() }, false);
            }
            PortNo::ANY => {}
            _ if port == self.key.in_port => self.note(NodeKind::Warning, "skipping output to input port"),
            _ => self.output_to(port, None),
        }
    }

    pub(super) fn output_register(&mut self, src: SubField, max_len: u16) {
        let number = field::read(&self.key, src).to_u128();
        let Ok(number) = u16::try_from(number) else {
            self.note(NodeKind::Warning, format!("output port {number} is out of range"));
            return;
        };
        self.note(NodeKind::Detail, format!("output port is {number}"));
        let port = if number >= 0xff00 { 0xffff_0000 | u32::from(number) } else { number.into() };
        self.output(PortNo(port), max_len);
    }

    pub(super) fn output_truncated(&mut self, port: PortNo, max_len: u32) {
        match port {
            PortNo::TABLE
            | PortNo::NORMAL
            | PortNo::FLOOD
            | PortNo::ALL
            | PortNo::CONTROLLER
            | PortNo::ANY => {
                let name = format_port(port);
                self.note(NodeKind::Warning, format!("output_trunc does not support port: {name}"));
            }
            PortNo::IN_PORT => self.output_to(self.key.in_port, Some(max_len)),
            _ if port == self.key.in_port => self.note(NodeKind::Warning, "skipping output to input port"),
            _ => self.output_to(port, Some(max_len)),
        }
    }

    /// To a port that the switch has.
    pub(super) fn output_to(&mut self, port: PortNo, max_len: Option<u32>) {
        match self.switch.ports.get(&port) {
            None if !self.switch.has_all_ports => {
                self.note(NodeKind::Warning, "Nonexistent output port");
                return;
            }
            Some(port) if port.no_fwd => {
                self.note(NodeKind::Detail, "OFPPC_NO_FWD set, skipping output");
                return;
            }
            _ => {}
        }
        if !self.key.is_ethernet() {
            let text = "Trying to send non-Ethernet packet through legacy L2 port. Dropping packet.";
            self.note(NodeKind::Warning, text);
            return;
        }
        if let Some(max_len) = max_len {
            self.emit(DatapathAction::Truncate(max_len));
        }
        self.commit();
        self.spend(limits::OUTPUT_COST);
        self.emit(DatapathAction::Output(port));
        let mut key = Key { tunnel: self.key.tunnel.clone(), ..self.base.clone() };
        if let Some(translated) = &self.translated {
            key.take_network(translated);
        }
        self.outputs.push(Output { port, key, max_len });
    }

    /// Shows the packet to the controller.
    pub(super) fn tell_controller(&mut self, controller: &Controller, is_paused: bool) {
        // What a table-miss flow sends is a miss.
        let is_miss = controller.reason == PacketInReason::ACTION && self.is_miss;
        let reason = if is_miss { PacketInReason::NO_MATCH } else { controller.reason };
        self.spend(limits::OUTPUT_COST);
        let meter = controller.meter.unwrap_or(MeterId::CONTROLLER);
        let meter = self.count(meter).then_some(meter);
        self.emit(DatapathAction::Controller { reason: reason.0, max_len: controller.max_len, meter });
        self.to_controller.push(ToController {
            reason,
            table: self.table,
            cookie: self.cookie,
            key: self.key.clone(),
            max_len: controller.max_len,
            controller_id: controller.controller_id,
            userdata: controller.userdata.clone(),
            meter: controller.meter,
            is_paused,
            is_miss,
        });
    }

    /// Through a meter, which lets everything pass and counts it.
    pub(super) fn meter(&mut self, meter: MeterId) {
        if self.count(meter) {
            self.emit(DatapathAction::Meter(meter));
        }
    }

    /// Counts a packet in a meter; says whether there is such a one.
    fn count(&mut self, meter: MeterId) -> bool {
        let found = self.switch.meters.get_mut(&meter);
        found.map(|(_, count)| *count += 1).is_some()
    }

    pub(super) fn group(&mut self, id: GroupId) {
        if !self.may_enter_group() {
            return;
        }
        let Some(group) = self.switch.groups.get(&id).map(Arc::clone) else {
            self.note(NodeKind::Warning, format!("output to nonexistent group {id}"));
            self.end_list();
            return;
        };
        match group.group.group_type {
            GroupType::SELECT => self.select(&group),
            GroupType::FAST_FAILOVER => {
                let live = self.first_live(&group);
                self.use_bucket(&group, live);
            }
            _ => self.enter_buckets(group.buckets.iter().cloned().enumerate().collect()),
        }
    }

    fn select(&mut self, group: &Compiled) {
        if self.was_mpls {
            self.freeze_and_repeat(Freeze::Resume(ResumeReason::Headers));
            return;
        }
        if group.needs_dp_hash() {
            if self.key.dp_hash == 0 {
                self.freeze_and_repeat(Freeze::Resume(ResumeReason::Hash));
                return;
            }
            let live = self.live_buckets(group);
            let chosen = group.by_dp_hash(self.key.dp_hash, &live);
            self.use_bucket(group, chosen);
            return;
        }
        let live = self.live_buckets(group);
        let (best, scores) = group.by_score(&self.key, &live);
        for (n, score) in scores {
            self.note(NodeKind::Detail, format!("bucket {n}: score {score}"));
        }
        self.use_bucket(group, best);
    }

    fn use_bucket(&mut self, group: &Compiled, chosen: Option<usize>) {
        let steps = chosen.and_then(|n| Some((n, Arc::clone(group.buckets.get(n)?))));
        match steps {
            Some((n, steps)) => {
                self.note(NodeKind::Detail, format!("using bucket {n}"));
                self.enter_bucket(n, steps);
            }
            None => self.note(NodeKind::Detail, "no live bucket"),
        }
    }

    fn first_live(&mut self, group: &Compiled) -> Option<usize> {
        for (n, bucket) in group.group.buckets.iter().enumerate() {
            if self.is_bucket_live(bucket) {
                return Some(n);
            }
            self.note(NodeKind::Detail, format!("bucket {n}: not live due to {}", watched_text(bucket)));
        }
        None
    }

    /// The buckets of a group that are live.
    fn live_buckets(&mut self, group: &Compiled) -> Vec<usize> {
        let buckets = group.group.buckets.iter().enumerate();
        buckets.filter(|(_, bucket)| self.is_bucket_live(bucket)).map(|(n, _)| n).collect()
    }

    /// Whether a bucket watches nothing, or something that is up.
    fn is_bucket_live(&mut self, bucket: &Bucket) -> bool {
        let switch = &*self.switch;
        let is_port_live = |port| switch.is_port_live(port);
        let liveness = self.liveness.get_or_insert_with(|| Liveness::of(&switch.groups, is_port_live));
        liveness.is_bucket_live(bucket, is_port_live).unwrap_or_else(|TooManyLinks| {
            self.note(NodeKind::Error, format!("bucket chaining exceeded {MAX_LINKS} links"));
            false
        })
    }
}

fn watched_text(bucket: &Bucket) -> String {
    let mut parts = Vec::new();
    if bucket.watch_port != PortNo::ANY {
        parts.push(format!("port {}", format_port(bucket.watch_port)));
    }
    if bucket.watch_group != GroupId::ANY {
        parts.push(format!("port {}", bucket.watch_group));
    }
    parts.join(" and ")
}
