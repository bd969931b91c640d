//! Requests about which nodes may act: joining with a token, and being revoked.

use std::sync::Arc;

use crate::intent::model::{Admission, Key, Pool, Role, Token};
use crate::intent::{Refusal, State, Transaction};

use super::{name, nodes, pools, tokens};

/// A node that wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// What its token is called.
    pub token: String,
    /// The SHA-256 of the token's secret.
    pub hash: [u8; 32],
    /// The node's name.
    pub node: String,
    /// The SHA-256 of the node's public key.
    pub key: [u8; 32],
}

/// Admits a node to the pool of its token, and uses that up by one. The same request again, with the same key, is answered
/// with the same admission, and uses nothing up.
///
/// # Errors
/// [`Refusal::Unauthenticated`]: the token is not good. [`Refusal::Invalid`]: the name. [`Refusal::Exists`]: a node of that
/// name has joined with another key.
pub fn join(tx: &mut Transaction<'_>, joining: &Joining, now_ms: u64) -> Result<Arc<Admission>, Refusal> {
    let token = good_token(tx.state(), joining, now_ms)?.clone();
    name::check("node", &joining.node).map_err(|refusal| refusal.of("node"))?;
    let pool = token.pool.and_then(|pool| tx.state().pool(pool)).cloned();
    let pool = pool.ok_or_else(|| unauthenticated("the pool of the join token is gone"))?;
    let known = tx.state().admission(pool.id, &joining.node).filter(|known| !known.revoked).cloned();
    match known {
        Some(known) if known.key == joining.key => return Ok(known),
        Some(_) => {
            return Err(Refusal::Exists(format!(
                "a node `{}` has joined the pool `{}`, with another key: choose another name, or revoke that node first",
                joining.node, pool.name
            )));
        }
        None => {}
    }
    match token.uses_left {
        Some(0) => return Err(unauthenticated("the join token is used up")),
        Some(left) => tx.put(Token { uses_left: Some(left - 1), ..Token::clone(&token) }),
        None => {}
    }
    let number = tx.new_admission_number();
    let (node, key) = (joining.node.clone(), joining.key);
    tx.put(Admission { pool: pool.id, node, number, key, revoked: false, revision: 0 });
    let admission = tx.state().admission(pool.id, &joining.node).cloned();
    Ok(admission.expect("it has just been put"))
}

fn good_token<'a>(state: &'a State, joining: &Joining, now_ms: u64) -> Result<&'a Arc<Token>, Refusal> {
    let token = state.token(&joining.token).filter(|token| token.hash == joining.hash);
    match token {
        None => {
            Err(unauthenticated("the join token is not known: it may have been revoked, or have expired"))
        }
        Some(token) if token.role != Role::Join => Err(unauthenticated("the token is none to join with")),
        Some(token) if tokens::has_expired(token, now_ms) => {
            Err(unauthenticated("the join token has expired"))
        }
        Some(token) => Ok(token),
    }
}

fn unauthenticated(sentence: &str) -> Refusal {
    Refusal::Unauthenticated(sentence.to_owned())
}

/// Has a node act no longer, until it joins anew. Again is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool, or neither a node nor an admission of that name.
pub fn revoke(tx: &mut Transaction<'_>, pool: &str, node: &str) -> Result<(), Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    let admission = match tx.state().admission(pool.id, node) {
        Some(admission) => Admission::clone(admission),
        None => {
            let node =
                nodes::find(tx.state(), &pool, node).map_err(|refusal| refusal.of("name"))?.name.clone();
            Admission { pool: pool.id, node, number: 0, key: [0; 32], revoked: false, revision: 0 }
        }
    };
    if !admission.revoked {
        tx.put(Admission { revoked: true, ..admission });
    }
    Ok(())
}

/// Refuses what a revoked node asks for, whatever way it came.
///
/// # Errors
/// [`Refusal::Denied`].
pub(super) fn check(state: &State, pool: &Pool, node: &str) -> Result<(), Refusal> {
    if state.admission(pool.id, node).is_some_and(|admission| admission.revoked) {
        return Err(Refusal::Denied(format!(
            "the node `{node}` of the pool `{}` is revoked: it needs a new join token to come back",
            pool.name
        )));
    }
    Ok(())
}

