//! What every command needs: the global options, the channel to the controller, requests with a deadline and the user's token.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::arguments::{Format, Globals};
use super::failure::Failure;
use super::setup::Setup;

/// One run of the client.
pub(super) struct Session {
    setup: Setup,
    format: Format,
    timeout: Option<Duration>,
}

impl Session {
    /// # Errors
    /// As [`Setup::read`].
    pub(super) fn new(globals: &Globals) -> Result<Session, Failure> {
        Ok(Session { setup: Setup::read(globals)?, format: globals.output, timeout: globals.timeout })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The pool the user named.
    ///
    /// # Errors
    /// `Usage` if there is none.
    pub(super) fn pool(&self) -> Result<String, Failure> {
        match self.setup.pool.as_deref() {
            Some(pool) if !pool.is_empty() => Ok(pool.to_owned()),
            _ => Err(Failure::Usage("which pool? add --pool POOL, or set WEIR_POOL".to_owned())),
        }
    }

    /// The pool the user named; empty, which the API reads as all of them, if there is none.
    pub(super) fn pool_or_all(&self) -> String {
        self.setup.pool.clone().unwrap_or_default()
    }

    pub(super) async fn channel(&self) -> Result<Channel, Failure> {
        let timeout = self.timeout().min(CONNECT_TIMEOUT);
        Ok(self.setup.server.connect(timeout, self.setup.trust.as_ref()).await?)
    }

    /// A request that carries `--timeout` as its deadline.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.endless(message);
        request.set_timeout(self.timeout());
        request
    }

    /// A request without a deadline.
    pub(super) fn endless<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = self.authorization() {
            request.metadata_mut().insert("authorization", token);
        }
        request
    }

    /// What requests show.
    pub(super) fn authorization(&self) -> Option<MetadataValue<Ascii>> {
        self.setup.authorization.clone()
    }

    fn timeout(&self) -> Duration {
        self.timeout_or(TIMEOUT)
    }

    /// What `--timeout` says; `default` if it is not given.
    pub(super) fn timeout_or(&self, default: Duration) -> Duration {
        self.timeout.unwrap_or(default)
    }

    /// Awaits a stream, for `--timeout` at most; once it is open it may last as long as it likes.
    pub(super) async fn opened<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let in_time = async {
            let answer = tokio::time::timeout(self.timeout(), answer).await;
            answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))
        };
        self.patiently(doing, in_time).await
    }

    /// Awaits all of an answer, for `--timeout` at most, and not only its beginning.
    ///
    /// # Errors
    /// `Late`; the answer's.
    pub(super) async fn in_time<T>(
        &self,
        whole: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = || Failure::Late("the controller did not answer in time".to_owned());
        tokio::time::timeout(self.timeout(), whole).await.unwrap_or_else(|_| Err(late()))
    }

    /// Awaits `answer`; on a terminal, a spinner with `doing` shows after a second that something goes on.
    pub(super) async fn patiently<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        tokio::pin!(answer);
        // The early return is cancel safe: the pinned future is polled on below.
        if let Ok(early) = tokio::time::timeout(SPINNER_DELAY, &mut answer).await {
            return Ok(early?.into_inner());
        }
        // Draws on standard error, and only if that is a terminal.
        let spinner = ProgressBar::new_spinner().with_message(doing.to_owned());
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        spinner.set_style(style.expect("a constant template that parses"));
        spinner.enable_steady_tick(Duration::from_millis(120));
        let late = answer.await;
        spinner.finish_and_clear();
        Ok(late?.into_inner())
    }
}

/// How long an answer is waited for when `--timeout` is not given.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SPINNER_DELAY: Duration = Duration::from_secs(1);
