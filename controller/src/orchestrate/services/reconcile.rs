//! The state of all services: which are to be looked at, what was ordered for them, and what they wait for. Pure but for what
//! it reads; the owner carries out its orders and tells it what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowlib::compile::model::EndpointId;

use crate::intent::model::{Container, Service, ServiceKey};
use crate::intent::{Refusal, State};
use crate::orchestrate::board::Board;
use crate::orchestrate::status::{Condition, Health, Phase, Reason};

use super::decide::{self, Means, Replica, decide};
use super::{Steps, is_current};

/// How long a replica without a health check has been ready when it is relied on: its program may only begin to listen.
const CALM: Duration = Duration::from_secs(3);
/// After how long what was refused is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long at least lies between two replacements of replicas whose processes have ended.
const RESPITE: Duration = Duration::from_secs(10);

/// All services.
#[derive(Debug, Default)]
pub(in crate::orchestrate) struct Services {
    watched: BTreeMap<ServiceKey, Watched>,
    /// Those of which something has changed since they were last looked at.
    due: BTreeSet<ServiceKey>,
}

/// What is there to do, and what is worth telling.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::orchestrate) struct Plan {
    /// What is to be carried out, at most one order a service at a time.
    pub(in crate::orchestrate) orders: Vec<Steps>,
    /// What happened to a service: one word, and a sentence.
    pub(in crate::orchestrate) news: Vec<(ServiceKey, &'static str, String)>,
}

#[derive(Debug, Default)]
struct Watched {
    /// The revision of the service that was last looked at.
    revision: u64,
    /// An order is being carried out.
    is_ordered: bool,
    /// Why the last one was not, and when it is tried again.
    refusal: Option<(Refusal, Instant)>,
    /// It replaces replicas of another version.
    is_rolling: bool,
    /// Why it waits for a replica no longer.
    stopped: Option<String>,
    /// The replicas as they were last seen.
    seen: BTreeMap<EndpointId, Seen>,
    /// When replicas that had ended were replaced last.
    replaced: Option<Instant>,
    /// When it is to be looked at without a change.
    next: Option<Instant>,
}

/// How long a replica has been as it is.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Since when it is waited for.
    begun: Instant,
    /// Since when it is ready, if it is.
    ready: Option<Instant>,
    /// It has been relied on.
    settled: bool,
}

impl Services {
    /// Something about a service, or one of its replicas, has changed.
    pub(in crate::orchestrate) fn touch(&mut self, key: ServiceKey) {
        self.due.insert(key);
    }

    /// The same for the service that a container is a replica of, if it is one.
    pub(in crate::orchestrate) fn touch_of(&mut self, container: &Container) {
        if let Some(replica) = &container.replica_of {
            self.touch((container.pool, replica.service.clone()));
        }
    }

    /// All services may have changed.
    pub(in crate::orchestrate) fn touch_all(&mut self, state: &State) {
        self.due.extend(state.services().map(|service| (service.pool, service.name.clone())));
        self.due.extend(self.watched.keys().cloned());
    }

    /// When [`Self::plan`] has something to do without a change.
    pub(in crate::orchestrate) fn next(&self) -> Option<Instant> {
        self.watched.values().filter(|watched| !watched.is_ordered).filter_map(|watched| watched.next).min()
    }

    /// Why a service, as it is intended now, does not come further by itself, if so.
    pub(in crate::orchestrate) fn trouble(&self, service: &Service) -> Option<String> {
        let watched = self.watched.get(&(service.pool, service.name.clone()))?;
        // What was found for an earlier intent says nothing of this one.
        if watched.revision != service.revision {
            return None;
        }
        let refused = || {
            let (refusal, _) = watched.refusal.as_ref()?;
            Some(format!("a replica cannot be placed: {refusal}"))
        };
        watched.stopped.clone().or_else(refused)
    }