/// Forgets what a pool's nodes and users were let in by.
pub(super) fn forget_pool(tx: &mut Transaction<'_>, pool: flowlib::compile::model::PoolId) {
    let state = tx.state();
    let tokens = state.tokens().filter(|token| token.pool == Some(pool));
    let tokens = tokens.map(|token| Key::Token(token.id.clone()));
    let admissions = state.admissions_of(pool);
    let admissions = admissions.map(|admission| Key::Admission(pool, admission.node.clone()));
    for key in tokens.chain(admissions).collect::<Vec<_>>() {
        tx.delete(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::pools::PoolSpec;
    use super::super::tokens::TokenSpec;
    use super::*;

    const NOW: u64 = 1_000_000;
    const HASH: [u8; 32] = [1; 32];

    /// A pool `p` with a join token `t`, good for an hour and two nodes.
    fn world() -> State {
        let mut state = State::default();
        let mut tx = Transaction::new(&mut state);
        pools::create(&mut tx, PoolSpec { name: "p".to_owned(), ..PoolSpec::default() }).unwrap();
        let spec = TokenSpec {
            id: "t".to_owned(),
            hash: HASH,
            role: Role::Join,
            pool: "p".to_owned(),
            life: Some(Duration::from_secs(3600)),
            uses: Some(2),
            description: String::new(),
        };
        tokens::create(&mut tx, spec, NOW).unwrap();
        state
    }

    fn joining(node: &str, key: u8) -> Joining {
        Joining { token: "t".to_owned(), hash: HASH, node: node.to_owned(), key: [key; 32] }
    }

    fn try_join(state: &mut State, joining: &Joining, now_ms: u64) -> Result<u32, Refusal> {
        join(&mut Transaction::new(state), joining, now_ms).map(|admission| admission.number)
    }

    #[test]
    fn a_token_is_used_up_by_nodes_and_not_by_their_asking_again() {
        let mut state = world();
        let one = try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        assert_eq!(try_join(&mut state, &joining("n1", 1), NOW), Ok(one));
        assert!(matches!(try_join(&mut state, &joining("n1", 9), NOW), Err(Refusal::Exists(_))));
        assert_ne!(try_join(&mut state, &joining("n2", 2), NOW), Ok(one));
        let refused = try_join(&mut state, &joining("n3", 3), NOW);
        assert_eq!(refused, Err(unauthenticated("the join token is used up")));
        assert_eq!(try_join(&mut state, &joining("n1", 1), NOW), Ok(one));
    }

    #[test]
    fn a_bad_token_admits_nobody() {
        let mut state = world();
        let before = state.clone();
        let wrong = Joining { hash: [2; 32], ..joining("n1", 1) };
        let unknown = Joining { token: "x".to_owned(), ..joining("n1", 1) };
        for (joining, now_ms, why) in [
            (wrong, NOW, "not known"),
            (unknown, NOW, "not known"),
            (joining("n1", 1), NOW + 3_600_000, "expired"),
        ] {
            let refused = try_join(&mut state, &joining, now_ms);
            assert!(
                matches!(&refused, Err(Refusal::Unauthenticated(text)) if text.contains(why)),
                "{refused:?}"
            );
        }
        assert!(matches!(
            try_join(&mut state, &joining("../n", 1), NOW),
            Err(Refusal::Field { field: "node", .. })
        ));
        assert_eq!(state, before);
    }

    #[test]
    fn a_revoked_node_comes_back_under_another_number_only() {
        let mut state = world();
        let first = try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        let mut tx = Transaction::new(&mut state);
        revoke(&mut tx, "p", "n1").unwrap();
        revoke(&mut tx, "p", "n1").unwrap();
        assert!(matches!(revoke(&mut tx, "p", "n9"), Err(Refusal::Field { field: "name", .. })));
        assert!(matches!(revoke(&mut tx, "q", "n1"), Err(Refusal::Field { field: "pool", .. })));
        let second = try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn a_pools_tokens_and_admissions_go_with_it() {
        let mut state = world();
        try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        pools::delete(&mut Transaction::new(&mut state), "p").unwrap();
        assert_eq!(state.tokens().count(), 0);
        let refused = try_join(&mut state, &joining("n1", 1), NOW);
        assert!(matches!(refused, Err(Refusal::Unauthenticated(_))));
    }
}
