//! Where the controller is, and how to get a gRPC channel to it: over TCP or a unix socket.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// Where a controller listens when nobody says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";

/// A controller's address.
///
/// Shape: `http://host:port`, `host:port` (the same) or `unix:/path/to/socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `http://host:port`.
    Http(Uri),
    /// The path of a listening unix socket.
    Unix(PathBuf),
}

/// A text that is no [`Server`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// `https://`: the controller does not serve TLS.
    Tls,
    /// `unix:` without a path.
    NoPath,
    /// Anything else; with what was given.
    Malformed(String),
}

/// No connection could be made; with the address tried.
#[derive(Debug)]
pub struct Unreachable {
    server: Server,
    cause: tonic::transport::Error,
}

impl Server {
    /// Connects, giving up after `timeout`.
    ///
    /// The channel notices within half a minute that its peer is gone, also while only a stream is open.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing listens there, or does not answer in time.
    pub async fn connect(&self, timeout: Duration) -> Result<Channel, Unreachable> {
        let connected = match self {
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
        connected.map_err(|cause| Unreachable { server: self.clone(), cause })
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
        if text.starts_with("https://") {
            return Err(ServerError::Tls);
        }
        let malformed = || ServerError::Malformed(text.to_owned());
        let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let uri: Uri = format!("http://{authority}/").parse().map_err(|_| malformed())?;
        match (uri.host(), uri.port_u16(), uri.path()) {
            (Some(host), Some(_), "/") if !host.is_empty() => Ok(Server::Http(uri)),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Http(uri) => write!(f, "{}", uri.to_string().trim_end_matches('/')),
            Server::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Tls => write!(f, "TLS is not supported; use http://host:port or unix:/path"),
            ServerError::NoPath => write!(f, "unix: lacks the socket's path, as in unix:/run/weir/weir.sock"),
            ServerError::Malformed(text) => {
                write!(f, "'{text}' is none of http://host:port, host:port and unix:/path")
            }
        }
    }
}

impl Error for ServerError {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The transport's own words ("transport error") say nothing; the innermost cause does.
        let mut cause: &dyn Error = &self.cause;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        write!(f, "no controller answers at {}: {cause}", self.server)
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
    fn reads_the_three_forms_of_an_address() {
        assert_eq!(shown("http://127.0.0.1:7400"), "http://127.0.0.1:7400");
        assert_eq!(shown("http://127.0.0.1:7400/"), "http://127.0.0.1:7400");
        assert_eq!(shown("controller:7400"), "http://controller:7400");
        assert_eq!(shown("[::1]:7400"), "http://[::1]:7400");
        assert_eq!(shown("unix:/run/weir/weir.sock"), "unix:/run/weir/weir.sock");
        assert_eq!(shown(DEFAULT_SERVER), DEFAULT_SERVER);
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert_eq!("https://a:1".parse::<Server>(), Err(ServerError::Tls));
        assert_eq!("unix:".parse::<Server>(), Err(ServerError::NoPath));
        for text in ["", "localhost", "http://", "http://:7400", "a:b", "a:7400/path", "ftp://a:1"] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::Malformed(text.to_owned())), "{text:?}");
        }
    }
}
