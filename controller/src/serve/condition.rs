//! What a request says of the state that it is made for, in metadata that are HTTP's headers of the same names.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::fault;

/// Characters that an idempotency key may have.
const LONGEST_KEY: usize = 255;

/// The revision that what is changed must be at: `if-match: "17"`. `None` for `*`, or if there is none. Source: RFC 9110
/// §13.1.1, with one entity tag.
pub(super) fn revision(metadata: &MetadataMap) -> Result<Option<u64>, Status> {
    let Some(value) = metadata.get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let revision = quoted.and_then(|text| text.parse().ok()).map(Some);
    revision.ok_or_else(|| {
        fault::invalid("If-Match", "If-Match must be one ETag as it was given, like \"17\", or *")
    })
}

/// The key under which a create is known; empty if there is none.
pub(super) fn key(metadata: &MetadataMap) -> Result<String, Status> {
    let Some(value) = metadata.get("idempotency-key") else { return Ok(String::new()) };
    let text = value.to_str().unwrap_or_default();
    let is_fit = (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fit {
        return Ok(text.to_owned());
    }
    let message = format!("an idempotency key has 1 to {LONGEST_KEY} visible characters");
    Err(fault::invalid("Idempotency-Key", message))
}

/// The last revision that a watcher has seen.
pub(super) fn last_event(metadata: &MetadataMap) -> Result<Option<u64>, Status> {
    let value = metadata.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let revision = value.filter(|text| !text.is_empty()).map(str::parse).transpose();
    revision
        .map_err(|_| fault::invalid("Last-Event-ID", "Last-Event-ID must be an id of this watch: a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    #[test]
    fn an_entity_tag_is_a_quoted_revision() {
        assert_eq!(revision(&MetadataMap::new()).unwrap(), None);
        assert_eq!(revision(&with("if-match", "*")).unwrap(), None);
        assert_eq!(revision(&with("if-match", "\"17\"")).unwrap(), Some(17));
        for wrong in ["17", "\"", "\"\"", "W/\"17\"", "\"1\", \"2\"", "\"-1\"", "\"99999999999999999999\""] {
            assert!(revision(&with("if-match", wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_short_and_visible() {
        assert_eq!(key(&MetadataMap::new()).unwrap(), "");
        assert_eq!(key(&with("idempotency-key", "8e03978e")).unwrap(), "8e03978e");
        for wrong in ["", "a b", &"k".repeat(256)] {
            assert!(key(&with("idempotency-key", wrong)).is_err(), "{wrong}");
        }
    }
}
