//! What happened to containers and nodes, for people: the last of it is remembered while the controller runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

use super::board::Posted;
use super::status::{Condition, Phase, Process};

/// Events that are remembered, and that a watcher may be behind before it must start over.
const REMEMBERED: usize = 4096;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A node.
    Node,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// What it happened to.
    pub kind: Kind,
    /// The name of the pool it belongs to.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// What happened, in one word.
    pub reason: &'static str,
    /// A sentence on it; may be empty.
    pub message: String,
}

/// The events. Written by the lifecycle alone.
#[derive(Debug)]
pub struct Log {
    past: Mutex<VecDeque<Arc<Event>>>,
    news: broadcast::Sender<Arc<Event>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { past: Mutex::default(), news: broadcast::channel(REMEMBERED).0 }
    }
}

impl Log {
    /// What is remembered, the oldest first, and every event after it.
    #[must_use]
    pub fn subscribe(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        (past.iter().cloned().collect(), self.news.subscribe())
    }

    /// Notes an event.
    pub(super) fn note(&self, event: Event) {
        let event = Arc::new(event);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(event.clone());
        // Sending fails only if nobody watches.
        drop(self.news.send(event));
    }
}

/// What is worth telling of a container that is not as it was.
pub(super) fn of_change(before: Option<&Posted>, now: &Condition) -> Vec<(&'static str, String)> {
    let before = before.map(|posted| &posted.condition);
    let mut events = Vec::new();
    let started = |process: Option<Process>| process.and_then(|process| process.started);
    if let Some(process) = now.process
        && process.finished.is_none()
        && process.started.is_some()
        && started(before.and_then(|before| before.process)) != process.started
    {
        events.push((
            "Started",
            match process.restarts {
                0 => "its process was started".to_owned(),
                n => format!("its process was started again by its restart policy, {n} times by now"),
            },
        ));
    }
    if before.is_some_and(|before| (before.phase, before.reason) == (now.phase, now.reason)) {
        return events;
    }
    match now.phase {
        Phase::Starting => {}
        Phase::Ready => events.push(("Ready", "its port is up and its flows are confirmed".to_owned())),
        Phase::Degraded => events.push(("Degraded", format!("{}: {}", now.reason.word(), now.message))),
        Phase::Deleting if before.is_some_and(|before| before.phase == Phase::Deleting) => {}
        Phase::Deleting => events.push(("Deleting", now.message.clone())),
        Phase::Ended => events.push((now.reason.word(), now.message.clone())),
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrate::status::Reason;
    use std::time::Duration;

    fn event(n: usize) -> Event {
        let (pool, name) = ("p".to_owned(), n.to_string());
        let time = SystemTime::UNIX_EPOCH;
        Event { time, kind: Kind::Container, pool, name, reason: "Created", message: String::new() }
    }

    #[test]
    fn only_the_last_events_are_remembered_and_a_watcher_misses_none_between() {
        let log = Log::default();
        for n in 0..REMEMBERED + 10 {
            log.note(event(n));
        }
        let (past, mut news) = log.subscribe();
        assert_eq!((past.len(), past[0].name.as_str()), (REMEMBERED, "10"));
        log.note(event(7));
        assert_eq!(*news.try_recv().unwrap(), event(7));
    }

    #[test]
    fn changes_of_phase_reason_and_process_are_told_and_others_are_not() {
        let words = |before: Option<&Condition>, now: &Condition| {
            let container = crate::orchestrate::status::tests::container();
            let posted = before.map(|condition| Posted {
                container: Arc::new(container),
                condition: condition.clone(),
                since: SystemTime::UNIX_EPOCH,
            });
            of_change(posted.as_ref(), now).into_iter().map(|(word, _)| word).collect::<Vec<_>>()
        };
        let starting = Condition::new(Phase::Starting, Reason::PortPending, "");
        let started = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let run = |s| Some(Process { started: Some(started(s)), ..Process::default() });
        let ready = Condition { process: run(1), ..Condition::new(Phase::Ready, Reason::None, "") };
        let ended = Condition::new(Phase::Ended, Reason::Exited, "");
        let lost = Condition::new(Phase::Degraded, Reason::NodeLost, "one");
        assert_eq!(words(None, &starting), Vec::<&str>::new());
        assert_eq!(words(Some(&starting), &ready), ["Started", "Ready"]);
        assert_eq!(words(Some(&ready), &ready), Vec::<&str>::new());
        assert_eq!(words(Some(&ready), &Condition { process: run(2), ..ready.clone() }), ["Started"]);
        assert_eq!(words(Some(&ready), &ended), ["Exited"]);
        assert_eq!(words(Some(&ready), &lost), ["Degraded"]);
        let other = Condition { message: "two".to_owned(), ..lost.clone() };
        assert_eq!(words(Some(&lost), &other), Vec::<&str>::new());
    }
}
