//! What the agent believes of Docker's networks, set against what Docker has: whatever Docker has forgotten while nobody
//! listened is found here, and what this agent has forgotten.

use std::collections::BTreeMap;

use super::book::{Book, LeaseState, Pool, Token};
use crate::runtime::{
    EndpointId,
    docker::{PlainContainer, PlainEndpoint, PlainNetwork},
};

impl Book {
    /// Takes up all that Docker has of the driver's networks, as it was asked for at `began_ms`.
    pub(super) fn compare(&mut self, found: &[PlainNetwork], began_ms: u64, now_ms: u64) {
        // What Docker was about to make when it was asked is not missing.
        let is_settled = |since_ms: u64| since_ms.saturating_add(GRACE_MS) <= began_ms;
        self.strange.clear();
        for network in found {
            if self.network_of_docker(&network.id).is_none() {
                self.recall(network, now_ms);
            }
        }
        let is_there = |id: &str| found.iter().any(|network| network.id == id);
        let forgotten: Vec<(Token, Option<String>)> = self
            .pools
            .iter()
            .filter(|(_, pool)| is_settled(pool.since_ms))
            .map(|(token, pool)| (*token, pool.bound.as_ref().map(|(id, _)| id.clone())))
            .filter(|(_, docker)| docker.as_ref().is_none_or(|id| !is_there(id)))
            .collect();
        for (token, docker) in forgotten {
            tracing::info!(token, docker, "Docker has no such network any more");
            docker.iter().for_each(|docker| self.unbind(docker, now_ms));
            self.pools.remove(&token);
        }
        self.compare_endpoints(found, is_settled, now_ms);
        self.is_new = false;
    }

    fn compare_endpoints(&mut self, found: &[PlainNetwork], is_settled: impl Fn(u64) -> bool, now_ms: u64) {
        let all: BTreeMap<&str, (&str, &PlainEndpoint)> = found
            .iter()
            .flat_map(|network| {
                network.endpoints.iter().map(|end| (end.id.as_str(), (network.id.as_str(), end)))
            })
            .collect();
        let holders =
            all.iter().filter_map(|(id, (_, end))| Some(((*id).to_owned(), end.container.clone()?)));
        let holders: BTreeMap<String, PlainContainer> = holders.collect();
        let mut nobodys: Vec<EndpointId> = Vec::new();
        for (id, lease) in &mut self.leases {
            match &mut lease.state {
                LeaseState::Unknown => {
                    let address = lease.spec.address.address.addr();
                    match all.values().find(|(_, end)| end.address == Some(address)) {
                        Some((network, end)) => {
                            let (network, endpoint) = ((*network).to_owned(), end.id.clone());
                            lease.state = LeaseState::Used { network, endpoint, joined: true };
                            self.touched.insert(*id);
                        }
                        None => nobodys.push(*id),
                    }
                }
                LeaseState::Used { endpoint, joined, .. } => match all.get(endpoint.as_str()) {
                    Some((_, end)) if !*joined && end.container.is_some() && is_settled(lease.since_ms) => {
                        *joined = true;
                        self.touched.insert(*id);
                    }
                    Some(_) if holders.get(endpoint) != self.holders.get(endpoint) => {
                        self.touched.insert(*id);
                    }
                    None if is_settled(lease.since_ms) => nobodys.push(*id),
                    _ => {}
                },
                LeaseState::Taken if is_settled(lease.since_ms) => nobodys.push(*id),
                LeaseState::Taken | LeaseState::Free | LeaseState::Leaving { .. } => {}
            }
        }
        self.holders = holders;
        for id in nobodys {
            tracing::info!(endpoint = id, "Docker does not have it any more");
            self.free(id, now_ms);
        }
    }

