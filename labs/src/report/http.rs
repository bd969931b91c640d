//! Pages of the containers that serve some: those labelled `http=PORT`.
//!
//! Each is fetched by another endpoint of the network, on another node if there is one.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::socket::SockType;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use weir_api::v1;

use super::{site, socket};
use crate::place::Place;
use crate::state::State;

/// How a page was fetched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fetched {
    /// The container that serves it.
    pub(super) container: String,
    pub(super) url: String,
    /// The container in whose place it was fetched, and the two nodes.
    pub(super) from: String,
    pub(super) from_node: String,
    pub(super) node: String,
    /// Of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// Of the answer's body.
    pub(super) bytes: usize,
    /// Why there was none.
    pub(super) problem: Option<String>,
}

impl Fetched {
    /// What is wrong with it, if anything is.
    pub(super) fn complaint(&self) -> Option<String> {
        let Fetched { container, url, from, .. } = self;
        let what = format!("the page {url} of {container}, fetched from {from}");
        match (self.status, &self.problem) {
            (Some(200), _) => None,
            (Some(status), _) => Some(format!("{what}, has status {status}")),
            (None, problem) => Some(format!("{what}: {}", problem.as_deref().unwrap_or("no answer"))),
        }
    }
}

/// An answer: its status, and how long its body is.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    bytes: usize,
}

/// Fetches the page of every container that has a label `http`, and another container in its network.
///
/// # Errors
/// If a container has no namespace or no address; a server that does not answer is part of the report.
pub(super) async fn fetch(state: &State, containers: &[v1::Container]) -> anyhow::Result<Vec<Fetched>> {
    let mut all = Vec::new();
    for server in containers {
        let Some(label) = server.labels.get(LABEL) else { continue };
        let Some(client) = client(server, containers) else { continue };
        let port: u16 = label
            .parse()
            .with_context(|| format!("{} is labelled {LABEL}={label}: write a port's number", server.name))?;
        let address = site::address(server)?;
        let place = Place::endpoint(state, &client.node, client.endpoint_id)?;
        let got = timeout(PATIENCE, get_until_answered(&place, address, port)).await;
        let (answer, problem) = match got {
            Ok(Ok(answer)) => (Some(answer), None),
            Ok(Err(e)) => (None, Some(format!("{e:#}"))),
            Err(_) => (None, Some(format!("no answer in {}", humantime::format_duration(PATIENCE)))),
        };
        all.push(Fetched {
            container: server.name.clone(),
            url: format!("http://{}/", SocketAddr::from((address, port))),
            from: client.name.clone(),
            from_node: client.node.clone(),
            node: server.node.clone(),
            status: answer.as_ref().map(|answer| answer.status),
            bytes: answer.map_or(0, |answer| answer.bytes),
            problem,
        });
    }
    Ok(all)
}

/// Who fetches a server's page.
fn client<'a>(server: &v1::Container, containers: &'a [v1::Container]) -> Option<&'a v1::Container> {
    let others = containers.iter().filter(|other| {
        (&other.pool, &other.network) == (&server.pool, &server.network) && other.name != server.name
    });
    others.min_by_key(|other| other.node == server.node)
}

/// A server that was just started may not listen yet.
async fn get_until_answered(place: &Place, address: Ipv4Addr, port: u16) -> anyhow::Result<Answer> {
    loop {
        match get(place, (address, port).into()).await {
            Err(e) if is_refused(&e) => sleep(AGAIN).await,
            other => return other,
        }
    }
}

fn is_refused(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

async fn get(place: &Place, server: SocketAddr) -> anyhow::Result<Answer> {
    let socket = socket::open(place.namespace(), SockType::Stream, None)?;
    let mut stream = TcpSocket::from_std_stream(socket.into()).connect(server).await?;
    let request = format!("GET / HTTP/1.0\r\nHost: {server}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("the connection broke")?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes).await.context("the connection broke")?;
    answer(&bytes)
}

/// Reads an answer of HTTP/1.0 or 1.1, whose body ends with the connection.
fn answer(bytes: &[u8]) -> anyhow::Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let head = String::from_utf8_lossy(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
    let line = head.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    match (status, end) {
        (Some(status), Some(end)) => Ok(Answer { status, bytes: bytes.len() - end }),
        _ => bail!("the answer is no HTTP: `{line}`"),
    }
}

/// The label that names the port of a container's HTTP server.
const LABEL: &str = "http";
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);
/// Pages in labs are short; more is cut off.
const LONGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(answer(ok).unwrap(), Answer { status: 200, bytes: 5 });
        assert_eq!(answer(b"HTTP/1.0 404 Not Found\r\n\r\n").unwrap(), Answer { status: 404, bytes: 0 });
        for garbage in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert!(answer(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_page_is_fetched_from_another_node_of_the_network_if_possible() {
        let container = |name: &str, network: &str, node: &str| v1::Container {
            name: name.into(),
            network: network.into(),
            node: node.into(),
            ..v1::Container::default()
        };
        let server = container("web", "a", "n1");
        let all = [
            server.clone(),
            container("beside", "a", "n1"),
            container("foreign", "b", "n2"),
            container("far", "a", "n2"),
        ];
        let name = |containers: &[v1::Container]| client(&server, containers).map(|c| c.name.clone());
        assert_eq!(name(&all).as_deref(), Some("far"));
        assert_eq!(name(&all[..3]).as_deref(), Some("beside"));
        assert_eq!(name(&all[..1]), None);
    }
}
