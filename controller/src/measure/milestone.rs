//! What a create passes on its way, and when.

use std::time::{Duration, Instant};

/// Something that a create reaches; the phase that ends there bears its name.
///
/// ```text
///  received ▶ decoded ▶ scheduled ▶ committed ┬▶ published ▶ woken ▶ sent ▶ barrier ▶ confirmed ┬▶ ready
///                                             └▶ told ▶ port_up ────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// The head of the request was there.
    Received,
    /// The request was there and made sense.
    Decoded,
    /// It was the request's turn, and a node, an address and a port number were chosen.
    Scheduled,
    /// It was durable.
    Committed,
    /// Its flows were compiled, and shown to the sessions.
    Published,
    /// The session of its node's switch had begun to look at them.
    Woken,
    /// The bundle's messages and the barrier behind them were handed to the socket.
    Sent,
    /// The switch had answered that barrier.
    Barrier,
    /// The switch had committed the bundle.
    Confirmed,
    /// Its node's agent was told, at the same time as all since [`Milestone::Published`].
    Told,
    /// The agent had said that the port is up.
    PortUp,
    /// Whoever waits could know that it is ready.
    Ready,
}

impl Milestone {
    /// How many there are.
    pub const N: usize = 12;

    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; Self::N] = [
        Self::Received,
        Self::Decoded,
        Self::Scheduled,
        Self::Committed,
        Self::Published,
        Self::Woken,
        Self::Sent,
        Self::Barrier,
        Self::Confirmed,
        Self::Told,
        Self::PortUp,
        Self::Ready,
    ];

    /// Its name, in metrics and in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Decoded => "decoded",
            Self::Scheduled => "scheduled",
            Self::Committed => "committed",
            Self::Published => "published",
            Self::Woken => "woken",
            Self::Sent => "sent",
            Self::Barrier => "barrier",
            Self::Confirmed => "confirmed",
            Self::Told => "told",
            Self::PortUp => "port_up",
            Self::Ready => "ready",
        }
    }

    /// What must have been reached before its phase can begin.
    #[must_use]
    pub fn after(self) -> &'static [Self] {
        match self {
            Self::Received => &[],
            Self::Decoded => &[Self::Received],
            Self::Scheduled => &[Self::Decoded],
            Self::Committed => &[Self::Scheduled],
            Self::Published | Self::Told => &[Self::Committed],
            Self::Woken => &[Self::Published],
            Self::Sent => &[Self::Woken],
            Self::Barrier => &[Self::Sent],
            Self::Confirmed => &[Self::Barrier],
            Self::PortUp => &[Self::Told],
            Self::Ready => &[Self::Confirmed, Self::PortUp],
        }
    }
}

/// When one create reached what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milestones([Option<Instant>; Milestone::N]);

impl Milestones {
    /// Takes down that it was reached, unless it was before.
    pub fn reach(&mut self, milestone: Milestone, at: Instant) {
        self.0[milestone as usize].get_or_insert(at);
    }

    /// When it was reached.
    #[must_use]
    pub fn at(&self, milestone: Milestone) -> Option<Instant> {
        self.0[milestone as usize]
    }

    /// How long after the request it was reached.
    #[must_use]
    pub fn since_received(&self, milestone: Milestone) -> Option<Duration> {
        Some(self.at(milestone)?.saturating_duration_since(self.at(Milestone::Received)?))
    }

    /// How long its phase took; `None` if an end of it is not known.
    #[must_use]
    pub fn took(&self, milestone: Milestone) -> Option<Duration> {
        let mut begun: Option<Instant> = None;
        for before in milestone.after() {
            begun = begun.max(Some(self.at(*before)?));
        }
        Some(self.at(milestone)?.saturating_duration_since(begun?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_is_listed_before() {
        for (nth, milestone) in Milestone::ALL.into_iter().enumerate() {
            assert_eq!(milestone as usize, nth);
            assert!(milestone.after().iter().all(|before| *before < milestone), "{milestone:?}");
        }
    }

    #[test]
    fn a_phase_lasts_from_the_last_thing_it_waits_for() {
        let (mut reached, start) = (Milestones::default(), Instant::now());
        let mut reach = |milestone, ms| reached.reach(milestone, start + Duration::from_millis(ms));
        reach(Milestone::Received, 0);
        reach(Milestone::Confirmed, 7);
        reach(Milestone::PortUp, 12);
        reach(Milestone::PortUp, 99);
        reach(Milestone::Ready, 13);
        assert_eq!(reached.took(Milestone::Ready), Some(Duration::from_millis(1)));
        assert_eq!(reached.since_received(Milestone::PortUp), Some(Duration::from_millis(12)));
        assert_eq!(reached.took(Milestone::Confirmed), None, "nobody knows when its bundle was sent");
        assert_eq!(reached.took(Milestone::Received), None);
    }
}
