//! What the physical switch gets to see of endpoints.

use crate::Lab;
use crate::benchmarks::seat::Seat;
use crate::capture::{Capture, Summary};
use crate::report::fdb;
use crate::state::Kind;

/// Captures at the switch's end of each node's cable. They cost its ovs-vswitchd nothing, and all contenders the same.
pub(super) struct Watch(Vec<(String, Capture)>);

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Learned on nodes' ports and on VLANs: what is on no VLAN is the nodes' own.
    pub(super) macs: usize,
    /// ARP requests that an endpoint sent, or a node in its name.
    pub(super) requests: usize,
    /// Messages by which an endpoint's address is announced.
    pub(super) announcements: usize,
}

impl Watch {
    pub(super) fn start(lab: &Lab) -> anyhow::Result<Watch> {
        let switch = lab.place("switch")?;
        let cables =
            lab.state().of_kind(Kind::Node).filter_map(|node| Some((&node.name, node.nic.as_ref()?)));
        let captures =
            cables.map(|(node, nic)| Ok((node.clone(), Capture::on_interface(&switch, &nic.port)?)));
        Ok(Watch(captures.collect::<anyhow::Result<_>>()?))
    }

    pub(super) fn seen(self, lab: &Lab, seats: &[Seat]) -> anyhow::Result<Seen> {
        let is_node = |name: &str| lab.state().machine(name).is_ok_and(|machine| machine.kind == Kind::Node);
        let learned = fdb::read(lab.state())?;
        let macs = learned.iter().filter(|learned| learned.vlan != 0 && is_node(&learned.machine)).count();
        let mut seen = Seen { macs, ..Seen::default() };
        for (node, capture) in self.0 {
            let frames = capture.stop();
            let summaries = frames.iter().filter_map(|frame| frame.summary());
            summaries.for_each(|summary| seen.count(&node, &summary, seats));
        }
        Ok(seen)
    }
}

impl Seen {
    /// Counts a frame on a node's cable; those on their way to the node are counted where they came from.
    fn count(&mut self, node: &str, frame: &Summary, seats: &[Seat]) {
        let Some(arp) = frame.arp() else { return };
        let mut here = seats.iter().filter(|seat| seat.node == node);
        let is_endpoints =
            here.any(|seat| [frame.source, arp.sender_mac].contains(&seat.mac) || arp.sender == seat.address);
        match (is_endpoints, arp.sender == arp.target, arp.operation) {
            (true, true, _) => self.announcements += 1,
            (true, false, REQUEST) => self.requests += 1,
            _ => {}
        }
    }
}

/// RFC 826.
const REQUEST: u16 = 1;
