//! What is wrong with the node, gathered from every part and told to the controller when it changes.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::v1::NodeReport;

/// The parts that may have a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The connection to the database.
    Ovsdb,
    /// The two bridges.
    Bridges,
    /// The tunnel address and the NIC.
    Underlay,
    /// The flow table kept on disk.
    Restore,
    /// The agent's own files.
    State,
    /// Docker.
    Docker,
    /// The socket by which Docker reaches its drivers.
    Plugin,
    /// Networks that somebody made with Docker.
    DockerNetworks,
    /// Endpoints for containers of Docker's own.
    Reserve,
}

/// The node's state, as the controller is to know it.
#[derive(Debug, Default)]
pub struct Status {
    problems: BTreeMap<Part, Vec<String>>,
    foreign_ofports: BTreeSet<u32>,
    runtimes: Vec<String>,
    images: Vec<String>,
    folders: Vec<String>,
    told: Option<NodeReport>,
}

impl Status {
    /// Replaces what is wrong with a part; nothing is wrong if `problems` is empty.
    pub fn set(&mut self, part: Part, problems: impl IntoIterator<Item = String>) {
        let problems: Vec<String> = problems.into_iter().collect();
        let present = self.problems.entry(part).or_default();
        if *present != problems {
            tracing::info!(?part, old = ?present, new = ?problems, "problems");
            *present = problems;
        }
    }

    /// Replaces the port numbers of br-int that are not the agent's.
    pub fn set_foreign_ofports(&mut self, ofports: BTreeSet<u32>) {
        self.foreign_ofports = ofports;
    }

    /// Replaces the runtimes that work.
    pub fn set_runtimes(&mut self, runtimes: &[&str]) {
        self.runtimes = runtimes.iter().map(ToString::to_string).collect();
    }

    /// Replaces the images that are here.
    pub fn set_images(&mut self, images: Vec<String>) {
        self.images = images;
    }

    /// Says which folders containers may have.
    pub fn set_folders(&mut self, folders: &BTreeSet<String>) {
        self.folders = folders.iter().cloned().collect();
    }

    /// Forgets what the controller has been told: it is another, or has forgotten.
    pub fn handle_attached(&mut self) {
        self.told = None;
    }

    /// What the controller has to be told now, if anything.
    pub fn poll_report(&mut self) -> Option<NodeReport> {
        let report = NodeReport {
            foreign_ofports: self.foreign_ofports.iter().copied().collect(),
            problems: self.problems.values().flatten().cloned().collect(),
            runtimes: self.runtimes.clone(),
            images: self.images.clone(),
            folders: self.folders.clone(),
        };
        if self.told.as_ref() == Some(&report) {
            return None;
        }
        self.told = Some(report.clone());
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_change_once_and_everything_to_a_new_controller() {
        let mut status = Status::default();
        assert!(status.poll_report().is_some_and(|report| report.problems.is_empty()));
        assert_eq!(status.poll_report(), None);
        status.set(Part::Underlay, ["no link br-phy".to_owned()]);
        status.set_foreign_ofports([5].into());
        let report = status.poll_report().unwrap();
        assert_eq!(
            (report.problems.as_slice(), report.foreign_ofports.as_slice()),
            (&["no link br-phy".to_owned()][..], &[5][..])
        );
        status.set(Part::Underlay, ["no link br-phy".to_owned()]);
        assert_eq!(status.poll_report(), None);
        status.handle_attached();
        assert_eq!(status.poll_report(), Some(report));
        status.set(Part::Underlay, []);
        assert!(status.poll_report().is_some_and(|report| report.problems.is_empty()));
    }
}