    /// Takes up what became of an order: nothing, or why not all of it was done.
    pub(in crate::orchestrate) fn outcome(
        &mut self,
        key: &ServiceKey,
        refusal: Option<Refusal>,
        clock: Instant,
    ) -> Option<(&'static str, String)> {
        let watched = self.watched.get_mut(key)?;
        watched.is_ordered = false;
        self.due.insert(key.clone());
        // The sentence may change with every number in it.
        let kind = watched.refusal.as_ref().map(|(refusal, _)| discriminant(refusal));
        let is_new = refusal.as_ref().is_some_and(|refusal| kind != Some(discriminant(refusal)));
        let news = refusal.as_ref().filter(|_| is_new).map(|why| ("ReplicaRefused", why.to_string()));
        watched.refusal = refusal.map(|refusal| (refusal, clock + RETRY));
        news
    }

    /// Says what is to be done now.
    pub(in crate::orchestrate) fn plan(&mut self, state: &State, board: &Board, clock: Instant) -> Plan {
        let over = |watched: &Watched| watched.next.is_some_and(|next| next <= clock);
        let waiting = self.watched.iter().filter(|(_, watched)| over(watched)).map(|(key, _)| key.clone());
        let mut due: BTreeSet<ServiceKey> = waiting.collect();
        due.append(&mut self.due);
        let mut plan = Plan::default();
        for key in due {
            let Some(service) = state.service(&key) else {
                self.watched.remove(&key);
                continue;
            };
            let watched = self.watched.entry(key.clone()).or_default();
            if !watched.is_ordered {
                watched.look(state, board, service, clock, &mut plan);
            }
        }
        plan
    }
}

impl Watched {
    fn look(&mut self, state: &State, board: &Board, service: &Service, clock: Instant, plan: &mut Plan) {
        let key = (service.pool, service.name.clone());
        (self.next, self.revision) = (None, service.revision);
        let all: Vec<(&Arc<Container>, Condition)> =
            state.replicas(&key).map(|replica| (replica, board.look(replica).condition)).collect();
        self.seen.retain(|id, _| all.iter().any(|(replica, _)| replica.endpoint.id == *id));
        let replicas: Vec<Replica> =
            all.iter().map(|(replica, condition)| self.see(service, replica, condition, clock)).collect();
        self.judge(service, &all, &replicas, clock, &mut |word, sentence| {
            plan.news.push((key.clone(), word, sentence));
        });
        let replacing = self.replaced.map(|replaced| replaced + RESPITE).filter(|next| *next > clock);
        let has_room =
            self.refusal.as_ref().is_none_or(|(refusal, _)| matches!(refusal, Refusal::Unavailable(_)));
        let means = Means { has_room, may_replace: replacing.is_none() };
        let decide::Wish { delete, create } =
            decide(usize::try_from(service.replicas).unwrap_or(usize::MAX), &replicas, means);
        let has_ended = |replica: &Replica| replica.state == decide::State::Ended;
        if replicas.iter().any(has_ended) {
            self.wake(replacing);
        }
        if delete.is_empty() && create == 0 {
            if !self.is_rolling {
                self.refusal = None;
            }
            return;
        }
        if let Some((_, retry)) = &self.refusal
            && delete.is_empty()
            && *retry > clock
        {
            return self.wake(Some(*retry));
        }
        if !self.is_rolling && replicas.iter().any(|one| has_ended(one) && delete.contains(&one.id)) {
            self.replaced = Some(clock);
        }
        self.is_ordered = true;
        plan.orders.push(Steps { service: key, revision: service.revision, delete, create });
    }

    /// Is to be looked at then, if not before.
    fn wake(&mut self, at: Option<Instant>) {
        self.next = [self.next, at].into_iter().flatten().min();
    }

