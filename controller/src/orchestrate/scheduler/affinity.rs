//! Which containers a container is to be with, or not, in both directions.

use std::collections::HashSet;

use flowlib::compile::model::NodeId;

use crate::intent::model::{Rule, label};
use crate::intent::{Hosted, State};

use super::Place;

/// A container's affinities, each with the nodes on which such a container is.
///
/// The pool's containers are walked once for all nodes, and not at all if there are no affinities; what the containers
/// that are there want is kept by node.
pub(super) struct Affinities<'a> {
    place: &'a Place<'a>,
    own: Vec<(&'a Rule, HashSet<NodeId>)>,
}

impl<'a> Affinities<'a> {
    pub(super) fn gather(state: &State, place: &'a Place<'a>) -> Self {
        let own = place.affinities.iter().map(|rule| {
            let others = state
                .containers_of(place.pool.id)
                .filter(|other| place.itself.is_none_or(|itself| itself.endpoint.id != other.endpoint.id));
            let alike = others.filter(|other| other.label(&rule.key) == Some(rule.value.as_str()));
            (rule, alike.filter_map(|other| Some(other.live()?.node)).collect())
        });
        Self { place, own: own.collect() }
    }

    /// Why a node is not the right company, if it is not.
    pub(super) fn objection(&self, node: NodeId, hosted: &Hosted) -> Option<String> {
        let broken = self.own.iter().find(|(rule, nodes)| nodes.contains(&node) != rule.equal);
        if let Some((rule, _)) = broken {
            let there = if rule.equal { "no such container is there" } else { "such a container is there" };
            return Some(format!("{rule}: {there}"));
        }
        let shunned = hosted.shunned.iter().find_map(|(key, values)| {
            let value = label(self.place.name, self.place.labels, key)?;
            (*values.get(value)? > self.own_rules_against(node, key, value)).then_some((key, value))
        });
        shunned.map(|(key, value)| format!("a container there is to be with none that has {key}=={value}"))
    }

    /// How many of the rules on a node are the container's own, since it is there itself.
    fn own_rules_against(&self, node: NodeId, key: &str, value: &str) -> usize {
        let itself = self.place.itself.filter(|itself| itself.live().is_some_and(|live| live.node == node));
        let rules = itself.map_or(&[][..], |itself| &itself.affinities);
        rules.iter().filter(|rule| !rule.equal && rule.key == key && rule.value == value).count()
    }
}
