//! What the nodes send to the physical switch, kept until it is known whose it is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::arp::{ArpCounts, Known};
use crate::Lab;
use crate::capture::{Capture, Direction};
use crate::state::Kind;

/// A running capture on each node's port; dropping it ends them.
pub(super) struct Captures {
    uplinks: Vec<(String, Capture)>,
}

impl Captures {
    /// Starts capturing; what is sent after this returns is seen.
    ///
    /// # Errors
    /// If a port cannot be captured.
    pub(super) fn start(lab: &Lab) -> anyhow::Result<Captures> {
        let nodes = lab.state().of_kind(Kind::Node);
        let start = |name: &str| Ok((name.to_owned(), Capture::on_port(lab, name, Direction::FromMachine)?));
        Ok(Captures { uplinks: nodes.map(|node| start(&node.name)).collect::<anyhow::Result<_>>()? })
    }

    /// Counts the ARP seen so far, but first waits a little for as many announcements as there should be.
    pub(super) async fn settled(&self, known: &Known, announcements: usize) -> ArpCounts {
        let end = Instant::now() + SETTLE;
        loop {
            let counts = self.count(known);
            if counts.announcements >= announcements || Instant::now() >= end {
                return counts;
            }
            sleep(POLL).await;
        }
    }

    fn count(&self, known: &Known) -> ArpCounts {
        let mut counts = ArpCounts::default();
        for (node, capture) in &self.uplinks {
            for frame in capture.frames() {
                counts.count(node, &frame.bytes, known);
            }
        }
        counts
    }
}

/// Announcements come for three seconds after an endpoint has started.
const SETTLE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(200);
