//! Where a container goes: to the node that was named, else to the one with the fewest endpoints.

use flowlib::compile::model::NodeId;

use crate::intent::model::Pool;
use crate::intent::{Refusal, State};

use super::links::Links;
use super::nodes;

/// What a container asks of its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The node it must be on.
    pub named: Option<&'a str>,
    /// A node it must not be on.
    pub except: Option<NodeId>,
}

/// Chooses among the nodes of a pool whose agent and switch are connected.
///
/// # Errors
/// [`Refusal::NotFound`]: the node that was named. [`Refusal::Unavailable`]: it, or every node, is not connected.
pub fn choose(state: &State, links: &Links, pool: &Pool, place: Place<'_>) -> Result<NodeId, Refusal> {
    if let Some(name) = place.named {
        let node = nodes::find(state, pool, name)?;
        let link = links.of(node.id);
        return match (link.agent, link.switch) {
            (true, true) => Ok(node.id),
            (true, false) => unavailable(format!("the switch of the node `{name}` is not connected")),
            (false, _) => unavailable(format!("the agent of the node `{name}` is not connected")),
        };
    }
    let all = &state.members(pool.id).nodes;
    let reachable = all.iter().filter(|id| {
        let link = links.of(**id);
        link.agent && link.switch && place.except != Some(**id)
    });
    match reachable.min_by_key(|id| (state.hosted(**id).live.len(), **id)) {
        Some(id) => Ok(*id),
        None if all.is_empty() => unavailable(format!("the pool `{}` has no nodes", pool.name)),
        None if place.except.is_some() => {
            unavailable(format!("no other node of the pool `{}` is connected", pool.name))
        }
        None => unavailable(format!(
            "none of the {} nodes of the pool `{}` has both its agent and its switch connected",
            all.len(),
            pool.name
        )),
    }
}

fn unavailable<T>(sentence: String) -> Result<T, Refusal> {
    Err(Refusal::Unavailable(sentence))
}
