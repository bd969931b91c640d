//! From an HTTP request to the message that it stands for. Body, path and query are put together as one JSON document, so
//! that one reading of it finds whatever is wrong, wherever it was.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};
use tonic::Code;

use super::problem::Problem;
use super::routes::{Body, Route, Takes};

/// Bytes that a body may have: a container's command and environment hold less than a quarter of it.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);

/// What was asked for, apart from the body's bytes.
pub(super) struct Asked<'a> {
    /// The route.
    pub(super) route: &'a Route,
    /// What the request's message is.
    pub(super) message: &'a MessageDescriptor,
    /// The path's parameters, decoded.
    pub(super) path: Vec<(String, String)>,
    /// The query's parameters, decoded.
    pub(super) query: Vec<(String, String)>,
}

/// The body's bytes.
///
/// # Errors
/// It is too long, takes too long, or is no JSON by its own word.
pub(super) async fn read_body(
    route: &Route,
    parts: &Parts,
    body: axum::body::Body,
) -> Result<Bytes, Problem> {
    if route.body != Body::None && !is_json(&parts.headers) {
        let detail = "the body must be JSON, and say so: Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, detail));
    }
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MOST_BYTES)).await;
    let too_late = format!("the body was not there within {} s", BODY_TIME.as_secs());
    let bytes =
        bytes.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, too_late))?;
    // What else can go wrong is that the client goes away.
    let too_long = format!("the body is longer than {MOST_BYTES} bytes");
    bytes.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, too_long))
}

/// A page of another origin can send a browser's POST here unless this is demanded.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Headers that change what a request means, and that only some routes take.
///
/// # Errors
/// One is there that the route does not take.
pub(super) fn check_headers(route: &Route, headers: &HeaderMap) -> Result<(), Problem> {
    const SOME: [(&str, Takes); 3] =
        [("Idempotency-Key", Takes::Key), ("If-Match", Takes::Revision), ("Last-Event-ID", Takes::LastEvent)];
    let strange = SOME.into_iter().find(|(name, takes)| {
        let name = HeaderName::try_from(*name).expect("a header's name");
        headers.contains_key(name) && route.takes != *takes
    });
    match strange {
        // A browser that follows events sends it by itself.
        Some(("Last-Event-ID", _)) | None => Ok(()),
        Some((name, _)) => Err(Problem::of_field(name, format!("{name} means nothing here"))),
    }
}

/// How long the client is ready to wait. Source: RFC 7240 §4.3.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = texts.flat_map(|text| text.split(',')).map(str::trim);
    let seconds = preferences.find_map(|text| text.strip_prefix("wait=")?.trim().parse::<u32>().ok());
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}

impl Asked<'_> {
    /// The message.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(super) fn message(self, body: &[u8]) -> Result<DynamicMessage, Problem> {
        let mut request = Map::new();
        let given = if body.is_empty() || self.route.body == Body::None { Map::new() } else { object(body)? };
        match self.route.body {
            Body::None if !body.is_empty() => return Err(Problem::of_body("this request has no body")),
            Body::None => {}
            Body::Request => request = given,
            Body::Resource(field) => {
                request.insert(field.to_owned(), Value::Object(given));
            }
        }
        for (name, value) in self.path {
            let target = match self.route.body {
                Body::Resource(field) => request.get_mut(field).and_then(Value::as_object_mut),
                Body::None | Body::Request => Some(&mut request),
            };
            put_path(target.expect("put there above"), name, value)?;
        }
        for (name, text) in self.query {
            let (field, value) = query_value(self.message, &name, text)?;
            if field.is_list() {
                let list = request.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().expect("made here").push(value);
            } else if request.insert(name.clone(), value).is_some() {
                return Err(Problem::of_field(&name, format!("`{name}` is given twice")));
            }
        }
        read(self.message, Value::Object(request), self.route.body)
    }
}

/// The path has the last word, so that who may do what can be decided by it.
fn put_path(target: &mut Map<String, Value>, name: String, value: String) -> Result<(), Problem> {
    match target.get(&name) {
        Some(other) if other.as_str() != Some(&value) => {
            let detail = format!("`{name}` is {other} in the body, but `{value}` in the path");
            Err(Problem::of_field(name, detail))
        }
        _ => {
            target.insert(name, Value::String(value));
            Ok(())
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::of_body(format!("the body is no JSON: {error}")))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Problem::of_body("the body must be a JSON object")),
    }
}

/// A text of the query as JSON: numbers and times may be texts there, but `true` and `false` may not. A list has one of its
/// elements in each parameter of its name.
fn query_value(
    message: &MessageDescriptor,
    name: &str,
    text: String,
) -> Result<(FieldDescriptor, Value), Problem> {
    let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
    let Some(field) = field.filter(|field| !field.is_map()) else {
        return Err(Problem::of_field(name, format!("there is no parameter `{name}` here")));
    };
    let value = match (field.kind(), text.as_str()) {
        (Kind::Bool, "true") => Value::Bool(true),
        (Kind::Bool, "false") => Value::Bool(false),
        (Kind::Bool, _) => {
            return Err(Problem::of_field(name, format!("`{name}` must be true or false")));
        }
        _ => Value::String(text),
    };
    Ok((field, value))
}

/// Reads the proto3 JSON of a message; what it has no field for is refused.
fn read(message: &MessageDescriptor, value: Value, body: Body) -> Result<DynamicMessage, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let source = serde_path_to_error::Deserializer::new(value, &mut track);
    let error = match DynamicMessage::deserialize(message.clone(), source) {
        Ok(message) => return Ok(message),
        Err(error) => error.to_string(),
    };
    let mut path = track.path().to_string();
    let unknown = error.strip_prefix("unrecognized field name '").and_then(|rest| rest.strip_suffix('\''));
    if let Some(name) = unknown {
        path = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
    }
    if let Body::Resource(resource) = body
        && let Some(inner) = path.strip_prefix(resource).and_then(|rest| rest.strip_prefix('.'))
    {
        path = inner.to_owned();
    }
    let detail = match unknown {
        Some(_) => format!("there is no field `{path}`"),
        None => format!("`{path}` cannot be read: {error}"),
    };
    Err(Problem::of_field(path, detail))
}
