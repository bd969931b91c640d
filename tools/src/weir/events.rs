//! `weir events`: what happened to containers, services and nodes, a line each, as it happens.
//!
//! JSON is one object a line here, since the stream has no end.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use weir_api::v1;

use super::arguments::Format;
use super::container;
use super::failure::Failure;
use super::output::{self, or_dash};
use super::session::Session;

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only what happened to this container
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    container: String,
    /// Only what has happened so far; then end
    #[arg(long)]
    past: bool,
}

pub(super) async fn run(session: &Session, arguments: Events) -> Result<(), Failure> {
    let Events { container, past } = arguments;
    // No deadline: the events last as long as their reader wants.
    let request = v1::WatchEventsRequest { pool: session.pool_or_all(), container, past_only: past };
    let request = session.endless(request);
    let mut client = container::client(session).await?;
    let mut events = session.opened("asking", client.watch_events(request)).await?;
    while let Some(event) = events.message().await? {
        print(session.format(), event)?;
    }
    if past { Ok(()) } else { Err(Failure::Unreachable("the controller ended the events".to_owned())) }
}

#[derive(Serialize)]
struct EventView {
    time: Option<String>,
    subject: String,
    reason: String,
    message: Option<String>,
}

fn print(format: Format, event: v1::Event) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let time = output::rfc3339(event.time.as_ref());
            let v1::Event { subject, reason, message, .. } = event;
            output::document(&EventView { time, subject, reason, message: output::present(message) }, false)
        }
        Format::Table => output::raw(line(&event, &TimeZone::system(), Timestamp::now()).as_bytes()),
    }
}

/// One line, with the time of day here; the date is told only of what did not happen today.
fn line(event: &v1::Event, zone: &TimeZone, now: Timestamp) -> String {
    let time = event.time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    let time = time.map(|time| {
        let (time, now) = (time.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
        let today = time.date() == now.date();
        time.strftime(if today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
    });
    let time = or_dash(time.unwrap_or_default());
    let text = format!("{time}  {:<24}  {:<14}  {}", event.subject, event.reason, event.message);
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_time_here_and_the_date_only_of_other_days() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let event = v1::Event {
            time: Some(prost_types::Timestamp { seconds: 1_769_860_800, nanos: 0 }),
            subject: "container/p/web".to_owned(),
            reason: "Ready".to_owned(),
            message: String::new(),
        };
        let now: Timestamp = "2026-01-31T21:00:00Z".parse().unwrap();
        assert_eq!(line(&event, &zone, now), "14:00:00  container/p/web           Ready\n");
        let tomorrow: Timestamp = "2026-01-31T22:00:00Z".parse().unwrap();
        assert!(line(&event, &zone, tomorrow).starts_with("2026-01-31 14:00:00  container/p/web"));
    }
}
