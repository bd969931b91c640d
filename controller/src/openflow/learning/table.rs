//! What a learning switch knows: behind which port each address is.
//!
//! Promises: it holds at most [`Addresses::MAX`] addresses, in memory that does not grow beyond. When it is full a new
//! address takes the place of one behind the port that has most, the one not heard of for longest: a host that makes up
//! addresses displaces its own.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use flowlib::types::{MacAddr, PortNo};

/// An address, and the VLAN it is used on: `vlan_vid` as in a match, 0 if none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Station {
    pub(super) vlan: u16,
    pub(super) mac: MacAddr,
}

/// What is new about an address that was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Known,
    /// It was not known; `displaced` was forgotten for it.
    New { displaced: Option<Forgotten> },
    /// It was behind another port.
    Moved(Forgotten),
}

/// An address that is not known any more, or not where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forgotten {
    pub(super) station: Station,
    /// Whether the switch may have flows from or to it.
    pub(super) has_flows: bool,
}

/// Addresses and their ports.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    places: HashMap<Station, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    ports: HashMap<PortNo, Queue>,
    /// The same, by how many addresses each has.
    by_size: BTreeSet<(u32, PortNo)>,
}

/// A link of its port's queue.
#[derive(Clone, Copy, Debug)]
struct Entry {
    station: Station,
    port: PortNo,
    heard: Instant,
    has_flows: bool,
    older: Option<u32>,
    newer: Option<u32>,
}

/// The addresses behind a port, as a list by when they were heard of.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    oldest: Option<u32>,
    newest: Option<u32>,
    len: u32,
}

impl Addresses {
    /// How many it holds at most: four times Open vSwitch's `mac-table-size`.
    pub(super) const MAX: usize = 8192;
    /// How long an address is known after it was heard of last. Source: `mac-aging-time` of ovs-vswitchd.conf.db(5).
    pub(super) const AGE: Duration = Duration::from_secs(300);
    /// When an address was heard of is known no better than to this.
    const GRAIN: Duration = Duration::from_secs(1);

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Behind which port an address is, if that is known.
    pub(super) fn port_of(&self, now: Instant, station: Station) -> Option<PortNo> {
        let entry = self.entries[*self.places.get(&station)? as usize];
        (now.saturating_duration_since(entry.heard) < Self::AGE).then_some(entry.port)
    }

    /// Notes that the switch has flows from or to an address.
    pub(super) fn mark_flows(&mut self, station: Station) {
        if let Some(place) = self.places.get(&station) {
            self.entries[*place as usize].has_flows = true;
        }
    }

    /// Notes that an address was heard of behind a port.
    pub(super) fn hear(&mut self, now: Instant, station: Station, port: PortNo) -> Heard {
        let Some(&place) = self.places.get(&station) else {
            let displaced = (self.len() >= Self::MAX).then(|| self.displace()).flatten();
            self.insert(Entry { station, port, heard: now, has_flows: false, older: None, newer: None });
            return Heard::New { displaced };
        };
        let entry = &mut self.entries[place as usize];
        if entry.port != port {
            let moved = Forgotten { station, has_flows: std::mem::take(&mut entry.has_flows) };
            self.unlink(place);
            self.entries[place as usize] = Entry { port, heard: now, ..self.entries[place as usize] };
            self.link(place);
            return Heard::Moved(moved);
        }
        if now.saturating_duration_since(entry.heard) >= Self::GRAIN {
            entry.heard = now;
            self.unlink(place);
            self.link(place);
        }
        Heard::Known
    }

    /// Forgets what is behind a port.
    pub(super) fn forget_port(&mut self, port: PortNo) {
        while let Some(place) = self.ports.get(&port).and_then(|queue| queue.oldest) {
            self.remove(place);
        }
    }

