//! What Docker's own networks and containers have of Weir: pure, without clock or I/O; milliseconds since the Unix epoch come
//! with each call that needs them.
//!
//! Docker names an address pool before it names the network that the pool is for, and an address before the endpoint. So
//! both halves are kept and joined here:
//!
//! ```text
//!   RequestPool ─▶ pool, with a token ──CreateNetwork, which shows the token──▶ bound to one of Weir's networks
//!
//!                   RequestAddress          CreateEndpoint             Join
//!   (leased) ─▶ free ────────────▶ taken ──────────────────▶ used ─────────────▶ used, joined
//!                ▲  ◀──────────────       ◀──────────────────     ◀─────────────
//!                │  ReleaseAddress          DeleteEndpoint             Leave
//!                ▼
//!             leaving ─▶ (given back to the controller)
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    net::Ipv4Addr,
};

use flowlib::types::MacAddr;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::runtime::{EndpointId, EndpointSpec, docker::PlainContainer};

/// Networks, and endpoints that the controller has given.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) pools: BTreeMap<Token, Pool>,
    pub(super) leases: BTreeMap<EndpointId, Lease>,
    /// Who has an endpoint, by Docker's id of it, as Docker last said.
    pub(super) holders: BTreeMap<String, PlainContainer>,
    /// Nothing is known of an earlier life: what the controller gave may be in use.
    pub(super) is_new: bool,
    /// Endpoints that are to be looked at.
    pub(super) touched: BTreeSet<EndpointId>,
    /// What Docker has and is not known here, a sentence each.
    pub(super) strange: Vec<String>,
}

/// Tells a pool from all others: the last three bytes of the address in 0.0.0.0/8 that is shown to Docker as its gateway.
pub(super) type Token = u32;

/// An address pool of Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pool {
    /// The subnet that Docker's user has named.
    pub(super) subnet: Option<Ipv4Net>,
    /// The gateway that Docker's user has named.
    pub(super) gateway: Option<Ipv4Addr>,
    /// The networks it is for: Docker's, by its id, and Weir's, by its name.
    pub(super) bound: Option<(String, String)>,
    pub(super) since_ms: u64,
}

/// An endpoint that the controller has given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) spec: EndpointSpec,
    /// Its address or its MAC address was asked for: nobody else gets it.
    pub(super) is_special: bool,
    pub(super) state: LeaseState,
    pub(super) since_ms: u64,
}

/// Whose an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LeaseState {
    /// Perhaps somebody's: Docker has not been asked since this agent's memory begins.
    Unknown,
    /// Nobody's: in reserve.
    Free,
    /// Docker has its address.
    Taken,
    /// Docker has made an endpoint of it.
    Used {
        /// Docker's id of the network.
        network: String,
        /// Docker's id of the endpoint.
        endpoint: String,
        /// A container is in it.
        joined: bool,
    },
    /// It is being given back to the controller.
    Leaving {
        /// The controller has taken it, and has yet to say that it is gone.
        taken: bool,
    },
}

/// What is to be of an endpoint on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A port, for who has it.
    Joined(String),
    /// No port.
    Idle,
    /// Docker is about to say, or it is not known: it stays as it is.
    Between,
}

/// What has to be asked of the controller for the reserve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The networks that lack an endpoint in reserve.
    pub lease: Vec<String>,
    /// The endpoints to give back.
    pub release: Vec<EndpointId>,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "the agent does not know this network: it lost its state; remove the network (docker network rm) and make it again"
    )]
    UnknownNetwork,
    #[error(
        "this address pool belongs to no network of the driver `weir`: make the network with `-d weir --ipam-driver weir -o network=NAME`, and without `--aux-address`"
    )]
    NotBound,
    #[error("the address {address} is in use by {holder} on this node")]
    InUse { address: Ipv4Addr, holder: String },
    #[error("the address {0} was not given by the IPAM driver `weir` for this network")]
    NotGiven(String),
    #[error(
        "the subnet {subnet} is not that of Weir's network `{network}`: leave --subnet out, or give {is}"
    )]
    Subnet { subnet: Ipv4Net, network: String, is: Ipv4Net },
    #[error(
        "the gateway {gateway} is not that of Weir's network `{network}`, which has {is}: leave --gateway out"
    )]
    Gateway { gateway: Ipv4Addr, network: String, is: String },
}

