//! `weir container create --dry-run`: where a container would go, and why not elsewhere.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;

use super::super::failure::Failure;
use super::super::output::{self, Health, View, or_dash, verdict};
use super::super::session::Session;
use super::client;

/// Shows where `container` would go; the code says whether any node can take it.
pub(super) async fn run(session: &Session, container: v1::Container) -> Result<ExitCode, Failure> {
    let request = session.request(v1::PreviewContainerRequest { container: Some(container) });
    let mut client = client(session).await?;
    let placement = session.patiently("asking", client.preview_container(request)).await?;
    let view = PlacementView::from(placement);
    output::show(session.format(), &view)?;
    Ok(if view.node.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Serialize)]
struct PlacementView {
    node: Option<String>,
    address: Option<String>,
    refusal: Option<String>,
    candidates: Vec<CandidateView>,
}

#[derive(Serialize)]
struct CandidateView {
    node: String,
    chosen: bool,
    /// The filter that turns the node away; null if none does.
    filter: Option<String>,
    message: Option<String>,
    load_score: u32,
    image_score: u32,
    block_score: u32,
    total_score: u64,
}

impl From<v1::Placement> for PlacementView {
    fn from(placement: v1::Placement) -> PlacementView {
        let chosen = placement.node.clone();
        let candidates = placement.candidates.into_iter();
        PlacementView {
            candidates: candidates.map(|candidate| CandidateView::new(candidate, &chosen)).collect(),
            node: output::present(placement.node),
            address: output::present(placement.address),
            refusal: output::present(placement.refusal),
        }
    }
}

impl CandidateView {
    fn new(candidate: v1::Candidate, chosen: &str) -> CandidateView {
        let v1::Candidate { node, filter, message, load_score, image_score, block_score } = candidate;
        CandidateView {
            chosen: node == chosen,
            node,
            filter: output::present(filter),
            message: output::present(message),
            load_score,
            image_score,
            block_score,
            total_score: [load_score, image_score, block_score].into_iter().map(u64::from).sum(),
        }
    }

    fn to_row(&self) -> Vec<Cell> {
        let verdict = match (&self.filter, self.chosen) {
            (Some(filter), _) => verdict(filter.as_str(), Health::Bad),
            (None, true) => verdict("chosen", Health::Good),
            (None, false) => verdict("can take it", Health::Pending),
        };
        // A node that is turned away has no points, and showing zeros would say that it has few.
        let points =
            |points: u64| Cell::new(if self.filter.is_some() { "-".to_owned() } else { points.to_string() });
        vec![
            Cell::new(if self.chosen { "*" } else { "" }),
            Cell::new(&self.node),
            verdict,
            points(self.load_score.into()),
            points(self.image_score.into()),
            points(self.block_score.into()),
            points(self.total_score),
            Cell::new(or_dash(self.message.as_deref().unwrap_or_default())),
        ]
    }
}

impl View for PlacementView {
    fn to_text(&self) -> String {
        let mut text = String::new();
        if self.candidates.is_empty() {
            text.push_str("The pool has no nodes.\n");
        } else {
            let headers = ["", "NODE", "VERDICT", "LOAD", "IMAGE", "BLOCK", "TOTAL", "WHY"];
            text.push_str(&output::rows(&headers, self.candidates.iter().map(CandidateView::to_row)));
        }
        text.push('\n');
        text.push_str(&match (&self.node, &self.address) {
            (Some(node), Some(address)) => {
                format!("It would run on {node} with the address {address}. Nothing is created.\n")
            }
            (Some(node), None) => format!("It would run on {node}. Nothing is created.\n"),
            (None, _) => match &self.refusal {
                Some(refusal) => format!("No node can take it: {refusal}\n"),
                None => "No node can take it.\n".to_owned(),
            },
        });
        text
    }
}
