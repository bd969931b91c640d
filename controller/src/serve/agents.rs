//! The service `weir.v1.Agents`: the controller's side of its agents' streams.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use flowlib::compile::model::EndpointId;
use flowlib::types::{DatapathId, PortNo};
use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weir_api::v1::agents_server::Agents;
use weir_api::v1::{
    AgentMessage, CheckRequest, ControllerMessage, ExecContainerRequest, ExecRequest, FlowsConfirmed,
    ImageSources, LeaseEndpointRequest, LeaseEndpointResponse, Register, Registered, RelayExecRequest,
    RelayLogRequest, RelayLogResponse, RelayStatsRequest, RelayStatsResponse, RelayVolumeRequest,
    RelayVolumeResponse, ReleaseEndpointRequest, ReleaseEndpointResponse, SetEndpointMacRequest,
    StatsRequest, TableSettled, TerminalSize, VolumeRequest, agent_message, controller_message,
};

use super::{Api, convert, logs, refused};
use crate::intent::IntentError;
use crate::measure::Milestone;
use crate::orchestrate::lifecycle::AgentEvent;
use crate::orchestrate::links::Offer;
use crate::orchestrate::nodes::NodeSpec;
use crate::orchestrate::outbox::{
    CheckOrder, Desired, DesiredEndpoint, Outbox, Outgoing, StatsOrder, VolumeOrder,
};
use crate::orchestrate::plain::Lease;
use crate::orchestrate::status::PortState;
use crate::orchestrate::{Attachment, Orchestrator};

#[tonic::async_trait]
impl Agents for Api {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<ControllerMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut messages = request.into_inner();
        let register = match messages.message().await? {
            Some(AgentMessage { message: Some(agent_message::Message::Register(register)) }) => register,
            _ => return Err(Status::invalid_argument("the first message of an agent must be `register`")),
        };
        let attachment = self.orchestrator.attach(node_spec(register)?).await.map_err(refused)?;
        let registered = Registered {
            node_id: attachment.node.id.0,
            nat_mac: attachment.node.nat_mac.to_string(),
            openflow_targets: self.openflow_targets.to_vec(),
            lease_ms: u32::try_from(self.orchestrator.lease().as_millis()).unwrap_or(u32::MAX),
        };
        let outbox = attachment.outbox.clone();
        tokio::spawn(listen(self.clone(), attachment, messages));
        Ok(Response::new(Box::pin(speak(self.orchestrator.clone(), registered, outbox))))
    }

    async fn lease_endpoint(
        &self,
        request: Request<LeaseEndpointRequest>,
    ) -> Result<Response<LeaseEndpointResponse>, Status> {
        let spec = convert::lease_spec(request.into_inner())?;
        leased(self.orchestrator.lease_endpoint(spec).await)
    }

    async fn set_endpoint_mac(
        &self,
        request: Request<SetEndpointMacRequest>,
    ) -> Result<Response<LeaseEndpointResponse>, Status> {
        let (lease, mac) = convert::lease_mac(request.into_inner())?;
        leased(self.orchestrator.set_endpoint_mac(lease, mac).await)
    }

    async fn release_endpoint(
        &self,
        request: Request<ReleaseEndpointRequest>,
    ) -> Result<Response<ReleaseEndpointResponse>, Status> {
        let ReleaseEndpointRequest { pool, node, endpoint_id } = request.into_inner();
        let lease = Lease { pool, node, id: EndpointId(endpoint_id) };
        self.orchestrator.release_endpoint(lease).await.map_err(refused)?;
        Ok(Response::new(ReleaseEndpointResponse {}))
    }

    type RelayExecStream = ReceiverStream<Result<ExecContainerRequest, Status>>;

    async fn relay_exec(
        &self,
        request: Request<Streaming<RelayExecRequest>>,
    ) -> Result<Response<Self::RelayExecStream>, Status> {
        let from = self.speaker(&request)?;
        let inputs = self.execs.accept(from, request.into_inner()).await?;
        Ok(Response::new(ReceiverStream::new(inputs)))
    }

    type RelayLogStream = ReceiverStream<Result<RelayLogResponse, Status>>;

    async fn relay_log(
        &self,
        request: Request<Streaming<RelayLogRequest>>,
    ) -> Result<Response<Self::RelayLogStream>, Status> {
        let from = self.speaker(&request)?;
        let inputs = self.logs.accept(from, request.into_inner()).await?;
        Ok(Response::new(ReceiverStream::new(inputs)))
    }

    type RelayStatsStream = ReceiverStream<Result<RelayStatsResponse, Status>>;

    async fn relay_stats(
        &self,
        request: Request<Streaming<RelayStatsRequest>>,
    ) -> Result<Response<Self::RelayStatsStream>, Status> {
        let from = self.speaker(&request)?;
        let inputs = self.stats.accept(from, request.into_inner()).await?;
        Ok(Response::new(ReceiverStream::new(inputs)))
    }

    type RelayVolumeStream = ReceiverStream<Result<RelayVolumeResponse, Status>>;

    async fn relay_volume(
        &self,
        request: Request<Streaming<RelayVolumeRequest>>,
    ) -> Result<Response<Self::RelayVolumeStream>, Status> {
        let from = self.speaker(&request)?;
        let inputs = self.volumes.accept(from, request.into_inner()).await?;
        Ok(Response::new(ReceiverStream::new(inputs)))
    }
}

