//! Statuses that say which field of a request is to blame, in gRPC's own details (`google.rpc.BadRequest`), and which
//! of them are about a revision that has passed.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The reason (`google.rpc.ErrorInfo`) of an ABORTED whose request was made for another revision.
pub(super) const STALE: &str = "STALE_REVISION";

/// A status that blames a field.
pub(super) fn of_field(field: &str, code: Code, message: String) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, message.as_str());
    Status::with_error_details(code, message, details)
}

/// A request that is wrong in a field, whatever the state.
pub(super) fn invalid(field: &str, message: impl Into<String>) -> Status {
    of_field(field, Code::InvalidArgument, message.into())
}

/// A request that was made for another revision.
pub(super) fn stale(message: String) -> Status {
    let mut details = ErrorDetails::with_error_info(STALE, "weir", std::collections::HashMap::new());
    details.add_bad_request_violation("If-Match", message.as_str());
    Status::with_error_details(Code::Aborted, message, details)
}
