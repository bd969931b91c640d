//! What happened, as a stream.

use std::sync::Arc;

use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use tonic::Status;
use weir_api::v1::{self, WatchEventsRequest};

use super::{Api, convert, refused};
use crate::orchestrate::events::{Event, Kind};
use crate::orchestrate::pools;

impl Api {
    /// The events that are remembered and asked for, and then, unless only those are, each as it happens.
    pub(super) fn watch_log(
        &self,
        request: WatchEventsRequest,
    ) -> Result<impl Stream<Item = Result<v1::Event, Status>> + use<>, Status> {
        let WatchEventsRequest { pool, container, past_only } = request;
        if !pool.is_empty() {
            self.orchestrator.intent().read(|state| pools::find(state, &pool).map(drop)).map_err(refused)?;
        }
        let (past, mut news) = self.orchestrator.events().subscribe();
        let wanted = move |event: &Arc<Event>| {
            let of_container = event.kind == Kind::Container && event.name == container;
            (pool.is_empty() || event.pool == pool) && (container.is_empty() || of_container)
        };
        Ok(async_stream::stream! {
            for event in past.iter().filter(|event| wanted(event)) {
                yield Ok(message(event));
            }
            if past_only {
                return;
            }
            loop {
                match news.recv().await {
                    Ok(event) if wanted(&event) => yield Ok(message(&event)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        let message = format!("the watch fell behind by {missed} events: start it again");
                        yield Err(Status::out_of_range(message));
                        return;
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        })
    }
}

fn message(event: &Event) -> v1::Event {
    let kind = match event.kind {
        Kind::Container => "container",
        Kind::Node => "node",
        Kind::Service => "service",
    };
    v1::Event {
        time: Some(convert::timestamp(event.time)),
        subject: format!("{kind}/{}/{}", event.pool, event.name),
        reason: event.reason.to_owned(),
        message: event.message.clone(),
    }
}