impl Book {
    /// Opens a pool; its token.
    pub(super) fn open_pool(&mut self, subnet: Option<Ipv4Net>, now_ms: u64) -> Token {
        let token = (1..).find(|token| !self.pools.contains_key(token)).unwrap_or(Token::MAX);
        self.pools.insert(token, Pool { subnet, gateway: None, bound: None, since_ms: now_ms });
        token
    }

    /// Notes the gateway that Docker's user has named.
    pub(super) fn ask_gateway(&mut self, token: Token, gateway: Ipv4Addr) {
        if let Some(pool) = self.pools.get_mut(&token).filter(|pool| pool.bound.is_none()) {
            pool.gateway = Some(gateway);
        }
    }

    /// Says which networks a pool is for. `like`: an endpoint of Weir's. The same again is no error.
    pub(super) fn bind(
        &mut self,
        token: Token,
        (docker, network): (&str, &str),
        like: &EndpointSpec,
    ) -> Result<(), Refused> {
        let pool = self.pools.get_mut(&token).ok_or(Refused::UnknownNetwork)?;
        let is = like.address.address.trunc();
        if let Some(subnet) = pool.subnet.filter(|subnet| *subnet != is) {
            return Err(Refused::Subnet { subnet, network: network.to_owned(), is });
        }
        if let Some(gateway) = pool.gateway.filter(|gateway| like.address.gateway != Some(*gateway)) {
            let is = like.address.gateway.map_or_else(|| "none".to_owned(), |gateway| gateway.to_string());
            return Err(Refused::Gateway { gateway, network: network.to_owned(), is });
        }
        pool.bound = Some((docker.to_owned(), network.to_owned()));
        Ok(())
    }

    /// Forgets Docker's network; what its containers had is nobody's any more.
    pub(super) fn unbind(&mut self, docker: &str, now_ms: u64) {
        for pool in self.pools.values_mut() {
            pool.bound.take_if(|(id, _)| id == docker);
        }
        let is_its =
            |lease: &Lease| matches!(&lease.state, LeaseState::Used { network, .. } if network == docker);
        let left: Vec<EndpointId> =
            self.leases.iter().filter(|(_, lease)| is_its(lease)).map(|(id, _)| *id).collect();
        left.into_iter().for_each(|id| self.free(id, now_ms));
    }

    /// Weir's network that a pool is for.
    pub(super) fn network_of_pool(&self, token: Token) -> Result<&str, Refused> {
        let pool = self.pools.get(&token).ok_or(Refused::UnknownNetwork)?;
        pool.bound.as_ref().map(|(_, network)| network.as_str()).ok_or(Refused::NotBound)
    }

    /// Weir's network that Docker's is.
    pub(super) fn network_of_docker(&self, docker: &str) -> Option<&str> {
        let mut bound = self.pools.values().filter_map(|pool| pool.bound.as_ref());
        bound.find(|(id, _)| id == docker).map(|(_, network)| network.as_str())
    }

    /// An endpoint of one of Weir's networks, whosever it is.
    pub(super) fn any_of(&self, network: &str) -> Option<&EndpointSpec> {
        self.leases.values().map(|lease| &lease.spec).find(|spec| spec.network == network)
    }

    /// Takes the endpoint that has been in reserve for longest; `None` if there is none.
    pub(super) fn take(&mut self, network: &str, now_ms: u64) -> Option<EndpointSpec> {
        let free = self.leases.values_mut().filter(|lease| {
            lease.state == LeaseState::Free && lease.spec.network == network && !lease.is_special
        });
        let lease = free.min_by_key(|lease| (lease.since_ms, lease.spec.id))?;
        (lease.state, lease.since_ms) = (LeaseState::Taken, now_ms);
        Some(lease.spec.clone())
    }

    /// Takes the endpoint with that address; `None`: there is none on this node.
    pub(super) fn take_address(
        &mut self,
        network: &str,
        address: Ipv4Addr,
        now_ms: u64,
    ) -> Result<Option<EndpointSpec>, Refused> {
        let holder = self.at(network, address).map(|lease| self.holder(lease));
        let Some(lease) = self.at_mut(network, address) else { return Ok(None) };
        if lease.state != LeaseState::Free {
            return Err(Refused::InUse { address, holder: holder.unwrap_or_default() });
        }
        (lease.state, lease.since_ms, lease.is_special) = (LeaseState::Taken, now_ms, true);
        Ok(Some(lease.spec.clone()))
    }

