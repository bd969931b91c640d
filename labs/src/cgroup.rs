//! The control groups of a lab's Docker containers: which processes are in them, and removing them.
//!
//! A container has namespaces of its own, by which it cannot be told whose it is; it cannot leave its control group.
//! In version 1 there is one hierarchy a controller below /sys/fs/cgroup, in version 2 that folder is the only one;
//! cgroups(7).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::state::State;
use crate::wait::wait_until;

/// The control groups of a lab, as `/proc/PID/cgroup` names those of their containers.
pub(crate) struct Groups(Vec<String>);

impl Groups {
    pub(crate) fn of(state: &State) -> Groups {
        Groups(state.with_docker().map(|node| state.cgroup(&node.name)).collect())
    }

    /// Whether a process of that `/proc/PID/cgroup` is in a container of the lab.
    pub(crate) fn hold(&self, text: &str) -> bool {
        self.0.iter().any(|group| text.contains(&format!("{group}/")))
    }

    /// Lets go on what `docker pause` has frozen: a frozen process of version 1 does not even die.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        for folder in self.folders().iter().flat_map(|top| subfolders(top)) {
            let path = folder.join("freezer.state");
            if path.exists() {
                fs::write(&path, "THAWED").with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Removes the groups, whose processes must have ended.
    ///
    /// # Errors
    /// If one is still in use after a while.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        for folder in self.folders() {
            let what = format!("the control group {} to be empty", folder.display());
            wait_until(PATIENCE, &what, || match remove(&folder) {
                Ok(()) => Ok(Some(())),
                // Whoever is to reap its last process has not done so yet.
                Err(e) if e.kind() == ErrorKind::ResourceBusy => Ok(None),
                Err(e) => Err(e).with_context(|| format!("cannot remove {}", folder.display())),
            })?;
        }
        Ok(())
    }

    /// The groups' folders in all hierarchies.
    fn folders(&self) -> Vec<PathBuf> {
        let hierarchies = subfolders(Path::new(ROOT)).into_iter().chain([PathBuf::from(ROOT)]);
        let group = |hierarchy: &PathBuf, group: &String| hierarchy.join(group.trim_start_matches('/'));
        let all = hierarchies.flat_map(|hierarchy| self.0.iter().map(move |name| group(&hierarchy, name)));
        all.filter(|folder| folder.is_dir()).collect()
    }
}

/// Removes a group and those below it; that it is gone already is not an error.
fn remove(folder: &Path) -> std::io::Result<()> {
    subfolders(folder).iter().try_for_each(|below| remove(below))?;
    match fs::remove_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

const ROOT: &str = "/sys/fs/cgroup";
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn a_container_is_told_from_one_of_a_node_with_a_longer_name() {
        let text = "[[node]]\nname='n1'\npool='p'\naddress='172.31.0.1/24'\ndocker=true\n\
                    [[node]]\nname='n2'\npool='p'\naddress='172.31.0.2/24'\n";
        let groups = Groups::of(&State::new("lab", Path::new("/tmp/lab"), &Topology::parse(text).unwrap()));
        assert!(groups.hold("4:memory:/weir-lab.lab.n1/0123\n0::/\n"));
        for other in ["4:memory:/weir-lab.lab.n10/0123", "0::/weir-lab.lab.n2/0123", "0::/docker/0123"] {
            assert!(!groups.hold(other), "{other}");
        }
    }
}