    /// Takes up how a replica is.
    fn see(
        &mut self,
        service: &Service,
        replica: &Container,
        condition: &Condition,
        clock: Instant,
    ) -> Replica {
        let id = replica.endpoint.id;
        let seen = self.seen.entry(id).or_insert(Seen { begun: clock, ready: None, settled: false });
        let is_ready = condition.phase == Phase::Ready;
        if is_ready {
            let since = *seen.ready.get_or_insert(clock);
            // Who says that it is well need not be waited for.
            let is_healthy = condition.process.is_some_and(|process| process.health == Health::Healthy);
            seen.settled |= is_healthy || since + CALM <= clock;
        } else {
            if seen.settled {
                seen.begun = clock;
            }
            (seen.ready, seen.settled) = (None, false);
        }
        let seen = *seen;
        if let (Some(since), false) = (seen.ready, seen.settled) {
            self.wake(Some(since + CALM));
        }
        let state = match condition.phase {
            _ if seen.settled => decide::State::Settled,
            Phase::Ready => decide::State::Ready,
            Phase::Ended if !replica.stopped => decide::State::Ended,
            _ if condition.reason == Reason::NodeUnreachable => decide::State::Unknown,
            _ => decide::State::Waiting,
        };
        Replica { id, is_current: is_current(service, replica), state }
    }

