//! `GET /metrics`: what is measured, for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::measure::{Exposition, Metrics};

/// Serves the metrics.
pub(super) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(answer)).with_state(metrics)
}

async fn answer(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let exposition = Exposition::accepted(accept);
    ([(CONTENT_TYPE, exposition.content_type())], metrics.render(exposition))
}
