//! The service `weir.v1.Status`.

use tonic::{Request, Response, Status as GrpcStatus};
use weir_api::v1::status_server::Status;
use weir_api::v1::{self, GetStatusRequest, GetStatusResponse, Node, Problem};

use super::{Api, convert, refused};
use crate::access::Caller;
use crate::intent::model::ServiceKey;
use crate::intent::store::StoreError;
use crate::intent::{Refusal, State, Trouble};
use crate::openflow::complaints::{About, Complaint};
use crate::openflow::learning::LearningSwitch;
use crate::orchestrate::board::Posted;
use crate::orchestrate::pools;
use crate::orchestrate::status::{Phase, Reason, is_stuck};

/// Problems that one answer lists.
const MOST_PROBLEMS: usize = 1000;

#[tonic::async_trait]
impl Status for Api {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, GrpcStatus> {
        // What is no pool's is not shown to a pool's user.
        let sees_all = !matches!(request.extensions().get(), Some(Caller::Pool(_)));
        let pool = request.into_inner().pool;
        let nodes = self.list(&pool).await?;
        let mut answer = GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Some(convert::timestamp(self.started)),
            problems: nodes.iter().flat_map(node_problems).collect(),
            nodes,
            ..GetStatusResponse::default()
        };
        if sees_all {
            answer.learning_switches = self.switches.learning().into_iter().map(learning_switch).collect();
            answer.counters = self.metrics.totals().into_iter().collect();
        }
        let intent = self.orchestrator.intent();
        let fill = |state: &State| self.fill(state, &pool, &mut answer);
        intent.read(fill).map_err(refused)?;
        if let Some(trouble) = intent.trouble().await {
            answer.problems.insert(0, store_problem(&trouble));
        }
        let troubles = self.orchestrator.service_troubles().await.map_err(refused)?;
        let complaints = self.switches.complaints().recent();
        let told = |state: &State| {
            let told = complaints
                .iter()
                .filter(|complaint| sees_all || matches!(complaint.about, About::Node(_)))
                .filter_map(|complaint| switch_problem(state, &pool, complaint))
                .collect::<Vec<_>>();
            answer.problems.extend(told);
            let mut stopped: Vec<Problem> =
                troubles.iter().filter_map(|(key, why)| service_problem(state, &pool, key, why)).collect();
            stopped.sort_by(|a, b| a.subject.cmp(&b.subject));
            answer.problems.extend(stopped);
        };
        intent.read(told);
        answer.problems.truncate(MOST_PROBLEMS);
        Ok(Response::new(answer))
    }
}

fn learning_switch(switch: LearningSwitch) -> v1::LearningSwitch {
    v1::LearningSwitch {
        datapath_id: switch.datapath.to_string(),
        peer: switch.peer.to_string(),
        since: Some(convert::timestamp(switch.since)),
        addresses: switch.addresses,
        packet_ins: switch.packet_ins,
        flows_installed: switch.flows_installed,
    }
}

fn node_problems(node: &Node) -> Vec<Problem> {
    let Some(status) = &node.status else { return Vec::new() };
    let reason = match (status.lost, status.agent_connected && status.switch_connected) {
        (true, _) => "NodeLost",
        (false, true) => "NodeDegraded",
        (false, false) => "NodeUnreachable",
    };
    let problem = |message: &String| Problem {
        subject: format!("node/{}/{}", node.pool, node.name),
        reason: reason.to_owned(),
        message: message.clone(),
        since: status.since,
    };
    status.problems.iter().map(problem).collect()
}

fn store_problem(Trouble { error, since }: &Trouble) -> Problem {
    let reason = if let StoreError::Full { .. } = **error { "StoreFull" } else { "StoreFailed" };
    Problem {
        subject: "store".to_owned(),
        reason: reason.to_owned(),
        message: format!("{error}: requests that change something are refused, all else goes on"),
        since: Some(convert::timestamp(*since)),
    }
}

/// Why a service does not come further; nothing if that is another pool's.
fn service_problem(state: &State, pool: &str, (id, name): &ServiceKey, why: &str) -> Option<Problem> {
    let of = &state.pool(*id)?.name;
    (pool.is_empty() || of == pool).then(|| Problem {
        subject: format!("service/{of}/{name}"),
        reason: "ServiceStopped".to_owned(),
        message: why.to_owned(),
        since: None,
    })
}

/// What is wrong with a switch; nothing if that is another pool's.
fn switch_problem(state: &State, pool: &str, complaint: &Complaint) -> Option<Problem> {
    let subject = match complaint.about {
        About::Peer(address) => format!("switch/{address}"),
        About::Node(node) => {
            let node = state.node(node)?;
            let of = &state.pool(node.pool)?.name;
            (pool.is_empty() || of == pool).then(|| format!("node/{of}/{}", node.name))?
        }
    };
    let message = match complaint.times {
        1 => complaint.message.clone(),
        times => format!("{} ({times} times)", complaint.message),
    };
    let since = Some(convert::timestamp(complaint.since));
    Some(Problem { subject, reason: complaint.fault.word().to_owned(), message, since })
}

impl Api {
    /// Counts networks and containers, and lists the containers that have problems.
    fn fill(&self, state: &State, pool: &str, answer: &mut GetStatusResponse) -> Result<(), Refusal> {
        let only = (!pool.is_empty()).then(|| pools::find(state, pool)).transpose()?.map(|pool| pool.id);
        answer.revision = state.revision();
        let networks = state.networks().filter(|network| only.is_none_or(|pool| network.pool == pool));
        answer.networks = convert::count(networks.count());
        let board = self.orchestrator.board();
        let counts = board.counts();
        let sum = |is_meant: &dyn Fn(Phase, Reason) -> bool| {
            let meant = counts.iter().filter(|((pool, phase, reason), _)| {
                only.is_none_or(|only| only == *pool) && is_meant(*phase, *reason)
            });
            meant.map(|(_, n)| n).sum::<usize>()
        };
        answer.containers = convert::count(sum(&|_, reason| reason != Reason::Reserved));
        answer.containers_ready = convert::count(sum(&|phase, _| phase == Phase::Ready));
        let n_stuck = sum(&is_stuck).min(MOST_PROBLEMS.saturating_sub(answer.problems.len()));
        if n_stuck > 0 {
            let stuck = board.find(only, n_stuck, is_stuck);
            answer.problems.extend(stuck.iter().map(|posted| container_problem(state, posted)));
        }
        Ok(())
    }
}

fn container_problem(state: &State, Posted { container, condition, since }: &Posted) -> Problem {
    let pool = state.pool(container.pool).map_or("", |pool| &pool.name);
    Problem {
        subject: format!("container/{pool}/{}", container.name),
        reason: condition.reason.word().to_owned(),
        message: condition.message.clone(),
        since: Some(convert::timestamp(*since)),
    }
}
