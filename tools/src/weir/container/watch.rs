//! `weir container watch`: changes as they happen, a line each.
//!
//! JSON is one object a line here, since the stream has no end: `kind`, `revision` and `container` (null once the present
//! state has been sent, kind `synced`).

use serde::Serialize;
use tonic::Code;
use weir_api::v1::container_event::Kind;
use weir_api::v1::{ContainerEvent, WatchContainersRequest};

use super::super::arguments::Format;
use super::super::failure::Failure;
use super::super::output;
use super::super::session::Session;
use super::view::ContainerView;

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = super::client(session).await?;
    loop {
        // No deadline: a watch lasts as long as its reader wants.
        let request = WatchContainersRequest { pool: session.pool_or_all() };
        let mut events = session.opened("asking", client.watch_containers(request)).await?;
        loop {
            match events.message().await {
                Ok(Some(event)) => print(session.format(), event)?,
                Ok(None) => {
                    return Err(Failure::Unreachable("the controller ended the watch".to_owned()));
                }
                // We fell too far behind; the API's word for it is to start over.
                Err(status) if status.code() == Code::OutOfRange => break,
                Err(status) => return Err(status.into()),
            }
        }
        eprintln!("fell behind; starting over from the present state");
    }
}

#[derive(Serialize)]
struct EventView {
    kind: &'static str,
    revision: u64,
    container: Option<ContainerView>,
}

fn print(format: Format, event: ContainerEvent) -> Result<(), Failure> {
    let kind = match event.kind() {
        Kind::Unspecified => "unknown",
        Kind::Added => "added",
        Kind::Modified => "modified",
        Kind::Deleted => "deleted",
        Kind::Synced => "synced",
        Kind::Resumed => "resumed",
    };
    let container = event.container.filter(|_| kind != "synced").map(ContainerView::from);
    let view = EventView { kind, revision: event.revision, container };
    match format {
        Format::Json => output::document(&view, false),
        Format::Table => match &view.container {
            Some(container) => output::raw(format!("{kind:<8}  {}\n", container.to_line()).as_bytes()),
            None => output::raw(b"synced    (what follows are changes)\n"),
        },
    }
}
