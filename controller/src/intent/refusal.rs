//! Why a request is refused: who is wrong, and a sentence that says what was wrong, where, and what would be right.

use std::sync::Arc;

use super::store::StoreError;

/// A request that was refused; it has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request itself is wrong, whatever the state.
    #[error("{0}")]
    Invalid(String),
    /// It names something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// What it asks for is there already with other content, or is someone else's.
    #[error("{0}")]
    Exists(String),
    /// Something must be done first.
    #[error("{0}")]
    Precondition(String),
    /// Addresses or numbers are used up.
    #[error("{0}")]
    Exhausted(String),
    /// It is not known who asks.
    #[error("{0}")]
    Unauthenticated(String),
    /// It is known who asks, and that one may not.
    #[error("{0}")]
    Denied(String),
    /// Nobody is there to do it now.
    #[error("{0}")]
    Unavailable(String),
    /// It was made for another revision of what it would change.
    #[error("{0}")]
    Stale(String),
    /// One of the others, for which a field of the request is to blame.
    #[error("{refusal}")]
    Field {
        /// The field, as the API names it.
        field: &'static str,
        /// The refusal.
        refusal: Box<Refusal>,
    },
}

impl Refusal {
    /// Blames a field; who calls this last knows best what the request calls it.
    #[must_use]
    pub fn of(self, field: &'static str) -> Self {
        let refusal = match self {
            Self::Field { refusal, .. } => refusal,
            other => Box::new(other),
        };
        Self::Field { field, refusal }
    }
}

/// Why a transaction did not happen.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntentError {
    /// The request was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; nothing has changed.
    #[error("nothing was changed: {0}")]
    Store(Arc<StoreError>),
    /// The controller is stopping.
    #[error("the controller is stopping")]
    Stopped,
}
