//! Errors as HTTP has them: `application/problem+json` of RFC 9457.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::super::fault;

/// Why a request was refused.
///
/// Shape: `title` and `status` are HTTP's; `detail` is a sentence for people; `code` is the gRPC status code's name, to
/// decide on; `errors` names the fields that are wrong, each as the request spells it.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// When it may go better.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct FieldError {
    field: String,
    detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// One that HTTP has a status for.
    pub(super) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            code: name(code),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// A request that is wrong in a field, a parameter or a header.
    pub(super) fn of_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        let plain = Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, detail.clone());
        Self { errors: vec![FieldError { field, detail }], ..plain }
    }

    /// A body that is no request.
    pub(super) fn of_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, detail)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let errors = violations.iter().map(|violation| FieldError {
            field: violation.field.clone(),
            detail: violation.description.clone(),
        });
        let is_stale = details.error_info().is_some_and(|info| info.reason == fault::STALE);
        let http = if is_stale { StatusCode::PRECONDITION_FAILED } else { http_status(status.code()) };
        let retry_after = (status.code() == Code::Unavailable).then_some(Duration::from_secs(1));
        Self { errors: errors.collect(), retry_after, ..Self::new(http, status.code(), status.message()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("texts and numbers");
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(CONTENT_TYPE, kind)], body).into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        // Source: RFC 6750 §3.
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// As `google.rpc.Code` says, but for FAILED_PRECONDITION: a conflict with the state is no malformed request.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// As `google.rpc.Code` spells it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
