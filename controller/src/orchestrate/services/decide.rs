//! What is to be done next about a service's replicas. Pure.
//!
//! While there are replicas of another version, one at a time is replaced: a new one is made beyond those that are to be
//! there, and when it has settled an old one goes. Where there is no room for one more, an old one goes first, if all others
//! are ready. What is not ready goes first of all, since nobody misses it: so at least one less than there are to be are
//! ready at any moment, unless some fail by themselves.

use flowlib::compile::model::EndpointId;

/// How a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is ready, and has been for long enough to be relied on.
    Settled,
    /// It is ready.
    Ready,
    /// It is not.
    Waiting,
    /// Its node is not reached: it may well do its work.
    Unknown,
    /// Its process has ended by itself, and is not started again.
    Ended,
}

/// One replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) id: EndpointId,
    /// It is of the service's version.
    pub(super) is_current: bool,
    pub(super) state: State,
}

impl Replica {
    fn is_ready(&self) -> bool {
        matches!(self.state, State::Settled | State::Ready)
    }

    /// Whether somebody may miss it.
    fn may_answer(&self) -> bool {
        self.is_ready() || self.state == State::Unknown
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Means {
    /// There is room for one more, as far as is known.
    pub(super) has_room: bool,
    /// It is time to replace those that have ended.
    pub(super) may_replace: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) delete: Vec<EndpointId>,
    pub(super) create: usize,
}

/// Decides, for so many replicas that are to be there.
pub(super) fn decide(wanted: usize, replicas: &[Replica], means: Means) -> Wish {
    let delete = |delete: Vec<EndpointId>| Wish { delete, create: 0 };
    let n_old = replicas.iter().filter(|replica| !replica.is_current).count();
    let spare = if n_old == 0 { wanted } else { wanted.saturating_add(1) };
    if let Some(surplus @ 1..) = replicas.len().checked_sub(spare) {
        return delete(worst(replicas).take(surplus).collect());
    }
    if let Some(missing @ 1..) = wanted.checked_sub(replicas.len()) {
        return Wish { delete: Vec::new(), create: missing };
    }
    if n_old == 0 {
        let ended = replicas.iter().filter(|replica| replica.state == State::Ended && means.may_replace);
        return delete(ended.map(|replica| replica.id).collect());
    }
    let is_one_more = replicas.len() > wanted;
    let is_calm = replicas.iter().all(|replica| !replica.is_current || replica.state == State::Settled);
    let old = worst(replicas).find(|id| replicas.iter().any(|one| one.id == *id && !one.is_current));
    let idle = replicas.iter().find(|replica| !replica.is_current && !replica.may_answer());
    match idle {
        Some(idle) if is_one_more || is_calm => {
            Wish { delete: vec![idle.id], create: usize::from(!is_one_more) }
        }
        _ if !is_calm => Wish::default(),
        _ if is_one_more => delete(old.into_iter().collect()),
        _ if means.has_room => Wish { delete: Vec::new(), create: 1 },
        _ if replicas.iter().all(Replica::is_ready) => delete(old.into_iter().collect()),
        _ => Wish::default(),
    }
}

/// All replicas, those first that are missed the least: what is not ready, then what is of another version, then the youngest.
fn worst(replicas: &[Replica]) -> impl Iterator<Item = EndpointId> + use<> {
    let mut all = replicas.to_vec();
    all.sort_by_key(|replica| {
        (replica.may_answer(), replica.is_ready(), replica.is_current, std::cmp::Reverse(replica.id))
    });
    all.into_iter().map(|replica| replica.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const MEANS: Means = Means { has_room: true, may_replace: true };

    fn replica(id: u32, is_current: bool, state: State) -> Replica {
        Replica { id: EndpointId(id), is_current, state }
    }

    fn ids(ids: &[u32]) -> Vec<EndpointId> {
        ids.iter().map(|id| EndpointId(*id)).collect()
    }

    #[test]
    fn replicas_are_made_and_the_least_missed_go() {
        let two = [replica(1, true, State::Settled), replica(2, true, State::Waiting)];
        assert_eq!(decide(5, &two, MEANS), Wish { delete: vec![], create: 3 });
        assert_eq!(decide(2, &two, MEANS), Wish::default());
        assert_eq!(decide(1, &two, MEANS).delete, ids(&[2]), "the one that is not ready");
        let ready = [replica(1, true, State::Settled), replica(2, true, State::Ready)];
        assert_eq!(decide(1, &ready, MEANS).delete, ids(&[2]), "the youngest");
        assert_eq!(decide(0, &two, MEANS).delete, ids(&[2, 1]));
    }

    #[test]
    fn what_has_ended_is_replaced_when_it_is_time() {
        let all = [replica(1, true, State::Settled), replica(2, true, State::Ended)];
        assert_eq!(decide(2, &all, MEANS).delete, ids(&[2]));
        assert_eq!(decide(2, &all, Means { may_replace: false, ..MEANS }), Wish::default());
    }

    #[test]
    fn a_rollout_waits_for_the_new_one_and_what_is_idle_goes_first() {
        let old = [replica(1, false, State::Settled), replica(2, false, State::Settled)];
        assert_eq!(decide(2, &old, MEANS), Wish { delete: vec![], create: 1 });
        for (state, gone) in
            [(State::Waiting, &[][..]), (State::Ready, &[]), (State::Ended, &[]), (State::Settled, &[2])]
        {
            let all = [&old[..], &[replica(3, true, state)]].concat();
            assert_eq!(decide(2, &all, MEANS), Wish { delete: ids(gone), create: 0 }, "{state:?}");
        }
        let idle = [replica(1, false, State::Waiting), replica(2, false, State::Settled)];
        assert_eq!(decide(2, &idle, MEANS), Wish { delete: ids(&[1]), create: 1 });
        let full = Means { has_room: false, ..MEANS };
        assert_eq!(decide(2, &old, full), Wish { delete: ids(&[2]), create: 0 }, "room is made");
        let unknown = [replica(1, false, State::Unknown), replica(2, false, State::Settled)];
        assert_eq!(decide(2, &unknown, full), Wish::default(), "it may answer");
        assert_eq!(decide(2, &unknown, MEANS), Wish { delete: vec![], create: 1 });
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The service gets another version, or goes back to one.
        Version(u32),
        Scale(usize),
        /// A replica becomes well, or not.
        Turn(Index, State),
        Room(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let states = [State::Settled, State::Ready, State::Waiting, State::Unknown, State::Ended];
        let states = prop::sample::select(states.to_vec());
        prop_oneof![
            1 => (1..4u32).prop_map(Step::Version),
            1 => (0..8usize).prop_map(Step::Scale),
            6 => (any::<Index>(), states).prop_map(|(index, state)| Step::Turn(index, state)),
            1 => any::<bool>().prop_map(Step::Room),
        ]
    }

    #[derive(Debug, Default)]
    struct World {
        wanted: usize,
        version: u32,
        last: u32,
        has_room: bool,
        replicas: BTreeMap<u32, (u32, State)>,
    }

    impl World {
        /// One decision, carried out; what it was.
        fn go(&mut self) -> Wish {
            let all: Vec<Replica> = self
                .replicas
                .iter()
                .map(|(id, (version, state))| replica(*id, *version == self.version, *state))
                .collect();
            let answering = |all: &[Replica]| all.iter().filter(|replica| replica.may_answer()).count();
            let wish = decide(self.wanted, &all, Means { has_room: self.has_room, may_replace: true });
            let left: Vec<Replica> =
                all.iter().filter(|one| !wish.delete.contains(&one.id)).copied().collect();
            assert!(
                answering(&left) >= answering(&all).min(self.wanted.saturating_sub(1)),
                "{all:?}: {wish:?}"
            );
            assert!(left.len() + wish.create <= (self.wanted + 1).max(left.len()), "{all:?}: {wish:?}");
            self.replicas.retain(|id, _| left.iter().any(|one| one.id.0 == *id));
            for _ in 0..wish.create {
                self.last += 1;
                self.replicas.insert(self.last, (self.version, State::Waiting));
            }
            wish
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_no_decision_takes_more_than_one_that_answers_and_all_ends_well(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut world = World { wanted: 3, version: 1, has_room: true, ..World::default() };
            for step in steps {
                match step {
                    Step::Version(version) => world.version = version,
                    Step::Scale(wanted) => world.wanted = wanted,
                    Step::Room(has_room) => world.has_room = has_room,
                    Step::Turn(index, state) => {
                        let ids: Vec<u32> = world.replicas.keys().copied().collect();
                        if !ids.is_empty() {
                            world.replicas.entry(*index.get(&ids)).and_modify(|(_, now)| *now = state);
                        }
                    }
                }
                world.go();
            }
            // From here on all replicas become well.
            for _ in 0..60 {
                world.replicas.values_mut().for_each(|(_, state)| *state = State::Settled);
                world.go();
            }
            world.replicas.values_mut().for_each(|(_, state)| *state = State::Settled);
            prop_assert_eq!(world.go(), Wish::default());
            let current = world.replicas.values().filter(|(version, _)| *version == world.version).count();
            prop_assert_eq!((current, world.replicas.len()), (world.wanted, world.wanted));
        }
    }
}
