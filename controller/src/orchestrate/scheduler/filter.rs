//! What turns a node away.

use crate::intent::Hosted;
use crate::intent::model::{Node, Resources, Scheduling};

use super::super::containers::NETNS;
use super::super::links::Link;
use super::Place;
use super::address::{Addresses, Source};
use super::affinity::Affinities;
use super::volume::Volumes;

/// What a node is judged by. Each filter sees only nodes that those before it let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Its agent and its switch are connected.
    Connection,
    /// It is given containers; who names the node overrules that.
    Cordon,
    /// Its labels are as the container's constraints want them.
    Constraint,
    /// The containers there go with the new one.
    Affinity,
    /// The container's volumes are there, or nowhere yet, and so are the folders that it asks for.
    Volume,
    /// The container's runtime works there.
    Runtime,
    /// Its capacity is not exceeded.
    Resources,
    /// There is an address.
    Address,
}

impl Filter {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Cordon => "cordon",
            Self::Constraint => "constraint",
            Self::Affinity => "affinity",
            Self::Volume => "volume",
            Self::Runtime => "runtime",
            Self::Resources => "resources",
            Self::Address => "address",
        }
    }
}

/// Why a node does not get the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// What turned it away.
    pub filter: Filter,
    /// A sentence on that, without the node's name: what is true of several nodes is the same for all.
    pub sentence: String,
}

/// The sentence on a node whose agent is not connected.
pub(super) const NO_AGENT: &str = "the agent is not connected";
/// The sentence on a node whose switch is not connected.
pub(super) const NO_SWITCH: &str = "the switch is not connected";

/// A node, and what is known of it.
pub(super) struct Candidate<'a> {
    pub(super) node: &'a Node,
    pub(super) link: &'a Link,
    pub(super) hosted: &'a Hosted,
}

/// What a container asks of a node, gathered once for all nodes.
pub(super) struct Demand<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) affinities: Affinities<'a>,
    pub(super) volumes: Volumes<'a>,
    pub(super) addresses: Addresses<'a>,
}

/// Lets a node pass, with where the address would be from, or says what turns it away.
pub(super) fn pass(
    Demand { place, affinities, volumes, addresses }: &Demand<'_>,
    candidate: &Candidate<'_>,
) -> Result<Source, TurnedAway> {
    let Candidate { node, link, hosted } = candidate;
    let turned_away = |filter, sentence: Option<String>| match sentence {
        Some(sentence) => Err(TurnedAway { filter, sentence }),
        None => Ok(()),
    };
    // A node that is away, and has what is nowhere else, is waited for.
    let is_waited_for = volumes.hold(node) && connection(link).is_some();
    turned_away(Filter::Connection, connection(link).filter(|_| !is_waited_for))?;
    turned_away(Filter::Cordon, cordon(place, node))?;
    turned_away(Filter::Constraint, constraint(place, node))?;
    turned_away(Filter::Affinity, affinities.objection(node.id, hosted))?;
    turned_away(Filter::Volume, volumes.objection(node, link))?;
    turned_away(Filter::Runtime, runtime(place, link).filter(|_| !is_waited_for))?;
    turned_away(Filter::Resources, resources(place, candidate))?;
    addresses.source(node.id, &hosted.blocks).map_err(|error| TurnedAway {
        filter: Filter::Address,
        sentence: format!("network `{}`: {error}", place.network.name),
    })
}

fn connection(link: &Link) -> Option<String> {
    let missing = if !link.agent { Some(NO_AGENT) } else { (!link.switch).then_some(NO_SWITCH) };
    missing.map(str::to_owned)
}

fn cordon(place: &Place<'_>, node: &Node) -> Option<String> {
    match node.scheduling {
        _ if place.named == Some(node.id) => None,
        Scheduling::Active => None,
        Scheduling::Cordoned => Some("the node is cordoned".to_owned()),
        Scheduling::Draining => Some("the node is being drained".to_owned()),
    }
}

fn constraint(place: &Place<'_>, node: &Node) -> Option<String> {
    let broken = place.constraints.iter().find(|rule| !rule.holds(node.label(&rule.key)));
    broken.map(ToString::to_string)
}

/// An agent that has not reported yet is taken to be able to do what every agent can.
fn runtime(place: &Place<'_>, link: &Link) -> Option<String> {
    let runtime = place.runtime;
    match &link.offer {
        Some(offer) if offer.runtimes.contains(runtime) => None,
        Some(_) => Some(format!("{runtime} does not work there")),
        None if runtime == NETNS => None,
        None => Some(format!("whether {runtime} works there is not known yet")),
    }
}

fn resources(place: &Place<'_>, candidate: &Candidate<'_>) -> Option<String> {
    let Resources { cpu_millis, memory_bytes, .. } = place.resources;
    let capacity = candidate.node.capacity;
    let there = without_itself(place, candidate);
    let mut short = Vec::new();
    let left = u64::from(capacity.cpu_millis).saturating_sub(there.cpu_millis);
    if capacity.cpu_millis != 0 && u64::from(cpu_millis) > left {
        short.push(format!("{} CPUs asked, {} left", cpus(cpu_millis.into()), cpus(left)));
    }
    let left = u128::from(capacity.memory_bytes).saturating_sub(there.memory_bytes);
    if capacity.memory_bytes != 0 && u128::from(memory_bytes) > left {
        short.push(format!("{} of memory asked, {} left", bytes(memory_bytes.into()), bytes(left)));
    }
    (!short.is_empty()).then(|| short.join(", "))
}

/// What is allocated on a node, but for what the container itself has there.
pub(super) fn without_itself(place: &Place<'_>, candidate: &Candidate<'_>) -> crate::intent::Sum {
    let itself = place.itself.filter(|itself| itself.live().is_some_and(|e| e.node == candidate.node.id));
    itself.map_or(candidate.hosted.allocated, |itself| candidate.hosted.allocated.without(itself.resources))
}

fn cpus(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An amount of memory in the largest unit that leaves something before the point, to a tenth.
fn bytes(n: u128) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((size, unit)) = units.into_iter().find(|(size, _)| n >= *size) else {
        return format!("{n} B");
    };
    match n * 10 / size % 10 {
        0 => format!("{} {unit}", n / size),
        tenths => format!("{}.{tenths} {unit}", n / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::model::Rule;

    #[test]
    fn amounts_are_said_in_units_that_people_use() {
        let millis = [(0, "0"), (1, "0.001"), (500, "0.5"), (1000, "1"), (12_250, "12.25"), (10_000, "10")];
        for (n, text) in millis {
            assert_eq!(cpus(n), text);
        }
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (100 << 20, "100 MiB"),
            (1536 << 20, "1.5 GiB"),
            ((2 << 30) - 1, "1.9 GiB"),
        ];
        for (n, text) in sizes {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn a_rule_holds_as_written_and_a_missing_label_is_unequal_to_anything() {
        let rule = |equal, value: &str| Rule { key: "zone".to_owned(), equal, value: value.to_owned() };
        let cases = [
            (rule(true, "a"), Some("a"), true),
            (rule(true, "a"), Some("b"), false),
            (rule(true, "a"), None, false),
            (rule(false, "a"), Some("a"), false),
            (rule(false, "a"), Some("b"), true),
            (rule(false, "a"), None, true),
            (rule(true, ""), Some(""), true),
            (rule(true, ""), None, false),
            (rule(false, ""), None, true),
        ];
        for (rule, label, holds) in cases {
            assert_eq!(rule.holds(label), holds, "{rule} with {label:?}");
        }
    }
}
