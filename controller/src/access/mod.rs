//! Who may do what: the controller's authority and certificates, who is at the other end of a connection, and the one
//! function that decides.
//!
//! ```text
//!  socket ─▶ tls::Acceptor ─▶ Peer (by which way, which certificate) ─┐
//!  request ─▶ bearer token ───────────────────────────────────────────┴▶ Access::caller ─▶ Caller ─▶ decide(Caller, Need)
//!  switch ─▶ tls::Acceptor ─▶ certificate, datapath id ─▶ Access::admit_switch
//!                                    commits ─▶ Access::watch ─▶ Roster: who is revoked is cut off
//! ```
//!
//! Certificates are judged after the handshake, so that a refusal has a reason. What is asked for is `serve`'s to say
//! ([`Need`]); how nodes and users come to certificates and tokens is `orchestrate`'s.

mod authority;
mod caller;
mod name;
mod roster;
pub mod tls;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flowlib::types::DatapathId;
use tokio::sync::broadcast::error::RecvError;
use weir_api::token::{Kind, Token};

use crate::intent::model::{Admission, Record, Role};
use crate::intent::{Commit, Intent, State};

pub use authority::{Authority, AuthorityError, Issued, SigningRequest};
pub use caller::{Caller, Need, Refused, decide};
pub use name::NodeName;
pub use roster::Pass;
use roster::Roster;

/// By which way a request came, and what was shown on it.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A unix socket: its file's mode says who may.
    Unix,
    /// TCP without TLS: a loopback address, or one that the operator wants open.
    Plain,
    /// TLS, with the certificate that was shown, if any, or what is wrong with it.
    Tls(Result<Option<NodeName>, String>),
}

/// Knows who may act. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Access {
    intent: Intent,
    roster: Arc<Roster>,
}

impl Access {
    /// By the tokens and admissions of the intent.
    #[must_use]
    pub fn new(intent: Intent) -> Self {
        Self { intent, roster: Arc::default() }
    }

    /// Cuts off who is revoked, for as long as there are commits.
    pub async fn watch(self) {
        let (_, mut commits) = self.intent.subscribe();
        loop {
            match commits.recv().await {
                Ok(commit) if concerns(&commit) => self.review(),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.review(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn review(&self) {
        self.intent.read(|state| self.roster.review(|name| judge(state, name).is_ok()));
    }

    /// Lets a connection with that certificate in, until it is cut.
    ///
    /// # Errors
    /// [`Refused::Unauthenticated`]: the node has not been admitted, or is no longer.
    pub fn admit(&self, name: &NodeName) -> Result<Pass, Refused> {
        // Noted first: a revocation after the look cuts it.
        let pass = self.roster.enter(name.clone());
        self.intent.read(|state| judge(state, name)).map(|()| pass)
    }

    /// Lets a switch in, until it is cut. Without a certificate it is who it says it is, as long as its node is not revoked.
    ///
    /// # Errors
    /// The certificate is that of another node, or of one that is not admitted; the node is revoked.
    pub fn admit_switch(
        &self,
        shown: Option<&NodeName>,
        datapath: DatapathId,
    ) -> Result<Option<Pass>, Refused> {
        let owner = |state: &State| {
            let node = state.node_of_datapath(datapath)?;
            Some((state.pool(node.pool)?.name.clone(), node.name.clone()))
        };
        let owner = self.intent.read(owner);
        let Some(name) = shown else {
            let Some((pool, node)) = owner else { return Ok(None) };
            let name = NodeName { pool, node, number: None };
            return self.admit(&name).map(Some);
        };
        if owner.as_ref().is_some_and(|(pool, node)| (pool, node) == (&name.pool, &name.node)) {
            return self.admit(name).map(Some);
        }
        Err(Refused::Denied(format!(
            "the datapath id {datapath} is not that of {name}, whose certificate it shows"
        )))
    }

    /// Who asks, by the way it came and the token that is shown.
    ///
    /// # Errors
    /// [`Refused::Unauthenticated`]: token or certificate are not good, with the reason.
    pub fn caller(&self, peer: &Peer, token: Option<&str>) -> Result<Caller, Refused> {
        self.intent.read(|state| {
            if let Some(token) = token {
                return bearer(state, token);
            }
            match peer {
                Peer::Unix => Ok(Caller::Admin),
                Peer::Plain if state.settings().guarded => Ok(Caller::Nobody),
                Peer::Plain => Ok(Caller::Admin),
                Peer::Tls(Ok(None)) => Ok(Caller::Nobody),
                Peer::Tls(Ok(Some(name))) => {
                    judge(state, name)?;
                    check_end(state, name).map(|()| Caller::Node(name.clone()))
                }
                Peer::Tls(Err(reason)) => Err(Refused::Unauthenticated(reason.clone())),
            }
        })
    }
}

fn concerns(commit: &Commit) -> bool {
    let records = commit.changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
    records.into_iter().any(|record| matches!(record, Record::Admission(_) | Record::Pool(_)))
}

/// Whether a node's certificate is good for anything; without one, whether the node is not revoked.
fn judge(state: &State, name: &NodeName) -> Result<(), Refused> {
    let is_good = match (name.number, admission(state, name)) {
        (None, admission) => admission.is_none_or(|admission| !admission.revoked),
        (Some(number), Some(admission)) => admission.number == number && !admission.revoked,
        (Some(_), None) => false,
    };
    if is_good {
        return Ok(());
    }
    Err(Refused::Unauthenticated(format!("{name} is revoked: it needs a new join token to come back")))
}

/// Whether a node's certificates have ended since one of them was shown: what is connected stays, and asks for nothing more.
fn check_end(state: &State, name: &NodeName) -> Result<(), Refused> {
    if admission(state, name).is_some_and(|admission| admission.has_expired(now_ms())) {
        return Err(Refused::Unauthenticated(tls::EXPIRED.to_owned()));
    }
    Ok(())
}

fn admission<'a>(state: &'a State, name: &NodeName) -> Option<&'a Arc<Admission>> {
    state.admission(state.pool_named(&name.pool)?.id, &name.node)
}

fn bearer(state: &State, text: &str) -> Result<Caller, Refused> {
    let unauthenticated = |sentence: &str| Err(Refused::Unauthenticated(sentence.to_owned()));
    let Ok(token) = text.parse::<Token>() else {
        return unauthenticated("the token is none: it should look like weir-api.ID.SECRET.FINGERPRINT");
    };
    if token.kind != Kind::Api {
        return unauthenticated(
            "a join token lets nodes join, and nobody in: make another with `weir token create`",
        );
    }
    let Some(known) = state.token(&token.id).filter(|known| known.hash == token.hash()) else {
        return unauthenticated("the token is not known: it may have been revoked");
    };
    if known.expires_ms.is_some_and(|expires| expires <= now_ms()) {
        return unauthenticated("the token has expired");
    }
    let pool = known.pool.and_then(|pool| state.pool(pool));
    match (known.role, pool) {
        (Role::Admin, _) => Ok(Caller::Admin),
        (Role::Pool, Some(pool)) => Ok(Caller::Pool(pool.name.clone())),
        _ => unauthenticated("the token lets nobody in"),
    }
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
