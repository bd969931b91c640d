//! The only writer to standard output: tables for people, JSON for programs.
//!
//! Tables fit the terminal; without one they are as wide as they need. Colour appears only on a terminal, and never with
//! `NO_COLOR` set. JSON is one document with snake_case keys; its keys are only ever added to.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;
use weir_api::v1;

use super::arguments::Format;
use super::container::amount;
use super::failure::Failure;

/// Something that can be shown either way.
pub(super) trait View: Serialize {
    /// Its text for people, ending with a newline unless empty.
    fn to_text(&self) -> String;
}

/// Prints `view` in the format asked for.
pub(super) fn show(format: Format, view: &impl View) -> Result<(), Failure> {
    match format {
        Format::Table => raw(view.to_text().as_bytes()),
        Format::Json => document(view, true),
    }
}

/// Prints a JSON document: over several lines, or on one.
pub(super) fn document(value: &impl Serialize, pretty: bool) -> Result<(), Failure> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    let mut text = text.map_err(io::Error::from)?;
    text.push(b'\n');
    raw(&text)
}

/// Writes bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// A table with a row a thing, under `headers`.
pub(super) fn rows(headers: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = plain();
    table.set_header(headers.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    finish(&mut table)
}

/// The facts of one thing, a line each; empty ones are left out.
pub(super) fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = plain();
    for (name, value) in pairs {
        if !value.is_empty() {
            table.add_row(vec![format!("{name}:"), value]);
        }
    }
    finish(&mut table)
}

/// A cell whose colour says how well things are.
pub(super) fn verdict(text: impl Into<String>, health: Health) -> Cell {
    let cell = Cell::new(text.into());
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return cell;
    }
    cell.fg(match health {
        Health::Good => Color::Green,
        Health::Pending => Color::Yellow,
        Health::Bad => Color::Red,
    })
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    Pending,
    Bad,
}

/// An amount of processors, memory and processes; 0: none is named.
#[derive(Serialize)]
pub(super) struct ResourcesView {
    pub(super) cpu_millis: u32,
    pub(super) memory_bytes: u64,
    pub(super) pids: u32,
}

impl From<v1::Resources> for ResourcesView {
    fn from(v1::Resources { cpu_millis, memory_bytes, pids }: v1::Resources) -> ResourcesView {
        ResourcesView { cpu_millis, memory_bytes, pids }
    }
}

impl ResourcesView {
    /// What is named of it, for example `0.5 cpus, 128 MiB`.
    pub(super) fn to_text(&self) -> String {
        let named = [
            (self.cpu_millis > 0).then(|| format!("{} cpus", amount::cpus_text(self.cpu_millis))),
            (self.memory_bytes > 0).then(|| amount::bytes_text(self.memory_bytes)),
            (self.pids > 0).then(|| format!("{} processes", self.pids)),
        ];
        named.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What a deletion answers.
#[derive(Serialize)]
pub(super) struct Deleted {
    /// The kind of resource.
    pub(super) kind: &'static str,
    pub(super) pool: Option<String>,
    pub(super) name: String,
}

impl View for Deleted {
    fn to_text(&self) -> String {
        let pool = self.pool.as_deref().map(|pool| format!("{pool}/")).unwrap_or_default();
        format!("deleted {} {pool}{}\n", self.kind, self.name)
    }
}

/// Labels as `key=value`, sorted.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.join(", ")
}

/// Words as a shell would read them, those that it would take apart in quotes.
pub(super) fn words(words: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = words.iter().map(|word| {
        let plain = !word.is_empty() && word.chars().all(is_plain);
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The API's empty text, which stands for "none", as JSON's null.
pub(super) fn present(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// `text`, or a dash where a table would show nothing.
pub(super) fn or_dash(text: impl Into<String>) -> String {
    let text = text.into();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// How long ago `time` was, in its two largest units; empty if it is not known.
pub(super) fn age(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time.and_then(|time| SystemTime::try_from(*time).ok()) else {
        return String::new();
    };
    // A clock ahead of ours makes it "0s", not an error.
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    let age = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    age.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A time as RFC 3339 text, for JSON.
pub(super) fn rfc3339(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let terminal = io::stdout().is_terminal();
    table.set_content_arrangement(if terminal {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    // Colour follows standard output alone; comfy-table would also look at standard error.
    if !terminal {
        table.force_no_tty();
    }
    table
}

fn finish(table: &mut Table) -> String {
    table.discover_columns();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_without_a_value_are_left_out() {
        let text = facts([("Name", "web".to_owned()), ("Image", String::new())]);
        assert!(text.contains("Name:") && text.contains("web") && !text.contains("Image"), "{text}");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        let text = ["sh", "-c", "echo it's; true", ""].map(str::to_owned);
        assert_eq!(words(&text), r"sh -c 'echo it'\''s; true' ''");
    }

    #[test]
    fn an_age_has_two_units_at_most() {
        let before = prost_types::Timestamp::from(SystemTime::now() - Duration::from_secs(93_784));
        assert_eq!(age(Some(&before)), "1day 2h");
    }

    #[test]
    fn a_time_to_come_is_no_age() {
        let ahead = prost_types::Timestamp::from(SystemTime::now() + Duration::from_secs(60));
        assert_eq!(age(Some(&ahead)), "0s");
        assert_eq!(age(None), "");
    }
}
