//! What was wrong with switches lately: told by their connections, shown in the status, forgotten when it is past.
//!
//! A switch that does wrong does it again each time it connects, so a complaint that is not repeated is over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use flowlib::channel::CloseReason;
use flowlib::types::NodeId;

use super::board::NoSeat;
use super::connection::End;
use super::session::SessionError;
use super::switch::SwitchError;

/// Complaints at the same time; the one that was repeated least lately makes way.
const MOST: usize = 256;
/// How long one is remembered: longer than the pause before Open vSwitch connects again, 8 s.
const REMEMBERED: Duration = Duration::from_secs(15);

/// What is complained of. Copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Complaints(Arc<Mutex<BTreeMap<(About, Fault), Entry>>>);

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A node's switch.
    Node(NodeId),
    /// Somebody who connected from there and is no node's switch, or has not said which.
    Peer(IpAddr),
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No node has its datapath id.
    UnknownDatapath,
    /// Another connection with its datapath id is being served.
    DatapathTaken,
    /// What it sent is not OpenFlow 1.3, or not in its order; or it speaks no TLS where that is asked for.
    BadMessages,
    /// It does not answer, or does not read.
    NoAnswer,
    /// It refuses what a switch must do.
    Refusal,
    /// It shows more packets than its share.
    TooManyPackets,
    /// It may not connect: no certificate, not a good one, or another node's; or its node is revoked.
    NotAdmitted,
}

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Whose fault it is.
    pub about: About,
    /// What it is.
    pub fault: Fault,
    /// A sentence.
    pub message: String,
    /// When it began.
    pub since: SystemTime,
    /// How often it happened.
    pub times: u64,
}

/// Who is at the other end of one connection, as far as that is known.
#[derive(Debug)]
pub(super) struct Culprit {
    complaints: Complaints,
    peer: IpAddr,
    node: OnceLock<NodeId>,
}

#[derive(Debug)]
struct Entry {
    message: String,
    since: SystemTime,
    times: u64,
    last: Instant,
}

impl Fault {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownDatapath => "UnknownDatapath",
            Self::DatapathTaken => "DatapathTaken",
            Self::BadMessages => "BadMessages",
            Self::NoAnswer => "NoAnswer",
            Self::Refusal => "Refusal",
            Self::TooManyPackets => "TooManyPackets",
            Self::NotAdmitted => "NotAdmitted",
        }
    }

    /// What the end of a connection and of its session comes to; nothing if that happens to the best.
    fn of(end: &End, result: &Result<(), SessionError>) -> Option<Self> {
        match (result, end) {
            (
                _,
                End::Closed(CloseReason::HelloTimeout | CloseReason::Unresponsive | CloseReason::Backlog),
            ) => Some(Self::NoAnswer),
            (_, End::Closed(_)) => Some(Self::BadMessages),
            (Err(SessionError::NotAdmitted(_) | SessionError::Revoked), _) => Some(Self::NotAdmitted),
            (Err(SessionError::NoSeat(NoSeat::Unknown(_))), _) => Some(Self::UnknownDatapath),
            (Err(SessionError::NoSeat(NoSeat::Taken(_))), _) => Some(Self::DatapathTaken),
            (Err(SessionError::Switch(SwitchError::Silent(_))), _) => Some(Self::NoAnswer),
            (Err(SessionError::Switch(SwitchError::Mismatch(_))), _) => Some(Self::BadMessages),
            (Err(SessionError::Switch(SwitchError::Refused { .. }) | SessionError::BundleRefused(_)), _) => {
                Some(Self::Refusal)
            }
            _ => None,
        }
    }
}

impl Complaints {
    /// Something has happened, or happens again.
    pub(super) fn add(&self, about: About, fault: Fault, message: impl FnOnce() -> String) {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = all.get_mut(&(about, fault)).filter(|entry| entry.is_recent(now)) {
            (entry.times, entry.last) = (entry.times.saturating_add(1), now);
            return;
        }
        if all.len() >= MOST
            && let Some(stalest) = all.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| *key)
        {
            all.remove(&stalest);
        }
        let entry = Entry { message: message(), since: SystemTime::now(), times: 1, last: now };
        all.insert((about, fault), entry);
    }

    /// All that is not past.
    #[must_use]
    pub fn recent(&self) -> Vec<Complaint> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, entry| entry.is_recent(now));
        let shown = |((about, fault), entry): (&(About, Fault), &Entry)| Complaint {
            about: *about,
            fault: *fault,
            message: entry.message.clone(),
            since: entry.since,
            times: entry.times,
        };
        all.iter().map(shown).collect()
    }
}

impl Culprit {
    /// Whoever has connected from there.
    pub(super) fn new(complaints: Complaints, peer: IpAddr) -> Self {
        Self { complaints, peer, node: OnceLock::new() }
    }

    /// It has proved to be a node's switch.
    pub(super) fn is(&self, node: NodeId) {
        self.node.get_or_init(|| node);
    }

    /// Complains of it.
    pub(super) fn complain(&self, fault: Fault, message: impl FnOnce() -> String) {
        let about = self.node.get().map_or(About::Peer(self.peer), |node| About::Node(*node));
        self.complaints.add(about, fault, message);
    }

    /// Complains of what has ended its connection, if that was its fault.
    pub(super) fn explain(&self, end: &End, result: &Result<(), SessionError>) {
        let Some(fault) = Fault::of(end, result) else { return };
        self.complain(fault, || match (end, result) {
            (End::Closed(reason), _) => reason.to_string(),
            (_, Err(error)) => error.to_string(),
            (end, Ok(())) => end.to_string(),
        });
    }

    /// Complains that it shows more packets than its share.
    pub(super) fn floods(&self) {
        let message = "it shows more packets than its share; the further ones are dropped";
        self.complain(Fault::TooManyPackets, || message.to_owned());
    }
}

impl Entry {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_offenders_cost_no_memory_and_what_is_repeated_is_counted() {
        let complaints = Complaints::default();
        for n in 0..10_000_u32 {
            complaints.add(About::Peer(IpAddr::V4(n.into())), Fault::BadMessages, || format!("{n}"));
            complaints.add(About::Node(NodeId(1)), Fault::NoAnswer, || "no answer".to_owned());
        }
        let recent = complaints.recent();
        assert_eq!(recent.len(), MOST);
        let of_node = recent.iter().find(|complaint| complaint.about == About::Node(NodeId(1))).unwrap();
        assert_eq!((of_node.times, of_node.message.as_str()), (10_000, "no answer"));
        assert!(recent.iter().any(|complaint| complaint.message == "9999"), "the latest are kept");
    }

    #[test]
    fn a_session_that_ends_without_a_fault_is_not_complained_of() {
        assert_eq!(Fault::of(&End::HungUp, &Ok(())), None);
        assert_eq!(Fault::of(&End::HungUp, &Err(SwitchError::Gone.into())), None);
        let taken = SessionError::NoSeat(NoSeat::Taken(flowlib::types::DatapathId(1)));
        assert_eq!(Fault::of(&End::Released, &Err(taken)), Some(Fault::DatapathTaken));
        let closed = End::Closed(CloseReason::Unresponsive);
        assert_eq!(Fault::of(&closed, &Err(SwitchError::Gone.into())), Some(Fault::NoAnswer));
    }
}
