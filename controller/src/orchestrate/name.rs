//! Names of things, labels, and rules over labels.

use std::collections::BTreeMap;

use crate::intent::Refusal;
use crate::intent::model::Rule;

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
    ))
    .of("name"))
}

/// Checks labels: keys of 1–253 characters, values of at most 4096, at most 64 of them.
///
/// # Errors
/// [`Refusal::Invalid`], with the label that is wrong.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if labels.len() > 64 {
        let sentence = format!("{} labels are too many: 64 is the most", labels.len());
        return Err(Refusal::Invalid(sentence).of("labels"));
    }
    for (key, value) in labels {
        if key.is_empty() || key.len() > 253 || value.len() > 4096 {
            let shown = key.escape_debug().take(80).collect::<String>();
            return Err(Refusal::Invalid(format!(
                "the label `{shown}` is not valid: a key has 1 to 253 bytes, a value at most 4096"
            ))
            .of("labels"));
        }
    }
    Ok(())
}

/// Checks rules: keys of 1–63 bytes, values of at most 255, at most 64 of them. `kind` says what they are.
///
/// # Errors
/// [`Refusal::Invalid`], with the rule that is wrong.
pub fn check_rules(kind: &str, rules: &[Rule]) -> Result<(), Refusal> {
    if rules.len() > 64 {
        return Err(Refusal::Invalid(format!(
            "{} rules of {kind} are too many: 64 is the most",
            rules.len()
        )));
    }
    match rules.iter().find(|Rule { key, value, .. }| key.is_empty() || key.len() > 63 || value.len() > 255) {
        None => Ok(()),
        Some(rule) => {
            let shown = rule.to_string().escape_debug().take(80).collect::<String>();
            Err(Refusal::Invalid(format!(
                "the {kind} `{shown}` is not valid: a key has 1 to 63 bytes, a value at most 255"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_rules_and_refuses_what_is_too_long_or_too_much() {
        let rule =
            |key: usize, value: usize| Rule { key: "k".repeat(key), equal: true, value: "v".repeat(value) };
        assert_eq!(check_rules("constraint", &[rule(1, 0), rule(63, 255)]), Ok(()));
        assert_eq!(check_rules("constraint", &vec![rule(1, 1); 64]), Ok(()));
        for wrong in [vec![rule(0, 1)], vec![rule(64, 1)], vec![rule(1, 256)], vec![rule(1, 1); 65]] {
            let refusal = check_rules("constraint", &wrong);
            assert!(
                matches!(&refusal, Err(Refusal::Invalid(why)) if why.contains("constraint")),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn takes_names_and_refuses_what_is_none() {
        for name in ["a", "0", "web-1", "db.prod", &"x".repeat(63)] {
            assert_eq!(check("pool", name), Ok(()), "{name}");
        }
        for name in ["", "-a", "a-", ".a", "Web", "a b", "a/b", "ä", "a\n", &"x".repeat(64)] {
            assert!(matches!(check("pool", name), Err(Refusal::Field { field: "name", .. })), "{name}");
        }
    }
}
