//! Reading the end of a daemon's log.

use std::path::Path;

/// The last `lines` lines of a file, or a note that there is none.
pub fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            let all: Vec<&str> = text.lines().collect();
            let skipped = all.len().saturating_sub(lines);
            all.iter().skip(skipped).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
        }
        Err(e) => format!("    ({}: {e})", path.display()),
    }
}
