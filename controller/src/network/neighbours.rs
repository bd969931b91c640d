//! The hosts of VLANs that are no endpoints: what is known of them now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::{PoisonError, RwLock};

use flowlib::compile::model::NetworkId;
use flowlib::types::MacAddr;

/// The external neighbours of all networks, as last resolved. Not stored: it is learned again after a restart.
#[derive(Debug, Default)]
pub struct Neighbours {
    networks: RwLock<HashMap<NetworkId, BTreeMap<Ipv4Addr, Option<MacAddr>>>>,
}

impl Neighbours {
    /// A network's neighbours in the order of their addresses; `None` is one that has not answered yet.
    #[must_use]
    pub fn of(&self, network: NetworkId) -> Vec<(Ipv4Addr, Option<MacAddr>)> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.get(&network).map(|hosts| hosts.iter().map(|(a, m)| (*a, *m)).collect()).unwrap_or_default()
    }

    /// The addresses of a network that hosts were found to use: no endpoint is given one of them.
    #[must_use]
    pub fn resolved(&self, network: NetworkId) -> BTreeSet<Ipv4Addr> {
        self.of(network).into_iter().filter_map(|(address, mac)| mac.map(|_| address)).collect()
    }

    /// Takes down what is known of one neighbour.
    pub fn set(&self, network: NetworkId, address: Ipv4Addr, mac: Option<MacAddr>) {
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.entry(network).or_default().insert(address, mac);
    }

    /// Forgets one neighbour.
    pub fn forget(&self, network: NetworkId, address: Ipv4Addr) {
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(hosts) = networks.get_mut(&network) {
            hosts.remove(&address);
            if hosts.is_empty() {
                networks.remove(&network);
            }
        }
    }

    /// Forgets a whole network.
    pub fn forget_network(&self, network: NetworkId) {
        self.networks.write().unwrap_or_else(PoisonError::into_inner).remove(&network);
    }
}
