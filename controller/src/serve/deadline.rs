//! The deadline that a client gives with its request.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// How long before the client's deadline an answer must be on its way, to come before the client gives up.
const MARGIN: Duration = Duration::from_millis(50);

/// How long a handler may wait, if the client has set a deadline. Source: gRPC over HTTP/2, `Timeout`: up to eight
/// digits and a unit of H, M, S, m, u or n.
pub(super) fn of(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    };
    Some(timeout.saturating_sub(MARGIN.min(timeout / 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_units_and_ignores_nonsense() {
        let of = |text: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", tonic::metadata::MetadataValue::from_static(text));
            super::of(&metadata)
        };
        assert_eq!(of("2S"), Some(Duration::from_millis(1950)));
        assert_eq!(of("100m"), Some(Duration::from_millis(75)));
        for text in ["", "S", "5", "-5S", "123456789S", "5x"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(super::of(&MetadataMap::new()), None);
    }
}
