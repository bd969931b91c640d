//! Which groups are live, and so the buckets that watch them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::group::Compiled;
use crate::openflow::Bucket;
use crate::types::{GroupId, PortNo};

/// How many links the liveness of a bucket may hang on that of others. Source: MAX_LIVENESS_RECURSION of Open vSwitch.
pub(super) const MAX_LINKS: usize = 128;

/// The groups of a switch by whether a bucket of theirs is live.
///
/// Groups that watch groups may do so in circles, and by many ways at once. So all of them are judged together, a link
/// a round, and not each bucket by all the ways that lead from it.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// Those with a bucket that is live, or watches one of these.
    live: HashSet<GroupId>,
    /// Those from which more links lead on, none of them to a live bucket, than may be followed.
    endless: HashSet<GroupId>,
}

impl Liveness {
    /// Judges all groups.
    pub(super) fn of(
        groups: &HashMap<GroupId, Arc<Compiled>>,
        is_port_live: impl Fn(PortNo) -> bool,
    ) -> Self {
        let buckets =
            |id: &GroupId| groups.get(id).map(|group| group.group.buckets.as_slice()).unwrap_or_default();
        let has = |id: &GroupId, wanted: &dyn Fn(&Bucket) -> bool| buckets(id).iter().any(wanted);
        let is_live = |bucket: &Bucket| is_live_itself(bucket, &is_port_live);
        let watches = |bucket: &Bucket, of: &HashSet<GroupId>| of.contains(&bucket.watch_group);
        let mut live: HashSet<_> = groups.keys().copied().filter(|id| has(id, &is_live)).collect();
        let leads_on = |bucket: &Bucket| !buckets(&bucket.watch_group).is_empty();
        let mut endless: HashSet<_> = groups.keys().copied().filter(|id| has(id, &leads_on)).collect();
        // One link is the one from the bucket that asks.
        for _ in 1..MAX_LINKS - 1 {
            let more =
                groups.keys().filter(|id| !live.contains(id) && has(id, &|bucket| watches(bucket, &live)));
            let more: Vec<_> = more.copied().collect();
            let still = endless.iter().filter(|id| has(id, &|bucket| watches(bucket, &endless))).copied();
            let still: HashSet<_> = still.collect();
            if more.is_empty() && still.len() == endless.len() {
                break;
            }
            live.extend(more);
            endless = still;
        }
        Self { live, endless }
    }

    /// Whether a bucket watches nothing, or something that is up. An error: so many links lead on from it that it
    /// counts as dead.
    pub(super) fn is_bucket_live(
        &self,
        bucket: &Bucket,
        is_port_live: impl Fn(PortNo) -> bool,
    ) -> Result<bool, TooManyLinks> {
        if is_live_itself(bucket, is_port_live) || self.live.contains(&bucket.watch_group) {
            Ok(true)
        } else if self.endless.contains(&bucket.watch_group) {
            Err(TooManyLinks)
        } else {
            Ok(false)
        }
    }
}

/// More than [`MAX_LINKS`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyLinks;

/// Whether a bucket is live whatever group it watches.
fn is_live_itself(bucket: &Bucket, is_port_live: impl Fn(PortNo) -> bool) -> bool {
    match bucket.watch_port {
        PortNo::ANY => bucket.watch_group == GroupId::ANY,
        port => is_port_live(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::{Group, GroupType};

    /// Groups of which each bucket watches a port and a group.
    fn groups(of: &[(u32, &[(u32, u32)])]) -> HashMap<GroupId, Arc<Compiled>> {
        let bucket = |(port, group): &(u32, u32)| bucket(*port, *group);
        of.iter()
            .map(|(id, watched)| {
                let buckets = watched.iter().map(bucket).collect();
                let group = Group { group: GroupId(*id), group_type: GroupType::FAST_FAILOVER, buckets };
                (group.group, Arc::new(Compiled::new(group)))
            })
            .collect()
    }

    const NONE: u32 = u32::MAX;

    fn bucket(port: u32, group: u32) -> Bucket {
        Bucket { weight: 0, watch_port: PortNo(port), watch_group: GroupId(group), actions: Vec::new() }
    }

    fn is_live(liveness: &Liveness, group: u32) -> Result<bool, TooManyLinks> {
        liveness.is_bucket_live(&bucket(NONE, group), |port| port == PortNo(1))
    }

    #[test]
    fn a_bucket_is_as_live_as_what_it_watches() {
        let groups = groups(&[
            (1, &[(2, NONE), (2, 2)]),
            (2, &[(1, NONE)]),
            (3, &[(2, NONE)]),
            (4, &[]),
            (5, &[(2, 5)]),
        ]);
        let liveness = Liveness::of(&groups, |port| port == PortNo(1));
        let found: Vec<_> = [NONE, 1, 2, 3, 4, 9].map(|id| is_live(&liveness, id)).into();
        assert_eq!(found, [Ok(true), Ok(true), Ok(true), Ok(false), Ok(false), Ok(false)]);
        assert_eq!(is_live(&liveness, 5), Err(TooManyLinks));
    }

    #[test]
    fn a_chain_of_128_links_is_too_long() {
        let watched: Vec<Vec<_>> =
            (0..200).map(|n| vec![if n == 0 { (1, NONE) } else { (NONE, n - 1) }]).collect();
        let of: Vec<_> = (0..).zip(watched.iter().map(Vec::as_slice)).collect();
        let liveness = Liveness::of(&groups(&of), |port| port == PortNo(1));
        assert_eq!(is_live(&liveness, 126), Ok(true));
        assert_eq!(is_live(&liveness, 127), Err(TooManyLinks));
    }

    #[test]
    fn circles_and_many_ways_cost_no_more_than_a_chain() {
        // Every group watches every other, and itself.
        let all: Vec<_> = (0..64).map(|id| (NONE, id)).collect();
        let of: Vec<_> = (0..64).map(|id| (id, all.as_slice())).collect();
        let liveness = Liveness::of(&groups(&of), |_| false);
        assert_eq!(is_live(&liveness, 7), Err(TooManyLinks));
    }
}
