//! Who asks, what for, and whether that is to be.

use super::NodeName;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Who rules the controller.
    Admin,
    /// A user of a pool.
    Pool(String),
    /// A node, by its certificate.
    Node(NodeName),
    /// Somebody who has shown nothing.
    Nobody,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// Nothing.
    Nothing,
    /// To be a user of that pool; of an empty name, of any, of which alone the answer is to speak then.
    Pool(&'a str),
    /// To rule the controller.
    Admin,
    /// To be that node.
    Node {
        /// Its pool.
        pool: &'a str,
        /// Its name.
        node: &'a str,
    },
    /// To be a node.
    AnyNode,
}

/// Why it is not to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not known who asks.
    #[error("{0}")]
    Unauthenticated(String),
    /// It is known who asks, and that one may not.
    #[error("{0}")]
    Denied(String),
    /// For who asks there is no such pool, whether there is one or not.
    #[error("there is no pool `{}`", .0.escape_debug())]
    Hidden(String),
}

/// Whether the caller may have what a request needs.
///
/// # Errors
/// Why not. Whoever is of one pool is told of another that it is not there.
pub fn decide(caller: &Caller, need: Need<'_>) -> Result<(), Refused> {
    let denied = |sentence: String| Err(Refused::Denied(sentence));
    match (caller, need) {
        (_, Need::Nothing) | (Caller::Admin, Need::Pool(_) | Need::Admin | Need::Node { .. }) => Ok(()),
        (Caller::Nobody, Need::Node { .. } | Need::AnyNode) => Err(Refused::Unauthenticated(
            "that is for nodes: connect with the node's certificate, which `weir-agent join` gets".to_owned(),
        )),
        (Caller::Nobody, _) => Err(Refused::Unauthenticated(
            "a token is needed: give one with --token-file or WEIR_TOKEN, or as `authorization: Bearer TOKEN`"
                .to_owned(),
        )),
        (Caller::Pool(own), Need::Pool(pool)) if pool.is_empty() || pool == own => Ok(()),
        (Caller::Pool(_), Need::Pool(pool)) => Err(Refused::Hidden(pool.to_owned())),
        (Caller::Pool(own), Need::Admin) => {
            denied(format!("that is for administrators, and the token is of the pool `{own}`"))
        }
        (Caller::Node(name), Need::Node { pool, node }) if name.pool == pool && name.node == node => Ok(()),
        (Caller::Node(name), Need::Node { .. }) => denied(format!("{name} may act for no other node")),
        (Caller::Node(_), Need::AnyNode) => Ok(()),
        (Caller::Node(name), _) => denied(format!("that is for users, and {name} is none")),
        (Caller::Admin | Caller::Pool(_), _) => {
            denied("that is for nodes: connect with the node's certificate".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_what_is_theirs_and_nothing_else() {
        let node = |node: &str| NodeName { pool: "p".to_owned(), node: node.to_owned(), number: Some(1) };
        let (own, other) = (Need::Node { pool: "p", node: "n1" }, Need::Node { pool: "p", node: "n2" });
        let elsewhere = Need::Node { pool: "q", node: "n1" };
        let all =
            [Need::Nothing, Need::Pool(""), Need::Pool("p"), Need::Pool("q"), Need::Admin, Need::AnyNode];
        for (caller, may) in [
            (
                Caller::Admin,
                vec![
                    Need::Nothing,
                    Need::Pool(""),
                    Need::Pool("p"),
                    Need::Pool("q"),
                    Need::Admin,
                    own,
                    other,
                    elsewhere,
                ],
            ),
            (Caller::Pool("p".to_owned()), vec![Need::Nothing, Need::Pool(""), Need::Pool("p")]),
            (Caller::Node(node("n1")), vec![Need::Nothing, own, Need::AnyNode]),
            (Caller::Nobody, vec![Need::Nothing]),
        ] {
            for need in all.into_iter().chain([own, other, elsewhere]) {
                assert_eq!(decide(&caller, need).is_ok(), may.contains(&need), "{caller:?}: {need:?}");
            }
        }
    }

    #[test]
    fn another_pool_is_one_that_is_not_there_and_who_shows_nothing_is_asked_who_it_is() {
        let refused = |caller: &Caller, need| decide(caller, need).unwrap_err();
        let user = Caller::Pool("p".to_owned());
        assert_eq!(refused(&user, Need::Pool("q")).to_string(), "there is no pool `q`");
        assert!(matches!(refused(&user, Need::Admin), Refused::Denied(_)));
        assert!(matches!(refused(&Caller::Nobody, Need::Pool("q")), Refused::Unauthenticated(_)));
        assert!(matches!(refused(&Caller::Nobody, Need::AnyNode), Refused::Unauthenticated(_)));
    }
}