    /// Finds out whether a rollout has come to its end, or to a stop.
    fn judge(
        &mut self,
        service: &Service,
        all: &[(&Arc<Container>, Condition)],
        replicas: &[Replica],
        clock: Instant,
        tell: &mut dyn FnMut(&'static str, String),
    ) {
        let was_rolling = self.is_rolling;
        let (current, old): (Vec<&Replica>, Vec<&Replica>) = replicas.iter().partition(|one| one.is_current);
        let late = current.iter().filter(|one| one.state != decide::State::Settled);
        let late = late.min_by_key(|one| self.seen.get(&one.id).map(|seen| seen.begun));
        let is_short = replicas.len() < usize::try_from(service.replicas).unwrap_or(usize::MAX);
        self.is_rolling = !old.is_empty() || (was_rolling && (late.is_some() || is_short));
        let late = late.filter(|_| !old.is_empty());
        let Some(late) = late else {
            self.stopped = None;
            if was_rolling && !self.is_rolling {
                let (version, image) = (service.template.version, &service.template.image);
                tell("RolledOut", format!("all replicas are of version {version} ({image}) and ready"));
            }
            return;
        };
        let patience = Duration::from_secs(service.patience_s.into());
        let until = self.seen.get(&late.id).map_or(clock, |seen| seen.begun + patience);
        let found = all.iter().find(|(replica, _)| replica.endpoint.id == late.id);
        let Some((replica, condition)) = found else { return };
        let is_hopeless = condition.is_definite() || late.state == decide::State::Ended;
        if until > clock && !is_hopeless {
            self.stopped = None;
            return self.wake(Some(until));
        }
        let why = match (condition.reason.word(), condition.message.as_str()) {
            ("", _) => "it does not stay ready".to_owned(),
            (word, message) => format!("{word}: {message}"),
        };
        let name = &replica.name;
        let sentence =
            format!("the replica `{name}` of version {} is not healthy: {why}", service.template.version);
        if self.stopped.is_none() {
            tell("RolloutStopped", sentence.clone());
        }
        self.stopped = Some(sentence);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use flowlib::types::DatapathId;

    use super::*;
    use crate::intent::Transaction;
    use crate::orchestrate::containers::Surroundings;
    use crate::orchestrate::links::Links;
    use crate::orchestrate::networks::{self, NetworkSpec};
    use crate::orchestrate::nodes::{self, NodeSpec};
    use crate::orchestrate::ofport::Ports;
    use crate::orchestrate::pools::{self, PoolSpec};
    use crate::orchestrate::services::{self, ServiceSpec};

    struct World {
        state: State,
        links: Links,
        ports: Ports,
        board: Board,
        services: Services,
        clock: Instant,
        news: Vec<&'static str>,
    }

    impl World {
        /// Two nodes, a network, and a service of three replicas of the image `one` that has no replicas yet.
        fn new() -> Self {
            let mut state = State::default();
            let links = Links::default();
            let mut tx = Transaction::new(&mut state);
            let pool = "p".to_owned();
            pools::create(&mut tx, PoolSpec { name: pool.clone(), ..PoolSpec::default() }).unwrap();
            let network = NetworkSpec {
                pool: pool.clone(),
                name: "net".to_owned(),
                driver: "vlan".to_owned(),
                subnet: "10.1.0.0/24".parse().unwrap(),
                ..NetworkSpec::default()
            };
            networks::create(&mut tx, &network).unwrap();
            for n in 1..=2u8 {
                let spec = NodeSpec {
                    pool: pool.clone(),
                    name: format!("n{n}"),
                    datapath_id: DatapathId(n.into()),
                    tunnel_address: [172, 31, 0, n].into(),
                    labels: BTreeMap::new(),
                    capacity: crate::intent::model::Resources::default(),
                    metrics: None,
                };
                let id = nodes::register(&mut tx, spec).unwrap().id;
                let offer = crate::orchestrate::links::Offer {
                    runtimes: ["docker".to_owned()].into(),
                    ..Default::default()
                };
                links.change(id, |link| {
                    (link.agent, link.switch, link.offer) = (true, true, Some(Arc::new(offer)));
                });
            }
            let template = super::super::ContainerSpec {
                image: "one".to_owned(),
                ..super::super::ContainerSpec::default()
            };
            let spec = ServiceSpec {
                pool,
                name: "web".to_owned(),
                network: "net".to_owned(),
                replicas: 3,
                template,
                ..ServiceSpec::default()
            };
            services::create(&mut tx, &spec).unwrap();
            state.revision = 1;
            Self {
                state,
                links,
                ports: Ports::default(),
                board: Board::default(),
                services: Services::default(),
                clock: Instant::now(),
                news: Vec::new(),
            }
        }

        fn change<T>(
            &mut self,
            change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Refusal>,
        ) -> Result<T, Refusal> {
            let mut tx = Transaction::new(&mut self.state);
            let outcome = change(&mut tx);
            self.state.revision += 1;
            outcome
        }

        /// Plans and carries out until nothing is to be done, all replicas being as `phase` says by their image.
        fn settle(&mut self, phase: impl Fn(&Container) -> Phase) {
            for _ in 0..40 {
                self.services.touch_all(&self.state);
                for replica in self.state.containers().filter(|replica| !replica.deleting) {
                    let reason =
                        if phase(replica) == Phase::Ready { Reason::None } else { Reason::PortPending };
                    let condition = Condition::new(phase(replica), reason, "so it is");
                    self.board.post(replica, condition, SystemTime::UNIX_EPOCH);
                }
                let plan = self.services.plan(&self.state, &self.board, self.clock);
                self.news.extend(plan.news.iter().map(|(_, word, _)| *word));
                for steps in plan.orders {
                    let mut tx = Transaction::new(&mut self.state);
                    let around = Surroundings {
                        links: &self.links,
                        ports: &self.ports,
                        now_ms: 1_000_000,
                        cool_down_ms: 0,
                    };
                    let refusal = services::carry_out(&mut tx, &steps, around).unwrap();
                    self.state.revision += 1;
                    let told = self.services.outcome(&steps.service, refusal, self.clock);
                    self.news.extend(told.map(|(word, _)| word));
                }
                self.clock += Duration::from_secs(2);
            }
        }

        /// What is being deleted is gone.
        fn retire(&mut self) {
            let leaving = |replica: &&Arc<Container>| replica.deleting;
            let gone: Vec<EndpointId> =
                self.state.containers().filter(leaving).map(|replica| replica.endpoint.id).collect();
            let mut tx = Transaction::new(&mut self.state);
            gone.into_iter().for_each(|id| crate::orchestrate::containers::retired(&mut tx, id, 1_000_000));
            self.state.revision += 1;
        }

        fn key(&self) -> ServiceKey {
            (self.state.pool_named("p").unwrap().id, "web".to_owned())
        }

        fn trouble(&self) -> Option<String> {
            self.services.trouble(self.state.service(&self.key()).unwrap())
        }

        fn images(&self) -> Vec<String> {
            let mut images: Vec<String> =
                self.state.replicas(&self.key()).map(|replica| replica.image.clone()).collect();
            images.sort();
            images
        }
    }

    #[test]
    fn replicas_are_made_spread_over_the_nodes_and_replaced_when_they_are_gone() {
        let mut world = World::new();
        world.settle(|_| Phase::Ready);
        let names: Vec<&str> = world.state.containers().map(|replica| replica.name.as_str()).collect();
        assert_eq!(names, ["web-1", "web-2", "web-3"]);
        assert!(world.state.containers().all(|replica| replica.service == "web"));
        let nodes: BTreeSet<_> = world.state.containers().map(|replica| replica.endpoint.node).collect();
        assert_eq!(nodes.len(), 2);
        world.change(|tx| crate::orchestrate::containers::delete(tx, "p", "web-2")).unwrap();
        world.settle(|_| Phase::Ready);
        assert_eq!(world.images(), ["one"; 3]);
        world.change(|tx| services::scale(tx, ("p", "web"), 5)).unwrap();
        world.settle(|_| Phase::Ready);
        assert_eq!(world.images(), ["one"; 5]);
        world.change(|tx| services::delete(tx, "p", "web")).unwrap();
        world.settle(|_| Phase::Ready);
        assert!(world.images().is_empty() && world.state.containers().all(|replica| replica.deleting));
        assert_eq!(world.news, Vec::<&str>::new());
    }

    #[test]
    fn a_rollout_ends_with_the_new_image_and_stops_where_that_is_not_healthy() {
        let mut world = World::new();
        world.settle(|_| Phase::Ready);
        world.change(|tx| services::update(tx, ("p", "web"), "two")).unwrap();
        world.settle(|_| Phase::Ready);
        assert_eq!((world.images(), world.news.split_off(0)), (vec!["two".to_owned(); 3], vec!["RolledOut"]));

        world.change(|tx| services::update(tx, ("p", "web"), "bad")).unwrap();
        let bad_waits =
            |replica: &Container| if replica.image == "bad" { Phase::Starting } else { Phase::Ready };
        world.settle(bad_waits);
        assert_eq!(world.images(), ["bad", "two", "two", "two"]);
        assert_eq!(world.news.split_off(0), ["RolloutStopped"]);
        let trouble = world.trouble().unwrap();
        assert!(trouble.contains("version 3") && trouble.contains("so it is"), "{trouble}");

        world.change(|tx| services::roll_back(tx, ("p", "web"))).unwrap();
        world.settle(bad_waits);
        assert_eq!((world.images(), world.trouble()), (vec!["two".to_owned(); 3], None));
    }

    #[test]
    fn a_full_quota_is_kept_and_an_old_replica_goes_before_a_new_one_is_made() {
        let mut world = World::new();
        let quota = pools::QuotaChange { containers: Some(3), ..pools::QuotaChange::default() };
        world
            .change(|tx| pools::update(tx, "p", pools::Change { quota, ..pools::Change::default() }))
            .unwrap();
        world.change(|tx| services::scale(tx, ("p", "web"), 5)).unwrap();
        world.settle(|_| Phase::Ready);
        assert_eq!(
            (world.images(), world.news.split_off(0)),
            (vec!["one".to_owned(); 3], vec!["ReplicaRefused"])
        );
        let trouble = world.trouble().unwrap();
        assert!(trouble.contains("quota of 3 containers"), "{trouble}");

        world.change(|tx| services::scale(tx, ("p", "web"), 3)).unwrap();
        world.change(|tx| services::update(tx, ("p", "web"), "two")).unwrap();
        for n_new in 0..3 {
            world.settle(|_| Phase::Ready);
            let images = world.images();
            assert_eq!((images.len(), images.iter().filter(|image| *image == "two").count()), (2, n_new));
            world.retire();
        }
        world.settle(|_| Phase::Ready);
        assert_eq!((world.images(), world.trouble()), (vec!["two".to_owned(); 3], None));
        assert_eq!(world.news.last(), Some(&"RolledOut"));
    }
}
