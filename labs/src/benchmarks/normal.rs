//! What a switch does of itself: one bridge a node, `actions=NORMAL`, the fabric's cable among its ports.

use super::bare::{Bare, MTU, Unplugged};
use super::seat::Seat;

/// Nodes whose bridges only learn.
pub(super) struct Normal {
    pub(super) bare: Bare,
}

impl Normal {
    pub(super) fn up(tso: bool) -> anyhow::Result<Normal> {
        let bare = Bare::up("peer-normal", tso, MTU)?;
        for node in &bare.nodes {
            let bridge = ["add-br", BRIDGE, "--", "set", "Bridge", BRIDGE, "datapath_type=netdev"];
            bare.lab.node(node)?.vsctl([&bridge[..], &["--", "add-port", BRIDGE, "nic"]].concat())?;
        }
        Ok(Normal { bare })
    }

    /// Adds endpoints on one VLAN, in turn over the nodes.
    pub(super) fn add(&mut self, count: u32) -> anyhow::Result<Vec<Seat>> {
        let endpoints = self.bare.endpoints(count)?;
        plug(&self.bare, &endpoints, |endpoint| {
            vec![format!("add-port {BRIDGE} {} tag={VLAN}", endpoint.port)]
        })?;
        Ok(endpoints.into_iter().map(|endpoint| endpoint.seat).collect())
    }
}

/// Gives the endpoints to their nodes' switches, by the commands of ovs-vsctl that `words` says for each, many at once.
pub(super) fn plug(
    bare: &Bare,
    endpoints: &[Unplugged],
    words: impl Fn(&Unplugged) -> Vec<String>,
) -> anyhow::Result<()> {
    for node in &bare.nodes {
        let here: Vec<&Unplugged> = endpoints.iter().filter(|endpoint| endpoint.seat.node == *node).collect();
        for some in here.chunks(AT_ONCE) {
            let commands: Vec<String> = some.iter().flat_map(|endpoint| words(endpoint)).collect();
            let words = commands.iter().flat_map(|command| ["--"].into_iter().chain(command.split(' ')));
            bare.lab.node(node)?.vsctl(words)?;
        }
    }
    Ok(())
}

const BRIDGE: &str = "br-int";
/// The VLAN that peers use.
pub(super) const VLAN: u16 = 100;
const AT_ONCE: usize = 50;
