//! What happened to containers and nodes, for people: the last of it is remembered while the controller runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

use super::status::{Condition, Phase, Process, Reason};

/// Events that are remembered, and that a watcher may be behind before it must start over.
const REMEMBERED: usize = 4096;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A node.
    Node,
    /// A service.
    Service,
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

/// What has been told of an endpoint's container, so that only what differs from it is told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How it was; `None` before anything was told.
    state: Option<(Phase, Reason)>,
    /// When its process was started.
    started: Option<SystemTime>,
    /// It may be as it was before the controller began to look: that is no news.
    may_be_old: bool,
    /// The same of its process.
    may_have_run: bool,
}

impl Told {
    /// For a container that was there, like this, when the controller began to look.
    pub(super) fn before(now: &Condition) -> Self {
        Self { state: Some((now.phase, now.reason)), started: None, may_be_old: true, may_have_run: true }
    }

    /// It was asked to start: what comes of that is news, even if it is as it was.
    pub(super) fn start_over(&mut self) {
        *self = Self { started: self.started, ..Self::default() };
    }

    /// What is worth telling of it as it is now.
    pub(super) fn news(&mut self, now: &Condition) -> Vec<(&'static str, String)> {
        self.start(now.process).into_iter().chain(self.change(now)).collect()
    }

    fn start(&mut self, process: Option<Process>) -> Option<(&'static str, String)> {
        let process = process.filter(|process| process.finished.is_none())?;
        let is_other = self.started.replace(process.started?) != process.started;
        if std::mem::take(&mut self.may_have_run) || !is_other {
            return None;
        }
        let message = match process.restarts {
            0 => "its process was started".to_owned(),
            n => format!("its process was started again by its restart policy, {n} times by now"),
        };
        Some(("Started", message))
    }

    fn change(&mut self, now: &Condition) -> Option<(&'static str, String)> {
        let state = (now.phase, now.reason);
        if now.phase == Phase::Starting || self.state == Some(state) {
            return None;
        }
        let before = self.state.replace(state);
        let may_be_old = std::mem::take(&mut self.may_be_old);
        match now.phase {
            Phase::Starting => None,
            Phase::Ready if may_be_old => None,
            Phase::Ready => {
                let who = if now.message.is_empty() { String::new() } else { format!(": {}", now.message) };
                Some(("Ready", format!("its port is up and its flows are confirmed{who}")))
            }
            Phase::Degraded => Some(("Degraded", format!("{}: {}", now.reason.word(), now.message))),
            Phase::Deleting if before.is_some_and(|(phase, _)| phase == Phase::Deleting) => None,
            Phase::Deleting => Some(("Deleting", now.message.clone())),
            Phase::Ended => Some((now.reason.word(), now.message.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn running(condition: Condition, started: u64) -> Condition {
        let started = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(started));
        Condition { process: Some(Process { started, ..Process::default() }), ..condition }
    }

    fn words(told: &mut Told, now: &Condition) -> Vec<&'static str> {
        told.news(now).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn changes_of_phase_reason_and_process_are_told_and_others_are_not() {
        let mut told = Told::default();
        let starting = Condition::new(Phase::Starting, Reason::PortPending, "");
        let ready = Condition::new(Phase::Ready, Reason::None, "");
        let ended = Condition::new(Phase::Ended, Reason::Exited, "");
        let lost = Condition::new(Phase::Degraded, Reason::NodeLost, "one");
        let other = Condition { message: "two".to_owned(), ..lost.clone() };
        let none: [&str; 0] = [];
        assert_eq!(words(&mut told, &starting), none);
        assert_eq!(words(&mut told, &running(ready.clone(), 1)), ["Started", "Ready"]);
        assert_eq!(words(&mut told, &running(ready.clone(), 1)), none);
        assert_eq!(words(&mut told, &running(ready.clone(), 2)), ["Started"]);
        assert_eq!(words(&mut told, &lost), ["Degraded"]);
        assert_eq!(words(&mut told, &other), none);
        assert_eq!(words(&mut told, &running(ready, 2)), ["Ready"], "it is the same process");
        assert_eq!(words(&mut told, &ended), ["Exited"]);
        told.start_over();
        assert_eq!((words(&mut told, &starting), words(&mut told, &ended)), (none.into(), vec!["Exited"]));
    }

    #[test]
    fn what_was_so_before_anyone_looked_is_no_news_and_what_comes_of_it_is() {
        let unreachable = Condition::new(Phase::Degraded, Reason::NodeUnreachable, "");
        let mut told = Told::before(&unreachable);
        let none: [&str; 0] = [];
        assert_eq!(words(&mut told, &unreachable), none);
        let ready = Condition::new(Phase::Ready, Reason::None, "");
        assert_eq!(words(&mut told, &running(ready.clone(), 1)), none);
        assert_eq!(words(&mut told, &running(ready.clone(), 2)), ["Started"]);
        let lost = Condition::new(Phase::Degraded, Reason::NodeLost, "");
        assert_eq!(words(&mut told, &lost), ["Degraded"]);
        assert_eq!(words(&mut told, &running(ready.clone(), 2)), ["Ready"]);
        let mut told = Told::before(&unreachable);
        assert_eq!(words(&mut told, &lost), ["Degraded"]);
        assert_eq!(words(&mut told, &running(ready, 1)), ["Ready"], "the loss was told");
    }
}
