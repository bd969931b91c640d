//! The service `weir.v1.Nodes`.

use std::pin::Pin;

use flowlib::text::format_flow;
use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use weir_api::v1::nodes_server::Nodes;
use weir_api::v1::{
    CheckNodeRequest, CheckNodeResponse, DeleteNodeRequest, DeleteNodeResponse, GetNodeRequest,
    ListNodeFlowsRequest, ListNodeFlowsResponse, ListNodesRequest, ListNodesResponse, Node,
    RevokeNodeRequest, RevokeNodeResponse, SetNodeSchedulingRequest,
};

use super::page::Page;
use super::{Api, condition, convert, refused};
use crate::intent::{Refusal, State};
use crate::orchestrate::{admissions, nodes, pools};

/// Flows in one message of an answer: well below the 4 MiB that clients take.
const FLOWS: usize = 1000;

type NodeFlows = Pin<Box<dyn Stream<Item = Result<ListNodeFlowsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Nodes for Api {
    type ListNodeFlowsStream = NodeFlows;

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        let GetNodeRequest { pool, name } = request.into_inner();
        let intent = self.orchestrator.intent();
        let unseen = |state: &State| {
            let pool = state.pool_named(&pool)?;
            let admission = state.admission(pool.id, &name)?;
            state.node_named(pool.id, &name).is_none().then(|| convert::unseen(pool, admission))
        };
        if let Some(node) = intent.read(unseen) {
            return Ok(Response::new(node));
        }
        let find = |state: &State| {
            let found = nodes::find(state, pools::find(state, &pool)?, &name);
            found.cloned().map_err(|refusal| refusal.of("name"))
        };
        let id = intent.read(find).map_err(refused)?.id;
        let condition = self.orchestrator.node_condition(id).await.map_err(refused)?;
        // It may have been deleted meanwhile.
        let show = |state: &State| find(state).map(|node| convert::node(state, &node, condition.as_ref()));
        intent.read(show).map(Response::new).map_err(refused)
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let ListNodesRequest { pool, page_size, page_token } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let (nodes, next_page_token) = page.cut(self.list(&pool).await?, |node| (&node.pool, &node.name));
        Ok(Response::new(ListNodesResponse { nodes, next_page_token }))
    }

    async fn set_node_scheduling(
        &self,
        request: Request<SetNodeSchedulingRequest>,
    ) -> Result<Response<Node>, Status> {
        let at = condition::revision(request.metadata())?;
        let SetNodeSchedulingRequest { pool, name, scheduling } = request.into_inner();
        let scheduling = convert::scheduling_of(scheduling)?;
        let scheduled = self.orchestrator.schedule_node(pool.clone(), name.clone(), scheduling, at);
        scheduled.await.map_err(refused)?;
        self.get_node(Request::new(GetNodeRequest { pool, name })).await
    }

    async fn delete_node(
        &self,
        request: Request<DeleteNodeRequest>,
    ) -> Result<Response<DeleteNodeResponse>, Status> {
        let at = condition::revision(request.metadata())?;
        let DeleteNodeRequest { pool, name } = request.into_inner();
        self.orchestrator.delete_node(pool, name, at).await.map_err(refused)?;
        Ok(Response::new(DeleteNodeResponse {}))
    }

    async fn revoke_node(
        &self,
        request: Request<RevokeNodeRequest>,
    ) -> Result<Response<RevokeNodeResponse>, Status> {
        let RevokeNodeRequest { pool, name } = request.into_inner();
        let token = self.orchestrator.revoke_node(pool.clone(), name.clone()).await.map_err(refused)?;
        tracing::info!(pool, node = name, token, "node revoked, with the join token that it has");
        Ok(Response::new(RevokeNodeResponse { token: token.unwrap_or_default() }))
    }

    async fn check_node(
        &self,
        request: Request<CheckNodeRequest>,
    ) -> Result<Response<CheckNodeResponse>, Status> {
        self.check(request.into_inner()).await.map(Response::new)
    }

    async fn list_node_flows(
        &self,
        request: Request<ListNodeFlowsRequest>,
    ) -> Result<Response<NodeFlows>, Status> {
        let ListNodeFlowsRequest { pool, name } = request.into_inner();
        let find = |state: &State| {
            let found = nodes::find(state, pools::find(state, &pool)?, &name);
            found.map(|node| node.id).map_err(|refusal| refusal.of("name"))
        };
        let node = self.orchestrator.intent().read(find).map_err(refused)?;
        let board = self.switches.clone();
        // One segment is held at a time, and none while a client does not read.
        let segments = stream::iter(board.wanted(node).segments).map(move |id| board.flows(id));
        let messages = segments.flat_map(|flows| {
            let text = |flows: &[_]| flows.iter().map(format_flow).collect();
            let messages: Vec<_> =
                flows.chunks(FLOWS).map(|some| Ok(ListNodeFlowsResponse { flows: text(some) })).collect();
            stream::iter(messages)
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

impl Api {
    /// The nodes of a pool, or of all if none is named, by pool and name; with those that have only joined.
    pub(super) async fn list(&self, pool: &str) -> Result<Vec<Node>, Status> {
        let conditions = self.orchestrator.node_conditions().await.map_err(refused)?;
        let list = |state: &State| {
            let only = (!pool.is_empty()).then(|| pools::find(state, pool)).transpose()?;
            let all = state.nodes().filter(|node| only.is_none_or(|pool| node.pool == pool.id));
            let seen = all.map(|node| convert::node(state, node, conditions.get(&node.id)));
            let pools = state.pools().filter(|pool| only.is_none_or(|only| only.id == pool.id));
            let unseen = pools.flat_map(|pool| {
                admissions::unseen(state, pool).map(|admission| convert::unseen(pool, admission))
            });
            let mut nodes: Vec<Node> = seen.chain(unseen).collect();
            nodes.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
            Ok(nodes)
        };
        self.orchestrator.intent().read(list).map_err(|error: Refusal| refused(error))
    }
}
