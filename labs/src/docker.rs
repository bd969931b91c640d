//! The API of a node's Docker daemon, as far as a lab needs it: HTTP/1.0 over its unix socket, one request a connection.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::place::machine_root;
use crate::state::Machine;

/// A node's Docker daemon.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    socket: PathBuf,
}

impl Docker {
    /// That of a node; whether there is one shows when it is asked.
    ///
    /// # Errors
    /// If the machine is no node, or not up.
    pub(crate) fn of(machine: &Machine) -> anyhow::Result<Docker> {
        Ok(Docker { socket: machine_root(machine)?.join(SOCKET.trim_start_matches('/')) })
    }

    /// Asks whether it answers.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        self.request("GET /_ping", &[]).await.map(drop)
    }

    /// Makes an image of a tar file with its root file system.
    ///
    /// # Errors
    /// With what the daemon says.
    pub(crate) async fn import(&self, name: &str, tag: &str, tar: &[u8]) -> anyhow::Result<()> {
        let request = format!("POST /images/create?fromSrc=-&repo={name}&tag={tag}");
        let said = self.request(&request, tar).await?;
        // The answer has begun before all is done, so what goes wrong is a line of it.
        match said.lines().find(|line| line.contains("\"error\"")) {
            Some(line) => bail!("Docker cannot import {name}: {line}"),
            None => Ok(()),
        }
    }

    async fn request(&self, line: &str, body: &[u8]) -> anyhow::Result<String> {
        let head = format!(
            "{line} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let failed = || format!("no answer from Docker at {}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).await.with_context(failed)?;
        stream.write_all(head.as_bytes()).await.with_context(failed)?;
        stream.write_all(body).await.with_context(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.with_context(failed)?;
        answered(line, &String::from_utf8_lossy(&answer))
    }
}

/// The body of an answer, if its status is 2xx.
fn answered(request: &str, answer: &str) -> anyhow::Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("Docker's answer is no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    match status.split_ascii_whitespace().nth(1) {
        Some(code) if code.starts_with('2') => Ok(body.to_owned()),
        _ => bail!("Docker answers `{request}` with `{status}`: {}", body.trim()),
    }
}

/// Where a node's Docker listens, inside the node.
pub(crate) const SOCKET: &str = "/run/docker.sock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_body_or_an_error_that_says_why() {
        let ok = "HTTP/1.0 200 OK\r\nServer: Docker/20.10\r\n\r\nOK";
        assert_eq!(answered("GET /_ping", ok).unwrap(), "OK");
        let refused = "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"page not found\"}\n";
        let error = answered("GET /nothing", refused).unwrap_err().to_string();
        assert!(error.contains("404") && error.contains("page not found"), "{error}");
        assert!(answered("GET /_ping", "").is_err());
    }
}
