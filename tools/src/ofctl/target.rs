//! Where a switch is.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a switch listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// `HOST:PORT`.
    Tcp(String),
}

/// `unix:PATH`, `tcp:HOST:PORT`, a path (it has a slash), or the name of a bridge, whose socket is `NAME.mgmt` in
/// `$OVS_RUNDIR`, by default /var/run/openvswitch.
impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if let Some(path) = text.strip_prefix("unix:") {
            Self::Unix(path.into())
        } else if let Some(address) = text.strip_prefix("tcp:") {
            Self::Tcp(address.to_owned())
        } else if text.contains('/') {
            Self::Unix(text.into())
        } else {
            let rundir = env::var_os("OVS_RUNDIR").unwrap_or_else(|| "/var/run/openvswitch".into());
            Self::Unix(PathBuf::from(rundir).join(format!("{text}.mgmt")))
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_a_bridge_and_an_address() {
        let parse = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        assert_eq!(parse("/run/x/br-int.mgmt"), Ok("unix:/run/x/br-int.mgmt".to_owned()));
        assert_eq!(parse("tcp:[::1]:6653"), Ok("tcp:[::1]:6653".to_owned()));
        assert!(parse("br-int").is_ok_and(|path| path.ends_with("/br-int.mgmt")));
    }
}
