//! From what a service answers to HTTP: a JSON document, a long one piece by piece, events, or plain text.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use prost_reflect::{DynamicMessage, ReflectMessage, SerializeOptions, Value};
use tonic::{Status, Streaming};

use super::problem::Problem;

/// Names as the protocol definitions have them.
const JSON: SerializeOptions = SerializeOptions::new().use_proto_field_name(true);
/// How often an event stream that is silent shows that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A message as proto3 JSON; fields that are empty are left out.
pub(super) fn json(message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let written = message.serialize_with_options(&mut serializer, &JSON);
    written.map_err(|error| Status::internal(format!("the answer cannot be written: {error}")))?;
    Ok(bytes)
}

/// One document; the revision of what it is about is its entity tag.
pub(super) fn one(message: &DynamicMessage) -> Result<Response, Status> {
    let mut response = document(Body::from(json(message)?));
    let revision = message.get_field_by_name("revision").and_then(|value| value.as_u64());
    if let Some(tag) = revision.and_then(|revision| HeaderValue::try_from(format!("\"{revision}\"")).ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// A document of JSON, whole or still to come.
pub(super) fn document(body: Body) -> Response {
    let json = HeaderValue::from_static("application/json");
    let never = HeaderValue::from_static("no-store");
    ([(CONTENT_TYPE, json), (CACHE_CONTROL, never)], body).into_response()
}

/// Takes the elements of a list out of its message.
pub(super) fn take_list(message: &mut DynamicMessage, field: &str) -> Vec<Value> {
    let list = message.get_field_by_name_mut(field).and_then(Value::as_list_mut);
    list.map(std::mem::take).unwrap_or_default()
}

/// The end of a list's document: its other fields.
pub(super) fn rest_of_list(message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let rest = json(message)?;
    // `{…}` becomes `],…}`.
    let inner = rest.strip_prefix(b"{").unwrap_or_default();
    let comma: &[u8] = if inner.starts_with(b"}") { b"" } else { b"," };
    Ok([b"]", comma, inner].concat())
}

/// Server-sent events, one a message.
///
/// Shape: `event` is the message's `kind` if it has one, `id` its revision from where on a watch can be resumed: not while
/// the present state is being sent. An error is the event `error`, a problem document, and the last.
pub(super) fn events(messages: Streaming<DynamicMessage>) -> Response {
    let events = Sse::new(event_stream(messages)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    events.into_response()
}

fn event_stream(mut messages: Streaming<DynamicMessage>) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let mut resumable = false;
        loop {
            let event = match messages.message().await {
                Ok(Some(message)) => event(&message, &mut resumable),
                Ok(None) => return,
                Err(status) => Err(status),
            };
            match event {
                Ok(event) => yield Ok(event),
                Err(status) => {
                    let problem = Event::default().event("error").json_data(Problem::from(status));
                    yield Ok(problem.expect("texts and numbers"));
                    return;
                }
            }
        }
    }
}

fn event(message: &DynamicMessage, resumable: &mut bool) -> Result<Event, Status> {
    let json = String::from_utf8(json(message)?).map_err(|error| Status::internal(error.to_string()))?;
    let mut event = Event::default().data(json);
    if let Some(kind) = kind(message) {
        *resumable |= matches!(kind.as_str(), "SYNCED" | "RESUMED");
        event = event.event(kind);
    }
    let revision = message.get_field_by_name("revision").and_then(|value| value.as_u64());
    Ok(match revision.filter(|_| *resumable) {
        Some(revision) => event.id(revision.to_string()),
        None => event,
    })
}

fn kind(message: &DynamicMessage) -> Option<String> {
    let field = message.descriptor().get_field_by_name("kind")?;
    let number = message.get_field(&field).as_enum_number()?;
    Some(field.kind().as_enum()?.get_value(number)?.name().to_owned())
}

/// What messages hold: bytes as they are, and texts a line each.
pub(super) fn text(mut messages: Streaming<DynamicMessage>) -> Response {
    let pieces = async_stream::try_stream! {
        while let Some(message) = messages.message().await? {
            let mut piece = Vec::new();
            for (_, value) in message.fields() {
                append(&mut piece, value);
            }
            yield piece;
        }
    };
    let pieces: std::pin::Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>> = Box::pin(pieces);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, plain)], Body::from_stream(pieces)).into_response()
}

fn append(piece: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bytes(bytes) => piece.extend_from_slice(bytes),
        Value::String(line) => {
            piece.extend_from_slice(line.as_bytes());
            piece.push(b'\n');
        }
        Value::List(values) => values.iter().for_each(|value| append(piece, value)),
        _ => {}
    }
}
