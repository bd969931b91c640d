//! The flows of a switch and how they are found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::body::{Body, ByKey, KnownHash, Used};
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::{Field, FieldValue, Match, MonitorRequest};
use crate::types::{Cookie, GroupId, PortNo, Priority, TableId};

/// The flows of a switch.
///
/// A flow costs a switch 17 bytes (at half to seven eighths of them used) by its key and 16 (at about two thirds) by
/// its cookie, so about 50 bytes, besides its body, which is shared.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// When they were made, in milliseconds of the switch's life.
    by_key: HashMap<ByKey, u64, KnownHash>,
    by_cookie: BTreeSet<(Cookie, Place)>,
    /// Those that need a group or meter.
    users: HashMap<Used, HashSet<ByKey, KnownHash>>,
    n_in: BTreeMap<TableId, u32>,
    /// Those that go by themselves, by when.
    expiring: BTreeMap<(u64, Place), FlowRemovedReason>,
}

/// A flow as its place in memory; none is before all.
#[derive(Clone, Debug)]
struct Place(Option<Arc<Body>>);

impl Place {
    fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |body| Arc::as_ptr(body).addr())
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.address().cmp(&other.address())
    }
}

/// Which flows are meant.
#[derive(Clone, Debug)]
pub(super) struct Criteria {
    /// [`TableId::ALL`]: of any table.
    pub(super) table: TableId,
    pub(super) cookie: Cookie,
    pub(super) cookie_mask: u64,
    pub(super) out_port: Option<PortNo>,
    pub(super) out_group: Option<GroupId>,
    /// As narrow as this at least.
    pub(super) flow_match: Match,
}

impl Criteria {
    /// The flows that a monitor may report.
    pub(super) fn of_monitor(request: &MonitorRequest) -> Self {
        Self {
            table: request.table,
            cookie: Cookie(0),
            cookie_mask: 0,
            out_port: request.out_port,
            out_group: None,
            flow_match: request.flow_match.clone(),
        }
    }

    /// The least and the greatest cookie that can be meant.
    fn cookies(&self) -> (u64, u64) {
        let free = self.cookie_mask.trailing_zeros();
        let is_prefix = self.cookie_mask.count_ones() + free == u64::BITS;
        let low = self.cookie.0 & self.cookie_mask;
        if is_prefix { (low, low | !self.cookie_mask) } else { (0, u64::MAX) }
    }

    fn has_cookie_and_outputs(&self, body: &Body) -> bool {
        (body.cookie().0 ^ self.cookie.0) & self.cookie_mask == 0
            && self.out_port.is_none_or(|port| body.outputs_to(port))
            && self.out_group.is_none_or(|group| body.uses().contains(&Used::Group(group)))
    }

    /// Whether a flow is meant, whatever it outputs to.
    pub(super) fn has_match(&self, body: &Body) -> bool {
        (self.table == TableId::ALL || self.table == body.table())
            && (self.flow_match.is_empty() || is_within(&body.flow_match(), &self.flow_match))
    }

    pub(super) fn is_met_by(&self, body: &Body) -> bool {
        self.has_match(body) && self.has_cookie_and_outputs(body)
    }
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn n_in(&self, table: TableId) -> u32 {
        self.n_in.get(&table).copied().unwrap_or(0)
    }

    /// The flow with the key of `body`, and when it was made.
    pub(super) fn find(&self, body: &Arc<Body>) -> Option<(Arc<Body>, u64)> {
        let (found, created) = self.by_key.get_key_value(&ByKey(body.clone()))?;
        Some((found.0.clone(), *created))
    }

    /// When a flow was made.
    pub(super) fn created(&self, body: &Arc<Body>) -> u64 {
        self.by_key.get(&ByKey(body.clone())).copied().unwrap_or(0)
    }

