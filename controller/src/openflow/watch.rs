//! What others change in a switch, as its flow monitor reports it.
//!
//! Open vSwitch tells a connection of its own changes only that they were done, once a bundle; so the one connection a
//! switch has carries the monitor too. Like the marks of the board, what was reported does not queue: beyond so many
//! changes it is only known that there were some.

use std::sync::{Arc, Mutex, PoisonError};

use flowlib::openflow::multipart::{FlowUpdate, MonitorFlags, MonitorRequest};
use flowlib::openflow::{Flow, Message, MultipartReplyBody, MultipartRequestBody};
use flowlib::segment::Step;
use flowlib::types::TableId;
use tokio::sync::Notify;

use super::counts::Count;

/// Changes that are remembered one by one.
const REMEMBERED: usize = 256;

/// What has been reported: written by the connection, read by its session. Copies are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    marks: Arc<Mutex<Marks>>,
    news: Arc<Notify>,
    counted: Count,
}

/// Changes of others.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// What would add the flows that changed, but for what they do; as far as they are remembered.
    pub(super) changed: Vec<Step>,
    /// Anything may have changed.
    pub(super) all: bool,
    /// The switch keeps reports back for now.
    paused: bool,
}

/// All changes of all flows, without what they do.
pub(super) fn request() -> MultipartRequestBody {
    MultipartRequestBody::FlowMonitor(vec![MonitorRequest {
        monitor: 1,
        flags: MonitorFlags::ADD | MonitorFlags::DELETE | MonitorFlags::MODIFY,
        out_port: None,
        table: TableId::ALL,
        flow_match: flowlib::openflow::Match::new(),
    }])
}

impl Watch {
    /// `counted` counts changes of others.
    pub(super) fn new(counted: Count) -> Self {
        Self { marks: Arc::default(), news: Arc::default(), counted }
    }

    /// Takes up a message if it is a monitor's; gives it back if not.
    pub(super) fn take_up(&self, message: Message) -> Option<Message> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Message::MultipartReply(reply) => match reply.body {
                MultipartReplyBody::FlowMonitor(updates) => self.counted.add(marks.note(updates)),
                _ => return Some(Message::MultipartReply(reply)),
            },
            Message::FlowMonitorPaused => {
                tracing::warn!("the switch has more changes of others to report than are being read");
                (marks.paused, marks.all) = (true, true);
            }
            Message::FlowMonitorResumed => (marks.paused, marks.all) = (false, true),
            other => return Some(other),
        }
        if marks.all || !marks.changed.is_empty() {
            self.news.notify_one();
        }
        None
    }

    /// Returns when something has been reported. Cancel safe.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// What has been reported since the last time.
    pub(super) fn take(&self) -> Marks {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = marks.paused;
        std::mem::replace(&mut marks, Marks { paused, ..Marks::default() })
    }
}

impl Marks {
    /// Notes what was changed and gives back how much that was. While paused, a switch also reports what the
    /// connection itself deletes; all is suspect then anyway.
    fn note(&mut self, updates: Vec<FlowUpdate>) -> u64 {
        if self.paused {
            return 0;
        }
        let mut n = 0;
        for update in updates {
            let FlowUpdate::Full { table, priority, cookie, flow_match, .. } = update else { continue };
            n += 1;
            let flow = Flow { table, priority, cookie, flow_match, ..Flow::default() };
            match Step::of_switch(&flow) {
                Some(step) if self.changed.len() < REMEMBERED => self.changed.push(step),
                _ => self.all = true,
            }
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use flowlib::openflow::multipart::FlowEvent;
    use flowlib::openflow::{Match, MultipartReply};
    use flowlib::types::{Cookie, Priority, Xid};

    use super::*;
    use crate::measure::Metrics;
    use crate::openflow::Counts;

    fn update(n: u16) -> FlowUpdate {
        FlowUpdate::Full {
            event: FlowEvent::ADDED,
            reason: 0,
            priority: Priority(n),
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            table: TableId(5),
            cookie: Cookie(n.into()),
            flow_match: Match::new(),
            instructions: Vec::new(),
        }
    }

    fn watch_counted_in(metrics: &Metrics) -> Watch {
        Watch::new(Counts::among(metrics).flows_changed_by_others)
    }

    fn report(watch: &Watch, updates: Vec<FlowUpdate>) {
        let body = MultipartReplyBody::FlowMonitor(updates);
        assert!(watch.take_up(Message::MultipartReply(MultipartReply { flags: 0, body })).is_none());
    }

    #[test]
    fn what_the_connection_did_itself_is_no_news() {
        let metrics = Metrics::default();
        let watch = watch_counted_in(&metrics);
        report(&watch, vec![FlowUpdate::Abbreviated(Xid(7))]);
        assert!(watch.take().changed.is_empty());
        report(&watch, vec![update(1), FlowUpdate::Abbreviated(Xid(8)), update(2)]);
        let cookies: Vec<Cookie> = watch.take().changed.into_iter().map(|step| step.cookie()).collect();
        assert_eq!(cookies, [Cookie(1), Cookie(2)]);
        assert_eq!(metrics.totals()["flows_changed_by_others"], 2);
        assert!(watch.take_up(Message::BarrierReply).is_some());
    }

    #[test]
    fn too_many_changes_make_all_suspect_and_cost_no_memory() {
        let watch = watch_counted_in(&Metrics::default());
        for _ in 0..10 {
            report(&watch, (0..100).map(update).collect());
        }
        let marks = watch.take();
        assert!(marks.all && marks.changed.len() == REMEMBERED, "{}", marks.changed.len());
        assert!(!watch.take().all);
    }

    #[test]
    fn a_pause_makes_all_suspect_at_its_begin_and_its_end() {
        let metrics = Metrics::default();
        let watch = watch_counted_in(&metrics);
        assert!(watch.take_up(Message::FlowMonitorPaused).is_none());
        assert!(watch.take().all);
        report(&watch, vec![update(1)]);
        assert!(
            !watch.take().all && metrics.totals()["flows_changed_by_others"] == 0,
            "all was suspect already"
        );
        assert!(watch.take_up(Message::FlowMonitorResumed).is_none());
        assert!(watch.take().all);
        report(&watch, vec![update(1)]);
        assert_eq!(watch.take().changed.len(), 1);
    }
}
