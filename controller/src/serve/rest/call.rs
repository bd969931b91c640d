//! Calls of the gRPC services in this process, with messages that are known by their descriptors only.

use std::time::Duration;

use axum::http::{Extensions, HeaderMap};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};

/// Headers that mean the same in both: they reach the service as they came.
const PASSED: [&str; 7] = [
    "authorization",
    "grpc-timeout",
    "idempotency-key",
    "if-match",
    "last-event-id",
    "traceparent",
    "tracestate",
];

/// Who asks, and how: what a call takes over from the HTTP request that it is made for.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    metadata: MetadataMap,
    extensions: Extensions,
    timeout: Option<Duration>,
}

impl Caller {
    /// The caller of an HTTP request.
    pub(super) fn of(headers: &HeaderMap, extensions: Extensions) -> Self {
        let mut passed = HeaderMap::new();
        for name in PASSED {
            for value in headers.get_all(name) {
                passed.append(name, value.clone());
            }
        }
        Self { metadata: MetadataMap::from_headers(passed), extensions, timeout: None }
    }

    /// Has it wait so long at most; what the client says in gRPC's own header goes first.
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        let timeout = (!self.metadata.contains_key("grpc-timeout")).then_some(timeout);
        Self { timeout, ..self }
    }
}

/// Calls a method; the answers of one that answers once are a stream of one.
///
/// # Errors
/// The service's.
pub(super) async fn call(
    services: &Routes,
    method: &MethodDescriptor,
    caller: Caller,
    message: DynamicMessage,
) -> Result<Streaming<DynamicMessage>, Status> {
    let mut client = tonic::client::Grpc::new(services.clone()).max_decoding_message_size(usize::MAX);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().map_err(|_| Status::internal(format!("`{path}` is no path")))?;
    let mut request = Request::from_parts(caller.metadata, caller.extensions, message);
    if let Some(timeout) = caller.timeout {
        request.set_timeout(timeout);
    }
    let answers = client.server_streaming(request, path, Dynamic(method.output())).await?;
    Ok(answers.into_inner())
}

/// Messages as they are; answers are of the given type.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
