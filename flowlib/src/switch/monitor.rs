//! Flow monitors: what a connection is told of changes (ONF extension 187).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::body::{Body, ByKey, KnownHash};
use super::datapath::{Log, Step};
use super::flows::{Criteria, Flows};
use super::parts::Parts;
use crate::openflow::multipart::{FlowEvent, MonitorFlags};
use crate::openflow::{ErrorCode, FlowUpdate, Message, MonitorRequest, MultipartReplyBody};
use crate::types::Xid;
use crate::wire::{Wire, Writer};

/// A monitor may have so many bytes waiting before it pauses. Source: `ofmonitor_flush` of Open vSwitch 3.1.
const MAX_WAITING: usize = 128 * 1024;

/// The monitors of a connection.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    monitors: BTreeMap<u32, Monitor>,
    updates: Option<Parts>,
    has_sent_abbreviated: bool,
    /// How many bytes of reports have not been transmitted.
    waiting: usize,
    /// While it is paused: the flows that are new or other since then.
    missed: Option<HashMap<ByKey, FlowEvent, KnownHash>>,
}

#[derive(Debug)]
struct Monitor {
    flags: MonitorFlags,
    criteria: Criteria,
}

/// What happened to a flow.
struct Report<'a> {
    body: &'a Arc<Body>,
    event: FlowEvent,
    reason: u8,
    /// What it was before, if it does something else now.
    old: Option<&'a Arc<Body>>,
}

impl<'a> Report<'a> {
    /// What a step is to a monitor.
    fn of(step: &'a Step) -> Option<Self> {
        Some(match step {
            Step::Removed { body, reason, .. } => {
                Self { body, event: FlowEvent::DELETED, reason: reason.0, old: None }
            }
            Step::Put { body, old, is_add } => {
                let event = if *is_add { FlowEvent::ADDED } else { FlowEvent::MODIFIED };
                let old = old.as_ref().map(|(old, _)| old);
                let changed = old.filter(|old| old.instruction_bytes() != body.instruction_bytes());
                if !is_add && changed.is_none() {
                    return None;
                }
                Self { body, event, reason: 0, old: changed }
            }
            Step::Group { .. } => return None,
        })
    }

    fn wanted(&self) -> MonitorFlags {
        match self.event {
            FlowEvent::ADDED => MonitorFlags::ADD,
            FlowEvent::DELETED => MonitorFlags::DELETE,
            _ => MonitorFlags::MODIFY,
        }
    }
}

impl Monitors {
    pub(super) fn is_empty(&self) -> bool {
        self.monitors.is_empty()
    }

    /// Adds monitors; gives back what they tell at once.
    ///
    /// # Errors
    /// If one has a number that is taken; then none is added.
    pub(super) fn add(
        &mut self,
        xid: Xid,
        requests: &[MonitorRequest],
        flows: &Flows,
    ) -> Result<Vec<u8>, ErrorCode> {
        for (n, request) in requests.iter().enumerate() {
            if self.monitors.contains_key(&request.monitor) {
                for added in &requests[..n] {
                    self.monitors.remove(&added.monitor);
                }
                return Err(ErrorCode::OFPMOFC_MONITOR_EXISTS);
            }
            let monitor = Monitor { flags: request.flags, criteria: Criteria::of_monitor(request) };
            self.monitors.insert(request.monitor, monitor);
        }
        let mut initial: HashMap<ByKey, bool, KnownHash> = HashMap::default();
        for request in requests.iter().filter(|request| request.flags.contains(MonitorFlags::INITIAL)) {
            for body in flows.select(&Criteria::of_monitor(request)) {
                *initial.entry(ByKey(body.clone())).or_default() |=
                    request.flags.contains(MonitorFlags::INSTRUCTIONS);
            }
        }
        let mut parts = Parts::new(xid, MultipartReplyBody::FlowMonitor(Vec::new()));
        for (key, has_instructions) in initial {
            parts.item(|out| write_update(out, &key.0, FlowEvent::ADDED, 0, has_instructions));
        }
        Ok(parts.finish())
    }

    /// Ends a monitor.
    ///
    /// # Errors
    /// If there is none of that number.
    pub(super) fn cancel(&mut self, number: u32) -> Result<(), ErrorCode> {
        self.monitors.remove(&number).map(|_| ()).ok_or(ErrorCode::OFPMOFC_UNKNOWN_MONITOR)
    }

