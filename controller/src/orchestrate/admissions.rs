//! Requests about which nodes may act: joining with a token, and being revoked.

use std::sync::Arc;
use std::time::Duration;

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
    /// How long its certificate will last.
    pub life: Duration,
}

/// Admits a node to the pool of its token, and uses that up by one. The same request again, with the same key, is answered
/// with the same admission, and uses nothing up. One whose certificates have all ended is replaced.
///
/// # Errors
/// [`Refusal::Unauthenticated`]: the token is not good. [`Refusal::Invalid`]: the name. [`Refusal::Exists`]: a node of that
/// name has joined with another key, and its certificate is good still.
pub fn join(tx: &mut Transaction<'_>, joining: &Joining, now_ms: u64) -> Result<Arc<Admission>, Refusal> {
    let token = good_token(tx.state(), (&joining.token, &joining.hash), now_ms)?.clone();
    name::check("node", &joining.node).map_err(|refusal| refusal.of("node"))?;
    let pool = token.pool.and_then(|pool| tx.state().pool(pool)).cloned();
    let pool = pool.ok_or_else(|| unauthenticated("the pool of the join token is gone"))?;
    let known = tx.state().admission(pool.id, &joining.node).filter(|known| !known.revoked).cloned();
    let not_after_ms = Some(end(now_ms, joining.life));
    match known {
        Some(known) if known.key == joining.key => {
            let not_after_ms = known.not_after_ms.max(not_after_ms);
            tx.put(Admission { not_after_ms, ..Admission::clone(&known) });
        }
        Some(known) if !known.has_expired(now_ms) => {
            return Err(Refusal::Exists(format!(
                "a node `{}` has joined the pool `{}`, with another key: choose another name, or revoke that node first",
                joining.node, pool.name
            )));
        }
        _ => {
            use_up(tx, &token)?;
            let number = tx.new_admission_number();
            let Joining { node, key, token, .. } = joining.clone();
            let (pool, revoked) = (pool.id, false);
            tx.put(Admission { pool, node, number, key, token, not_after_ms, revoked, revision: 0 });
        }
    }
    let admission = tx.state().admission(pool.id, &joining.node).cloned();
    Ok(admission.expect("it has just been put"))
}

fn use_up(tx: &mut Transaction<'_>, token: &Token) -> Result<(), Refusal> {
    match token.uses_left {
        Some(0) => return Err(unauthenticated("the join token is used up")),
        Some(left) => tx.put(Token { uses_left: Some(left - 1), ..token.clone() }),
        None => {}
    }
    Ok(())
}

/// When what is made now for so long ends.
fn end(now_ms: u64, life: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX))
}

/// Notes that a node gets another certificate, for so long.
///
/// # Errors
/// [`Refusal::Denied`]: it is not admitted under that number any more.
pub fn renew(
    tx: &mut Transaction<'_>,
    (pool, node, number): (&str, &str, u32),
    life: Duration,
    now_ms: u64,
) -> Result<(), Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    check(tx.state(), &pool, node)?;
    let admission = tx.state().admission(pool.id, node).filter(|admission| admission.number == number);
    let admission = admission.cloned().ok_or_else(|| denied(&pool, node))?;
    let not_after_ms = admission.not_after_ms.max(Some(end(now_ms, life)));
    tx.put(Admission { not_after_ms, ..Admission::clone(&admission) });
    Ok(())
}

/// The token of that name and hash, if nodes may join with it.
///
/// # Errors
/// [`Refusal::Unauthenticated`].
pub fn good_token<'a>(
    state: &'a State,
    (id, hash): (&str, &[u8; 32]),
    now_ms: u64,
) -> Result<&'a Arc<Token>, Refusal> {
    let token = state.token(id).filter(|token| token.hash == *hash);
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

/// Has a node act no longer, until it joins anew. The token that it joined with goes, too, since the node has it still, and
/// is given back if it was there. Again is not an error.
///
/// # Errors
/// [`Refusal::NotFound`]: pool, or neither a node nor an admission of that name.
pub fn revoke(tx: &mut Transaction<'_>, pool: &str, node: &str) -> Result<Option<String>, Refusal> {
    let pool = pools::find(tx.state(), pool)?.clone();
    let admission = match tx.state().admission(pool.id, node) {
        Some(admission) => Admission::clone(admission),
        None => {
            let node =
                nodes::find(tx.state(), &pool, node).map_err(|refusal| refusal.of("name"))?.name.clone();
            let (token, not_after_ms) = (String::new(), None);
            let (number, key, revoked) = (0, [0; 32], false);
            Admission { pool: pool.id, node, number, key, token, not_after_ms, revoked, revision: 0 }
        }
    };
    if admission.revoked {
        return Ok(None);
    }
    let token = tx.state().token(&admission.token).map(|token| token.id.clone());
    tx.delete(&Key::Token(admission.token.clone()));
    tx.put(Admission { revoked: true, ..admission });
    Ok(token)
}

