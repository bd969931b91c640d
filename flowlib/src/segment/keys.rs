//! Which keys a segment has, in a few bytes each.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::segment::step::Key;

/// Keys, by their hashes alone.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hashes: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Keys {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: &Key<'_>) {
        let hash = self.hash(key);
        self.hashes.insert_unique(spread(hash), hash, |hash| spread(*hash));
    }

    /// Takes a key away that is there.
    pub(super) fn remove(&mut self, key: &Key<'_>) {
        let hash = self.hash(key);
        if let Ok(entry) = self.hashes.find_entry(spread(hash), |held| *held == hash) {
            entry.remove();
        }
    }

    /// `true` for each key that is there, and by chance, for each of those, for one in 2³² others.
    pub(super) fn may_have(&self, key: &Key<'_>) -> bool {
        let hash = self.hash(key);
        self.hashes.find(spread(hash), |held| *held == hash).is_some()
    }

    fn hash(&self, key: &Key<'_>) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

/// All bits of a hash in the lowest and the highest, which the table goes by.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;
    use crate::openflow::{Flow, Match};
    use crate::segment::step::Step;

    #[test]
    fn keys_of_equal_hashes_are_counted_each() {
        // So many that a few are likely to have the hash of another.
        let steps: Vec<Step> = (0..200_000u32)
            .map(|port| {
                Step::add(&Flow { flow_match: Match::new().with(field::IN_PORT, port), ..Flow::default() })
            })
            .collect();
        let mut keys = Keys::default();
        steps.iter().for_each(|step| keys.insert(&step.key()));
        let (gone, kept) = steps.split_at(steps.len() / 2);
        gone.iter().for_each(|step| keys.remove(&step.key()));
        assert_eq!(keys.len(), kept.len());
        assert!(kept.iter().all(|step| keys.may_have(&step.key())));
        let mistaken = gone.iter().filter(|step| keys.may_have(&step.key())).count();
        assert!(mistaken < 50, "{mistaken} of {} that are gone", gone.len());
    }
}
