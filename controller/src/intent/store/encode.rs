//! Records as the store's keys and values: a path that begins with the kind, and JSON.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::intent::model::{Key, Record};

/// The key of a record in the store, for example `network/7` or `block/7/10.1.0.0/26`.
pub(super) fn key_text(key: &Key) -> String {
    match key {
        Key::Settings => "settings/".to_owned(),
        Key::Pool(id) => format!("pool/{}", id.0),
        Key::Network(id) => format!("network/{}", id.0),
        Key::Node(id) => format!("node/{}", id.0),
        Key::Block(network, prefix) => format!("block/{}/{prefix}", network.0),
        Key::Container((pool, name)) => format!("container/{}/{name}", pool.0),
        Key::Service((pool, name)) => format!("service/{}/{name}", pool.0),
        Key::Volume((pool, name)) => format!("volume/{}/{name}", pool.0),
        Key::Retiring(endpoint) => format!("retiring/{}", endpoint.0),
        Key::Cooling(network, address) => format!("cooling/{}/{address}", network.0),
        Key::Neighbour(network, address) => format!("neighbour/{}/{address}", network.0),
        Key::Token(id) => format!("token/{id}"),
        Key::Admission(pool, node) => format!("admission/{}/{node}", pool.0),
    }
}

/// The value of a record in the store.
pub(super) fn value(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    fn json<T: Serialize>(record: &Arc<T>) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(record.as_ref())
    }
    match record {
        Record::Settings(record) => json(record),
        Record::Pool(record) => json(record),
        Record::Network(record) => json(record),
        Record::Node(record) => json(record),
        Record::Block(record) => json(record),
        Record::Container(record) => json(record),
        Record::Service(record) => json(record),
        Record::Volume(record) => json(record),
        Record::Retiring(record) => json(record),
        Record::Cooling(record) => json(record),
        Record::Neighbour(record) => json(record),
        Record::Token(record) => json(record),
        Record::Admission(record) => json(record),
    }
}

/// Reads a record back.
///
/// # Errors
/// A sentence that says what is wrong with it: an unknown kind, bad JSON, or a value under another's key.
pub(super) fn record(key: &str, value: &[u8]) -> Result<Record, String> {
    fn json<T: DeserializeOwned>(value: &[u8]) -> Result<Arc<T>, serde_json::Error> {
        serde_json::from_slice(value).map(Arc::new)
    }
    let kind = key.split('/').next().unwrap_or_default();
    let record = match kind {
        "settings" => json(value).map(Record::Settings),
        "pool" => json(value).map(Record::Pool),
        "network" => json(value).map(Record::Network),
        "node" => json(value).map(Record::Node),
        "block" => json(value).map(Record::Block),
        "container" => json(value).map(Record::Container),
        "service" => json(value).map(Record::Service),
        "volume" => json(value).map(Record::Volume),
        "retiring" => json(value).map(Record::Retiring),
        "cooling" => json(value).map(Record::Cooling),
        "neighbour" => json(value).map(Record::Neighbour),
        "token" => json(value).map(Record::Token),
        "admission" => json(value).map(Record::Admission),
        _ => return Err(format!("the record `{key}` is of an unknown kind")),
    }
    .map_err(|error| format!("the record `{key}` is not what it should be: {error}"))?;
    let own = key_text(&record.key());
    if own == key { Ok(record) } else { Err(format!("the record `{key}` says that it is `{own}`")) }
}
