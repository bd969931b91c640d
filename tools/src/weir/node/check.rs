//! `weir node check`: what its agent finds on a node, and what the controller knows of it.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::finding::Level;

use super::super::failure::Failure;
use super::super::output::{self, Health, View, verdict};
use super::super::session::Session;
use super::client;

#[derive(Serialize)]
struct FindingView {
    check: String,
    level: &'static str,
    found: String,
    advice: String,
    #[serde(skip)]
    health: Health,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Findings(Vec<FindingView>);

impl From<v1::Finding> for FindingView {
    fn from(finding: v1::Finding) -> FindingView {
        let (level, health) = match finding.level() {
            Level::Ok => ("ok", Health::Good),
            Level::Warn => ("warn", Health::Pending),
            Level::Fail | Level::Unspecified => ("fail", Health::Bad),
        };
        let v1::Finding { check, found, advice, .. } = finding;
        FindingView { check, level, found, advice, health }
    }
}

impl View for Findings {
    fn to_text(&self) -> String {
        let row = |finding: &FindingView| {
            let texts = [&finding.check, &finding.found, &finding.advice].map(Cell::new);
            let [check, found, advice] = texts;
            vec![verdict(finding.level, finding.health), check, found, advice]
        };
        output::rows(&["", "CHECK", "FOUND", "WHAT TO DO"], self.0.iter().map(row))
    }
}

/// Ends with 1 if something fails.
pub(super) async fn run(session: &Session, name: String) -> Result<ExitCode, Failure> {
    let request = session.request(v1::CheckNodeRequest { pool: session.pool()?, name });
    let mut client = client(session).await?;
    let answer = session.patiently("asking", client.check_node(request)).await?;
    let findings = Findings(answer.findings.into_iter().map(Into::into).collect());
    output::show(session.format(), &findings)?;
    let fails = findings.0.iter().any(|finding| finding.health == Health::Bad);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
