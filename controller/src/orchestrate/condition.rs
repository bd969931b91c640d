//! What a request says of the state that it is made for: the revision of what it changes, and a key by which what it makes is
//! known if it is asked for again.
//!
//! A key is kept with what was made with it, in the same commit, so that it is known as long as that is there and no longer:
//! whoever repeats a request after its object has been deleted makes another one.

use flowlib::compile::model::PoolId;

use crate::intent::{Refusal, State, Transaction};

/// Where the keys of pools are known: no pool has this number.
pub(super) const POOLS: PoolId = PoolId(0);

/// Checks that what is to be changed is at the revision that the request was made for, if it names one. If it is not there at
/// all, the request itself says so, in its own words.
///
/// # Errors
/// [`Refusal::Stale`].
pub(super) fn check(
    expected: Option<u64>,
    revision: impl FnOnce() -> Result<u64, Refusal>,
) -> Result<(), Refusal> {
    let now = || revision().ok();
    match expected.and_then(|expected| Some((expected, now()?))) {
        Some((expected, now)) if now != expected => {
            let sentence = format!("it has been changed: it is at revision {now}, not {expected} any more");
            Err(Refusal::Stale(sentence))
        }
        _ => Ok(()),
    }
}

/// The name of what was made with a key in a pool, if that was of the given kind and name; an empty name stands for any.
///
/// # Errors
/// [`Refusal::Exists`]: it was something else.
pub(super) fn check_key(
    state: &State,
    pool: PoolId,
    key: &str,
    (kind, name): (&str, &str),
) -> Result<Option<String>, Refusal> {
    match state.made_with(pool, key) {
        None => Ok(None),
        Some((its_kind, its_name)) if its_kind == kind && (name.is_empty() || its_name == name) => {
            Ok(Some(its_name.to_owned()))
        }
        Some((its_kind, its_name)) => {
            let sentence = format!("this key was used before, for the {its_kind} `{its_name}`");
            Err(Refusal::Exists(sentence).of("Idempotency-Key"))
        }
    }
}

/// Whether a record of that revision, and with that key, is to be kept with a request's key: it has been made in this very
/// transaction, and by no other request with a key.
pub(super) fn takes_key(tx: &Transaction<'_>, revision: u64, its_key: &str, key: &str) -> bool {
    revision == tx.revision() && its_key.is_empty() && !key.is_empty()
}
