//! `weir container stats`: what containers use, again and again.
//!
//! JSON is one list a round: over several lines with `--no-stream`, otherwise on one each, since the stream has no end.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;

use super::super::arguments::Format;
use super::super::failure::Failure;
use super::super::output::{self, View};
use super::super::session::Session;
use super::super::usage::{UsageList, ask, compare};

#[derive(Debug, Args)]
pub(in super::super) struct Stats {
    /// The containers' names; all of the pool, or of all pools, if none is given
    names: Vec<String>,
    /// Only those on this node
    #[arg(long, default_value = "", hide_default_value = true)]
    node: String,
    /// Show it once, and end
    #[arg(long)]
    no_stream: bool,
    /// How long to wait between two looks
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1s")]
    interval: Duration,
}

pub(super) async fn run(session: &Session, arguments: Stats) -> Result<(), Failure> {
    let Stats { names, node, no_stream, interval } = arguments;
    // A name says nothing without a pool.
    let pool = if names.is_empty() { session.pool_or_all() } else { session.pool()? };
    let mut before = ask(session, pool.clone(), &names, &node).await?;
    loop {
        tokio::time::sleep(interval).await;
        let now = ask(session, pool.clone(), &names, &node).await?;
        let list = UsageList(compare(&before, now.clone()));
        before = now;
        match session.format() {
            Format::Json => output::document(&list, no_stream)?,
            Format::Table if no_stream || !io::stdout().is_terminal() => output::show(Format::Table, &list)?,
            // From the top left corner, over what was there.
            Format::Table => output::raw(format!("\x1b[H\x1b[J{}", list.to_text()).as_bytes())?,
        }
        if no_stream {
            return Ok(());
        }
    }
}