fn leased(endpoint: Result<DesiredEndpoint, IntentError>) -> Result<Response<LeaseEndpointResponse>, Status> {
    let endpoint = Some(convert::desired_endpoint(endpoint.map_err(refused)?));
    Ok(Response::new(LeaseEndpointResponse { endpoint }))
}

fn node_spec(register: Register) -> Result<NodeSpec, Status> {
    Ok(NodeSpec {
        tunnel_address: convert::ipv4(&register.tunnel_address, "tunnel address")?,
        metrics: metrics_address(&register.metrics_address)?,
        pool: register.pool,
        name: register.name,
        datapath_id: DatapathId(register.datapath_id),
        labels: convert::labels(register.labels),
        capacity: convert::resources_of(register.capacity),
    })
}

/// Where an agent serves its metrics. Prometheus is sent there: an address that is not the node's, but that of whatever is
/// beside Prometheus, is refused.
fn metrics_address(text: &str) -> Result<Option<SocketAddr>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |why| Status::invalid_argument(format!("the metrics address is not {why}"));
    let address: SocketAddr = text.parse().map_err(|_| bad("ADDRESS:PORT"))?;
    let ip = address.ip().to_canonical();
    let is_of_a_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if is_of_a_link || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
        return Err(bad("one that other machines can reach"));
    }
    Ok(Some(address))
}

/// Passes on what an agent says, until its stream ends or another one replaces it.
async fn listen(api: Api, attachment: Attachment, mut messages: Streaming<AgentMessage>) {
    let orchestrator = &api.orchestrator;
    let node = attachment.node.id.0;
    loop {
        // Cancel safe: the loop ends when the outbox closes, and no message is waited for any more.
        let message = tokio::select! {
            message = messages.message() => message,
            () = attachment.outbox.closed() => break,
        };
        let event = match message {
            Ok(Some(AgentMessage { message: Some(agent_message::Message::Check(report)) })) => {
                api.checks.take(report);
                // It says as well that the agent is there.
                Ok(AgentEvent::KeepAlive)
            }
            Ok(Some(AgentMessage { message: Some(message) })) => event(message),
            Ok(Some(AgentMessage { message: None })) => continue,
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(node, %error, "agent's stream broke");
                break;
            }
        };
        match event {
            Ok(event) => {
                if let AgentEvent::Endpoint(id, report) = &event
                    && report.state == PortState::Up
                    && orchestrator.intent().read(|state| state.hosted(attachment.node.id).has(*id))
                {
                    orchestrator.journal().reach(*id, Milestone::PortUp, Instant::now());
                }
                attachment.report(event).await;
            }
            Err(error) => {
                tracing::warn!(
                    node,
                    error = error.message(),
                    "agent's message makes no sense, its stream is closed"
                );
                break;
            }
        }
    }
    attachment.outbox.close();
    attachment.report(AgentEvent::Detached).await;
}

