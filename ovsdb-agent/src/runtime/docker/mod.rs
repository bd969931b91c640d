//! Docker containers, one an endpoint, told from all others by a label that bears the endpoint's number.
//!
//! Docker is the memory: what was made, and which request for a start was the last one carried out (in the container's
//! name), is read back from it. Its API is only used between the calls that Docker itself makes of the network driver,
//! never from within one (`plugin`).
//!
//! | file | is for |
//! |---|---|
//! | `container.rs` | finding, making, starting, stopping, removing |
//! | `decide.rs` | what has to be done next to a container (pure) |
//! | `watch.rs` | whether Docker is there, its images, and what happens to containers |
//! | `network.rs` | the one network of Docker's that they belong to |
//! | `plain.rs` | networks that somebody else made with the driver, and who is in them |
//! | `exec.rs` | commands inside |
//! | `terminal.rs` | the stream of one that has a terminal |
//! | `log.rs` | what a container has put out |
//! | `reference.rs` | the names of images |
//! | `pull.rs` | fetching an image through a registry proxy |
//! | `loopback.rs` | such a proxy as if it were on this host |

mod container;
mod decide;
mod exec;
mod log;
mod loopback;
mod network;
mod plain;
mod pull;
mod reference;
mod terminal;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, errors::Error};

use super::EndpointId;

pub(crate) use self::{container::LABEL, network::MANAGED, plain::NETWORK_OPTION};
pub use self::{
    container::{Found, State},
    decide::{Step, decide},
    log::LogOutput,
    plain::{PlainContainer, PlainEndpoint, PlainNetwork},
    pull::{Progress, Proxy},
    reference::Reference,
    watch::{Event, watch},
};

/// A connection to this node's Docker, made when it is first needed and again after it was lost.
#[derive(Clone, Debug)]
pub struct Docker {
    socket: Arc<Path>,
    client: Arc<Mutex<Option<bollard::Docker>>>,
    /// Held while Docker's network of ours is looked for and made: Docker makes a second one of a name without a word.
    making_network: Arc<tokio::sync::Mutex<()>>,
}

/// Why Docker did not do as it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// There is no Docker on this node, or it is not running.
    #[error("there is no Docker at {}", .0.display())]
    NotThere(PathBuf),
    /// It cannot be reached, or hung up.
    #[error("Docker cannot be reached: {}", cause(.0))]
    Unreachable(Error),
    /// It was asked and has said nothing.
    #[error("Docker has not answered for {} s: {what}", waited.as_secs())]
    Silent {
        /// What it was asked to do.
        what: &'static str,
        /// How long it was given.
        waited: Duration,
    },
    /// It has no such image.
    #[error("the image `{image}` is not on this node: {message}")]
    NoImage {
        /// The image.
        image: String,
        /// Docker's words.
        message: String,
    },
    /// It has no such container.
    #[error("endpoint {0} has no container in Docker")]
    NoContainer(EndpointId),
    /// It refuses.
    #[error("Docker refuses: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Docker's words.
        message: String,
    },
    /// It says what makes no sense.
    #[error("Docker's answer is not understood: {0}")]
    Protocol(String),
}

impl DockerError {
    /// Docker itself is the matter, and not what it was asked: the same request may well succeed later.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotThere(_) | Self::Unreachable(_) | Self::Silent { .. })
    }

    fn is_status(&self, code: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == code)
    }
}

impl From<Error> for DockerError {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: status, message } => {
                Self::Refused { status, message: message.trim().to_owned() }
            }
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::DockerStreamError { .. } => {
                Self::Protocol(error.to_string())
            }
            error => Self::Unreachable(error),
        }
    }
}

impl Docker {
    /// The Docker that listens on the unix socket at `socket`; it need not be there yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.into(), client: Arc::default(), making_network: Arc::default() }
    }

    /// True if there is a socket, whether anybody listens on it or not.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.socket.exists()
    }

    /// Docker's version, and whether containers outlive it.
    ///
    /// # Errors
    /// Docker's.
    pub async fn about(&self) -> Result<(String, bool), DockerError> {
        let info = self.ask("saying what it is", ANSWER, |docker| async move { docker.info().await }).await?;
        Ok((info.server_version.unwrap_or_default(), info.live_restore_enabled.unwrap_or(false)))
    }

    /// A client that has agreed with Docker on a version of its API.
    async fn client(&self) -> Result<bollard::Docker, DockerError> {
        if let Some(client) = self.known_client().as_ref() {
            return Ok(client.clone());
        }
        // Whoever asks at the same time agrees with Docker as well, and does not wait for this one.
        let socket = self.socket.display().to_string();
        let connected = match bollard::Docker::connect_with_unix(&socket, LONGEST_S, API_DEFAULT_VERSION) {
            Ok(connected) => connected,
            Err(Error::SocketNotFoundError(path)) => return Err(DockerError::NotThere(path.into())),
            Err(error) => return Err(error.into()),
        };
        let agreed = answer("saying its version", ANSWER, connected.negotiate_version()).await?;
        *self.known_client() = Some(agreed.clone());
        Ok(agreed)
    }

    fn known_client(&self) -> MutexGuard<'_, Option<bollard::Docker>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks Docker something, which may take `patience`. After a failure to reach it the connection is made anew, since
    /// another version may be there the next time.
    async fn ask<T, F>(
        &self,
        what: &'static str,
        patience: Duration,
        request: impl FnOnce(bollard::Docker) -> F,
    ) -> Result<T, DockerError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = self.client().await?;
        let answer = answer(what, patience, request(client)).await;
        if answer.as_ref().is_err_and(DockerError::is_absence) {
            *self.known_client() = None;
            if !self.is_installed() {
                return Err(DockerError::NotThere(self.socket.to_path_buf()));
            }
        }
        answer
    }
}

/// What is at the bottom of an error: what lies above only says that somebody was told.
fn cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Waits for an answer, but not for ever.
async fn answer<T>(
    what: &'static str,
    patience: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, DockerError> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(DockerError::Silent { what, waited: patience }),
    }
}

/// How long Docker may take to look something up.
const ANSWER: Duration = Duration::from_secs(10);

/// How long Docker may take to make, start or remove a container.
const WORK: Duration = Duration::from_secs(60);

/// Seconds after which the client gives up by itself: longer than anything here waits.
const LONGEST_S: u64 = 3600;
