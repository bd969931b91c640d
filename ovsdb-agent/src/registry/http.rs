//! Answers in HTTP: what the front and the uplink have in common, each of which asks somebody else and passes on what he says.

use axum::{
    Json, Router,
    body::Body,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Serves a port until that is dropped.
pub(super) fn serve(listener: TcpListener, router: Router) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a port is closed");
        }
    }))
}

/// An answer as it comes.
pub(super) fn pass_on(answer: reqwest::Response) -> Response {
    let (status, headers) = (answer.status(), end_to_end(answer.headers()));
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Headers without those that are about one connection. Source: RFC 9110 §7.6.1.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
    {
        headers.remove(name);
    }
    headers
}

/// An error as registries say it. Source: OCI distribution-spec, "Error Codes".
pub(super) fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "errors": [{ "code": "UNAVAILABLE", "message": message }] }))).into_response()
}

/// What is at the bottom of an error.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
