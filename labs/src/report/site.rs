//! Who can be reached: the endpoints of all pools, and the hosts that share a VLAN with them.

use std::net::Ipv4Addr;

use anyhow::Context;
use weir_api::v1;

use crate::place::Place;
use crate::state::{Kind, State};

/// Something that sends and answers.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The container's or the host's name.
    pub(super) name: String,
    /// The networks it is part of, as pool and name: one for an endpoint; for a host, all networks of its VLAN.
    pub(super) networks: Vec<(String, String)>,
    pub(super) address: Ipv4Addr,
    /// The node it runs on; none for a host outside.
    pub(super) node: Option<String>,
    pub(super) place: Place,
}

/// What a pair of sites should be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Both are endpoints, of one network: they reach each other.
    Within,
    /// An endpoint and a host outside on the network's VLAN: they reach each other.
    Outside,
    /// Nothing may pass.
    Apart,
    /// Not ours to judge: two hosts outside.
    Neither,
}

impl Site {
    /// What should pass from this site to another.
    pub(super) fn relation(&self, other: &Site) -> Relation {
        let shared = self.networks.iter().any(|network| other.networks.contains(network));
        match (&self.node, &other.node) {
            (None, None) => Relation::Neither,
            (Some(_), Some(_)) if shared => Relation::Within,
            _ if shared => Relation::Outside,
            _ => Relation::Apart,
        }
    }
}

/// Everything of a lab that can be a site: its containers, then the hosts on their networks' VLANs.
///
/// # Errors
/// If a container has no namespace on its node.
pub(super) fn all(
    state: &State,
    containers: &[v1::Container],
    networks: &[v1::Network],
) -> anyhow::Result<Vec<Site>> {
    let mut sites = Vec::with_capacity(containers.len());
    for container in containers {
        sites.push(endpoint(state, container)?);
    }
    for machine in state.of_kind(Kind::Host) {
        let Some((vlan, nic)) = machine.nic.as_ref().and_then(|nic| nic.vlan.map(|vlan| (vlan, nic))) else {
            continue;
        };
        let on_vlan = networks.iter().filter(|network| network.vlan == u32::from(vlan.id()));
        let networks: Vec<_> = on_vlan.map(|network| (network.pool.clone(), network.name.clone())).collect();
        if networks.is_empty() {
            continue;
        }
        sites.push(Site {
            name: machine.name.clone(),
            networks,
            address: nic.address.address(),
            node: None,
            place: Place::machine(state, &machine.name)?,
        });
    }
    Ok(sites)
}

/// The site of one container.
///
/// # Errors
/// If it has no namespace on its node, or no address.
pub(super) fn endpoint(state: &State, container: &v1::Container) -> anyhow::Result<Site> {
    Ok(Site {
        name: container.name.clone(),
        networks: vec![(container.pool.clone(), container.network.clone())],
        address: address(container)?,
        node: Some(container.node.clone()),
        place: Place::endpoint(state, &container.node, container.endpoint_id)?,
    })
}

/// A container's address, without the prefix length.
///
/// # Errors
/// If it has none.
pub(super) fn address(container: &v1::Container) -> anyhow::Result<Ipv4Addr> {
    let address = container.address.split('/').next().unwrap_or_default();
    address.parse().with_context(|| format!("{} has no address", container.name))
}
