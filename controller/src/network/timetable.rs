//! Frames that are due at a time: announcements of endpoints, presence of NAT MACs, warm tunnels. Pure.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Instant;

use hashbrown::HashMap;

/// What is due when; each thing at one time only.
#[derive(Debug)]
pub struct Timetable<T> {
    due: BTreeMap<(Instant, u64), T>,
    at: HashMap<T, (Instant, u64)>,
    n: u64,
}

impl<T> Default for Timetable<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), at: HashMap::new(), n: 0 }
    }
}

impl<T: Clone + Eq + Hash> Timetable<T> {
    /// Sets `what` to be due at `when`, whatever was said of it before.
    pub fn set(&mut self, when: Instant, what: T) {
        self.remove(&what);
        self.n += 1;
        self.at.insert(what.clone(), (when, self.n));
        self.due.insert((when, self.n), what);
    }

    /// Sets `what` to be due at `when`, unless it is due before.
    pub fn hasten(&mut self, when: Instant, what: T) {
        if self.at.get(&what).is_none_or(|(at, _)| *at > when) {
            self.set(when, what);
        }
    }

    /// Whether it is due at some time.
    #[must_use]
    pub fn contains(&self, what: &T) -> bool {
        self.at.contains_key(what)
    }

    /// Nothing is due for it any more.
    pub fn remove(&mut self, what: &T) {
        if let Some(key) = self.at.remove(what) {
            self.due.remove(&key);
        }
    }

    /// When the next is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(when, _)| *when)
    }

    /// Takes the first that is due by `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        let (when, _) = self.due.first_key_value()?.0;
        if *when > now {
            return None;
        }
        let (_, what) = self.due.pop_first()?;
        self.at.remove(&what);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_thing_is_due_once_and_in_order() {
        let t = Instant::now();
        let s = Duration::from_secs(1);
        let mut table = Timetable::default();
        table.set(t + s, 'a');
        table.set(t, 'b');
        table.set(t + 2 * s, 'b');
        assert_eq!(table.next(), Some(t + s));
        table.hasten(t + 3 * s, 'a');
        table.hasten(t + s, 'b');
        table.set(t + 2 * s, 'b');
        table.hasten(t + 3 * s, 'b');
        assert_eq!(table.take_due(t), None);
        assert_eq!(table.take_due(t + 2 * s), Some('a'));
        table.hasten(t + s, 'b');
        assert_eq!(table.take_due(t + s), Some('b'));
        assert_eq!(table.next(), None);
    }
}
