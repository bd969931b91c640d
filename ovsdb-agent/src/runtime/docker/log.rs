//! What a container's process has put out, as Docker keeps it.

use bollard::{container::LogOutput as Piece, query_parameters::LogsOptions};
use futures::{Stream, StreamExt};
use weir_api::v1::LogRequest;

use super::{Docker, DockerError};

/// A piece of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Of its standard output.
    Stdout(Vec<u8>),
    /// Of its standard error.
    Stderr(Vec<u8>),
}

impl Docker {
    /// The log of an endpoint's container, as asked for; with `follow` it ends when the process does.
    ///
    /// # Errors
    /// `NoContainer`, or Docker's; each piece can fail as well.
    pub async fn log(
        &self,
        request: &LogRequest,
    ) -> Result<impl Stream<Item = Result<LogOutput, DockerError>> + use<>, DockerError> {
        let endpoint = request.endpoint_id;
        let found = self.find(endpoint).await?.ok_or(DockerError::NoContainer(endpoint))?;
        let client = self.client().await?;
        let options = LogsOptions {
            follow: request.follow,
            stdout: true,
            stderr: true,
            timestamps: request.timestamps,
            since: request.since.map_or(0, |since| i32::try_from(since.seconds).unwrap_or(i32::MAX)),
            tail: request.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        Ok(client.logs(&found.id, Some(options)).map(|piece| {
            Ok(match piece? {
                Piece::StdErr { message } => LogOutput::Stderr(message.to_vec()),
                Piece::StdOut { message } | Piece::Console { message } | Piece::StdIn { message } => {
                    LogOutput::Stdout(message.to_vec())
                }
            })
        }))
    }
}
