//! The OpenAPI document: the table of routes in terms of the protocol definitions, whose comments are its descriptions.

use std::collections::BTreeMap;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};
use serde_json::{Map, Value, json};

use super::routes::{Answer, Body, ROUTES, Route, Takes, Verb};

/// The document.
///
/// Source: OpenAPI Specification 3.1.
pub(super) fn document(pool: &DescriptorPool) -> Value {
    let mut document = Document { schemas: BTreeMap::new() };
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let (service, method) = route.call;
        let service = pool.get_service_by_name(&format!("weir.v1.{service}"));
        let method = service.and_then(|service| service.methods().find(|found| found.name() == method));
        let Some(method) = method else { continue };
        let operation = document.operation(route, &method);
        paths.entry(route.path).or_default().insert(verb(route.verb).to_owned(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "summary": "Containers, networks and nodes of a software-defined network.",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": document.with_refusal(), "responses": { "Refused": refused_response() } },
    })
}

const DESCRIPTION: &str = "The API weir.v1 by HTTP and JSON: the proto3 JSON of its messages, with the names of their \
    fields as they are defined. 64-bit numbers are texts. Fields that are empty, 0 or false are left out of answers; what \
    there is no field for is refused in requests. Descriptions name gRPC status codes: a problem document has them as `code`.";

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}

fn refused_response() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Refusal" });
    json!({
        "description": "The request was refused, and has changed nothing: RFC 9457.",
        "content": { "application/problem+json": { "schema": schema } },
    })
}

/// What has been described so far.
struct Document {
    schemas: BTreeMap<String, Value>,
}

impl Document {
    fn operation(&mut self, route: &Route, method: &MethodDescriptor) -> Value {
        let refused = json!({ "$ref": "#/components/responses/Refused" });
        let operation = json!({
            "operationId": operation_id(route),
            "tags": [route.call.0],
            "parameters": self.parameters(route, method),
            "responses": { "200": self.response(route, method), "default": refused },
        });
        let description = comment(&method.parent_service().parent_file(), method.path());
        let mut operation = described(operation, description);
        if let Some(body) = self.body(route, method) {
            operation["requestBody"] = body;
        }
        operation
    }

    fn parameters(&mut self, route: &Route, method: &MethodDescriptor) -> Vec<Value> {
        let input = method.input();
        let resource = resource(route, &input);
        let names = path_names(route);
        let mut parameters = Vec::new();
        for name in &names {
            let field = resource.as_ref().unwrap_or(&input).get_field_by_name(name);
            let description = field.map(|field| comment(&field.parent_message().parent_file(), field.path()));
            let schema = json!({ "type": "string" });
            let parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
            parameters.push(described(parameter, description.unwrap_or_default()));
        }
        let in_query = |field: &FieldDescriptor| match route.body {
            Body::None => !names.contains(&field.name()),
            Body::Resource(body) => field.name() != body,
            Body::Request => false,
        };
        for field in input.fields().filter(in_query) {
            let description = comment(&input.parent_file(), field.path());
            let schema = self.kind(&field.kind());
            let schema = if field.is_list() { json!({ "type": "array", "items": schema }) } else { schema };
            let parameter = json!({ "name": field.name(), "in": "query", "schema": schema });
            parameters.push(described(parameter, description));
        }
        let headers = HEADERS.iter().filter(|(takes, ..)| *takes == route.takes);
        parameters.extend(headers.map(|(_, name, description)| {
            json!({ "name": name, "in": "header", "schema": { "type": "string" }, "description": description })
        }));
        parameters
    }

