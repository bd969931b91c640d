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
use super::super::usage::{self, UsageList, ask, compare};
use super::terminal;

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
    #[arg(long, value_name = "DURATION", value_parser = usage::interval, default_value = "1s")]
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
        let list = UsageList(compare(&before, &before, now.clone()));
        before = now;
        match session.format() {
            Format::Json => output::document(&list, no_stream)?,
            Format::Table if no_stream || !io::stdout().is_terminal() => output::show(Format::Table, &list)?,
            // From the top left corner, over what was there.
            Format::Table => {
                let rows = terminal::rows().unwrap_or(usize::MAX);
                output::raw(format!("\x1b[H\x1b[J{}", fitting(&list.to_text(), rows)).as_bytes())?;
            }
        }
        if no_stream {
            return Ok(());
        }
    }
}

/// As much of a text as so many rows take, the last of which the cursor is in; and how much is left out.
fn fitting(text: &str, rows: usize) -> String {
    let n_lines = text.lines().count();
    if n_lines < rows {
        return text.to_owned();
    }
    let n_shown = rows.saturating_sub(2);
    let shown = text.split_inclusive('\n').take(n_shown).collect::<String>();
    format!("{shown}{} more lines: name containers, or see 'weir top'\n", n_lines.saturating_sub(n_shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_on_the_terminal_is_counted_instead() {
        let text = "head\n1\n2\n3\n";
        assert_eq!(fitting(text, 5), text, "the cursor is in the last row");
        assert_eq!(fitting(text, 4), "head\n1\n2 more lines: name containers, or see 'weir top'\n");
        assert_eq!(fitting(text, 1), "4 more lines: name containers, or see 'weir top'\n");
    }
}
