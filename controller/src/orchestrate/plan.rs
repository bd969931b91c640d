//! What a request for a container comes to: what it runs, where it goes, which address it gets. Nothing is changed here,
//! so that a preview is what the request itself would do.

use std::sync::Arc;

use flowlib::compile::model::EndpointId;

use crate::intent::model::{Container, Network, Pool};
use crate::intent::{Refusal, State};
use crate::network::ipam::{AddressError, Ask};

use super::containers::{self, ContainerSpec, Surroundings, What};
use super::scheduler::{self, Choice, Place, Placement};
use super::{networks, nodes, pools, quota, volumes};

/// A request that makes sense, completed from what is there.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    spec: &'a ContainerSpec,
    /// The container's pool.
    pub(super) pool: Arc<Pool>,
    /// Its network.
    pub(super) network: Arc<Network>,
    /// What it runs.
    pub(super) what: What,
    /// The container, if the same request was carried out before.
    pub(super) existing: Option<Arc<Container>>,
}

impl<'a> Plan<'a> {
    /// Completes a request.
    ///
    /// # Errors
    /// What is wrong with the request, whatever node it would go to.
    pub(super) fn new(state: &State, spec: &'a ContainerSpec) -> Result<Self, Refusal> {
        let pool = pools::find(state, &spec.pool)?.clone();
        containers::check(spec)?;
        let what = containers::what(spec, &pool)?;
        let network = networks::find(state, &pool, &spec.network)?.clone();
        let existing = state.container(&(pool.id, spec.name.clone()));
        let existing =
            existing.map(|existing| containers::again(state, existing, spec, &what, &network)).transpose()?;
        Ok(Self { spec, pool, network, what, existing })
    }

    /// The container's name, if it gets this endpoint.
    pub(super) fn name(&self, state: &State, id: EndpointId) -> String {
        if self.spec.name.is_empty() {
            made_up_name(state, &self.pool, format!("c{}", id.0))
        } else {
            self.spec.name.clone()
        }
    }

    /// Looks for a place for a container of that name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]: the node that is named. What is wrong with the address that is asked for. The pool's quota. That
    /// no node can take it is part of the answer.
    pub(super) fn place(
        &self,
        state: &State,
        name: &str,
        around: Surroundings<'_>,
    ) -> Result<Placement, Refusal> {
        let spec = self.spec;
        let named = Some(spec.node.as_str()).filter(|node| !node.is_empty());
        let named = named.map(|node| nodes::find(state, &self.pool, node)).transpose()?.map(|node| node.id);
        let itself = self.existing.as_deref();
        if itself.is_none() {
            volumes::agree(state, &self.pool, &spec.mounts)?;
            quota::check(state, &self.pool, &self.what.runtime, spec.resources)?;
        }
        if let (Some(address), None) = (spec.address, itself) {
            let ask = Ask {
                network: &self.network,
                space: state.space(self.network.id),
                now_ms: around.now_ms,
                cool_down_ms: around.cool_down_ms,
            };
            ask.fixed(address).map_err(|error| address_refusal(state, &self.network, error))?;
        }
        let place = Place {
            pool: &self.pool,
            network: &self.network,
            address: itself.map_or(spec.address, |itself| Some(itself.endpoint.address)),
            name,
            labels: &spec.labels,
            image: &self.what.image,
            runtime: &self.what.runtime,
            resources: spec.resources,
            constraints: &spec.constraints,
            affinities: &spec.affinities,
            mounts: &spec.mounts,
            replica_of: spec.replica_of.as_ref(),
            itself,
            named,
            except: None,
            now_ms: around.now_ms,
            cool_down_ms: around.cool_down_ms,
        };
        Ok(scheduler::place(state, around.links, &place))
    }
}

/// What [`containers::create`] would choose now. A container that is there already stays where it is.
///
/// # Errors
/// As that, but for what [`Placement::choice`] says.
pub fn preview(state: &State, spec: &ContainerSpec, around: Surroundings<'_>) -> Result<Placement, Refusal> {
    let plan = Plan::new(state, spec)?;
    let next = EndpointId(state.settings().last_endpoint + 1);
    let mut placement = plan.place(state, &plan.name(state, next), around)?;
    let there =
        plan.existing.as_ref().and_then(|existing| Some((existing, state.node(existing.endpoint.node)?)));
    if let Some((existing, node)) = there {
        let grant = crate::network::ipam::Grant { address: existing.endpoint.address, new_block: None };
        placement.choice = Ok(Choice { node: node.clone(), grant });
    }
    Ok(placement)
}

/// A name that no container of the pool has: `stem`, or one that begins with it.
pub(super) fn made_up_name(state: &State, pool: &Pool, stem: String) -> String {
    let taken = |name: &String| state.container(&(pool.id, name.clone())).is_some();
    if !taken(&stem) {
        return stem;
    }
    (1u32..).map(|n| format!("{stem}-{n}")).find(|name| !taken(name)).unwrap_or(stem)
}

pub(super) fn address_refusal(state: &State, network: &Network, error: AddressError) -> Refusal {
    let sentence = format!("network `{}`: {error}", network.name);
    let refusal = match error {
        AddressError::Taken { holder, .. } => {
            let live = state.container_of(holder).map(|container| (&container.name, container.deleting));
            let gone = state.retiring(holder).map(|retiring| (&retiring.container, true));
            Refusal::Exists(match live.or(gone) {
                Some((name, false)) => format!("{sentence} by the container `{name}`"),
                Some((name, true)) => format!("{sentence} by the container `{name}`, which is being removed"),
                None => sentence,
            })
        }
        AddressError::External { .. } => Refusal::Exists(sentence),
        AddressError::Full { .. } => return Refusal::Exhausted(sentence),
        AddressError::Outside { .. }
        | AddressError::NotAHost { .. }
        | AddressError::Gateway { .. }
        | AddressError::Node { .. } => Refusal::Invalid(sentence),
    };
    refusal.of("address")
}