fn event(message: agent_message::Message) -> Result<AgentEvent, Status> {
    use agent_message::Message;
    Ok(match message {
        Message::KeepAlive(_) | Message::Check(_) => AgentEvent::KeepAlive,
        Message::Register(_) => return Err(Status::invalid_argument("a stream registers once")),
        Message::Inventory(inventory) => AgentEvent::Inventory {
            revision: inventory.revision,
            endpoints: inventory.endpoints.into_iter().map(convert::port_report).collect::<Result<_, _>>()?,
        },
        Message::Endpoint(report) => {
            let (id, report) = convert::port_report(report)?;
            AgentEvent::Endpoint(id, report)
        }
        Message::Node(report) => AgentEvent::Node {
            foreign: report.foreign_ofports.into_iter().map(PortNo).collect(),
            problems: report.problems,
            offer: Offer {
                runtimes: report.runtimes.into_iter().collect(),
                images: report.images.into_iter().collect(),
                folders: report.folders.into_iter().collect(),
            },
        },
    })
}

/// The creates among what an agent is told are one further.
fn note_told(orchestrator: &Orchestrator, desired: &Desired) {
    let now = Instant::now();
    for endpoint in desired.endpoints.keys() {
        orchestrator.journal().reach(*endpoint, Milestone::Told, now);
    }
}

/// The messages to an agent, until its stream is closed.
fn speak(
    orchestrator: Orchestrator,
    registered: Registered,
    outbox: Arc<Outbox>,
) -> impl Stream<Item = Result<ControllerMessage, Status>> {
    use controller_message::Message;
    let message = |message| Ok(ControllerMessage { message: Some(message) });
    async_stream::stream! {
        yield message(Message::Registered(registered));
        while let Some(next) = outbox.next().await {
            yield message(match next {
                Outgoing::Desired(desired) => {
                    note_told(&orchestrator, &desired);
                    Message::Desired(convert::desired(desired))
                }
                Outgoing::Exec(order) => Message::Exec(ExecRequest {
                    id: order.id,
                    endpoint_id: order.endpoint.0,
                    command: order.command,
                    terminal: order.terminal.map(|(rows, columns)| TerminalSize { rows, columns }),
                }),
                Outgoing::Log(order) => Message::Log(logs::request(order)),
                Outgoing::Stats(StatsOrder { id, endpoints }) => {
                    let endpoint_ids = endpoints.into_iter().map(|endpoint| endpoint.0).collect();
                    Message::Stats(StatsRequest { id, endpoint_ids })
                }
                Outgoing::Check(CheckOrder { id, peers, packet, vlans }) => {
                    let peers = peers.iter().map(ToString::to_string).collect();
                    Message::Check(CheckRequest { id, peers, packet_bytes: packet, vlans })
                }
                Outgoing::Images(proxies) => {
                    let registry_proxies = proxies.into_iter().collect();
                    Message::Images(ImageSources { registry_proxies })
                }
                Outgoing::Volume(VolumeOrder { id, name }) => Message::Volume(VolumeRequest { id, name }),
                Outgoing::TableSettled => Message::TableSettled(TableSettled {}),
                Outgoing::FlowsConfirmed(revision) => {
                    Message::FlowsConfirmed(FlowsConfirmed { revision })
                }
            });
        }
        yield Err(Status::aborted("the stream is closed: the node has opened another, was silent for a lease, or was deleted"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_is_sent_to_no_address_that_means_another_machine_to_each() {
        assert_eq!(metrics_address("").unwrap(), None);
        for good in ["172.31.0.1:7401", "[2001:db8::1]:7401", "192.0.2.7:1"] {
            assert_eq!(metrics_address(good).unwrap(), good.parse().ok());
        }
        for bad in [
            "7401",
            "node:7401",
            "172.31.0.1",
            "172.31.0.1:0",
            "127.0.0.1:7401",
            "127.9.9.9:7401",
            "[::1]:7401",
            "[::ffff:127.0.0.1]:7401",
            "0.0.0.0:7401",
            "[::]:7401",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fe80::1]:7401",
            "224.0.0.1:7401",
            "[ff02::1]:7401",
            "255.255.255.255:7401",
        ] {
            let status = metrics_address(bad).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument, "{bad}");
            assert!(status.message().contains("metrics address"), "{status}");
        }
    }
}