    /// Takes in a flow whose key no other has. What is left of its life begins at `now`.
    pub(super) fn insert(&mut self, body: Arc<Body>, created: u64, now: u64) {
        for used in body.uses() {
            self.users.entry(*used).or_default().insert(ByKey(body.clone()));
        }
        let (idle, hard) = body.timeouts();
        let end = |seconds: u16, reason| (seconds > 0).then(|| (now + u64::from(seconds) * 1000, reason));
        let ends = [end(hard, FlowRemovedReason::HARD_TIMEOUT), end(idle, FlowRemovedReason::IDLE_TIMEOUT)];
        if let Some((at, reason)) = ends.into_iter().flatten().min_by_key(|(at, _)| *at) {
            self.expiring.insert((at, Place(Some(body.clone()))), reason);
        }
        *self.n_in.entry(body.table()).or_default() += 1;
        self.by_cookie.insert((body.cookie(), Place(Some(body.clone()))));
        self.by_key.insert(ByKey(body), created);
    }

    /// Removes a flow that is there; gives back when it was made.
    pub(super) fn remove(&mut self, body: &Arc<Body>) -> u64 {
        let key = ByKey(body.clone());
        let created = self.by_key.remove(&key).unwrap_or(0);
        self.by_cookie.remove(&(body.cookie(), Place(Some(body.clone()))));
        if body.timeouts() != (0, 0) {
            let place = Place(Some(body.clone()));
            self.expiring.retain(|(_, other), _| *other != place);
        }
        for used in body.uses() {
            if let Some(users) = self.users.get_mut(used) {
                users.remove(&key);
                if users.is_empty() {
                    self.users.remove(used);
                }
            }
        }
        if let Some(n) = self.n_in.get_mut(&body.table()) {
            *n -= 1;
            if *n == 0 {
                self.n_in.remove(&body.table());
            }
        }
        created
    }

    /// The flows that need a group or meter.
    pub(super) fn users(&self, used: Used) -> Vec<Arc<Body>> {
        self.users.get(&used).into_iter().flatten().map(|key| key.0.clone()).collect()
    }

    /// How often a group or meter is needed.
    pub(super) fn n_uses(&self, used: Used) -> u32 {
        let uses = |key: &ByKey| key.0.uses().iter().filter(|other| **other == used).count();
        let n: usize = self.users.get(&used).into_iter().flatten().map(uses).sum();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// The flows that are meant, in no order.
    pub(super) fn select<'a>(&'a self, criteria: &'a Criteria) -> impl Iterator<Item = &'a Arc<Body>> {
        let (low, high) = criteria.cookies();
        let is_empty = criteria.table != TableId::ALL && self.n_in(criteria.table) == 0;
        let from = (Cookie(low), Place(None));
        self.by_cookie
            .range(from..)
            .take_while(move |(cookie, _)| cookie.0 <= high && !is_empty)
            .filter_map(|(_, place)| place.0.as_ref())
            .filter(|body| criteria.is_met_by(body))
    }

    /// The flows that are meant and have just that priority and match.
    pub(super) fn select_strict(&self, criteria: &Criteria, priority: Priority) -> Vec<Arc<Body>> {
        let tables: Vec<TableId> = match criteria.table {
            TableId::ALL => self.n_in.keys().copied().collect(),
            table => vec![table],
        };
        let found = tables.into_iter().filter_map(|table| {
            let flow_match = criteria.flow_match.clone();
            let key = crate::openflow::Flow { table, priority, flow_match, ..Default::default() };
            self.find(&Body::new(key).into()).map(|(body, _)| body)
        });
        found.filter(|body| criteria.has_cookie_and_outputs(body)).collect()
    }

    /// Whether another flow of its table and priority can be for the same packet.
    pub(super) fn overlaps(&self, body: &Body) -> bool {
        let flow_match = body.flow_match();
        self.by_key.keys().any(|key| {
            key.0.table() == body.table()
                && key.0.priority() == body.priority()
                && can_meet(&key.0.flow_match(), &flow_match)
        })
    }

    /// When the next flow goes by itself.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.expiring.keys().next().map(|(at, _)| *at)
    }