/// Forgets that a node of a pool has joined; that it was revoked without ever having joined is kept, or it would come back.
pub(super) fn forget(tx: &mut Transaction<'_>, pool: &Pool, node: &str) {
    if tx.state().admission(pool.id, node).is_some_and(|admission| !admission.is_ban()) {
        tx.delete(&Key::Admission(pool.id, node.to_owned()));
    }
}

/// Forgets that a node has joined that has not been seen since.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Precondition`]: it is only known that it is revoked.
pub(super) fn forget_unseen(tx: &mut Transaction<'_>, pool: &Pool, node: &str) -> Result<(), Refusal> {
    match tx.state().admission(pool.id, node) {
        None => nodes::find(tx.state(), pool, node).map(drop).map_err(|refusal| refusal.of("name")),
        Some(admission) if admission.is_ban() => Err(Refusal::Precondition(format!(
            "of the node `{node}` of the pool `{}` it is only kept that it is revoked, or it could come back: it joins with \
             a token to do so",
            pool.name
        ))),
        Some(_) => {
            forget(tx, pool, node);
            Ok(())
        }
    }
}

/// The admissions of a pool's nodes that have not been seen yet, or not since they were deleted.
pub fn unseen<'a>(state: &'a State, pool: &Pool) -> impl Iterator<Item = &'a Arc<Admission>> + use<'a> {
    let id = pool.id;
    state.admissions_of(id).filter(move |admission| state.node_named(id, &admission.node).is_none())
}

/// Forgets a node that asks for it itself, also one that has joined and never registered.
///
/// # Errors
/// [`Refusal::NotFound`]: the pool. [`Refusal::Precondition`] while it has containers.
pub fn leave(tx: &mut Transaction<'_>, pool: &str, node: &str, now_ms: u64) -> Result<(), Refusal> {
    let id = pools::find(tx.state(), pool)?.id;
    if tx.state().node_named(id, node).is_some() {
        return nodes::delete(tx, pool, node, |_| false, now_ms).map(drop);
    }
    tx.delete(&Key::Admission(id, node.to_owned()));
    Ok(())
}

/// Refuses what a revoked node asks for, whatever way it came.
///
/// # Errors
/// [`Refusal::Denied`].
pub(super) fn check(state: &State, pool: &Pool, node: &str) -> Result<(), Refusal> {
    if state.admission(pool.id, node).is_some_and(|admission| admission.revoked) {
        return Err(denied(pool, node));
    }
    Ok(())
}

