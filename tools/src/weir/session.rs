//! What every command needs: the global options, the channel to the controller, requests with a deadline.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::arguments::{Format, Globals};
use super::failure::Failure;

/// One run of the client.
pub(super) struct Session {
    globals: Globals,
}

impl Session {
    pub(super) fn new(globals: Globals) -> Session {
        Session { globals }
    }

    pub(super) fn format(&self) -> Format {
        self.globals.output
    }

    /// The pool the user named.
    ///
    /// # Errors
    /// `Usage` if there is none.
    pub(super) fn pool(&self) -> Result<String, Failure> {
        match self.globals.pool.as_deref() {
            Some(pool) if !pool.is_empty() => Ok(pool.to_owned()),
            _ => Err(Failure::Usage("which pool? add --pool POOL, or set WEIR_POOL".to_owned())),
        }
    }

    /// The pool the user named; empty, which the API reads as all of them, if there is none.
    pub(super) fn pool_or_all(&self) -> String {
        self.globals.pool.clone().unwrap_or_default()
    }

    pub(super) async fn channel(&self) -> Result<Channel, Failure> {
        let timeout = self.timeout().min(CONNECT_TIMEOUT);
        Ok(self.globals.server.connect(timeout).await?)
    }

    /// A request that carries `--timeout` as its deadline.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout());
        request
    }

    fn timeout(&self) -> Duration {
        self.timeout_or(TIMEOUT)
    }

    /// What `--timeout` says; `default` if it is not given.
    pub(super) fn timeout_or(&self, default: Duration) -> Duration {
        self.globals.timeout.unwrap_or(default)
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
