//! External neighbours of VLANs: the gateway, bare hosts. Pure: never reads a clock.
//!
//! ```text
//!            wanted                    reply                  not answered 3 times
//!  (nothing) ──────▶ Asking (3 probes) ──────▶ Known ──────▶ (gateway: goes on asking, flows stay)
//!                        │ silence               ▲  │ every `refresh`: probe     (others: forgotten)
//!                        ▼                       └──┘
//!                     Silent (20 s: not asked again; a gateway is asked again after that)
//! ```

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use flowlib::types::{MacAddr, NetworkId, NodeId};

use super::timetable::Timetable;

/// Between two probes for the same address.
const RETRY: Duration = Duration::from_secs(1);
/// Probes before an address counts as silent.
const PROBES: u32 = 3;
/// How long a silent address is left alone.
const SILENCE: Duration = Duration::from_secs(20);
/// Packets kept for an address that is being asked for: many endpoints may want it at once.
const HELD_PACKETS: usize = 64;
/// Packets kept for all addresses together.
const HELD_IN_ALL: usize = 4096;
/// A host's MAC address is believed to change this often at most.
const CHANGE_MIN: Duration = Duration::from_secs(1);
/// Addresses of one network that are followed at the same time; more are not asked for.
const ADDRESSES_MAX: usize = 1024;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the VLAN of that network who has the address.
    Probe {
        /// The network.
        network: NetworkId,
        /// The address.
        address: Ipv4Addr,
    },
    /// That is known now, or (`None`) known no more.
    Resolved {
        /// The network.
        network: NetworkId,
        /// The address.
        address: Ipv4Addr,
        /// Whose it is.
        mac: Option<MacAddr>,
        /// Packets that waited for it, with the node whose endpoint sent them.
        held: Vec<(NodeId, Vec<u8>)>,
    },
    /// The packet came while the answer was on its way into the switches: it can go on at once.
    Release {
        /// The network.
        network: NetworkId,
        /// Whose the address is.
        mac: MacAddr,
        /// The packet.
        packet: Vec<u8>,
        /// The node that showed it.
        node: NodeId,
    },
}

#[derive(Debug)]
struct Host {
    /// Asked for as long as the network is there, because it is the gateway.
    pinned: bool,
    mac: Option<MacAddr>,
    /// Probes sent since the last answer.
    unanswered: u32,
    held: Vec<(NodeId, Vec<u8>)>,
    changed: Option<Instant>,
}

/// What is known of the external neighbours, and when to ask again.
#[derive(Debug)]
pub struct Resolver {
    refresh: Duration,
    hosts: HashMap<(NetworkId, Ipv4Addr), Host>,
    due: Timetable<(NetworkId, Ipv4Addr)>,
    n_of: HashMap<NetworkId, usize>,
    n_held: usize,
}

impl Resolver {
    /// `refresh`: how long an answer is believed before the host is asked again.
    #[must_use]
    pub fn new(refresh: Duration) -> Self {
        Self { refresh, hosts: HashMap::new(), due: Timetable::default(), n_of: HashMap::new(), n_held: 0 }
    }

    /// Asks for a gateway, and goes on asking.
    pub fn pin(&mut self, now: Instant, network: NetworkId, address: Ipv4Addr) {
        match self.hosts.get_mut(&(network, address)) {
            Some(host) => host.pinned = true,
            None => self.add(now, network, address, true),
        }
    }

    /// An endpoint has sent a packet to an address that its switch knows nothing of; `held`: the node that shows it, and
    /// the packet, if it can be sent on from there.
    #[must_use]
    pub fn wanted(
        &mut self,
        now: Instant,
        network: NetworkId,
        address: Ipv4Addr,
        held: Option<(NodeId, Vec<u8>)>,
    ) -> Option<Action> {
        if !self.hosts.contains_key(&(network, address)) {
            if self.n_of.get(&network).is_some_and(|n| *n >= ADDRESSES_MAX) {
                return None;
            }
            self.add(now, network, address, false);
        }
        let host = self.hosts.get_mut(&(network, address))?;
        let (node, packet) = held?;
        if let Some(mac) = host.mac {
            return Some(Action::Release { network, mac, packet, node });
        }
        if host.unanswered < PROBES && host.held.len() < HELD_PACKETS && self.n_held < HELD_IN_ALL {
            host.held.push((node, packet));
            self.n_held += 1;
        }
        None
    }