    /// Puts an endpoint in that the controller has just given, taken at once or for the reserve. One that is there stays as
    /// it is; `false` if that is somebody else's by now.
    pub(super) fn add(
        &mut self,
        spec: &EndpointSpec,
        (taken, is_special): (bool, bool),
        now_ms: u64,
    ) -> bool {
        let state = if taken { LeaseState::Taken } else { LeaseState::Free };
        match self.leases.entry(spec.id) {
            Entry::Vacant(entry) => {
                entry.insert(Lease { spec: spec.clone(), is_special, state, since_ms: now_ms });
                true
            }
            Entry::Occupied(mut entry) => {
                let lease = entry.get_mut();
                let is_free = lease.state == LeaseState::Free;
                if taken && is_free {
                    (lease.state, lease.since_ms, lease.is_special) = (state, now_ms, is_special);
                }
                is_free || !taken
            }
        }
    }

    /// Docker gives an address back.
    pub(super) fn give_back(&mut self, token: Token, address: Ipv4Addr, now_ms: u64) {
        let Ok(network) = self.network_of_pool(token).map(str::to_owned) else { return };
        let is_held = |lease: &&Lease| !matches!(lease.state, LeaseState::Free | LeaseState::Leaving { .. });
        if let Some(id) = self.at(&network, address).filter(is_held).map(|lease| lease.spec.id) {
            self.free(id, now_ms);
        }
    }

    /// Docker makes an endpoint with an address that it was given; what it was given. The same again is no error.
    pub(super) fn make(
        &mut self,
        (docker, endpoint): (&str, &str),
        address: Ipv4Net,
        now_ms: u64,
    ) -> Result<EndpointSpec, Refused> {
        let network = self.network_of_docker(docker).ok_or(Refused::UnknownNetwork)?.to_owned();
        let holder = self.at(&network, address.addr()).map(|lease| self.holder(lease));
        let not_given = || Refused::NotGiven(address.to_string());
        let lease = self.at_mut(&network, address.addr()).ok_or_else(not_given)?;
        match &lease.state {
            LeaseState::Taken => {
                let (network, endpoint) = (docker.to_owned(), endpoint.to_owned());
                lease.state = LeaseState::Used { network, endpoint, joined: false };
                lease.since_ms = now_ms;
                Ok(lease.spec.clone())
            }
            LeaseState::Used { endpoint: its, .. } if its == endpoint => Ok(lease.spec.clone()),
            LeaseState::Used { .. } => {
                Err(Refused::InUse { address: address.addr(), holder: holder.unwrap_or_default() })
            }
            _ => Err(not_given()),
        }
    }

    /// Gives an endpoint the MAC address that was asked for.
    pub(super) fn set_mac(&mut self, id: EndpointId, mac: MacAddr) {
        if let Some(lease) = self.leases.get_mut(&id) {
            (lease.spec.mac, lease.is_special) = (mac, true);
        }
    }

    /// The endpoint that Docker has made under that id.
    pub(super) fn made(&self, endpoint: &str) -> Option<&EndpointSpec> {
        self.leases.values().find(|lease| lease.is_made(endpoint)).map(|lease| &lease.spec)
    }

    /// A container is in an endpoint, or is not any more.
    pub(super) fn set_joined(&mut self, endpoint: &str, is_joined: bool) {
        if let Some(lease) = self.leases.values_mut().find(|lease| lease.is_made(endpoint))
            && let LeaseState::Used { joined, .. } = &mut lease.state
        {
            *joined = is_joined;
            self.touched.insert(lease.spec.id);
        }
    }

    /// Docker has removed an endpoint; its address it has still.
    pub(super) fn unmake(&mut self, endpoint: &str, now_ms: u64) {
        self.holders.remove(endpoint);
        if let Some(lease) = self.leases.values_mut().find(|lease| lease.is_made(endpoint)) {
            (lease.state, lease.since_ms) = (LeaseState::Taken, now_ms);
            self.touched.insert(lease.spec.id);
        }
    }

