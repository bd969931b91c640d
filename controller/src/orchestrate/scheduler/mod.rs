//! Where a container goes: filters turn nodes away, scores choose among those that are left.
//!
//! Pure: it says what it would choose and why, the caller takes it. Every node that comes into question is judged, so that
//! a request and a preview of it come to the same by the same way; a node costs a few lookups, whatever is on it.

mod address;
mod affinity;
mod filter;
#[cfg(test)]
mod fleet;
mod refusal;
mod score;
mod volume;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use flowlib::compile::model::NodeId;

use crate::intent::model::{Container, Mount, Network, Node, Pool, ReplicaOf, Resources, Rule, Strategy};
use crate::intent::{Refusal, State};
use crate::network::ipam::{Ask, Grant};

use super::links::Links;

pub use filter::{Filter, TurnedAway};
pub use score::Scores;

use address::Addresses;
use affinity::Affinities;
use filter::{Candidate, Demand};
use volume::Volumes;

/// What a container asks of its place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its pool: only nodes of that come into question.
    pub pool: &'a Pool,
    /// The network it is attached to.
    pub network: &'a Network,
    /// The address it has, or must have and may; `None`: one of a block of its node.
    pub address: Option<Ipv4Addr>,
    /// Its name.
    pub name: &'a str,
    /// What its owner says of it.
    pub labels: &'a BTreeMap<String, String>,
    /// What it runs; may be empty.
    pub image: &'a str,
    /// What runs it.
    pub runtime: &'a str,
    /// Its limits.
    pub resources: Resources,
    /// What its node's labels must be.
    pub constraints: &'a [Rule],
    /// What must be on its node, or must not.
    pub affinities: &'a [Rule],
    /// What is mounted in it: it goes where its volumes are.
    pub mounts: &'a [Mount],
    /// The service that it is a replica of: those are spread.
    pub replica_of: Option<&'a ReplicaOf>,
    /// The container itself, if it is somewhere already: it does not count against itself.
    pub itself: Option<&'a Container>,
    /// The node it must be on.
    pub named: Option<NodeId>,
    /// A node it must not be on.
    pub except: Option<NodeId>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How long a released address is not given again by choice.
    pub cool_down_ms: u64,
}

/// What became of a search for a place.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Every node that came into question, in the order of their numbers.
    pub verdicts: Vec<Verdict>,
    /// What is chosen, or why nothing is.
    pub choice: Result<Choice, Refusal>,
}

/// What was found about one node.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The node.
    pub node: Arc<Node>,
    /// The endpoints that it has.
    pub n_endpoints: usize,
    /// The other replicas of its service that are there.
    pub n_siblings: usize,
    /// Its points, or what turns it away.
    pub outcome: Result<Scores, TurnedAway>,
}

/// A place that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The node.
    pub node: Arc<Node>,
    /// The address to take there.
    pub grant: Grant,
}

impl Place<'_> {
    /// Whether a node of the pool comes into question.
    fn concerns(&self, node: NodeId) -> bool {
        self.named.is_none_or(|named| node == named) && self.except != Some(node)
    }
}

/// Judges every node of the pool that comes into question and chooses the one with the most points: for a replica, after the
/// image, among those with the fewest others of its service; among equals the one with the fewest endpoints (the most, to fill
/// nodes up), then the one with the lowest number.
#[must_use]
pub fn place(state: &State, links: &Links, place: &Place<'_>) -> Placement {
    let ask = Ask {
        network: place.network,
        space: state.space(place.network.id),
        now_ms: place.now_ms,
        cool_down_ms: place.cool_down_ms,
    };
    let demand = Demand {
        place,
        affinities: Affinities::gather(state, place),
        volumes: Volumes::gather(state, place),
        addresses: Addresses::new(ask, place.address),
    };
    let members = state.members(place.pool.id).nodes.iter().filter(|id| place.concerns(**id));
    let image = score::tagged(place.image);
    let siblings = siblings(state, place);
    let judge = |node: &Arc<Node>| {
        let link = links.of(node.id);
        let candidate = Candidate { node, link: &link, hosted: state.hosted(node.id) };
        let outcome =
            filter::pass(&demand, &candidate).map(|source| score::score(place, &image, &candidate, source));
        let n_siblings = siblings.get(&node.id).copied().unwrap_or(0);
        Verdict { node: node.clone(), n_endpoints: candidate.hosted.live.len(), n_siblings, outcome }
    };
    let verdicts: Vec<Verdict> = members.filter_map(|id| state.node(*id)).map(judge).collect();
    let choice = best(place, &verdicts).map_or_else(
        || Err(refusal::refuse(place, &verdicts)),
        |node| {
            let grant = demand.addresses.grant(&state.hosted(node.id).blocks);
            let grant = grant.map_err(|error| Refusal::Exhausted(error.to_string()))?;
            Ok(Choice { node: node.clone(), grant })
        },
    );
    Placement { verdicts, choice }
}

/// How many other replicas of its service each node has.
fn siblings(state: &State, place: &Place<'_>) -> HashMap<NodeId, usize> {
    let mut siblings = HashMap::new();
    let key = place.replica_of.map(|replica| (place.pool.id, replica.service.clone()));
    for sibling in key.iter().flat_map(|key| state.replicas(key)).filter(|other| other.name != place.name) {
        *siblings.entry(sibling.endpoint.node).or_default() += 1;
    }
    siblings
}

fn best<'v>(place: &Place<'_>, verdicts: &'v [Verdict]) -> Option<&'v Arc<Node>> {
    let can = verdicts.iter().filter_map(|verdict| Some((verdict.outcome.as_ref().ok()?, verdict)));
    let order = |(scores, Verdict { node, n_endpoints, n_siblings, .. }): &(&Scores, &Verdict)| {
        let (emptier, fuller) = match place.pool.placement {
            Strategy::Spread => (Reverse(*n_endpoints), 0),
            Strategy::Binpack => (Reverse(0), *n_endpoints),
        };
        // Without siblings the sum alone decides, since the image is more than all the rest of it.
        (scores.image, Reverse(*n_siblings), scores.sum(), emptier, fuller, Reverse(node.id))
    };
    can.max_by_key(order).map(|(_, verdict)| &verdict.node)
}