    /// Forgets, and gives back, what has not been heard of for long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Forgotten> {
        let oldest = self.ports.values().filter_map(|queue| queue.oldest);
        let mut old: Vec<u32> = oldest.collect();
        let mut expired = Vec::new();
        while let Some(place) = old.pop() {
            let Entry { heard, newer, .. } = self.entries[place as usize];
            if now.saturating_duration_since(heard) >= Self::AGE {
                expired.push(self.remove(place));
                old.extend(newer);
            }
        }
        expired
    }

    /// Makes room for one.
    fn displace(&mut self) -> Option<Forgotten> {
        let (_, fullest) = self.by_size.last()?;
        let oldest = self.ports.get(fullest)?.oldest?;
        Some(self.remove(oldest))
    }

    fn insert(&mut self, entry: Entry) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("there are at most as many as the table holds")
        });
        self.entries[place as usize] = entry;
        self.places.insert(entry.station, place);
        self.link(place);
    }

    fn remove(&mut self, place: u32) -> Forgotten {
        self.unlink(place);
        let Entry { station, has_flows, .. } = self.entries[place as usize];
        self.places.remove(&station);
        self.free.push(place);
        Forgotten { station, has_flows }
    }

    /// Puts an entry behind the newest of its port.
    fn link(&mut self, place: u32) {
        let port = self.entries[place as usize].port;
        let queue = self.ports.entry(port).or_default();
        let before = queue.newest.replace(place);
        queue.oldest.get_or_insert(place);
        queue.len += 1;
        self.by_size.remove(&(queue.len - 1, port));
        self.by_size.insert((queue.len, port));
        if let Some(before) = before {
            self.entries[before as usize].newer = Some(place);
        }
        let entry = &mut self.entries[place as usize];
        (entry.older, entry.newer) = (before, None);
    }

    fn unlink(&mut self, place: u32) {
        let Entry { port, older, newer, .. } = self.entries[place as usize];
        let queue = self.ports.get_mut(&port).expect("the port of an entry has a queue");
        match older {
            Some(older) => self.entries[older as usize].newer = newer,
            None => queue.oldest = newer,
        }
        match newer {
            Some(newer) => self.entries[newer as usize].older = older,
            None => queue.newest = older,
        }
        self.by_size.remove(&(queue.len, port));
        queue.len -= 1;
        if queue.len > 0 {
            self.by_size.insert((queue.len, port));
        } else {
            self.ports.remove(&port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(n: usize) -> Station {
        let [.., a, b, c, d] = n.to_be_bytes();
        Station { vlan: 0, mac: MacAddr([2, 0, a, b, c, d]) }
    }

    #[test]
    fn an_address_is_known_where_it_was_heard_of_last() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        let tagged = Station { vlan: 0x1005, ..station(1) };
        assert_eq!(addresses.hear(now, station(1), PortNo(1)), Heard::New { displaced: None });
        assert_eq!(addresses.hear(now, tagged, PortNo(2)), Heard::New { displaced: None });
        assert_eq!(addresses.hear(now, station(1), PortNo(1)), Heard::Known);
        addresses.mark_flows(station(1));
        let moved = Forgotten { station: station(1), has_flows: true };
        assert_eq!(addresses.hear(now, station(1), PortNo(3)), Heard::Moved(moved));
        assert_eq!(addresses.port_of(now, station(1)), Some(PortNo(3)));
        assert_eq!(addresses.port_of(now, tagged), Some(PortNo(2)));
        assert_eq!(addresses.port_of(now, station(2)), None);
    }

    #[test]
    fn what_is_not_heard_of_is_forgotten() {
        let (mut addresses, start) = (Addresses::default(), Instant::now());
        for n in 0..10 {
            addresses.hear(start, station(n), PortNo(n as u32 % 3));
        }
        let later = start + Addresses::AGE - Duration::from_secs(5);
        addresses.hear(later, station(4), PortNo(1));
        let end = start + Addresses::AGE;
        assert_eq!(addresses.port_of(end, station(1)), None);
        assert_eq!(addresses.expire(end).len(), 9);
        assert_eq!(addresses.port_of(end, station(4)), Some(PortNo(1)));
        assert_eq!((addresses.len(), addresses.expire(end)), (1, Vec::new()));
    }

    #[test]
    fn a_port_that_goes_takes_its_addresses_along() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        for n in 0..10 {
            addresses.hear(now, station(n), PortNo(n as u32 % 2));
        }
        addresses.forget_port(PortNo(0));
        addresses.forget_port(PortNo(7));
        assert_eq!(addresses.len(), 5);
        assert_eq!(addresses.port_of(now, station(2)), None);
        assert_eq!(addresses.port_of(now, station(3)), Some(PortNo(1)));
    }

    #[test]
    fn a_host_with_more_addresses_than_fit_displaces_its_own() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        for n in 0..100 {
            addresses.hear(now, station(n), PortNo(1));
        }
        for n in 100..30_000 {
            addresses.hear(now, station(n), PortNo(2));
        }
        assert_eq!((addresses.len(), addresses.entries.len()), (Addresses::MAX, Addresses::MAX));
        assert!((0..100).all(|n| addresses.port_of(now, station(n)) == Some(PortNo(1))));
        assert_eq!(addresses.port_of(now, station(29_999)), Some(PortNo(2)));
        assert_eq!(addresses.port_of(now, station(100)), None);
    }
}