    /// Takes what the controller says of endpoints on this node: all there are if `complete`, up to that revision.
    pub(super) fn told(
        &mut self,
        present: &[EndpointSpec],
        removed: &BTreeSet<EndpointId>,
        complete: Option<u64>,
        now_ms: u64,
    ) {
        // What was just asked for comes by itself, not among all there is.
        let is_unknown = self.is_new && complete.is_some();
        let state = if is_unknown { LeaseState::Unknown } else { LeaseState::Free };
        for spec in present {
            let lease = self.leases.entry(spec.id).or_insert_with(|| Lease {
                spec: spec.clone(),
                is_special: false,
                state: state.clone(),
                since_ms: now_ms,
            });
            lease.spec = spec.clone();
            if let (LeaseState::Leaving { taken }, Some(_)) = (&mut lease.state, complete) {
                *taken = false;
            }
        }
        let named: BTreeSet<EndpointId> = present.iter().map(|spec| spec.id).collect();
        let is_gone = |Lease { spec, since_ms, .. }: &Lease| {
            // What was given after that was said is not meant. A controller with another store counts anew.
            let is_older = |revision| spec.flows_revision <= revision || since_ms + IN_FLIGHT_MS < now_ms;
            let is_unnamed = complete.is_some_and(is_older) && !named.contains(&spec.id);
            removed.contains(&spec.id) || is_unnamed
        };
        self.leases.retain(|_, lease| !is_gone(lease));
    }

    /// What is to be of an endpoint.
    pub(super) fn stage(&self, id: EndpointId) -> Stage {
        match self.leases.get(&id) {
            Some(lease) => match &lease.state {
                LeaseState::Used { joined: true, .. } => Stage::Joined(self.holder(lease)),
                LeaseState::Used { joined: false, .. } | LeaseState::Unknown => Stage::Between,
                LeaseState::Free | LeaseState::Taken | LeaseState::Leaving { .. } => Stage::Idle,
            },
            None => Stage::Between,
        }
    }

    /// What is missing from a reserve of so many endpoints for each network that Docker has, and what is too much. What is
    /// to be given back is nobody's from here on.
    pub(super) fn due(&mut self, reserve: usize, now_ms: u64) -> Due {
        let mut due = Due::default();
        let bound = self.pools.values().filter_map(|pool| pool.bound.as_ref());
        let networks: BTreeSet<String> = bound.map(|(_, network)| network.clone()).collect();
        let mut n_free: BTreeMap<&str, usize> = networks.iter().map(|name| (name.as_str(), 0)).collect();
        let mut by_age: Vec<&mut Lease> = self.leases.values_mut().collect();
        by_age.sort_by_key(|lease| (std::cmp::Reverse(lease.since_ms), lease.spec.id));
        for lease in by_age {
            if lease.state == (LeaseState::Leaving { taken: false }) {
                due.release.push(lease.spec.id);
            }
            if lease.state != LeaseState::Free {
                continue;
            }
            let n_before = n_free.get_mut(lease.spec.network.as_str());
            let kept_ms = if lease.is_special && n_before.is_some() { SPECIAL_MS } else { SETTLED_MS };
            match n_before.filter(|_| !lease.is_special) {
                Some(n) if *n < reserve => *n += 1,
                // It may have been given to a call that is about to take it.
                _ if now_ms < lease.since_ms.saturating_add(kept_ms) => {}
                _ => {
                    lease.state = LeaseState::Leaving { taken: false };
                    due.release.push(lease.spec.id);
                }
            }
        }
        due.lease =
            n_free.into_iter().filter(|(_, n)| *n < reserve).map(|(name, _)| name.to_owned()).collect();
        due
    }

    /// The controller has taken an endpoint back.
    pub(super) fn released(&mut self, id: EndpointId) {
        if let Some(lease) = self.leases.get_mut(&id)
            && let LeaseState::Leaving { taken } = &mut lease.state
        {
            *taken = true;
        }
    }

    /// When [`Self::due`] will have something to give back without anything happening.
    pub(super) fn next_release_ms(&self, now_ms: u64) -> Option<u64> {
        let free = self.leases.values().filter(|lease| lease.state == LeaseState::Free);
        let kept =
            free.flat_map(|lease| [SETTLED_MS, SPECIAL_MS].map(|ms| lease.since_ms.saturating_add(ms)));
        kept.filter(|until| *until > now_ms).min()
    }

