//! The four kinds of JSON-RPC 1.0 message (RFC 7047 §4): request, notification, reply, error.

use serde_json::{Map, Value, json};

/// One message, in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A call that wants a reply with the same id.
    Request {
        /// Any JSON value but null; it comes back unchanged.
        id: Value,
        /// For example `transact`.
        method: String,
        /// Always an array in OVSDB, by RFC 7047 §4.1.
        params: Value,
    },
    /// A call that wants no reply: its id is null or missing.
    Notification {
        /// For example `update3`.
        method: String,
        /// Always an array in OVSDB.
        params: Value,
    },
    /// The answer to the request with this id.
    Reply {
        /// The request's id.
        id: Value,
        /// `result`, or `error` where that is not null.
        outcome: Result<Value, RpcError>,
    },
}

/// The `error` member of a reply: the request as a whole was refused.
///
/// Open vSwitch sends an object with `error` and `details`; a bare string is taken as `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}{}{details}", if details.is_empty() { "" } else { ": " })]
pub struct RpcError {
    /// The tag, for example `unknown method`.
    pub error: String,
    /// A sentence for people; may be empty.
    pub details: String,
}

/// Why a frame is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The frame is not JSON.
    #[error("not JSON: {reason} (line {line}, column {column})")]
    NotJson {
        /// The parser's own words.
        reason: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A member is missing or of the wrong type.
    #[error("member \"{member}\" must be {expected}")]
    BadMember {
        /// Its name.
        member: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
}

impl Message {
    /// Reads one frame. Members that are not of JSON-RPC are ignored.
    ///
    /// # Errors
    /// `NotJson`, or `BadMember` if it is neither a call nor a reply.
    pub fn decode(frame: &[u8]) -> Result<Self, MessageError> {
        let mut object: Map<String, Value> = serde_json::from_slice(frame).map_err(|error| {
            MessageError::NotJson { reason: error.to_string(), line: error.line(), column: error.column() }
        })?;
        let id = object.remove("id").unwrap_or(Value::Null);
        match object.remove("method") {
            Some(Value::String(method)) => {
                let params = object.remove("params").unwrap_or(Value::Null);
                if !params.is_array() {
                    return Err(MessageError::BadMember { member: "params", expected: "an array" });
                }
                Ok(match id {
                    Value::Null => Self::Notification { method, params },
                    id => Self::Request { id, method, params },
                })
            }
            Some(_) => Err(MessageError::BadMember { member: "method", expected: "a string" }),
            None => Self::decode_reply(id, object),
        }
    }

    fn decode_reply(id: Value, mut object: Map<String, Value>) -> Result<Self, MessageError> {
        let result = object.remove("result");
        let error = object.remove("error");
        if result.is_none() && error.is_none() {
            return Err(MessageError::BadMember {
                member: "method",
                expected: "a string, or \"result\" a reply",
            });
        }
        let outcome = match error {
            None | Some(Value::Null) => Ok(result.unwrap_or(Value::Null)),
            Some(error) => Err(RpcError::from_json(&error)),
        };
        Ok(Self::Reply { id, outcome })
    }

    /// The message's bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let value = match self {
            Self::Request { id, method, params } => json!({"id": id, "method": method, "params": params}),
            Self::Notification { method, params } => json!({"id": null, "method": method, "params": params}),
            Self::Reply { id, outcome: Ok(result) } => json!({"id": id, "result": result, "error": null}),
            Self::Reply { id, outcome: Err(error) } => {
                json!({"id": id, "result": null, "error": {"error": error.error, "details": error.details}})
            }
        };
        value.to_string().into_bytes()
    }
}

impl RpcError {
    fn from_json(value: &Value) -> Self {
        let text = |key| value.get(key).and_then(Value::as_str).map(str::to_owned);
        match text("error") {
            Some(error) => Self { error, details: text("details").unwrap_or_default() },
            None => {
                let error = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Self { error, details: String::new() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was_sent() {
        let error = RpcError { error: "unknown method".into(), details: "monitor_cond_since".into() };
        for message in [
            Message::Request { id: json!("echo"), method: "echo".into(), params: json!([]) },
            Message::Notification { method: "update3".into(), params: json!(["m", "t", {}]) },
            Message::Reply { id: json!(7), outcome: Ok(json!([{}])) },
            Message::Reply { id: json!(7), outcome: Ok(Value::Null) },
            Message::Reply { id: json!(7), outcome: Err(error) },
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn what_is_neither_call_nor_reply_is_refused() {
        for text in
            ["{}", "{\"id\":1}", "{\"method\":4}", "{\"method\":\"echo\",\"params\":{}}", "{\"a\"}", "[]"]
        {
            assert!(Message::decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_that_is_a_string_is_kept() {
        let message = Message::decode(br#"{"id":1,"result":null,"error":"canceled"}"#).unwrap();
        let error = RpcError { error: "canceled".into(), details: String::new() };
        assert_eq!(message, Message::Reply { id: json!(1), outcome: Err(error) });
    }
}