    fn body(&mut self, route: &Route, method: &MethodDescriptor) -> Option<Value> {
        let input = method.input();
        let (schema, required) = match route.body {
            Body::None => return None,
            Body::Resource(_) => (self.message(&resource(route, &input)?), true),
            Body::Request => {
                let names = path_names(route);
                let fields = input.fields().filter(|field| !names.contains(&field.name()));
                (self.object(fields, String::new()), false)
            }
        };
        Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }))
    }

    fn response(&mut self, route: &Route, method: &MethodDescriptor) -> Value {
        let schema = self.message(&method.output());
        let (kind, schema, description) = match route.answer {
            Answer::One | Answer::List(_) => ("application/json", schema, "The answer."),
            Answer::Events => {
                ("text/event-stream", schema, "Server-sent events, whose data are such messages.")
            }
            Answer::Text => ("text/plain", json!({ "type": "string" }), "The text, as it comes."),
        };
        let mut response = json!({ "description": description, "content": { kind: { "schema": schema } } });
        if route.answer == Answer::One && method.output().get_field_by_name("revision").is_some() {
            let description = "The revision, to be given as If-Match.";
            response["headers"] =
                json!({ "ETag": { "description": description, "schema": { "type": "string" } } });
        }
        response
    }

    /// A reference to a message's schema, which is described if it has not been.
    fn message(&mut self, message: &MessageDescriptor) -> Value {
        if message.full_name() == "google.protobuf.Timestamp" {
            return json!({ "type": "string", "format": "date-time" });
        }
        let name = short(message.full_name());
        if !self.schemas.contains_key(&name) {
            // Before its fields, which may be of its own kind.
            self.schemas.insert(name.clone(), Value::Null);
            let schema = self.object(message.fields(), comment(&message.parent_file(), message.path()));
            self.schemas.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn object(&mut self, fields: impl Iterator<Item = FieldDescriptor>, description: String) -> Value {
        let properties: Map<String, Value> =
            fields.map(|field| (field.name().to_owned(), self.field(&field))).collect();
        described(json!({ "type": "object", "properties": properties }), description)
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let schema = if field.is_map() {
            let value =
                field.kind().as_message().map(|entry| self.kind(&entry.map_entry_value_field().kind()));
            json!({ "type": "object", "additionalProperties": value })
        } else if field.cardinality() == Cardinality::Repeated {
            json!({ "type": "array", "items": self.kind(&field.kind()) })
        } else {
            self.kind(&field.kind())
        };
        let description = comment(&field.parent_message().parent_file(), field.path());
        described(schema, description)
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(message) => self.message(message),
            Kind::Enum(kind) => self.enumeration(kind),
        }
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) -> Value {
        let name = short(kind.full_name());
        let values = kind.values().map(|value| {
            let description = comment(&kind.parent_file(), value.path());
            described(json!({ "const": value.name() }), description)
        });
        let schema = json!({ "type": "string", "oneOf": values.collect::<Vec<_>>() });
        self.schemas.insert(name.clone(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn with_refusal(mut self) -> BTreeMap<String, Value> {
        let text = || json!({ "type": "string" });
        let field = json!({
            "type": "object",
            "description": "A field, parameter or header that is wrong.",
            "properties": { "field": text(), "detail": text() },
            "required": ["field", "detail"],
        });
        let refusal = json!({
            "type": "object",
            "description": "Why a request was refused. `code` is the gRPC status code; `detail` a sentence for people.",
            "properties": {
                "title": text(),
                "status": { "type": "integer" },
                "code": text(),
                "detail": text(),
                "errors": { "type": "array", "items": field },
            },
            "required": ["title", "status", "code", "detail"],
        });
        self.schemas.insert("Refusal".to_owned(), refusal);
        self.schemas
    }
}

/// The headers that only some routes take.
const HEADERS: [(Takes, &str, &str); 3] = [
    (
        Takes::Key,
        "Idempotency-Key",
        "1 to 255 visible characters of the client's choice: repeated with the same key, the request makes nothing twice.",
    ),
    (
        Takes::Revision,
        "If-Match",
        "The ETag that the client has seen: if it has changed since, the request is refused with 412.",
    ),
    (
        Takes::LastEvent,
        "Last-Event-ID",
        "The last id that the client has seen: the watch begins after it, with the event RESUMED, if what has happened since \
         is remembered; otherwise with the present state.",
    ),
];

/// Unique in the document: a call that can be for all pools, or for one, has two.
fn operation_id(route: &Route) -> String {
    let has_another = ROUTES.iter().filter(|other| other.call == route.call).count() > 1;
    let suffix = if has_another && route.path.contains("{pool}") { "InPool" } else { "" };
    format!("{}{suffix}", route.call.1)
}

fn path_names(route: &Route) -> Vec<&'static str> {
    route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn resource(route: &Route, input: &MessageDescriptor) -> Option<MessageDescriptor> {
    let Body::Resource(field) = route.body else { return None };
    input.get_field_by_name(field)?.kind().as_message().cloned()
}

fn short(full_name: &str) -> String {
    full_name.strip_prefix("weir.v1.").unwrap_or(full_name).to_owned()
}

fn described(mut value: Value, description: String) -> Value {
    if !description.is_empty() {
        value["description"] = Value::String(description);
    }
    value
}

/// The comment before a definition, as one paragraph.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map_or("", |location| location.leading_comments());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