    /// An endpoint is nobody's any more.
    pub(super) fn free(&mut self, id: EndpointId, now_ms: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            if let LeaseState::Used { endpoint, .. } = &lease.state {
                self.holders.remove(endpoint);
            }
            (lease.state, lease.since_ms) = (LeaseState::Free, now_ms);
            self.touched.insert(id);
        }
    }

    /// Docker's ids of the containers that are in endpoints, as Docker last said.
    pub(super) fn containers(&self) -> HashMap<EndpointId, String> {
        let id = |lease: &Lease| match &lease.state {
            LeaseState::Used { endpoint, .. } => Some(self.holders.get(endpoint)?.id.clone()),
            _ => None,
        };
        self.leases.iter().filter_map(|(endpoint, lease)| Some((*endpoint, id(lease)?))).collect()
    }

    fn at(&self, network: &str, address: Ipv4Addr) -> Option<&Lease> {
        self.leases.values().find(|lease| lease.is_at(network, address))
    }

    fn at_mut(&mut self, network: &str, address: Ipv4Addr) -> Option<&mut Lease> {
        self.leases.values_mut().find(|lease| lease.is_at(network, address))
    }

    /// Who has an endpoint, for people.
    fn holder(&self, lease: &Lease) -> String {
        match &lease.state {
            LeaseState::Used { endpoint, .. } => match self.holders.get(endpoint) {
                Some(container) => format!("Docker's container {container}"),
                None => format!("Docker's endpoint {}", endpoint.get(..12).unwrap_or(endpoint)),
            },
            _ => "Docker".to_owned(),
        }
    }
}

impl Lease {
    fn is_at(&self, network: &str, address: Ipv4Addr) -> bool {
        self.spec.network == network && self.spec.address.address.addr() == address
    }

    pub(super) fn is_made(&self, endpoint: &str) -> bool {
        matches!(&self.state, LeaseState::Used { endpoint: its, .. } if its == endpoint)
    }
}

/// How long an endpoint has been nobody's before it is given back.
const SETTLED_MS: u64 = 3_000;

/// How long an endpoint that was given may be missing from what the controller says there is.
const IN_FLIGHT_MS: u64 = 10_000;

/// How long one has been nobody's that has what somebody asked for, who may be starting again.
const SPECIAL_MS: u64 = 60_000;

#[cfg(test)]
pub(super) mod tests {
    use weir_api::v1::DesiredEndpoint;

    use super::*;

    /// An endpoint of the network `net`, at 10.1.0.`id`.
    pub(in crate::plugin) fn spec(id: EndpointId) -> EndpointSpec {
        let endpoint = DesiredEndpoint {
            endpoint_id: id,
            network: "net".into(),
            address: format!("10.1.0.{id}/24"),
            mac: format!("02:42:0a:01:00:{id:02x}"),
            gateway: "10.1.0.1".into(),
            ofport: 1024 + id,
            runtime: "docker-plain".into(),
            flows_revision: u64::from(id),
            ..DesiredEndpoint::default()
        };
        EndpointSpec::try_from(&endpoint).unwrap()
    }

    /// A book with Docker's network `d` of the network `net`, and so many endpoints in reserve from number 2 on.
    pub(in crate::plugin) fn book(n_free: u32) -> (Book, Token) {
        let mut book = Book::default();
        let token = book.open_pool(None, 0);
        book.bind(token, ("d", "net"), &spec(2)).unwrap();
        (2..2 + n_free).for_each(|id| assert!(book.add(&spec(id), (false, false), 0)));
        (book, token)
    }

    fn net(id: u32) -> Ipv4Net {
        spec(id).address.address
    }

    #[test]
    fn an_address_goes_to_one_endpoint_and_comes_back_to_the_reserve() {
        let (mut book, token) = book(2);
        let first = book.take("net", 1).unwrap();
        assert_eq!(
            (first.id, book.take("net", 1).map(|spec| spec.id), book.take("net", 1)),
            (2, Some(3), None)
        );
        assert_eq!(book.make(("d", "e"), net(2), 2).unwrap().id, 2);
        assert_eq!(book.make(("d", "e"), net(2), 3).unwrap().id, 2, "the same again");
        assert!(matches!(book.make(("d", "f"), net(2), 3), Err(Refused::InUse { .. })));
        assert!(matches!(book.make(("d", "f"), net(9), 3), Err(Refused::NotGiven(_))));
        assert!(matches!(book.make(("x", "f"), net(3), 3), Err(Refused::UnknownNetwork)));
        assert_eq!(book.stage(2), Stage::Between);
        book.set_joined("e", true);
        assert_eq!(book.stage(2), Stage::Joined("Docker's endpoint e".to_owned()));
        book.set_joined("e", false);
        book.unmake("e", 4);
        assert_eq!(book.stage(2), Stage::Idle);
        assert_eq!(book.take("net", 5), None, "Docker has the address still");
        book.give_back(token, net(2).addr(), 6);
        book.give_back(token, net(2).addr(), 6);
        assert_eq!(book.take("net", 7).map(|spec| spec.id), Some(2));
    }

