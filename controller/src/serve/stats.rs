//! What containers use, asked of their nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlib::compile::model::{EndpointId, NodeId};
use futures::stream::{self, FuturesUnordered};
use futures::{Stream, StreamExt};
use tonic::Status;
use weir_api::v1::{
    ContainerStats, RelayStatsRequest, StatContainersRequest, StatsReport, relay_stats_request,
};

use super::relay::{FromAgent, Said};
use super::{Api, refused};
use crate::intent::model::Container;
use crate::intent::{Refusal, State};
use crate::orchestrate::outbox::StatsOrder;
use crate::orchestrate::{containers, pools};

impl FromAgent for RelayStatsRequest {
    type Output = StatsReport;

    fn said(self) -> Option<Said<Self::Output>> {
        use relay_stats_request::Request;
        Some(match self.request? {
            Request::Id(id) => Said::Id(id),
            Request::Report(report) => Said::Output(report),
        })
    }
}

/// The containers that are asked for, by node and endpoint.
type Wanted = BTreeMap<NodeId, BTreeMap<EndpointId, ContainerStats>>;

impl Api {
    /// What containers use, as their nodes answer; all nodes are asked at the same time, so that those that are silent hold
    /// up no other.
    pub(super) fn stat(
        self,
        request: StatContainersRequest,
    ) -> Result<impl Stream<Item = Result<ContainerStats, Status>> + Send, Status> {
        let wanted = self.orchestrator.intent().read(|state| wanted(state, &request)).map_err(refused)?;
        let ask = move |(node, mut stats): (NodeId, BTreeMap<EndpointId, ContainerStats>)| {
            let api = self.clone();
            async move {
                let asked = api.report(node, stats.keys().copied().collect());
                let report = tokio::time::timeout(PATIENCE, asked).await;
                let late = || Err(Status::unavailable("the node's agent did not answer"));
                match report.unwrap_or_else(|_| late()) {
                    Ok(mut report) => stats.iter_mut().for_each(|(endpoint, stats)| {
                        stats.usage = report.usages.remove(&endpoint.0);
                        if stats.usage.is_none() {
                            stats.problem = "its node's agent does not have it yet".to_owned();
                        }
                    }),
                    Err(why) => {
                        stats.values_mut().for_each(|stats| why.message().clone_into(&mut stats.problem));
                    }
                }
                stream::iter(stats.into_values().map(Ok))
            }
        };
        Ok(wanted.into_iter().map(ask).collect::<FuturesUnordered<_>>().flatten())
    }

    /// What a node's agent says of some of its containers.
    async fn report(&self, node: NodeId, endpoints: Vec<EndpointId>) -> Result<StatsReport, Status> {
        let outbox = self.outbox(node).await?;
        let mut opened = self.stats.open(node, |id| outbox.stats(StatsOrder { id, endpoints })).await?;
        // `input` is open until here: it ends the agent's call.
        let report = opened.answers.recv().await;
        report.unwrap_or_else(|| Err(Status::unavailable("the node's agent is gone")))
    }
}

fn wanted(state: &State, request: &StatContainersRequest) -> Result<Wanted, Refusal> {
    let StatContainersRequest { pool, names, node } = request;
    let mut wanted = Wanted::new();
    let mut want = |container: &Container| {
        let at = &container.endpoint;
        let node_name = state.node(at.node).map(|node| node.name.clone()).unwrap_or_default();
        if container.deleting || !(node.is_empty() || *node == node_name) {
            return;
        }
        let pool = state.pool(container.pool).map(|pool| pool.name.clone()).unwrap_or_default();
        let stats = ContainerStats {
            pool,
            name: container.name.clone(),
            node: node_name,
            ..ContainerStats::default()
        };
        wanted.entry(at.node).or_default().insert(at.id, stats);
    };
    if !names.is_empty() {
        for name in names {
            want(containers::find(state, pool, name)?);
        }
    } else if pool.is_empty() {
        state.containers().for_each(|container| want(container));
    } else {
        let pool = pools::find(state, pool)?.id;
        state.containers_of(pool).for_each(|container| want(container));
    }
    Ok(wanted)
}

/// How long an agent may take to open its side and to read, to which it gives itself 4 s.
const PATIENCE: Duration = Duration::from_secs(5);
