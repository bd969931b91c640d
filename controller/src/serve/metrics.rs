//! `GET /metrics`: what is measured, for Prometheus; `GET /sd`: where it finds the agents' (its `http_sd_configs`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::intent;
use crate::measure::Metrics;

use super::Api;

/// Targets that share their labels.
#[derive(Debug, Serialize)]
struct Targets {
    targets: [String; 1],
    labels: Labels,
}

#[derive(Debug, Serialize)]
struct Labels {
    pool: String,
    node: String,
}

/// Serves both.
pub(super) fn router(api: &Api) -> Router {
    let metrics = Router::new().route("/metrics", get(answer)).with_state(api.metrics.clone());
    metrics.merge(Router::new().route("/sd", get(discover)).with_state(api.clone()))
}

async fn answer(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    metrics.answer(&headers, Vec::new())
}

async fn discover(State(api): State<Api>) -> Json<Vec<Targets>> {
    Json(api.orchestrator.intent().read(targets))
}

/// The agents that serve metrics. Those that are not connected too: that they do not answer is worth knowing.
fn targets(state: &intent::State) -> Vec<Targets> {
    let target = |node: &Arc<intent::model::Node>| {
        let pool = state.pool(node.pool)?.name.clone();
        Some(Targets {
            targets: [node.metrics?.to_string()],
            labels: Labels { pool, node: node.name.clone() },
        })
    };
    state.nodes().filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use flowlib::types::DatapathId;

    use super::*;
    use crate::intent::model::{Resources, Strategy};
    use crate::intent::{State, Transaction};
    use crate::orchestrate::nodes::{self, NodeSpec};
    use crate::orchestrate::pools::{self, PoolSpec};

    #[test]
    fn the_agents_that_serve_metrics_are_listed_with_pool_and_node() {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        let pool = PoolSpec {
            name: "p".to_owned(),
            default_image: String::new(),
            placement: Strategy::Spread,
            ..PoolSpec::default()
        };
        pools::create(&mut tx, pool).unwrap();
        for (n, metrics) in [(1, None), (2, Some(([172, 31, 0, 2], 7401).into()))] {
            let spec = NodeSpec {
                pool: "p".to_owned(),
                name: format!("n{n}"),
                datapath_id: DatapathId(n.into()),
                tunnel_address: Ipv4Addr::new(172, 31, 0, n),
                labels: BTreeMap::new(),
                capacity: Resources::default(),
                metrics,
            };
            nodes::register(&mut tx, spec).unwrap();
        }
        let json = serde_json::to_value(targets(&state)).unwrap();
        let expected = serde_json::json!([
            { "targets": ["172.31.0.2:7401"], "labels": { "pool": "p", "node": "n2" } },
        ]);
        assert_eq!(json, expected);
    }
}
