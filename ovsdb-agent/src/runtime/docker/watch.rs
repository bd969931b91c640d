//! Whether Docker is there, which images it has, and what happens to its containers.
//!
//! Events only say where to look again: what they say is never taken for the truth, so that a lost one costs nothing
//! once Docker is back.

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::{EventsOptionsBuilder, ListImagesOptions},
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::{ANSWER, Docker, DockerError, container::LABEL, reference};
use crate::runtime::EndpointId;

/// What has become of Docker, or happened in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It answers, and what happens from now on is told.
    Connected,
    /// It is gone, or does not answer; why, or `None` if there is no Docker here at all.
    Lost(Option<String>),
    /// All images it has, by name with tag or digest.
    Images(Vec<String>),
    /// Something happened to an endpoint's container.
    Container(EndpointId),
    /// Something happened to a network, or to who is in it.
    Network,
}

/// Watches Docker for ever; ends when the receiver of `events` is dropped.
pub async fn watch(docker: Docker, events: mpsc::Sender<Event>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let mut connected = false;
        let why = match follow(&docker, &events, &mut connected).await {
            Ok(()) => return,
            Err(DockerError::NotThere(_)) => None,
            Err(error) => Some(error.to_string()),
        };
        if connected {
            backoff = FIRST_BACKOFF;
        }
        if events.send(Event::Lost(why)).await.is_err() {
            return;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// Follows one connection to its end; `Ok` if nobody listens any more.
async fn follow(
    docker: &Docker,
    events: &mpsc::Sender<Event>,
    connected: &mut bool,
) -> Result<(), DockerError> {
    let client = docker.client().await?;
    let filters = HashMap::from([("type", vec!["container", "image", "network"])]);
    let mut stream = client.events(Some(EventsOptionsBuilder::new().filters(&filters).build()));
    // The stream asks when it is first polled: only then is nothing missed that happens after the list.
    let (first, images) =
        tokio::join!(async { tokio::time::timeout(OPENING, stream.next()).await.ok() }, images(docker));
    let images = images?;
    *connected = true;
    for event in [Event::Connected, Event::Images(images)] {
        if events.send(event).await.is_err() {
            return Ok(());
        }
    }
    let mut next = first;
    let mut look = tokio::time::interval(LOOK);
    loop {
        // Both are cancel safe.
        let message = tokio::select! {
            message = async { match next.take() { Some(message) => message, None => stream.next().await } } => message,
            _ = look.tick() => {
                // One that hangs ends no stream.
                docker.ask("showing that it is there", ANSWER, |docker| async move { docker.ping().await }).await?;
                continue;
            }
        };
        let Some(message) = message else {
            return Err(DockerError::Protocol("the events have ended".to_owned()));
        };
        let Some(event) = event(docker, &message?).await? else { continue };
        if events.send(event).await.is_err() {
            return Ok(());
        }
    }
}

/// What a message of Docker's is to us.
async fn event(docker: &Docker, message: &EventMessage) -> Result<Option<Event>, DockerError> {
    let attributes = message.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    Ok(match message.typ {
        Some(EventMessageTypeEnum::IMAGE) => Some(Event::Images(images(docker).await?)),
        Some(EventMessageTypeEnum::CONTAINER) if !is_about_a_command(message) => {
            attributes.and_then(|all| all.get(LABEL)?.parse().ok()).map(Event::Container)
        }
        Some(EventMessageTypeEnum::NETWORK) => Some(Event::Network),
        _ => None,
    })
}

/// Commands inside (`exec_create`, …) change nothing about the container.
fn is_about_a_command(message: &EventMessage) -> bool {
    message.action.as_deref().is_some_and(|action| action.starts_with("exec_"))
}

async fn images(docker: &Docker) -> Result<Vec<String>, DockerError> {
    let all = docker.ask("listing images", ANSWER, |docker| async move {
        docker.list_images(None::<ListImagesOptions>).await
    });
    let mut names: Vec<String> = all.await?.into_iter().flat_map(|image| image.repo_tags).collect();
    names.retain(|name| name != "<none>:<none>");
    names = names.into_iter().map(reference::known_as).collect();
    names.sort_unstable();
    Ok(names)
}

/// How long Docker may take to open the stream, which it does not confirm before the first event.
const OPENING: Duration = Duration::from_millis(200);

/// How often a silent Docker is asked whether it is there.
const LOOK: Duration = Duration::from_secs(10);

const FIRST_BACKOFF: Duration = Duration::from_millis(100);

const LAST_BACKOFF: Duration = Duration::from_secs(2);