    /// What was learned earlier, perhaps by another controller: it is asked again when its time comes.
    pub fn believe(&mut self, now: Instant, network: NetworkId, address: Ipv4Addr, mac: MacAddr) {
        if !self.hosts.contains_key(&(network, address)) {
            self.add(now + self.refresh, network, address, false);
        }
        if let Some(host) = self.hosts.get_mut(&(network, address)) {
            host.mac = Some(mac);
        }
    }

    /// A host has told its MAC address. Of addresses that nobody asked for, nothing is taken down.
    #[must_use]
    pub fn replied(
        &mut self,
        now: Instant,
        network: NetworkId,
        address: Ipv4Addr,
        mac: MacAddr,
    ) -> Option<Action> {
        let host = self.hosts.get_mut(&(network, address))?;
        let changed = host.mac != Some(mac);
        if changed && host.changed.is_some_and(|before| now < before + CHANGE_MIN) {
            return None;
        }
        if changed {
            host.mac = Some(mac);
            host.changed = Some(now);
        }
        host.unanswered = 0;
        let held = std::mem::take(&mut host.held);
        self.n_held -= held.len();
        self.due.set(now + self.refresh, (network, address));
        (changed || !held.is_empty()).then_some(Action::Resolved { network, address, mac: Some(mac), held })
    }

    /// The network is no more.
    pub fn forget(&mut self, network: NetworkId) {
        let due = &mut self.due;
        let n_held = &mut self.n_held;
        self.hosts.retain(|key, host| {
            let other = key.0 != network;
            if !other {
                due.remove(key);
                *n_held -= host.held.len();
            }
            other
        });
        self.n_of.remove(&network);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.next()
    }

