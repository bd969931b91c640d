//! `weir status`: what is connected, in sync or degraded, and why.

use std::collections::BTreeMap;

use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;

use super::failure::Failure;
use super::node::{NodeList, NodeView};
use super::output::{self, View, or_dash};
use super::session::Session;

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = weir_api::client::status(session.channel().await?);
    let request = session.request(v1::GetStatusRequest { pool: session.pool_or_all() });
    let status = session.patiently("asking", client.get_status(request)).await?;
    output::show(session.format(), &StatusView::from(status))
}

#[derive(Serialize)]
struct StatusView {
    version: String,
    started: Option<String>,
    revision: u64,
    nodes: NodeList,
    networks: u32,
    containers: u32,
    containers_ready: u32,
    problems: Vec<ProblemView>,
    counters: BTreeMap<String, u64>,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
struct ProblemView {
    subject: String,
    reason: String,
    message: String,
    since: Option<String>,
    #[serde(skip)]
    age: String,
}

impl From<v1::GetStatusResponse> for StatusView {
    fn from(status: v1::GetStatusResponse) -> StatusView {
        StatusView {
            version: status.version,
            age: output::age(status.started.as_ref()),
            started: output::rfc3339(status.started.as_ref()),
            revision: status.revision,
            nodes: NodeList(status.nodes.into_iter().map(NodeView::from).collect()),
            networks: status.networks,
            containers: status.containers,
            containers_ready: status.containers_ready,
            problems: status.problems.into_iter().map(Into::into).collect(),
            counters: status.counters.into_iter().collect(),
        }
    }
}

impl From<v1::Problem> for ProblemView {
    fn from(problem: v1::Problem) -> ProblemView {
        ProblemView {
            age: output::age(problem.since.as_ref()),
            since: output::rfc3339(problem.since.as_ref()),
            subject: problem.subject,
            reason: problem.reason,
            message: problem.message,
        }
    }
}

impl View for StatusView {
    fn to_text(&self) -> String {
        let mut text = output::facts([
            ("Controller", format!("{}, up {}, revision {}", self.version, self.age, self.revision)),
            ("Networks", self.networks.to_string()),
            ("Containers", format!("{}, {} ready", self.containers, self.containers_ready)),
        ]);
        text.push('\n');
        if self.nodes.0.is_empty() {
            text.push_str("No node has registered.\n");
        } else {
            text.push_str(&self.nodes.to_text());
        }
        text.push('\n');
        if self.problems.is_empty() {
            text.push_str("Everything is as intended.\n");
        } else {
            let rows = self.problems.iter().map(|problem| {
                vec![
                    Cell::new(&problem.subject),
                    Cell::new(&problem.reason),
                    Cell::new(or_dash(problem.age.as_str())),
                    Cell::new(&problem.message),
                ]
            });
            text.push_str(&output::rows(&["PROBLEM", "REASON", "FOR", "MESSAGE"], rows));
        }
        text
    }
}
