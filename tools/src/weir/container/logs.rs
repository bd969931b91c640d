//! `weir container logs`: what a container's process has put out, as it was: its output here is output, its errors errors.

use std::time::{Duration, SystemTime};

use clap::Args;
use tokio::io::AsyncWriteExt;
use weir_api::v1;
use weir_api::v1::log_container_response::Output;

use super::super::failure::Failure;
use super::super::session::Session;
use super::client;

#[derive(Debug, Args)]
pub(in super::super) struct Logs {
    /// The container's name
    name: String,
    /// Go on with what is put out from now on, until the process ends
    #[arg(long, short)]
    pub(in super::super) follow: bool,
    /// Only so many last lines
    #[arg(long, short = 'n', value_name = "LINES")]
    pub(in super::super) tail: Option<u32>,
    /// Begin each line with its time
    #[arg(long, short = 't')]
    pub(in super::super) timestamps: bool,
    /// Only what was put out since then: a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(in super::super) since: Option<SystemTime>,
}

pub(super) async fn run(session: &Session, arguments: Logs) -> Result<(), Failure> {
    let Logs { name, follow, tail, timestamps, since } = arguments;
    let pool = session.pool()?;
    let since = since.map(Into::into);
    // No deadline: a log lasts as long as it is read, and a long one takes its time.
    let request = v1::LogContainerRequest { pool, name, follow, tail, timestamps, since };
    let request = session.endless(request);
    let mut client = client(session).await?;
    let mut log = session.opened("asking", client.log_container(request)).await?;
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    while let Some(part) = log.message().await? {
        match part.output {
            Some(Output::Stdout(bytes)) => {
                stdout.write_all(&bytes).await?;
                stdout.flush().await?;
            }
            Some(Output::Stderr(bytes)) => {
                stderr.write_all(&bytes).await?;
                stderr.flush().await?;
            }
            None => {}
        }
    }
    Ok(())
}

/// Reads a time: RFC 3339, or a duration before now.
fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.into());
    }
    let ago: Result<Duration, _> = humantime::parse_duration(text);
    let time = ago.ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    time.ok_or_else(|| "expected a time such as 2026-01-31T12:00:00Z, or a duration such as 10m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_durations() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800);
        assert_eq!(since("2026-01-31T12:00:00Z"), Ok(noon));
        assert_eq!(since("2026-01-31T14:00:00.0+02:00"), Ok(noon));
        let ago = SystemTime::now().duration_since(since("10m").unwrap()).unwrap();
        assert!((590..660).contains(&ago.as_secs()), "{ago:?}");
        for text in ["", "noon", "10", "2026-01-31", "99999999999999999999y"] {
            assert!(since(text).is_err(), "{text:?}");
        }
    }
}
