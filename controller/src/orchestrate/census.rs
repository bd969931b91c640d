//! How many nodes and containers each pool has, by how they are.

use std::collections::{BTreeMap, HashMap};

use flowlib::types::PoolId;

use crate::intent::State;
use crate::intent::model::Scheduling;
use crate::measure::{Family, Labels};

use super::Orchestrator;
use super::board::Counts;
use super::links::{Link, Links};
use super::status::Phase;

impl Orchestrator {
    /// The census as metrics. A pool has a number for each state, so that one that falls to 0 is seen to do so.
    #[must_use]
    pub fn census(&self) -> [Family; 2] {
        let (counts, links) = (self.board().counts(), self.links());
        self.intent().read(|state| [nodes(state, links), containers(state, &counts)])
    }
}

fn nodes(state: &State, links: &Links) -> Family {
    let mut words = HashMap::new();
    links.survey(|node, link| {
        words.insert(node, word(link));
    });
    let mut counts: BTreeMap<(PoolId, &str), usize> = BTreeMap::new();
    for node in state.nodes() {
        *counts.entry((node.pool, words.get(&node.id).copied().unwrap_or(UNREACHABLE))).or_default() += 1;
        if node.scheduling != Scheduling::Active {
            *counts.entry((node.pool, CORDONED)).or_default() += 1;
        }
    }
    let help =
        "Nodes by pool and state; what is cordoned, or being drained, is counted beside its other state";
    let mut family = Family::gauges("node_states", help, None);
    for pool in state.pools() {
        for word in STATES {
            let n = counts.get(&(pool.id, word)).copied().unwrap_or(0);
            family.push(labels(&pool.name, "state", word), count(n));
        }
    }
    family
}

fn containers(state: &State, counts: &Counts) -> Family {
    let mut phases: BTreeMap<(PoolId, Phase), usize> = BTreeMap::new();
    for ((pool, phase, _), n) in counts {
        *phases.entry((*pool, *phase)).or_default() += n;
    }
    let mut family = Family::gauges("container_phases", "Containers by pool and phase", None);
    for pool in state.pools() {
        for phase in Phase::ALL {
            let n = phases.get(&(pool.id, phase)).copied().unwrap_or(0);
            family.push(labels(&pool.name, "phase", phase.word()), count(n));
        }
    }
    family
}

fn word(link: &Link) -> &'static str {
    match (link.agent, link.switch) {
        _ if link.lost => "lost",
        (true, true) => "connected",
        (false, false) => UNREACHABLE,
        _ => "degraded",
    }
}

fn labels(pool: &str, name: &'static str, value: &str) -> Labels {
    vec![("pool", pool.to_owned()), (name, value.to_owned())]
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double; none of these comes near 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

/// Neither agent nor switch is connected, and the lease is not over.
const UNREACHABLE: &str = "unreachable";

const CORDONED: &str = "cordoned";

/// `degraded`: only one of the two is connected.
const STATES: [&str; 5] = ["connected", "degraded", UNREACHABLE, "lost", CORDONED];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_lost_as_long_as_the_controller_holds_it_for_that() {
        let words = [(false, false), (true, false), (false, true), (true, true)].map(|(agent, switch)| {
            [false, true].map(|lost| word(&Link { agent, switch, lost, ..Link::default() }))
        });
        let expected = ["unreachable", "degraded", "degraded", "connected"].map(|word| [word, "lost"]);
        assert_eq!(words, expected);
    }
}
