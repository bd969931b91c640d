//! Requests about tokens.

use std::sync::Arc;
use std::time::Duration;

use flowlib::compile::model::PoolId;

use crate::intent::model::{Key, Role, Settings, Token};
use crate::intent::{Refusal, State, Transaction};

use super::pools;

/// How long a join token is good for if nothing else is said.
pub const JOIN_LIFE: Duration = Duration::from_secs(3600);
/// The longest that a token may be good for.
const MAX_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Bytes of a description.
const MAX_DESCRIPTION: usize = 256;
/// Tokens of a pool, or of no pool.
const MAX_TOKENS: usize = 1000;

/// A token as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// What it is called.
    pub id: String,
    /// The SHA-256 of its secret.
    pub hash: [u8; 32],
    /// What it is for.
    pub role: Role,
    /// Of which pool; empty: of none.
    pub pool: String,
    /// How long it is good for; `None`: [`JOIN_LIFE`] with [`Role::Join`], otherwise for ever.
    pub life: Option<Duration>,
    /// How many nodes may join with it; `None`: any number.
    pub uses: Option<u32>,
    /// What its owner says of it.
    pub description: String,
}

/// The token that is called so, of that pool, or of any if `pool` is empty.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Invalid`] if none is named at all.
pub fn find<'a>(state: &'a State, pool: &str, id: &str) -> Result<&'a Arc<Token>, Refusal> {
    if id.is_empty() {
        return Err(Refusal::Invalid("no token is named".to_owned()).of("id"));
    }
    let pool = of_pool(state, pool)?;
    let token = state.token(id).filter(|token| pool.is_none() || token.pool == pool);
    token.ok_or_else(|| Refusal::NotFound(format!("there is no token `{}`", id.escape_debug())).of("id"))
}

/// The number of a pool; `None` if none is named.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn of_pool(state: &State, pool: &str) -> Result<Option<PoolId>, Refusal> {
    if pool.is_empty() { Ok(None) } else { pools::find(state, pool).map(|pool| Some(pool.id)) }
}

/// Makes a token. Join tokens that have expired go.
///
/// # Errors
/// [`Refusal::NotFound`]: no such pool. [`Refusal::Invalid`]: what does not go together, or is too long.
/// [`Refusal::Exhausted`]: there are too many.
pub fn create(tx: &mut Transaction<'_>, spec: TokenSpec, now_ms: u64) -> Result<Arc<Token>, Refusal> {
    let invalid = |field, sentence: &str| Err(Refusal::Invalid(sentence.to_owned()).of(field));
    match (spec.role, spec.pool.is_empty()) {
        (Role::Admin, false) => return invalid("pool", "an administrator's token is of no pool"),
        (Role::Join | Role::Pool, true) => return invalid("pool", "no pool is named"),
        _ => {}
    }
    if spec.uses.is_some() && spec.role != Role::Join {
        return invalid("uses", "only join tokens have a number of uses");
    }
    if spec.description.len() > MAX_DESCRIPTION {
        return invalid("description", &format!("the description is longer than {MAX_DESCRIPTION} bytes"));
    }
    let life = spec.life.or((spec.role == Role::Join).then_some(JOIN_LIFE));
    if life.is_some_and(|life| life > MAX_LIFE) {
        return invalid("ttl_s", "a token is good for ten years at most");
    }
    let pool = of_pool(tx.state(), &spec.pool)?;
    let over = |token: &Token| token.role == Role::Join && has_expired(token, now_ms);
    let old: Vec<Key> =
        tx.state().tokens().filter(|token| over(token)).map(|token| Key::Token(token.id.clone())).collect();
    for key in old {
        tx.delete(&key);
    }
    if tx.state().tokens().filter(|token| token.pool == pool).count() >= MAX_TOKENS {
        return Err(Refusal::Exhausted(format!("there are {MAX_TOKENS} tokens: revoke some")));
    }
    if spec.role == Role::Admin && !tx.state().settings().guarded {
        tx.put(Settings { guarded: true, ..tx.state().settings().clone() });
    }
    let life_ms = life.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    tx.put(Token {
        id: spec.id.clone(),
        role: spec.role,
        pool,
        hash: spec.hash,
        description: spec.description,
        created_ms: now_ms,
        expires_ms: life_ms.map(|life| now_ms.saturating_add(life)),
        uses_left: spec.uses,
        revision: 0,
    });
    find(tx.state(), "", &spec.id).cloned()
}

/// Whether a token is good for nothing any more.
#[must_use]
pub fn has_expired(token: &Token, now_ms: u64) -> bool {
    token.expires_ms.is_some_and(|expires| expires <= now_ms)
}

/// Has a token be of no use any more.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn revoke(tx: &mut Transaction<'_>, pool: &str, id: &str) -> Result<(), Refusal> {
    find(tx.state(), pool, id)?;
    tx.delete(&Key::Token(id.to_owned()));
    Ok(())
}