fn denied(pool: &Pool, node: &str) -> Refusal {
    Refusal::Denied(format!(
        "the node `{node}` of the pool `{}` is revoked: it needs a new join token to come back",
        pool.name
    ))
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
    use std::collections::BTreeMap;

    use flowlib::types::DatapathId;

    use super::super::pools::PoolSpec;
    use super::super::tokens::TokenSpec;
    use super::*;
    use crate::intent::model::{Change, Resources};

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
        let life = Duration::from_secs(60);
        Joining { token: "t".to_owned(), hash: HASH, node: node.to_owned(), key: [key; 32], life }
    }

    /// With another token `t`: revoking a node takes the one away that it came with.
    fn token_again(state: &mut State) {
        state.apply(&Change { before: None, after: world().find(&Key::Token("t".to_owned())) });
    }

    fn node(name: &str, datapath_id: DatapathId) -> nodes::NodeSpec {
        nodes::NodeSpec {
            pool: "p".to_owned(),
            name: name.to_owned(),
            datapath_id,
            tunnel_address: [172, 31, 0, 1].into(),
            labels: BTreeMap::new(),
            capacity: Resources::default(),
            metrics: None,
        }
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
        assert_eq!(revoke(&mut tx, "p", "n1"), Ok(Some("t".to_owned())));
        assert_eq!(revoke(&mut tx, "p", "n1"), Ok(None));
        assert!(matches!(revoke(&mut tx, "p", "n9"), Err(Refusal::Field { field: "name", .. })));
        assert!(matches!(revoke(&mut tx, "q", "n1"), Err(Refusal::Field { field: "pool", .. })));
        for node in ["n1", "n2"] {
            let refused = try_join(&mut state, &joining(node, 1), NOW);
            assert!(matches!(refused, Err(Refusal::Unauthenticated(_))), "the node has that token still");
        }
        token_again(&mut state);
        let second = try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn a_node_whose_last_certificate_has_ended_joins_anew_with_another_key() {
        let mut state = world();
        let first = try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        let renewal = NOW + 40_000;
        let mut tx = Transaction::new(&mut state);
        renew(&mut tx, ("p", "n1", first), Duration::from_secs(60), renewal).unwrap();
        let other = renew(&mut tx, ("p", "n1", first + 1), Duration::from_secs(60), renewal);
        assert!(matches!(other, Err(Refusal::Denied(_))), "{other:?}");
        let early = try_join(&mut state, &joining("n1", 2), renewal + 59_999);
        assert!(matches!(early, Err(Refusal::Exists(_))), "{early:?}");
        assert_ne!(try_join(&mut state, &joining("n1", 2), renewal + 60_000), Ok(first));
        let old =
            renew(&mut Transaction::new(&mut state), ("p", "n1", first), Duration::from_secs(60), renewal);
        assert!(matches!(old, Err(Refusal::Denied(_))), "{old:?}");
    }

    #[test]
    fn a_node_that_was_never_seen_is_listed_and_deleted_as_one_that_was() {
        let mut state = world();
        try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        let pool = state.pool_named("p").unwrap().clone();
        let names = |state: &State| unseen(state, &pool).map(|it| it.node.clone()).collect::<Vec<_>>();
        assert_eq!(names(&state), ["n1"]);
        let delete = |state: &mut State, node: &str| {
            nodes::delete(&mut Transaction::new(state), "p", node, |_| false, NOW)
        };
        delete(&mut state, "n1").unwrap();
        assert_eq!(names(&state), [""; 0]);
        assert!(matches!(delete(&mut state, "n1"), Err(Refusal::Field { field: "name", .. })));
    }

    #[test]
    fn a_node_that_was_revoked_without_a_certificate_stays_out_when_it_is_deleted() {
        let mut state = world();
        let spec = || node("n1", DatapathId::of_node("p", "n1"));
        let mut tx = Transaction::new(&mut state);
        nodes::register(&mut tx, spec()).unwrap();
        revoke(&mut tx, "p", "n1").unwrap();
        nodes::delete(&mut tx, "p", "n1", |_| true, NOW).unwrap();
        assert!(matches!(nodes::register(&mut tx, spec()), Err(Refusal::Denied(_))));
        let again = nodes::delete(&mut tx, "p", "n1", |_| true, NOW);
        assert!(matches!(again, Err(Refusal::Precondition(_))), "{again:?}");
        try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        nodes::register(&mut Transaction::new(&mut state), spec()).unwrap();
    }

    #[test]
    fn a_node_that_has_joined_has_the_datapath_id_of_its_own_name() {
        let mut state = world();
        try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        let mut tx = Transaction::new(&mut state);
        let anothers = nodes::register(&mut tx, node("n1", DatapathId::of_node("q", "n1")));
        assert!(matches!(&anothers, Err(Refusal::Denied(_))), "{anothers:?}");
        nodes::register(&mut tx, node("n1", DatapathId::of_node("p", "n1"))).unwrap();
    }

    #[test]
    fn a_node_that_leaves_is_let_in_no_more_until_it_joins_again() {
        let mut state = world();
        try_join(&mut state, &joining("n1", 1), NOW).unwrap();
        let pool = pools::find(&state, "p").unwrap().id;
        leave(&mut Transaction::new(&mut state), "p", "n1", NOW).unwrap();
        assert_eq!(state.admission(pool, "n1"), None);
        leave(&mut Transaction::new(&mut state), "p", "n1", NOW).unwrap();
        assert!(try_join(&mut state, &joining("n1", 9), NOW).is_ok());
        let refused = leave(&mut Transaction::new(&mut state), "q", "n1", NOW);
        assert!(matches!(refused, Err(Refusal::Field { field: "pool", .. })), "{refused:?}");
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
