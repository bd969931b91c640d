//! How the node comes to its certificate, and keeps having one: it joins with a token, once, and renews by itself.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::Args;
use rcgen::KeyPair;
use tokio::sync::watch;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use weir_api::{
    tls::{self, Fingerprint, TlsError, Trust},
    token::{Kind, Token},
    v1::{JoinRequest, LeaveRequest, RenewRequest},
};

use crate::{
    config,
    credentials::{Credentials, CredentialsError, Current, signing_request},
};

/// Where to get a certificate, and by what.
#[derive(Clone, Debug, Args)]
pub struct Request {
    /// The controller: HOST:PORT, where it serves gRPC with TLS.
    #[arg(long, env = "WEIR_CONTROLLER", value_name = "HOST:PORT", value_parser = config::authority)]
    pub controller: String,
    /// The join token; better from a file, where no other user sees it.
    #[arg(long, env = "WEIR_JOIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<Token>,
    /// A file with the join token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// This node's name, unique in its pool.
    #[arg(long, env = "WEIR_NAME", value_parser = config::name)]
    pub name: String,
    /// Where the agent keeps what must survive a restart.
    #[arg(long, env = "WEIR_STATE_DIR", value_name = "DIR", default_value = config::STATE_DIR)]
    pub state_dir: PathBuf,
}

/// Why the node has no new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The token's file.
    #[error("{path}: {error}")]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// That is no join token.
    #[error("{0}")]
    Token(&'static str),
    /// The node has joined already.
    #[error(
        "this node has joined the pool `{pool}` as `{node}` already; `weir-agent leave` undoes that, and of a node that was revoked, `weir-agent leave --force`"
    )]
    Joined {
        /// Its pool.
        pool: String,
        /// Its name.
        node: String,
    },
    /// No connection.
    #[error("cannot connect to the controller: {}", innermost(.0))]
    Connect(#[from] tonic::transport::Error),
    /// The controller refuses.
    #[error("the controller refuses: {} ({:?})", .0.message(), .0.code())]
    Refused(Box<tonic::Status>),
    /// No answer.
    #[error("the controller does not answer")]
    Silent,
    /// The controller names another authority than the token.
    #[error("the controller names another authority than it has shown")]
    Authority,
    /// Key and certificate.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// As `Credentials`.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Request {
    fn token(&self) -> Result<Token, EnrolError> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| EnrolError::TokenFile { path: path.clone(), error })?;
                text.parse().map_err(|_| EnrolError::Token("the file holds no token"))?
            }
            (None, None) => {
                return Err(EnrolError::Token(
                    "a join token is needed: give one with --token-file, or in WEIR_JOIN_TOKEN; `weir pool token create` makes it",
                ));
            }
        };
        match token.kind {
            Kind::Join => Ok(token),
            Kind::Api => Err(EnrolError::Token(
                "that token is for users: `weir pool token create` makes one to join with",
            )),
        }
    }
}

/// Has the node join. What is kept of one that fails is its key, so that it can be tried again.
///
/// # Errors
/// See [`EnrolError`].
pub async fn join(join: &Request) -> Result<Current, EnrolError> {
    let token = join.token()?;
    let credentials = Credentials::of(&join.state_dir);
    if let Some(current) = credentials.current()? {
        return Err(EnrolError::Joined { pool: current.about.pool, node: current.about.node });
    }
    let key = credentials.joining_key()?;
    let config = tls::client(&Trust::Fingerprint(token.authority), None)?;
    let channel = tls::connect(endpoint(), join.controller.clone(), config).await?;
    let request = JoinRequest {
        token: token.to_string(),
        node: join.name.clone(),
        signing_request: signing_request(&key)?,
    };
    let answer = answered(weir_api::client::enrolment(channel).join(request)).await?;
    if Fingerprint::of(&tls::certificate(answer.authority.as_bytes())?) != token.authority {
        return Err(EnrolError::Authority);
    }
    Ok(credentials.store(&key, &answer)?)
}

/// Asks for a new certificate whenever two thirds of the last one's life have passed, for ever, and tells of each.
pub async fn keep(controller: String, credentials: Credentials, current: watch::Sender<Current>) {
    loop {
        let due = current.borrow().renewal();
        // By the clock, not by a timer of months: it may be set, or the machine sleep.
        while let Ok(left) = due.duration_since(SystemTime::now()) {
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
        let last = current.borrow().clone();
        match renew(&controller, &credentials, &last).await {
            Ok(new) => {
                tracing::info!(directory = %new.directory.display(), "the node's certificate is renewed");
                current.send_replace(new);
            }
            Err(error) => {
                tracing::warn!(%error, "the node's certificate is not renewed yet");
                let left = last.about.not_after.duration_since(SystemTime::now()).unwrap_or_default();
                tokio::time::sleep((left / 10).clamp(SHORTEST_RETRY, LONGEST_NAP)).await;
            }
        }
    }
}

/// Connects to the controller, each proving to the other who it is.
///
/// # Errors
/// See [`EnrolError`].
pub async fn reach(controller: &str, current: &Current) -> Result<Channel, EnrolError> {
    let (trust, identity) = current.load()?;
    Ok(tls::connect(endpoint(), controller.to_owned(), tls::client(&trust, Some(identity))?).await?)
}

/// Has the controller forget the node, and let it in no more.
///
/// # Errors
/// See [`EnrolError`].
pub async fn leave(controller: &str, current: &Current) -> Result<(), EnrolError> {
    let ask = async || {
        let channel = reach(controller, current).await?;
        answered(weir_api::client::enrolment(channel).leave(LeaveRequest {})).await.map(drop)
    };
    match ask().await {
        // The node's connections are cut for that, this one perhaps before the answer.
        Err(EnrolError::Refused(status)) if CUT.contains(&status.code()) => ask().await,
        said => said,
    }
}

async fn renew(controller: &str, credentials: &Credentials, last: &Current) -> Result<Current, EnrolError> {
    let channel = reach(controller, last).await?;
    let key = KeyPair::generate().map_err(CredentialsError::from)?;
    let request = RenewRequest { signing_request: signing_request(&key)? };
    let answer = answered(weir_api::client::enrolment(channel).renew(request)).await?;
    Ok(credentials.store(&key, &answer)?)
}

async fn answered<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, EnrolError> {
    let answer = tokio::time::timeout(PATIENCE, call).await.map_err(|_| EnrolError::Silent)?;
    answer.map(tonic::Response::into_inner).map_err(|status| EnrolError::Refused(Box::new(status)))
}

fn endpoint() -> Endpoint {
    // Only names the peer in HTTP/2; the connector decides where it goes.
    Channel::from_static("http://controller").connect_timeout(PATIENCE)
}

/// What is behind "transport error".
fn innermost(error: &tonic::transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What is said of a call whose connection breaks.
const CUT: [Code; 4] = [Code::Unknown, Code::Unavailable, Code::Cancelled, Code::Internal];

/// How long the controller may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const SHORTEST_RETRY: Duration = Duration::from_secs(1);

const LONGEST_NAP: Duration = Duration::from_secs(60);