    #[test]
    fn an_address_that_was_asked_for_is_nobody_elses_and_not_in_reserve() {
        let (mut book, token) = book(1);
        assert_eq!(book.take_address("net", net(7).addr(), 1), Ok(None), "the controller is to be asked");
        assert!(book.add(&spec(7), (true, true), 1));
        assert!(!book.add(&spec(7), (true, true), 1), "somebody has it");
        let refused = book.take_address("net", net(7).addr(), 2).unwrap_err().to_string();
        assert!(refused.contains("10.1.0.7 is in use by Docker"), "{refused}");
        book.give_back(token, net(7).addr(), 3);
        assert_eq!(book.take("net", 4).map(|spec| spec.id), Some(2));
        assert_eq!(book.take("net", 4), None);
        assert_eq!(book.take_address("net", net(7).addr(), 5).unwrap().map(|spec| spec.id), Some(7));
    }

    #[test]
    fn the_reserve_is_filled_for_networks_that_docker_has_and_given_back_for_others() {
        let (mut book, token) = book(1);
        assert_eq!(book.due(2, 0), Due { lease: vec!["net".to_owned()], release: vec![] });
        (3..6).for_each(|id| assert!(book.add(&spec(id), (false, false), u64::from(id))));
        assert_eq!(book.due(2, 10), Due::default(), "what was just given may be taken");
        let later = 10 + SETTLED_MS;
        let due = book.due(2, later);
        assert_eq!(due, Due { lease: vec![], release: vec![3, 2] }, "those that came last stay");
        assert_eq!(book.due(2, later).release.len(), 2, "until the controller has taken them");
        due.release.iter().for_each(|id| book.released(*id));
        assert_eq!(book.due(2, later), Due::default());
        book.told(&[spec(4), spec(5)], &BTreeSet::from([2, 3]), None, later);
        assert_eq!(book.leases.len(), 2);
        book.unbind("d", later);
        book.pools.remove(&token);
        assert_eq!(book.due(2, 2 * later).release.len(), 2);
    }

    #[test]
    fn what_the_controller_takes_away_is_gone_and_what_it_just_gave_is_not() {
        let (mut book, _) = book(3);
        book.told(&[spec(2)], &BTreeSet::new(), Some(3), 1);
        assert_eq!(book.leases.keys().copied().collect::<Vec<_>>(), [2, 4], "4 was given after that");
        book.told(&[spec(2)], &BTreeSet::new(), Some(3), 2 * IN_FLIGHT_MS);
        assert_eq!(book.leases.keys().copied().collect::<Vec<_>>(), [2], "not so long after");
        book.told(&[], &BTreeSet::from([2]), None, 3);
        assert!(book.leases.is_empty());
    }

    #[test]
    fn a_subnet_or_gateway_that_is_not_weirs_is_refused_with_what_is() {
        let mut book = Book::default();
        let token = book.open_pool("10.2.0.0/24".parse().ok(), 0);
        let refused = book.bind(token, ("d", "net"), &spec(2)).unwrap_err().to_string();
        assert!(refused.contains("give 10.1.0.0/24"), "{refused}");
        let token = book.open_pool("10.1.0.0/24".parse().ok(), 0);
        book.ask_gateway(token, Ipv4Addr::new(10, 1, 0, 9));
        let refused = book.bind(token, ("d", "net"), &spec(2)).unwrap_err().to_string();
        assert!(refused.contains("which has 10.1.0.1"), "{refused}");
        book.ask_gateway(token, Ipv4Addr::new(10, 1, 0, 1));
        assert_eq!(book.network_of_pool(token), Err(Refused::NotBound));
        book.bind(token, ("d", "net"), &spec(2)).unwrap();
        assert_eq!((book.network_of_pool(token), book.network_of_docker("d")), (Ok("net"), Some("net")));
    }
}
