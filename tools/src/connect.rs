//! Where the controller is, and how to get a gRPC channel to it: over TCP, with TLS or without, or a unix socket.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use weir_api::tls::{self, TlsError, Trust};

/// Where a controller listens when nobody says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";

/// A controller's address.
///
/// Shape: `https://host:port`, `http://host:port`, `host:port` (the same) or `unix:/path/to/socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `http://host:port`.
    Http(Uri),
    /// `https://host:port`; the same, with the scheme `http`: it only names the peer.
    Https(Uri),
    /// The path of a listening unix socket.
    Unix(PathBuf),
}

/// A text that is no [`Server`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// `unix:` without a path.
    NoPath,
    /// Anything else; with what was given.
    Malformed(String),
}

/// No connection could be made; with the address tried.
#[derive(Debug)]
pub struct Unreachable {
    server: Server,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Transport(tonic::transport::Error),
    Tls(TlsError),
    /// Nobody has said whom to trust.
    NoTrust,
}

impl Server {
    /// Whether what is said can be read by others on the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let Server::Http(uri) = self else { return false };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_loopback && host != "localhost"
    }

    /// Connects, giving up after `timeout`; over TLS to whom is trusted.
    ///
    /// The channel notices within half a minute that its peer is gone, also while only a stream is open.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing listens there, or does not answer in time.
    pub async fn connect(&self, timeout: Duration, trust: Option<&Trust>) -> Result<Channel, Unreachable> {
        let failed = |cause| Unreachable { server: self.clone(), cause };
        let connected = match self {
            Server::Https(uri) => {
                let config = tls::client(trust.ok_or_else(|| failed(Cause::NoTrust))?, None);
                let config = config.map_err(|error| failed(Cause::Tls(error)))?;
                let authority = uri.authority().map_or_else(String::new, ToString::to_string);
                tls::connect(endpoint(uri.clone(), timeout), authority, config).await
            }
            Server::Http(uri) => endpoint(uri.clone(), timeout).connect().await,
            Server::Unix(path) => {
                // The URI only fills the request's authority; the connector ignores it.
                let path = path.clone();
                let connector = service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                endpoint(Uri::from_static("http://localhost"), timeout)
                    .connect_with_connector(connector)
                    .await
            }
        };
        connected.map_err(|cause| failed(Cause::Transport(cause)))
    }
}

fn endpoint(uri: Uri, timeout: Duration) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Server, ServerError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(ServerError::NoPath) } else { Ok(Server::Unix(path.into())) };
        }
        let malformed = || ServerError::Malformed(text.to_owned());
        let (rest, tls) = match text.strip_prefix("https://") {
            Some(rest) => (rest, true),
            None => (text.strip_prefix("http://").unwrap_or(text), false),
        };
        let authority = rest.trim_end_matches('/');
        let uri: Uri = format!("http://{authority}/").parse().map_err(|_| malformed())?;
        match (uri.host(), uri.port_u16(), uri.path()) {
            (Some(host), Some(_), "/") if !host.is_empty() => {
                Ok(if tls { Server::Https(uri) } else { Server::Http(uri) })
            }
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Http(uri) => write!(f, "{}", uri.to_string().trim_end_matches('/')),
            Server::Https(uri) => match uri.authority() {
                Some(authority) => write!(f, "https://{authority}"),
                None => f.write_str("https:"),
            },
            Server::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::NoPath => write!(f, "unix: lacks the socket's path, as in unix:/run/weir/weir.sock"),
            ServerError::Malformed(text) => {
                write!(f, "'{text}' is none of https://host:port, http://host:port, host:port and unix:/path")
            }
        }
    }
}

impl Error for ServerError {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Transport(error) => {
                // The transport's own words ("transport error") say nothing; the innermost cause does.
                let mut cause: &dyn Error = error;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                write!(f, "no controller answers at {}: {cause}", self.server)
            }
            Cause::Tls(error) => write!(f, "{error}"),
            Cause::NoTrust => write!(f, "it is not known whom to trust at {}", self.server),
        }
    }
}

impl Error for Unreachable {}

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Server>().map(|server| server.to_string()).unwrap()
    }

    #[test]
    fn reads_all_forms_of_an_address() {
        assert_eq!(shown("https://controller:7400/"), "https://controller:7400");
        assert_eq!(shown("http://127.0.0.1:7400"), "http://127.0.0.1:7400");
        assert_eq!(shown("http://127.0.0.1:7400/"), "http://127.0.0.1:7400");
        assert_eq!(shown("controller:7400"), "http://controller:7400");
        assert_eq!(shown("[::1]:7400"), "http://[::1]:7400");
        assert_eq!(shown("unix:/run/weir/weir.sock"), "unix:/run/weir/weir.sock");
        assert_eq!(shown(DEFAULT_SERVER), DEFAULT_SERVER);
    }

    #[test]
    fn knows_what_others_can_read_on_the_way() {
        let is_clear = |text: &str| text.parse::<Server>().unwrap().is_clear();
        for text in ["http://10.0.0.1:1", "controller:7400", "[fd00::1]:1"] {
            assert!(is_clear(text), "{text}");
        }
        for text in ["https://10.0.0.1:1", "127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/x"] {
            assert!(!is_clear(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert_eq!("unix:".parse::<Server>(), Err(ServerError::NoPath));
        for text in ["", "localhost", "http://", "http://:7400", "a:b", "a:7400/path", "ftp://a:1"] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::Malformed(text.to_owned())), "{text:?}");
        }
    }
}