    /// Probes whom it is time to ask, and gives up those who do not answer.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some((network, address)) = self.due.take_due(now) {
            let Some(host) = self.hosts.get_mut(&(network, address)) else { continue };
            if host.unanswered < PROBES {
                host.unanswered += 1;
                let pause = if host.unanswered == PROBES && host.mac.is_none() { SILENCE } else { RETRY };
                actions.push(Action::Probe { network, address });
                self.due.set(now + pause, (network, address));
            } else if host.pinned {
                // A gateway that is silent is asked again; its flows stay, for it may be the fabric that is cut.
                self.n_held -= std::mem::take(&mut host.held).len();
                host.unanswered = 0;
                let pause = if host.mac.is_some() { RETRY } else { Duration::ZERO };
                self.due.set(now + pause, (network, address));
            } else {
                let gone = self.remove(network, address);
                if gone.is_some_and(|host| host.mac.is_some()) {
                    actions.push(Action::Resolved { network, address, mac: None, held: Vec::new() });
                }
            }
        }
        actions
    }

    fn add(&mut self, due: Instant, network: NetworkId, address: Ipv4Addr, pinned: bool) {
        let host = Host { pinned, mac: None, unanswered: 0, held: Vec::new(), changed: None };
        self.hosts.insert((network, address), host);
        self.due.set(due, (network, address));
        *self.n_of.entry(network).or_default() += 1;
    }

    fn remove(&mut self, network: NetworkId, address: Ipv4Addr) -> Option<Host> {
        let host = self.hosts.remove(&(network, address))?;
        self.due.remove(&(network, address));
        self.n_held -= host.held.len();
        if let Some(n) = self.n_of.get_mut(&network) {
            *n -= 1;
        }
        Some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: NetworkId = NetworkId(1);
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const REFRESH: Duration = Duration::from_secs(30);

    /// Lets time pass until `until`, and counts what is asked.
    fn run(resolver: &mut Resolver, until: Instant) -> (usize, Vec<Action>) {
        let (mut probes, mut others) = (0, Vec::new());
        while let Some(due) = resolver.poll_timeout().filter(|due| *due <= until) {
            for action in resolver.handle_timeout(due) {
                match action {
                    Action::Probe { .. } => probes += 1,
                    other => others.push(other),
                }
            }
        }
        (probes, others)
    }

    #[test]
    fn what_waited_is_released_by_the_answer() {
        let (mut r, t) = (Resolver::new(REFRESH), Instant::now());
        for _ in 0..=HELD_PACKETS {
            assert_eq!(r.wanted(t, NET, HOST, Some((NodeId(1), vec![1]))), None);
        }
        assert_eq!(run(&mut r, t).0, 1);
        let Some(Action::Resolved { mac: Some(MAC), held, .. }) = r.replied(t, NET, HOST, MAC) else {
            panic!("resolved")
        };
        assert_eq!(held.len(), HELD_PACKETS);
        assert_eq!(r.replied(t, NET, HOST, MAC), None);
    }

    #[test]
    fn what_comes_after_the_answer_does_not_wait() {
        let (mut r, t) = (Resolver::new(REFRESH), Instant::now());
        assert_eq!(r.wanted(t, NET, HOST, None), None);
        assert!(r.replied(t, NET, HOST, MAC).is_some());
        let late = r.wanted(t, NET, HOST, Some((NodeId(2), vec![7])));
        assert_eq!(late, Some(Action::Release { network: NET, mac: MAC, packet: vec![7], node: NodeId(2) }));
        assert_eq!((r.n_held, r.replied(t, NET, HOST, MAC)), (0, None));
    }

    #[test]
    fn a_silent_address_costs_three_probes_in_twenty_seconds() {
        let (mut r, t) = (Resolver::new(REFRESH), Instant::now());
        let mut probes = 0;
        for second in 0..20 {
            let now = t + Duration::from_secs(second);
            assert_eq!(r.wanted(now, NET, HOST, None), None);
            probes += run(&mut r, now).0;
        }
        assert_eq!(probes, 3);
    }

    #[test]
    fn a_host_that_falls_silent_is_forgotten_but_a_gateway_is_kept() {
        let t = Instant::now();
        let mut r = Resolver::new(REFRESH);
        assert_eq!(r.wanted(t, NET, HOST, None), None);
        let gateway = Ipv4Addr::new(10, 1, 0, 1);
        r.pin(t, NET, gateway);
        run(&mut r, t);
        assert!(r.replied(t, NET, HOST, MAC).is_some());
        assert!(r.replied(t, NET, gateway, MAC).is_some());
        let (probes, others) = run(&mut r, t + REFRESH + Duration::from_secs(10));
        assert!(probes >= 6);
        assert_eq!(others, [Action::Resolved { network: NET, address: HOST, mac: None, held: vec![] }]);
    }

    #[test]
    fn a_new_mac_address_replaces_the_old_one() {
        let (mut r, t) = (Resolver::new(REFRESH), Instant::now());
        r.pin(t, NET, HOST);
        assert!(r.replied(t, NET, HOST, MAC).is_some());
        let other = MacAddr([2, 0, 0, 0, 0, 10]);
        assert_eq!(r.replied(t, NET, HOST, other), None);
        let t = t + CHANGE_MIN;
        assert!(
            matches!(r.replied(t, NET, HOST, other), Some(Action::Resolved { mac: Some(m), .. }) if m == other)
        );
    }

    #[test]
    fn what_nobody_asked_for_is_not_believed() {
        let mut r = Resolver::new(REFRESH);
        assert_eq!(r.replied(Instant::now(), NET, HOST, MAC), None);
    }

    #[test]
    fn scanning_a_network_is_bounded() {
        let (mut r, t) = (Resolver::new(REFRESH), Instant::now());
        for n in 0..5000u32 {
            let held = Some((NodeId(1), vec![0; 1500]));
            assert_eq!(r.wanted(t, NET, Ipv4Addr::from(0x0a01_0000 + n), held), None);
        }
        assert_eq!(run(&mut r, t).0, ADDRESSES_MAX);
        r.forget(NET);
        assert_eq!((r.poll_timeout(), r.n_held), (None, 0));
    }
}