    /// Takes in what was done; `own` is the xid under which the connection itself asked for it.
    pub(super) fn report(&mut self, log: &Log, own: Option<Xid>) {
        if self.is_empty() {
            return;
        }
        for report in log.iter().filter_map(Report::of) {
            if self.is_missed(&report) {
                continue;
            }
            let flags = self.flags(&report);
            if flags.is_empty() {
                continue;
            }
            let is_paused = self.missed.is_some();
            if self.updates.is_none() {
                self.has_sent_abbreviated = false;
            }
            let parts = self
                .updates
                .get_or_insert_with(|| Parts::new(Xid(0), MultipartReplyBody::FlowMonitor(Vec::new())));
            match own.filter(|_| !flags.contains(MonitorFlags::OWN) && !is_paused) {
                Some(_) if self.has_sent_abbreviated => {}
                Some(xid) => {
                    parts.item(|out| FlowUpdate::Abbreviated(xid).encode(&mut Writer::new(out)));
                    self.has_sent_abbreviated = true;
                }
                None => {
                    let has_instructions = flags.contains(MonitorFlags::INSTRUCTIONS);
                    let Report { body, event, reason, .. } = report;
                    parts.item(|out| write_update(out, body, event, reason.into(), has_instructions));
                }
            }
        }
    }

    /// All that the monitors which want a report ask for.
    fn flags(&self, report: &Report<'_>) -> MonitorFlags {
        let wants = |monitor: &&Monitor| {
            monitor.flags.intersects(report.wanted())
                && monitor.criteria.has_match(report.body)
                && monitor.criteria.out_port.is_none_or(|port| {
                    report.body.outputs_to(port) || report.old.is_some_and(|old| old.outputs_to(port))
                })
        };
        let all = |sum: MonitorFlags, monitor: &Monitor| sum | monitor.flags;
        self.monitors.values().filter(wants).fold(MonitorFlags::empty(), all)
    }

    /// While it is paused only the end of flows is told that it knows of; the rest is remembered.
    fn is_missed(&mut self, report: &Report<'_>) -> bool {
        let Some(missed) = &mut self.missed else { return false };
        let key = ByKey(report.body.clone());
        if report.event == FlowEvent::DELETED {
            return missed.remove(&key) == Some(FlowEvent::ADDED);
        }
        let was_added = missed.remove(&key) == Some(FlowEvent::ADDED);
        let event = if was_added { FlowEvent::ADDED } else { report.event };
        missed.insert(key, event);
        true
    }

    /// The reports that are to be sent now, and that it pauses if too much waits.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        let Some(parts) = self.updates.take() else { return };
        let bytes = parts.finish();
        self.waiting += bytes.len();
        out.extend(bytes);
        if self.missed.is_none() && self.waiting > MAX_WAITING {
            self.missed = Some(HashMap::default());
            Message::FlowMonitorPaused.encode(Xid(0), out).expect("it is short");
        }
    }

    /// All has been transmitted: if it was paused, it tells what it missed and goes on.
    pub(super) fn transmitted(&mut self, out: &mut Vec<u8>) {
        self.waiting = 0;
        let Some(missed) = self.missed.take() else { return };
        let mut parts = None;
        for (ByKey(body), event) in missed {
            let change = Report { body: &body, event, reason: 0, old: None };
            let is_add = event == FlowEvent::ADDED;
            let update = if is_add { MonitorFlags::ADD | MonitorFlags::MODIFY } else { MonitorFlags::MODIFY };
            let wants = |monitor: &&Monitor| {
                monitor.flags.intersects(update) && monitor.criteria.is_met_by(change.body)
            };
            let mut wanted = self.monitors.values().filter(wants).map(|monitor| monitor.flags).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let has_instructions = wanted.any(|flags| flags.contains(MonitorFlags::INSTRUCTIONS));
            parts
                .get_or_insert_with(|| Parts::new(Xid(0), MultipartReplyBody::FlowMonitor(Vec::new())))
                .item(|out| write_update(out, &body, event, 0, has_instructions));
        }
        out.extend(parts.map(Parts::finish).unwrap_or_default());
        Message::FlowMonitorResumed.encode(Xid(0), out).expect("it is short");
    }
}

/// Appends a full report.
///
/// Shape: see [`FlowUpdate`].
fn write_update(out: &mut Vec<u8>, body: &Body, event: FlowEvent, reason: u16, has_instructions: bool) {
    let (flow_match, instructions) = (body.match_bytes(), body.instruction_bytes());
    let instructions = if has_instructions { instructions } else { &[] };
    let mut w = Writer::new(out);
    let mark = w.mark();
    w.u16(0);
    w.u16(event.0);
    w.u16(reason);
    w.u16(body.priority().0);
    let (idle, hard) = body.timeouts();
    w.u16(idle);
    w.u16(hard);
    // The match says its length without padding itself.
    w.bytes(&flow_match[2..4]);
    w.u8(body.table().0);
    w.zeros(1);
    w.u64(body.cookie().0);
    w.bytes(flow_match);
    w.bytes(instructions);
    w.patch_len(mark, 0);
    w.finish().expect("a flow mod is longer than its report");
}
