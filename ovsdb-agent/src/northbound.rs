//! The controller's gRPC service `weir.v1.Agents`, as its client: one stream, opened again whenever it ends.
//!
//! Nothing is queued from one stream to the next: whoever opens a stream tells everything anew. So what cannot be
//! delivered is dropped, and a controller that no longer reads loses the stream.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint, Uri},
};
use weir_api::{
    tls::{self, TlsError},
    v1::{
        AgentMessage, ControllerMessage, Register, agent_message, agents_client::AgentsClient,
        controller_message,
    },
};

use crate::{
    config::ControllerAddress,
    credentials::{Credentials, CredentialsError},
    identity::{BadIdentity, Identity},
};

/// The client of the service, usable for other calls while the stream is open.
pub type Client = AgentsClient<Channel>;

/// What becomes of the connection to the controller, in the order in which it happens.
#[derive(Debug)]
pub enum Event {
    /// A stream is open and the controller knows this node.
    Attached {
        /// The node as the controller knows it.
        identity: Identity,
        /// How long the controller counts the node as alive after the last message.
        lease: Duration,
        /// Where to send reports; dropping it closes the stream.
        reports: mpsc::Sender<AgentMessage>,
        /// For calls beside the stream.
        client: Client,
    },
    /// The controller said something on the open stream.
    Message(controller_message::Message),
    /// The stream has ended, or could not be opened.
    Lost {
        /// Why, for people.
        reason: String,
    },
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Ended {
    #[error("cannot connect: {}", chain(.0))]
    Connect(#[from] tonic::transport::Error),
    #[error("{} ({:?})", .0.message(), .0.code())]
    Status(#[from] Box<tonic::Status>),
    #[error("the controller closed the stream")]
    Closed,
    #[error("no answer within {} s", ANSWER_LIMIT.as_secs())]
    Silent,
    #[error("the controller's first message was not `registered`")]
    NotRegistered,
    #[error("the controller registered the node with bad data: {0}")]
    Identity(#[from] BadIdentity),
    #[error("the node has not joined: have it do so with `weir-agent join`")]
    NotJoined,
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the agent is ending")]
    Ending,
}

/// Where the controller is, and how the node proves who it is.
#[derive(Clone, Debug)]
pub struct Controller {
    /// Its address.
    pub address: ControllerAddress,
    /// Looked at anew for each connection with TLS.
    pub credentials: Credentials,
}

/// Keeps a stream to the controller open for ever; ends when the receiver of `events` is dropped.
pub async fn attach(controller: Controller, register: Register, events: mpsc::Sender<Event>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let mut attached = false;
        let ended = converse(&controller, &register, &events, &mut attached).await;
        if attached {
            backoff = FIRST_BACKOFF;
        }
        let reason = match ended {
            Err(Ended::Ending) => return,
            Err(ended) => ended.to_string(),
            Ok(never) => match never {},
        };
        if events.send(Event::Lost { reason }).await.is_err() {
            return;
        }
        tokio::time::sleep(jitter(backoff)).await;
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// One stream from its opening to its end.
async fn converse(
    controller: &Controller,
    register: &Register,
    events: &mpsc::Sender<Event>,
    attached: &mut bool,
) -> Result<std::convert::Infallible, Ended> {
    let channel = connect(controller).await?;
    let mut client = weir_api::client::agents(channel);
    let (reports, outgoing) = mpsc::channel(REPORTS);
    let first = AgentMessage { message: Some(agent_message::Message::Register(register.clone())) };
    reports.try_send(first).map_err(|_| Ended::Closed)?;
    let opening = async {
        let mut messages = client.attach(ReceiverStream::new(outgoing)).await.map_err(Box::new)?.into_inner();
        let first = next(&mut messages).await?;
        Ok::<_, Ended>((messages, first))
    };
    let (mut messages, first) =
        tokio::time::timeout(ANSWER_LIMIT, opening).await.map_err(|_| Ended::Silent)??;
    let Some(controller_message::Message::Registered(registered)) = first else {
        return Err(Ended::NotRegistered);
    };
    let lease = Duration::from_millis(registered.lease_ms.into());
    let identity = Identity::try_from(registered)?;
    *attached = true;
    let event = Event::Attached { identity, lease, reports, client: client.clone() };
    events.send(event).await.map_err(|_| Ended::Ending)?;
    loop {
        // A message of a kind this agent does not know is none of its business.
        if let Some(message) = next(&mut messages).await? {
            events.send(Event::Message(message)).await.map_err(|_| Ended::Ending)?;
        }
    }
}

async fn next(
    messages: &mut Streaming<ControllerMessage>,
) -> Result<Option<controller_message::Message>, Ended> {
    Ok(messages.message().await.map_err(Box::new)?.ok_or(Ended::Closed)?.message)
}

async fn connect(Controller { address, credentials }: &Controller) -> Result<Channel, Ended> {
    let uri = match address {
        ControllerAddress::Http(uri) => uri.clone(),
        // Only names the peer in HTTP/2; the connector below decides where it goes.
        ControllerAddress::Unix(_) => "http://localhost".to_owned(),
        ControllerAddress::Https(authority) => format!("http://{authority}"),
    };
    let endpoint = Endpoint::from_shared(uri)?
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    match address {
        ControllerAddress::Http(_) => Ok(endpoint.connect().await?),
        ControllerAddress::Https(authority) => {
            let (trust, identity) = credentials.current()?.ok_or(Ended::NotJoined)?.load()?;
            Ok(tls::connect(endpoint, authority.clone(), tls::client(&trust, Some(identity))?).await?)
        }
        ControllerAddress::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            Ok(endpoint.connect_with_connector(connector).await?)
        }
    }
}

/// Half to all of `backoff`, so that a controller that returns is not met by all nodes at once.
fn jitter(backoff: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let share = f64::from(u32::try_from(random >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    backoff.mul_f64(0.5 + share / 2.0)
}

/// The error with its causes: "transport error" alone helps nobody.
fn chain(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Reports under way to the controller; one that lets more than these pile up has stopped reading.
const REPORTS: usize = 4096;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A controller that vanished without a word is noticed after twice this.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

const FIRST_BACKOFF: Duration = Duration::from_millis(50);

const LAST_BACKOFF: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1000 {
            let wait = jitter(Duration::from_millis(100));
            assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&wait), "{wait:?}");
        }
    }
}
