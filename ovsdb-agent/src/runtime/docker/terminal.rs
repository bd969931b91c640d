//! A command on a terminal: its bytes as they are.
//!
//! Docker frames the output of commands without a terminal and leaves that of others raw, and its client library tells the two
//! apart by looking at the bytes, which are the container's to choose. So the stream is opened here, and not decoded.

use bollard::errors::Error;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE},
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{ANSWER, Docker, DockerError};

impl Docker {
    /// Starts a prepared command that has a terminal: what is written goes in, what is read came out.
    ///
    /// # Errors
    /// Docker's.
    pub(super) async fn start_on_terminal(&self, exec: &str) -> Result<TokioIo<Upgraded>, DockerError> {
        let opened = tokio::time::timeout(ANSWER, self.open(exec)).await;
        opened.map_err(|_| DockerError::Silent { what: "starting a command", waited: ANSWER })?
    }

    async fn open(&self, exec: &str) -> Result<TokioIo<Upgraded>, DockerError> {
        let version = self.client().await?.client_version();
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        // It ends with the stream that comes of it, which says how.
        tokio::spawn(connection.with_upgrades());
        let request = Request::post(format!("/v{version}/exec/{exec}/start"))
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "tcp")
            .body(Full::new(Bytes::from_static(br#"{"Detach":false,"Tty":true}"#)))
            .map_err(|error| DockerError::Protocol(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(unreachable)?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => {
                Ok(TokioIo::new(upgrade::on(answer).await.map_err(unreachable)?))
            }
            status => {
                let message = "the command is not started".to_owned();
                Err(DockerError::Refused { status: status.as_u16(), message })
            }
        }
    }
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> DockerError {
    DockerError::Unreachable(Error::from(std::io::Error::other(error)))
}
