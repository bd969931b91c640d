//! What containers' processes have put out.

use std::time::SystemTime;

use tonic::Status;
use weir_api::v1::{
    LogContainerRequest, LogContainerResponse, LogRequest, RelayLogRequest, relay_log_request,
};

use super::relay::{FromAgent, Receiver, Said};
use super::{Api, convert, fault, refused};
use crate::intent::State;
use crate::orchestrate::containers;
use crate::orchestrate::outbox::LogOrder;

impl FromAgent for RelayLogRequest {
    type Output = LogContainerResponse;

    fn said(self) -> Option<Said<Self::Output>> {
        use relay_log_request::Request;
        Some(match self.request? {
            Request::Id(id) => Said::Id(id),
            Request::Output(output) => Said::Output(output),
            Request::Failed(why) => Said::Failed(why),
        })
    }
}

impl Api {
    /// Asks for a container's log for a client; it comes when the agent has opened its side.
    pub(super) async fn log(
        &self,
        request: LogContainerRequest,
    ) -> Result<Receiver<LogContainerResponse>, Status> {
        let LogContainerRequest { pool, name, follow, tail, timestamps, since } = request;
        let since = since.map(SystemTime::try_from).transpose();
        let since = since.map_err(|_| fault::invalid("since", "`since` is no time"))?;
        let (node, endpoint) = self.target(&pool, &name)?;
        let has_none = |state: &State| {
            containers::find(state, &pool, &name).map(|container| container.runtime == containers::NETNS)
        };
        if self.orchestrator.intent().read(has_none).map_err(refused)? {
            let message = format!("the container `{name}` has the runtime `netns`, which keeps no log");
            return Err(Status::failed_precondition(message));
        }
        let outbox = self.outbox(node).await?;
        let order = |id| outbox.log(LogOrder { id, endpoint, follow, tail, timestamps, since });
        let opened = self.logs.open(node, order).await?;
        let (input, done) = (opened.input, opened.done);
        tokio::spawn(async move {
            done.cancelled().await;
            drop(input);
        });
        Ok(opened.answers)
    }
}

/// An order as its agent is sent it.
pub(super) fn request(order: LogOrder) -> LogRequest {
    let LogOrder { id, endpoint, follow, tail, timestamps, since } = order;
    let since = since.map(convert::timestamp);
    LogRequest { id, endpoint_id: endpoint.0, follow, tail, timestamps, since }
}
