//! The scenario file: what the fleet is and what happens to it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer};

/// A scenario, as its TOML file says it (`labs/fleets/small.toml` is one).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Numbers of switches to run it with, one after another, in all pools together; empty: as the pools say.
    #[serde(default)]
    pub sizes: Vec<u32>,
    /// Pools.
    #[serde(rename = "pool")]
    pub pools: Vec<Pool>,
    /// What a client asks for once all is up.
    #[serde(default)]
    pub churn: Churn,
    /// What goes wrong meanwhile.
    #[serde(default)]
    pub faults: Faults,
}

/// A pool of nodes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many nodes it has.
    pub nodes: u32,
    /// Networks, present on every node.
    #[serde(rename = "network")]
    pub networks: Vec<Network>,
}

/// A network of a pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// `vlan` or `vxlan`.
    pub driver: String,
    /// How many endpoints each node has in it.
    pub endpoints: u32,
    /// Prefix length of the blocks given to nodes.
    #[serde(default = "default_block")]
    pub block_prefix_len: u8,
    /// Given by [`Scenario::parse`].
    #[serde(skip)]
    pub subnet: Option<Ipv4Net>,
}

fn default_block() -> u8 {
    26
}

/// What a client asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// Containers created a second.
    pub creates_per_s: u32,
    /// Containers deleted a second.
    pub deletes_per_s: u32,
    /// Containers moved to another node a second.
    pub moves_per_s: u32,
    /// For how long.
    #[serde(deserialize_with = "time")]
    pub time: Duration,
}

/// What goes wrong during the churn, spread evenly over it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// OpenFlow connections that are cut.
    pub lost_connections: u32,
    /// Switches that lose all they hold.
    pub switch_restarts: u32,
    /// Switches that read late.
    pub slow_switches: u32,
    /// How late.
    #[serde(deserialize_with = "time")]
    pub slow_by: Duration,
    /// Switches whose table of endpoints is full, so that they refuse flows.
    pub full_switches: u32,
}

fn time<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a scenario.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no scenario", path.display()))
    }

    /// Reads the text of a file, and gives each network addresses of its own.
    ///
    /// # Errors
    /// If it is not a scenario, or its networks do not fit into 10.0.0.0/8.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut scenario: Self = toml::from_str(text)?;
        ensure!(!scenario.pools.is_empty(), "there is no pool");
        let mut next = u64::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)));
        for pool in &mut scenario.pools {
            ensure!(pool.nodes > 0, "pool {} has no nodes", pool.name);
            for network in &mut pool.networks {
                let len = network.subnet_len(pool.nodes)?;
                let size = 1_u64 << (32 - u32::from(len));
                next = next.next_multiple_of(size);
                let first = u32::try_from(next).context("the networks do not fit into 10.0.0.0/8")?;
                network.subnet = Some(Ipv4Net::new(Ipv4Addr::from(first), len)?);
                next += size;
                ensure!(next <= 11 << 24, "the networks do not fit into 10.0.0.0/8");
            }
        }
        Ok(scenario)
    }

    /// How many switches it has.
    #[must_use]
    pub fn n_nodes(&self) -> u32 {
        self.pools.iter().map(|pool| pool.nodes).sum()
    }

    /// The same with so many switches in all, each pool with its share.
    #[must_use]
    pub fn with_size(&self, n_nodes: u32) -> Self {
        let mut scaled = self.clone();
        let all = u64::from(self.n_nodes());
        for pool in &mut scaled.pools {
            let share = u64::from(pool.nodes) * u64::from(n_nodes) / all;
            pool.nodes = u32::try_from(share).unwrap_or(u32::MAX).max(1);
        }
        scaled
    }
}

impl Network {
    /// A subnet with blocks for all nodes, one more node, and as much again for what moves.
    fn subnet_len(&self, n_nodes: u32) -> anyhow::Result<u8> {
        if !(16..=30).contains(&self.block_prefix_len) {
            bail!("network {}: blocks are /16 to /30", self.name);
        }
        let block = 1_u64 << (32 - u32::from(self.block_prefix_len));
        let blocks = u64::from(self.endpoints).div_ceil(block - 2).max(1) + 1;
        let addresses = (u64::from(n_nodes) + 2) * blocks * block;
        let bits = addresses.next_power_of_two().trailing_zeros();
        ensure!(bits <= 24, "network {} does not fit into 10.0.0.0/8", self.name);
        Ok(32 - u8::try_from(bits).expect("at most 24"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenarios_of_the_repository_are_good() {
        for text in [include_str!("../../fleets/small.toml"), include_str!("../../fleets/thousand.toml")] {
            let scenario = Scenario::parse(text).unwrap();
            assert!(scenario.n_nodes() > 0);
        }
    }

    #[test]
    fn networks_have_addresses_of_their_own() {
        let scenario = Scenario::parse(include_str!("../../fleets/small.toml")).unwrap();
        let subnets: Vec<_> =
            scenario.pools[0].networks.iter().map(|network| network.subnet.unwrap()).collect();
        assert!(!subnets[0].contains(&subnets[1]) && !subnets[1].contains(&subnets[0]), "{subnets:?}");
    }

    #[test]
    fn a_size_is_shared_out_among_the_pools() {
        let two = "[[pool]]\nname='a'\nnodes=30\nnetwork=[]\n[[pool]]\nname='b'\nnodes=10\nnetwork=[]\n";
        let scenario = Scenario::parse(two).unwrap().with_size(8);
        assert_eq!(scenario.pools.iter().map(|pool| pool.nodes).collect::<Vec<_>>(), [6, 2]);
        assert!(Scenario::parse("[[pool]]\nname='a'\nnodes=1\nnetwork=[]\nsize=3").is_err());
    }
}