    /// A network that Docker has and is not known here: the agent has lost its state. It is known again if Docker shows
    /// enough of it.
    fn recall(&mut self, network: &PlainNetwork, now_ms: u64) {
        match (network.token, &network.network) {
            (Some(token), Some(name)) if self.pools.get(&token).is_none_or(|pool| pool.bound.is_none()) => {
                tracing::info!(docker = network.name, network = name, "Docker's network is known again");
                let bound = Some((network.id.clone(), name.clone()));
                self.pools.insert(token, Pool { subnet: None, gateway: None, bound, since_ms: now_ms });
            }
            _ => self.strange.push(format!(
                "Docker's network `{}` is not known to the agent, which has lost its state: no container can join it before \
                 it is removed (docker network rm) and made again",
                network.name
            )),
        }
    }
}

/// How long Docker is given from one call about something to the next.
const GRACE_MS: u64 = 20_000;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{
        super::book::{
            Stage,
            tests::{book, spec},
        },
        *,
    };

    const LATER: u64 = 1 + GRACE_MS;

    fn endpoint(id: &str, address: u32, container: Option<&str>) -> PlainEndpoint {
        let address = Some(spec(address).address.address.addr());
        let container = container.map(|name| PlainContainer { id: "4fe8".to_owned(), name: name.to_owned() });
        PlainEndpoint { id: id.to_owned(), address, container }
    }

    fn network(id: &str, token: Option<Token>, endpoints: Vec<PlainEndpoint>) -> PlainNetwork {
        let network = Some("net".to_owned());
        PlainNetwork { id: id.to_owned(), name: format!("{id}-name"), network, token, endpoints }
    }

    #[test]
    fn what_docker_forgot_is_nobodys_after_a_while_and_what_it_has_gets_its_name() {
        let (mut book, _) = book(3);
        for (id, end) in [(2, "a"), (3, "b")] {
            book.take("net", 1).unwrap();
            book.make(("d", end), spec(id).address.address, 1).unwrap();
        }
        book.take("net", 1).unwrap();
        let found = [network("d", None, vec![endpoint("a", 2, Some("web"))])];
        book.compare(&found, GRACE_MS, GRACE_MS);
        assert_eq!(
            (book.stage(2), book.stage(3)),
            (Stage::Between, Stage::Between),
            "it may be about to start"
        );
        book.compare(&found, LATER, LATER);
        assert_eq!(book.stage(2), Stage::Joined("Docker's container web (4fe8)".to_owned()));
        assert_eq!((book.stage(3), book.stage(4)), (Stage::Idle, Stage::Idle));
        assert_eq!(book.containers(), HashMap::from([(2, "4fe8".to_owned())]));
        assert_eq!(book.take("net", LATER).map(|spec| spec.id), Some(3));
        book.compare(&[], 2 * LATER, 2 * LATER);
        assert!(book.pools.is_empty(), "the network is gone");
        assert_eq!(book.stage(2), Stage::Idle);
        assert!(book.containers().is_empty());
    }

    #[test]
    fn an_agent_that_lost_its_state_takes_up_what_runs_and_gives_that_to_nobody() {
        let mut book = Book { is_new: true, ..Book::default() };
        book.told(&[spec(2), spec(3)], &[].into(), Some(9), 1);
        assert_eq!((book.stage(2), book.take("net", 1)), (Stage::Between, None));
        let found = [
            network("d", Some(5), vec![endpoint("a", 2, Some("web"))]),
            network("named-subnet", None, vec![]),
        ];
        book.compare(&found, 2, 2);
        assert_eq!(book.stage(2), Stage::Joined("Docker's container web (4fe8)".to_owned()));
        assert_eq!((book.network_of_docker("d"), book.network_of_pool(5)), (Some("net"), Ok("net")));
        assert_eq!(book.take("net", 3).map(|spec| spec.id), Some(3));
        assert!(
            book.strange.iter().all(|problem| problem.contains("named-subnet-name")),
            "{:?}",
            book.strange
        );
        assert_eq!(book.strange.len(), 1);
    }
}
