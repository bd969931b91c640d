//! Groups: which bucket acts.

use std::sync::Arc;

use super::action_set;
use super::hash;
use super::step::{Step, of_actions};
use crate::openflow::{Bucket, Group};
use crate::packet::Key;

/// A group with its buckets' actions in order.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) group: Group,
    pub(super) buckets: Vec<Arc<[Step]>>,
    /// Of a select group: the bucket of each value of the packet's hash.
    slots: Option<Vec<usize>>,
}

/// The most values of a hash that a group without a method of its own uses.
const MAX_SLOTS: u64 = 256;
const MIN_SLOTS: u64 = 16;

impl Compiled {
    pub(super) fn new(group: Group) -> Self {
        let buckets =
            group.buckets.iter().map(|bucket| of_actions(&action_set::ordered(&bucket.actions))).collect();
        let slots = slots(&group.buckets);
        Self { group, buckets, slots }
    }

    /// Whether a bucket is chosen by the hash that the datapath computes.
    pub(super) fn needs_dp_hash(&self) -> bool {
        self.slots.is_some()
    }

    /// The first live bucket, starting with the one of that hash; `live` are those that are, in order.
    pub(super) fn by_dp_hash(&self, dp_hash: u32, live: &[usize]) -> Option<usize> {
        let slots = self.slots.as_ref()?;
        let start = dp_hash as usize & (slots.len() - 1);
        (0..slots.len())
            .filter_map(|n| slots.get((start + n) & (slots.len() - 1)).copied())
            .find(|n| live.binary_search(n).is_ok())
    }

    /// The live bucket with the highest score, and all scores; `live` are those that are, in order.
    ///
    /// Source: `group_best_live_bucket` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
    pub(super) fn by_score(&self, key: &Key, live: &[usize]) -> (Option<usize>, Vec<(usize, u32)>) {
        let basis = hash::symmetric_l4(key, 0);
        let score = |n: usize| {
            let weight = self.group.buckets.get(n)?.weight;
            Some((n, (hash::two_words(n as u32, basis) & 0xffff) * u32::from(weight)))
        };
        let scores: Vec<_> = live.iter().copied().filter_map(score).collect();
        // Of equal scores the last wins, as with max_by_key.
        let best = scores.iter().max_by_key(|(_, score)| *score).map(|(n, _)| *n);
        (best, scores)
    }
}

/// Spreads hash values over buckets by their weights; nothing if that takes too many values.
///
/// Source: `group_setup_dp_hash_table` in `ofproto/ofproto-dpif.c` of Open vSwitch 3.1: the method of Webster.
fn slots(buckets: &[Bucket]) -> Option<Vec<usize>> {
    let weights = buckets.iter().map(|bucket| u64::from(bucket.weight));
    let total: u64 = weights.clone().sum();
    let least = weights.clone().filter(|weight| *weight > 0).min()?;
    let n_slots = total.div_ceil(least).next_power_of_two().max(MIN_SLOTS);
    if n_slots > MAX_SLOTS {
        return None;
    }
    let mut divisors = vec![1.0; buckets.len()];
    let weights: Vec<f64> = weights.map(|weight| weight as f64).collect();
    let mut slots = Vec::new();
    for _ in 0..n_slots {
        let mut winner = 0;
        for n in 1..weights.len() {
            if weights[n] / divisors[n] > weights[winner] / divisors[winner] {
                winner = n;
            }
        }
        divisors[winner] += 2.0;
        slots.push(winner);
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{GroupId, PortNo};

    #[test]
    fn hash_values_are_spread_by_weight() {
        let bucket = |weight| Bucket {
            weight,
            watch_port: PortNo::ANY,
            watch_group: GroupId::ANY,
            actions: Vec::new(),
        };
        let of = |weights: &[u16]| slots(&weights.iter().map(|weight| bucket(*weight)).collect::<Vec<_>>());
        let shares = of(&[3, 1]).unwrap();
        assert_eq!((shares.len(), shares.iter().filter(|n| **n == 0).count()), (16, 12));
        assert_eq!(of(&[1, 1000]), None);
        assert_eq!(of(&[0, 0]), None);
        assert_eq!(of(&[]), None);
    }
}
