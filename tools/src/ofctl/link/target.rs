//! Where a switch is.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a switch listens, as it was written.
///
/// Shape: `unix:PATH`, `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`; without a colon the path of a socket, a bridge, or
/// `TYPE@BRIDGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ofctl) struct Target(String);

/// A place where something may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ofctl) enum Place {
    /// A unix socket.
    Unix(PathBuf),
    /// A host, with a port.
    Tcp(String, u16),
    /// A host with a port, where TLS is spoken.
    Tls(String, u16),
    /// Something else with a colon; with its method.
    Unknown(String),
}

/// Which of a bridge's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// The one that takes requests.
    Management,
    /// The one that repeats what its controllers say.
    Snoop,
}

/// The port of OpenFlow. Source: OpenFlow 1.3.5 §6.3.
const PORT: u16 = 6653;

impl Target {
    /// The places to try, in this order: the first at which a socket is counts.
    pub(super) fn places(&self, socket: Socket) -> Vec<Place> {
        let text = self.0.as_str();
        let Some((method, rest)) = text.split_once(':') else {
            let suffix = match socket {
                Socket::Management => "mgmt",
                Socket::Snoop => "snoop",
            };
            let rundir = rundir();
            let bridge = text.split_once('@').map_or(text, |(_, bridge)| bridge);
            let mut places = vec![
                Place::Unix(text.into()),
                Place::Unix(rundir.join(format!("{text}.{suffix}"))),
                Place::Unix(rundir.join(format!("{bridge}.{suffix}"))),
            ];
            places.dedup();
            return places;
        };
        vec![match (method, host_and_port(rest)) {
            ("unix", _) => Place::Unix(rundir().join(rest)),
            ("tcp", Some((host, port))) => Place::Tcp(host, port),
            ("ssl", Some((host, port))) => Place::Tls(host, port),
            _ => Place::Unknown(method.to_owned()),
        }]
    }

    /// Whether it can be nothing but a switch: it names a method.
    pub(in crate::ofctl) fn has_method(&self) -> bool {
        self.0.contains(':')
    }
}

/// Where sockets of bridges are, and those that `unix:` names without a folder.
fn rundir() -> PathBuf {
    env::var_os("OVS_RUNDIR").unwrap_or_else(|| "/var/run/openvswitch".into()).into()
}

/// Splits `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if port.is_empty() => PORT,
        None => return None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) => write!(f, "tcp:{}:{port}", address(host)),
            Self::Tls(host, port) => write!(f, "ssl:{}:{port}", address(host)),
            Self::Unknown(method) => write!(f, "{method}:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let target: Target = text.parse().unwrap_or_else(|never| match never {});
        target.places(Socket::Management).iter().map(Place::to_string).collect()
    }

    #[test]
    fn addresses_have_the_port_of_openflow_unless_they_say_another() {
        assert_eq!(places("tcp:10.0.0.1"), ["tcp:10.0.0.1:6653"]);
        assert_eq!(places("tcp:[::1]:6633"), ["tcp:[::1]:6633"]);
        assert_eq!(places("ssl:[fe80::1%eth0]"), ["ssl:[fe80::1%eth0]:6653"]);
        assert_eq!(places("tcp:"), ["tcp:"]);
        assert_eq!(places("tcp:[::1"), ["tcp:"]);
        assert_eq!(places("ptcp:6633"), ["ptcp:"]);
    }

    #[test]
    fn a_word_may_be_a_socket_or_a_bridge() {
        let bridge = places("netdev@br0");
        assert_eq!(bridge[0], "unix:netdev@br0");
        assert!(bridge[2].ends_with("/br0.mgmt"), "{bridge:?}");
        assert_eq!(places("br0").len(), 2);
        assert_eq!(places("unix:/a:b"), ["unix:/a:b"]);
        let relative = places("unix:br0.mgmt");
        assert!(relative[0].starts_with("unix:/") && relative[0].ends_with("/br0.mgmt"), "{relative:?}");
    }
}
