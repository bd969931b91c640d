//! Connecting to a controller's gRPC API.

use std::path::PathBuf;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// Connects to `http://host:port`, `host:port` or `unix:/path`.
///
/// # Errors
/// If the address is none of these, or nothing answers there.
pub async fn connect(server: &str) -> anyhow::Result<Channel> {
    let failed = || format!("cannot connect to {server}");
    let Some(path) = server.strip_prefix("unix:") else {
        let uri = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        return Endpoint::from_shared(uri).with_context(failed)?.connect().await.with_context(failed);
    };
    let path = PathBuf::from(path);
    // The name is only what the HTTP/2 authority says; the connection is the socket.
    let endpoint = Endpoint::from_static("http://localhost");
    let connector = service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await.with_context(failed)
}
