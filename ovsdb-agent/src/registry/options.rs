//! The command line of the registry proxy.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;

/// A pull-through cache of a registry, for nodes that do not reach it.
///
/// Runs the CNCF registry (Debian's package docker-registry) as a cache: what any node has pulled through it is kept, crosses
/// the way to the upstream once, and is there when the upstream is not. Tell a pool of it with `weir pool update POOL
/// --registry-proxy http://HOST:PORT`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The registry that it stands for: http://HOST:PORT or https://HOST, with a port or without.
    #[arg(
        long,
        env = "WEIR_REGISTRY_UPSTREAM",
        value_name = "URL",
        default_value = "https://registry-1.docker.io"
    )]
    pub upstream: Upstream,
    /// Where nodes reach it. It asks nobody who he is: choose an address that only the pool's nodes reach.
    #[arg(long, env = "WEIR_REGISTRY_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// Where it keeps what it has fetched.
    #[arg(
        long,
        env = "WEIR_REGISTRY_STORAGE",
        value_name = "DIR",
        default_value = "/var/lib/weir-registry-proxy"
    )]
    pub storage: PathBuf,
    /// A file with NAME:PASSWORD, as whom the upstream is asked; read when this starts. Without one nobody in particular asks.
    #[arg(long, env = "WEIR_REGISTRY_CREDENTIALS", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// How many hours what nobody has asked the upstream for again is kept. Registries before version 3 know only 168.
    #[arg(long, env = "WEIR_REGISTRY_TTL", value_name = "HOURS", default_value_t = 168)]
    pub ttl: u32,
    /// The registry's program.
    #[arg(long, env = "WEIR_REGISTRY_PROGRAM", value_name = "PROGRAM", default_value = "docker-registry")]
    pub program: PathBuf,
    /// What to log: a level (error, warn, info, debug, trace), or a filter.
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// A registry's address, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream(String);

/// The text is no registry's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither http://HOST[:PORT] nor https://HOST[:PORT]")]
pub struct BadUpstream(String);

impl FromStr for Upstream {
    type Err = BadUpstream;

    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let trimmed = text.trim_end_matches('/');
        let host = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        if host.is_some_and(is_host) {
            Ok(Self(trimmed.to_owned()))
        } else {
            Err(BadUpstream(text.to_owned()))
        }
    }
}

impl Upstream {
    /// It has no TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_of_registries_only() {
        for text in ["https://registry-1.docker.io", "http://10.0.0.1:5000/"] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), text.trim_end_matches('/'));
        }
        for text in ["", "docker.io", "http://", "http://a/b", "ftp://a", "https://me:secret@a"] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
