//! Names of things, and labels.

use std::collections::BTreeMap;

use crate::intent::Refusal;

/// Checks a name: 1–63 of a–z, 0–9, `-` and `.`, a letter or digit at both ends. `kind` says whose it is.
///
/// # Errors
/// [`Refusal::Invalid`], with what a name is.
pub fn check(kind: &str, name: &str) -> Result<(), Refusal> {
    let bytes = name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = bytes.len() <= 63
        && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain);
    if valid {
        return Ok(());
    }
    let shown = name.escape_debug().take(80).collect::<String>();
    Err(Refusal::Invalid(format!(
        "`{shown}` is no name for a {kind}: 1 to 63 of a-z, 0-9, `-` and `.`, with a letter or digit at both ends"
    )))
}

/// Checks labels: keys of 1–253 characters, values of at most 4096, at most 64 of them.
///
/// # Errors
/// [`Refusal::Invalid`], with the label that is wrong.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if labels.len() > 64 {
        return Err(Refusal::Invalid(format!("{} labels are too many: 64 is the most", labels.len())));
    }
    for (key, value) in labels {
        if key.is_empty() || key.len() > 253 || value.len() > 4096 {
            let shown = key.escape_debug().take(80).collect::<String>();
            return Err(Refusal::Invalid(format!(
                "the label `{shown}` is not valid: a key has 1 to 253 bytes, a value at most 4096"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_refuses_what_is_none() {
        for name in ["a", "0", "web-1", "db.prod", &"x".repeat(63)] {
            assert_eq!(check("pool", name), Ok(()), "{name}");
        }
        for name in ["", "-a", "a-", ".a", "Web", "a b", "a/b", "ä", "a\n", &"x".repeat(64)] {
            assert!(matches!(check("pool", name), Err(Refusal::Invalid(_))), "{name}");
        }
    }
}
