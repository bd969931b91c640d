//! What the controller told this node of itself, kept on disk: an agent that starts while the controller is away still
//! knows which controllers br-int belongs to.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use flowlib::types::MacAddr;
use serde::{Deserialize, Serialize};
use weir_api::v1::Registered;

/// The node as the controller knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number in its pool.
    pub node_id: u32,
    /// The one address it shows on the fabric.
    pub nat_mac: MacAddr,
    /// br-int's controllers, as OpenFlow connection methods.
    pub openflow_targets: Vec<String>,
}

/// What is wrong with a controller's `registered`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadIdentity {
    /// The NAT MAC is not an address.
    #[error("NAT MAC: {0}")]
    NatMac(#[from] flowlib::types::BadMacAddr),
    /// There is no controller to give to the switch, or one that is not a connection method.
    #[error("OpenFlow targets {0:?}: not one or more of tcp:HOST:PORT, ssl:HOST:PORT, unix:PATH")]
    Targets(Vec<String>),
}

impl TryFrom<Registered> for Identity {
    type Error = BadIdentity;

    fn try_from(registered: Registered) -> Result<Self, BadIdentity> {
        let mut targets = registered.openflow_targets;
        let known = |target: &String| {
            ["tcp:", "ssl:", "unix:"]
                .iter()
                .any(|kind| target.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
        };
        if targets.is_empty() || !targets.iter().all(known) {
            return Err(BadIdentity::Targets(targets));
        }
        targets.sort();
        targets.dedup();
        Ok(Self {
            node_id: registered.node_id,
            nat_mac: registered.nat_mac.parse()?,
            openflow_targets: targets,
        })
    }
}

/// The file in the state directory.
#[derive(Clone, Debug)]
pub struct IdentityFile {
    directory: PathBuf,
}

impl IdentityFile {
    /// The file in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// What was kept; `None` if nothing was, or if it cannot be read, which is logged: the controller tells it again.
    #[must_use]
    pub fn load(&self) -> Option<Identity> {
        let path = self.directory.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read the node's identity");
                return None;
            }
        };
        serde_json::from_slice(&bytes)
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "the node's identity is damaged"),
            )
            .ok()
    }

    /// Keeps `identity`: whole or not at all, whenever the machine stops.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn store(&self, identity: &Identity) -> io::Result<()> {
        let (path, draft) = (self.directory.join(NAME), self.directory.join(DRAFT));
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(identity)?)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.directory)?.sync_all()
    }
}

const NAME: &str = "identity.json";

const DRAFT: &str = "identity.json.new";

#[cfg(test)]
mod tests {
    use super::*;

    fn registered() -> Registered {
        Registered {
            lease_ms: 15_000,
            node_id: 3,
            nat_mac: "0e:00:00:00:00:03".into(),
            openflow_targets: vec!["tcp:172.31.0.254:6653".into()],
        }
    }

    #[test]
    fn keeps_what_it_was_given_and_survives_damage() {
        let directory = tempfile::tempdir().unwrap();
        let file = IdentityFile::open(&directory.path().join("state")).unwrap();
        assert_eq!(file.load(), None);
        let identity = Identity::try_from(registered()).unwrap();
        file.store(&identity).unwrap();
        assert_eq!(file.load(), Some(identity));
        fs::write(directory.path().join("state").join(NAME), b"{\"node_id\":").unwrap();
        assert_eq!(file.load(), None);
    }

    #[test]
    fn refuses_what_would_leave_the_switch_without_a_controller() {
        for targets in [vec![], vec!["".to_owned()], vec!["tcp:".to_owned()], vec!["http://x:1".to_owned()]] {
            let broken = Registered { openflow_targets: targets, ..registered() };
            assert!(Identity::try_from(broken).is_err());
        }
        assert!(Identity::try_from(Registered { nat_mac: "x".into(), ..registered() }).is_err());
    }
}