    /// A flow that goes by itself now, and why.
    pub(super) fn expired(&self, now: u64) -> Option<(Arc<Body>, FlowRemovedReason)> {
        let ((_, place), reason) = self.expiring.iter().next().filter(|((at, _), _)| *at <= now)?;
        place.0.clone().map(|body| (body, *reason))
    }
}

/// The bits of a field that a match looks at, and what they are.
fn bits(flow_match: &Match, field: Field) -> (FieldValue, FieldValue) {
    flow_match.get(field).map_or((FieldValue::ZERO, FieldValue::ZERO), |entry| {
        (entry.mask.unwrap_or(field.full_mask()), entry.value)
    })
}

/// Whether all packets of `narrow` are packets of `wide`, and it says so of each field.
fn is_within(narrow: &Match, wide: &Match) -> bool {
    let fields = wide.iter().all(|entry| {
        let (mask, value) = bits(narrow, entry.field);
        let wanted = entry.mask.unwrap_or(entry.field.full_mask());
        mask.and(wanted) == wanted && value.and(wanted) == entry.value
    });
    fields && wide.wide().iter().all(|entry| narrow.wide().contains(entry))
}

/// Whether there can be a packet for both.
fn can_meet(one: &Match, other: &Match) -> bool {
    one.iter().all(|entry| {
        let (mask, value) = bits(other, entry.field);
        let both = mask.and(entry.mask.unwrap_or(entry.field.full_mask()));
        value.and(both) == entry.value.and(both)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::Flow;
    use crate::openflow::oxm::field;

    fn body(cookie: u64, port: u32) -> Arc<Body> {
        let flow_match = Match::new().with(field::IN_PORT, port);
        Body::new(Flow { cookie: Cookie(cookie), flow_match, ..Flow::default() }).into()
    }

    fn criteria(cookie: u64, cookie_mask: u64) -> Criteria {
        let cookie = Cookie(cookie);
        let flow_match = Match::new();
        Criteria { table: TableId::ALL, cookie, cookie_mask, out_port: None, out_group: None, flow_match }
    }

    #[test]
    fn cookies_are_found_by_any_mask() {
        let mut flows = Flows::default();
        for n in 0..64_u64 {
            flows.insert(body(n << 32 | n, n as u32), 0, 0);
        }
        let n = |cookie, mask| flows.select(&criteria(cookie, mask)).count();
        assert_eq!((n(0, 0), n(5 << 32 | 5, u64::MAX), n(5 << 32, 0xffff_ffff << 32)), (64, 1, 1));
        assert_eq!((n(1, 1), n(0, 1 << 33), n(77, u64::MAX)), (32, 32, 0));
    }

    #[test]
    fn a_removed_flow_leaves_nothing_behind() {
        let mut flows = Flows::default();
        let flow = Flow { idle_timeout_s: 3, hard_timeout_s: 2, ..body(7, 1).flow() };
        let body = Arc::new(Body::new(flow));
        flows.insert(body.clone(), 5, 5);
        assert!(flows.expired(2004).is_none());
        assert_eq!(flows.expired(2005).map(|(_, reason)| reason), Some(FlowRemovedReason::HARD_TIMEOUT));
        assert_eq!(flows.remove(&body), 5);
        assert!(flows.by_cookie.is_empty() && flows.expiring.is_empty() && flows.n_in.is_empty());
    }

    #[test]
    fn matches_overlap_where_neither_excludes_the_other() {
        let net = |text: &str| {
            let net: ipnet::IpNet = text.parse().unwrap();
            Match::new().with(field::ETH_TYPE, 0x800_u16).with_prefix(field::IPV4_DST, net)
        };
        assert!(can_meet(&net("10.0.0.0/8"), &net("10.1.0.0/16")));
        assert!(!can_meet(&net("10.2.0.0/16"), &net("10.1.0.0/16")));
        assert!(is_within(&net("10.1.0.0/16"), &net("10.0.0.0/8")));
        assert!(!is_within(&net("10.0.0.0/8"), &net("10.1.0.0/16")));
    }
}
