//! What nodes have dropped, and why: the counters of table drop.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlib::pipeline::drop_reason::DropReason;
use labs::Lab;

/// Packets dropped on a node, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drops(BTreeMap<DropReason, u64>);

impl Drops {
    /// Reads a node's counters.
    pub(crate) fn of(lab: &Lab, node: &str) -> Drops {
        let dump = lab.node(node).unwrap().ofctl("dump-flows", "br-int", ["table=63"]).unwrap();
        let number = |line: &str, key: &str| {
            let text = line.split([',', ' ']).find_map(|word| word.trim().strip_prefix(key))?;
            text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
        };
        let counters = dump.lines().filter_map(|line| {
            let reason = u32::try_from(number(line, "reg7=")?).ok()?;
            Some((DropReason::from_number(reason)?, number(line, "n_packets=")?))
        });
        let drops = Drops(counters.collect());
        assert_eq!(drops.0.len(), DropReason::ALL.len(), "a counter for each reason in\n{dump}");
        drops
    }

    /// How many were dropped for that reason.
    pub(crate) fn count(&self, reason: DropReason) -> u64 {
        self.0[&reason]
    }
}

/// Does something, and waits until a node has dropped so many more packets for that reason: exactly so many, unless
/// others are dropped for it all the time.
///
/// Counters of flows that the datapath has cached lag by up to a second.
pub(crate) fn assert_drops(
    lab: &Lab,
    node: &str,
    reason: DropReason,
    n: u64,
    what: &str,
    act: impl FnOnce(),
) {
    let before = Drops::of(lab, node).count(reason);
    act();
    let mut last = 0;
    let counted = lab.wait_until(Duration::from_secs(4), what, || {
        last = Drops::of(lab, node).count(reason) - before;
        Ok((last >= n).then_some(()))
    });
    if let Err(e) = counted {
        panic!("{what}: {last} of {n} dropped on {node} as {}\n{e:#}", reason.name());
    }
    assert!(
        last == n || has_chatter(reason),
        "{what}: {last}, not {n}, dropped on {node} as {}",
        reason.name()
    );
}

/// Kernels speak IPv6 on every link, hosts of a VLAN look for each other, and tunnels are warmed.
fn has_chatter(reason: DropReason) -> bool {
    use DropReason::{Ipv6, NeighbourUnanswered, NotAddressedHere, TunnelSource};
    matches!(reason, Ipv6 | NeighbourUnanswered | NotAddressedHere | TunnelSource)
}
