//! What the registry logs: JSON, a line each.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::check::Checks;

/// Passes on what the registry logs, and tells of the blobs that it delivers, until it ends.
pub(super) async fn follow(output: impl AsyncRead + Unpin, checks: Checks) {
    let mut lines = BufReader::new(output).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => take(&line, &checks),
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "the registry's log cannot be read"),
        }
    }
}

fn take(line: &str, checks: &Checks) {
    let Ok(entry) = serde_json::from_str::<Value>(line) else {
        return tracing::warn!(line, "registry");
    };
    if let Some(digits) = delivered(&entry) {
        // What does not fit is checked when it is delivered the next time.
        drop(checks.try_send(digits.to_owned()));
    }
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let (message, uri, detail) = (text("msg"), text("http.request.uri"), text("err.detail"));
    match text("level") {
        "panic" | "fatal" | "error" => tracing::warn!(message, uri, detail, "registry"),
        "warning" => tracing::info!(message, uri, "registry"),
        _ => tracing::debug!(message, uri, "registry"),
    }
}

/// The digits of a blob that was delivered to its end, if that is what an entry is about.
fn delivered(entry: &Value) -> Option<&str> {
    let is_get = entry.get("http.request.method")?.as_str()? == "GET";
    let is_done = entry.get("http.response.status")?.as_u64()? == 200;
    let uri = entry.get("http.request.uri")?.as_str()?;
    digits_of(uri).filter(|_| is_get && is_done)
}

/// The digits of the blob that a path is about.
pub(super) fn digits_of(path: &str) -> Option<&str> {
    let path = path.split('?').next()?;
    let (_, digits) = path.strip_prefix("/v2/")?.rsplit_once("/blobs/sha256:")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 64 && digits.bytes().all(is_hex)).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_the_blobs_that_were_delivered() {
        let digits = "0f".repeat(32);
        let line = |method: &str, status: u32, uri: &str| {
            format!(
                r#"{{"http.request.method":"{method}","http.request.uri":"{uri}","http.response.status":{status},"level":"info","msg":"response completed"}}"#
            )
        };
        let blob = format!("/v2/library/busybox/blobs/sha256:{digits}");
        let log = [
            "no JSON at all".to_owned(),
            line("GET", 200, "/v2/"),
            line("GET", 200, "/v2/library/busybox/manifests/latest"),
            line("HEAD", 200, &blob),
            line("GET", 404, &blob),
            line("GET", 200, &format!("/v2/a/blobs/sha256:{}", &digits[..62])),
            line("GET", 200, "/v2/a/blobs/sha256:../../../../../../../../../../etc/passwd"),
            line("GET", 200, &blob),
        ]
        .join("\n");
        let (checks, mut delivered) = super::super::check::channel();
        follow(log.as_bytes(), checks).await;
        assert_eq!(delivered.recv().await, Some(digits));
        assert_eq!(delivered.recv().await, None);
    }
}
