//! A server that answers by the names of pool and container, or by the command.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use weir_api::v1;
use weir_api::v1::container_event::Kind;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_server::Containers;
use weir_api::v1::log_container_response::Output;
use weir_api::v1::nodes_server::Nodes;

use super::exec;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What its answers depend on besides the request.
#[derive(Clone, Default)]
pub(super) struct Server {
    watches: Arc<AtomicU32>,
    /// How often it was asked what containers use.
    stats: Arc<AtomicU32>,
    /// Streams that have said the first part wait here for the test to go on, or for the node to be drained.
    pub(super) gate: Arc<Notify>,
    /// How the node is scheduled, as the API numbers it.
    scheduling: Arc<AtomicI32>,
    /// Containers of a bench that are there.
    pub(super) benched: Arc<Mutex<BTreeSet<String>>>,
}

#[tonic::async_trait]
impl Containers for Server {
    async fn create_container(
        &self,
        request: Request<v1::CreateContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let request = request.into_inner();
        let mut container = request.container.unwrap_or_default();
        match container.name.as_str() {
            "taken" => Err(Status::already_exists("10.209.164.8 belongs to container p/web")),
            "slow" if request.wait => std::future::pending().await,
            "job" => {
                // Its command is the code it ends with.
                let code = container.command.first().and_then(|code| code.parse().ok()).unwrap_or_default();
                Ok(Response::new(ended(container, code)))
            }
            // The 14th of a bench finds no place there.
            name if container.network == "full" && name.ends_with("-13") => {
                Err(Status::resource_exhausted("all nodes are full"))
            }
            name if name.starts_with("bench-") => {
                self.benched.lock().unwrap().insert(name.to_owned());
                self.gate.notify_one();
                container.creation = Some(journey());
                Ok(Response::new(container))
            }
            _ => {
                container.endpoint_id = 7;
                Ok(Response::new(container))
            }
        }
    }

    async fn get_container(
        &self,
        request: Request<v1::GetContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let v1::GetContainerRequest { pool, name } = request.into_inner();
        let status = v1::ContainerStatus {
            phase: Phase::Degraded.into(),
            reason: "FlowRejected".to_owned(),
            message: "table forward of node p/n1 is full".to_owned(),
            ..v1::ContainerStatus::default()
        };
        Ok(Response::new(v1::Container { pool, name, status: Some(status), ..v1::Container::default() }))
    }

    async fn list_containers(
        &self,
        _: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        Err(Status::internal("the store cannot be read"))
    }

    async fn delete_container(
        &self,
        request: Request<v1::DeleteContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        if self.benched.lock().unwrap().remove(&request.into_inner().name) {
            return Ok(Response::new(v1::Container::default()));
        }
        Err(Status::not_found("pool p has no container web"))
    }

    async fn move_container(
        &self,
        _: Request<v1::MoveContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        Err(Status::unavailable("node p/n2 is not connected"))
    }

    type WatchContainersStream = Answers<v1::ContainerEvent>;

    async fn watch_containers(
        &self,
        request: Request<v1::WatchContainersRequest>,
    ) -> Result<Response<Self::WatchContainersStream>, Status> {
        let pool = request.into_inner().pool;
        let nth = self.watches.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.clone();
        Ok(Response::new(match (pool.as_str(), nth) {
            ("drain", _) => {
                let job = on("job", "n1", Kind::Added, Phase::Ended);
                let had = [job].into_iter().chain(had_by_n1()).collect();
                once_open(gate, had, moved_to_n2().map(Ok).into())
            }
            ("stuck" | "meddled", _) => once_open(gate, had_by_n1(), Vec::new()),
            ("behind", 0) => once_open(gate, had_by_n1(), vec![Err(Status::out_of_range("too far behind"))]),
            // What has been moved in between, and db, which has been deleted.
            ("behind", _) => {
                let web = on("web", "n2", Kind::Added, Phase::Ready);
                Box::pin(tokio_stream::iter([
                    Ok(web),
                    Ok(on("pin", "n1", Kind::Added, Phase::Ready)),
                    Ok(synced()),
                ]))
            }
            // The first watch falls behind, the second ends.
            (_, nth) => {
                let end = match nth {
                    0 => Status::out_of_range("too far behind"),
                    _ => Status::permission_denied("enough"),
                };
                let web = on("web", "n1", Kind::Added, Phase::Ready);
                Box::pin(tokio_stream::iter([Ok(web), Ok(synced()), Err(end)]))
            }
        }))
    }

    async fn preview_container(
        &self,
        request: Request<v1::PreviewContainerRequest>,
    ) -> Result<Response<v1::Placement>, Status> {
        let container = request.into_inner().container.unwrap_or_default();
        let n3 = v1::Candidate {
            node: "n3".to_owned(),
            filter: "resources".to_owned(),
            message: "64 MiB of memory are left, and 128 MiB are asked for".to_owned(),
            ..v1::Candidate::default()
        };
        if container.name == "huge" {
            let refusal = "resources turn away n3".to_owned();
            let candidates = vec![n3];
            return Ok(Response::new(v1::Placement { candidates, refusal, ..v1::Placement::default() }));
        }
        let fits = |node: &str, load_score, image_score| v1::Candidate {
            node: node.to_owned(),
            load_score,
            image_score,
            block_score: 50,
            ..v1::Candidate::default()
        };
        Ok(Response::new(v1::Placement {
            node: "n2".to_owned(),
            address: "10.209.164.64".to_owned(),
            candidates: vec![fits("n2", 900, 100), fits("n1", 800, 0), n3],
            refusal: String::new(),
        }))
    }

    async fn start_container(
        &self,
        request: Request<v1::StartContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let v1::StartContainerRequest { pool, name, .. } = request.into_inner();
        Ok(Response::new(ended(v1::Container { pool, name, ..v1::Container::default() }, 3)))
    }

    async fn stop_container(
        &self,
        request: Request<v1::StopContainerRequest>,
    ) -> Result<Response<v1::Container>, Status> {
        let v1::StopContainerRequest { pool, name, .. } = request.into_inner();
        let container = v1::Container { pool, name, stopped: true, ..v1::Container::default() };
        let mut container = ended(container, 143);
        container.status.get_or_insert_default().reason = "Stopped".to_owned();
        Ok(Response::new(container))
    }

    type StatContainersStream = Answers<v1::ContainerStats>;

    /// Each time it is asked, the one container has used a second more of its processor in two seconds.
    async fn stat_containers(
        &self,
        request: Request<v1::StatContainersRequest>,
    ) -> Result<Response<Self::StatContainersStream>, Status> {
        let v1::StatContainersRequest { pool, names, .. } = request.into_inner();
        if pool == "silent" {
            return Ok(Response::new(Box::pin(tokio_stream::pending())));
        }
        if names.iter().any(|name| name != "web") {
            return Err(Status::not_found("there is no such container"));
        }
        let n = self.stats.fetch_add(1, Ordering::Relaxed) + 1;
        let usage = v1::Usage {
            time: Some(prost_types::Timestamp { seconds: i64::from(2 * n), nanos: 0 }),
            cpu_us: Some(u64::from(n) * 1_000_000),
            memory_bytes: Some(1 << 20),
            ..v1::Usage::default()
        };
        let stats = v1::ContainerStats {
            pool: "p".to_owned(),
            name: "web".to_owned(),
            node: "n1".to_owned(),
            usage: Some(usage),
            problem: String::new(),
        };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(stats)]))))
    }

    type LogContainerStream = Answers<v1::LogContainerResponse>;

    /// Says what it was asked for, and once the gate is open another line and an error.
    async fn log_container(
        &self,
        request: Request<v1::LogContainerRequest>,
    ) -> Result<Response<Self::LogContainerStream>, Status> {
        let v1::LogContainerRequest { name, follow, tail, timestamps, since, .. } = request.into_inner();
        if name == "bare" {
            return Err(Status::failed_precondition("the runtime netns keeps no logs"));
        }
        let since = since.map(|since| since.seconds);
        let asked = format!("follow={follow} tail={tail:?} timestamps={timestamps} since={since:?}\n");
        let part = |output| v1::LogContainerResponse { output: Some(output) };
        let first = vec![part(Output::Stdout(asked.into_bytes()))];
        let last =
            vec![Ok(part(Output::Stdout(b"later\n".to_vec()))), Ok(part(Output::Stderr(b"oops\n".to_vec())))];
        Ok(Response::new(once_open(self.gate.clone(), first, last)))
    }

    type WatchEventsStream = Answers<v1::Event>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let v1::WatchEventsRequest { pool, container, past_only } = request.into_inner();
        let event = |seconds, reason: &str| v1::Event {
            time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            subject: format!("container/{pool}/{container}"),
            reason: reason.to_owned(),
            message: "on n1".to_owned(),
        };
        let past = vec![event(1_769_860_800, "Created"), event(1_769_860_801, "Ready")];
        Ok(Response::new(if past_only {
            Box::pin(tokio_stream::iter(past.into_iter().map(Ok)))
        } else {
            once_open(self.gate.clone(), past, vec![Ok(event(1_769_860_802, "Exited"))])
        }))
    }

    type ExecContainerStream = Answers<v1::ExecContainerResponse>;

    async fn exec_container(
        &self,
        request: Request<Streaming<v1::ExecContainerRequest>>,
    ) -> Result<Response<Self::ExecContainerStream>, Status> {
        exec::answer(request.into_inner()).await.map(Response::new)
    }
}

/// A create that took 2 ms until it was committed, and 3 ms more until it was ready.
fn journey() -> v1::Journey {
    let milestone = |name: &str, at_us, took_us| v1::Milestone { name: name.to_owned(), at_us, took_us };
    let milestones = vec![
        milestone("committed", 2000, 2000),
        milestone("confirmed", 3000, 1000),
        milestone("port_up", 4500, 2500),
        milestone("ready", 5000, 500),
    ];
    v1::Journey { milestones, ..v1::Journey::default() }
}

#[tonic::async_trait]
impl Nodes for Server {
    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Status> {
        let v1::GetNodeRequest { pool, name } = request.into_inner();
        let stuck = pool == "stuck";
        let problems =
            if stuck { vec!["web: no other node has the label zone=a".to_owned()] } else { vec![] };
        let status = Some(v1::NodeStatus {
            agent_connected: true,
            switch_connected: true,
            in_sync: true,
            problems,
            runtimes: vec!["docker".to_owned(), "netns".to_owned()],
            allocated: Some(v1::Resources { cpu_millis: 500, memory_bytes: 128 << 20, pids: 0 }),
            ..v1::NodeStatus::default()
        });
        let capacity = Some(v1::Resources { cpu_millis: 4000, memory_bytes: 8 << 30, pids: 0 });
        // Somebody else interferes with what goes on in this pool.
        let scheduling = if pool == "meddled" { 1 } else { self.scheduling.load(Ordering::SeqCst) };
        Ok(Response::new(v1::Node { id: 1, pool, name, capacity, scheduling, status, ..v1::Node::default() }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let pool = request.into_inner().pool;
        if pool == "whole" {
            let node = v1::Node { id: 1, pool, name: "n1".to_owned(), ..v1::Node::default() };
            return Ok(Response::new(v1::ListNodesResponse { nodes: vec![node], ..Default::default() }));
        }
        Err(Status::internal("the store cannot be read"))
    }

    async fn set_node_scheduling(
        &self,
        request: Request<v1::SetNodeSchedulingRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let v1::SetNodeSchedulingRequest { pool, name, scheduling } = request.into_inner();
        self.scheduling.store(scheduling, Ordering::SeqCst);
        self.gate.notify_one();
        self.get_node(Request::new(v1::GetNodeRequest { pool, name })).await
    }

    async fn delete_node(
        &self,
        _: Request<v1::DeleteNodeRequest>,
    ) -> Result<Response<v1::DeleteNodeResponse>, Status> {
        Err(Status::failed_precondition("node p/n1 has containers"))
    }

    async fn revoke_node(
        &self,
        _: Request<v1::RevokeNodeRequest>,
    ) -> Result<Response<v1::RevokeNodeResponse>, Status> {
        Err(Status::not_found("there is no node `n1` in the pool `p`"))
    }

    type ListNodeFlowsStream = tonic::codegen::BoxStream<v1::ListNodeFlowsResponse>;

    async fn check_node(
        &self,
        _: Request<v1::CheckNodeRequest>,
    ) -> Result<Response<v1::CheckNodeResponse>, Status> {
        let finding = |check: &str, level: v1::finding::Level, found: &str, advice: &str| v1::Finding {
            check: check.to_owned(),
            level: level.into(),
            found: found.to_owned(),
            advice: advice.to_owned(),
        };
        let findings = vec![
            finding("docker", v1::finding::Level::Ok, "24.0", ""),
            finding("clock", v1::finding::Level::Fail, "70.0 s behind", "have both set by NTP"),
        ];
        Ok(Response::new(v1::CheckNodeResponse { findings }))
    }

    async fn list_node_flows(
        &self,
        _: Request<v1::ListNodeFlowsRequest>,
    ) -> Result<Response<Self::ListNodeFlowsStream>, Status> {
        let answer = |flows: &[&str]| {
            Ok(v1::ListNodeFlowsResponse { flows: flows.iter().map(|&flow| flow.to_owned()).collect() })
        };
        let answers = [
            answer(&["table=0, priority=0 actions=drop", "table=1, priority=7 actions=drop"]),
            answer(&["table=62, priority=0 actions=drop"]),
        ];
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }
}

/// A stream of `first`, and of `last` once the gate is open; without `last` it stays open.
fn once_open<T: Send + 'static>(
    gate: Arc<Notify>,
    first: Vec<T>,
    last: Vec<Result<T, Status>>,
) -> Answers<T> {
    let stays = last.is_empty();
    let rest = async move {
        gate.notified().await;
        if stays {
            std::future::pending::<()>().await;
        }
        tokio_stream::iter(last)
    };
    Box::pin(tokio_stream::iter(first.into_iter().map(Ok)).chain(rest.into_stream().flatten()))
}

/// A container whose process has ended.
fn ended(container: v1::Container, exit_code: i32) -> v1::Container {
    let finished = Some(prost_types::Timestamp { seconds: 1_769_860_800, nanos: 0 });
    let process = Some(v1::ProcessStatus { finished, exit_code, ..v1::ProcessStatus::default() });
    let reason = "Exited".to_owned();
    let phase = Phase::Ended.into();
    let status = Some(v1::ContainerStatus { phase, reason, process, ..v1::ContainerStatus::default() });
    v1::Container { status, ..container }
}

fn had_by_n1() -> Vec<v1::ContainerEvent> {
    let names = ["web", "db", "pin"];
    let added = names.map(|name| on(name, "n1", Kind::Added, Phase::Ready));
    added.into_iter().chain([synced()]).collect()
}

fn moved_to_n2() -> [v1::ContainerEvent; 4] {
    [
        on("web", "n2", Kind::Modified, Phase::Starting),
        on("web", "n2", Kind::Modified, Phase::Ready),
        on("db", "n2", Kind::Modified, Phase::Starting),
        on("db", "n2", Kind::Modified, Phase::Ready),
    ]
}

/// What became of a container on a node; the one called pin is pinned.
fn on(name: &str, node: &str, kind: Kind, phase: Phase) -> v1::ContainerEvent {
    let status = Some(v1::ContainerStatus { phase: phase.into(), ..v1::ContainerStatus::default() });
    let container = v1::Container {
        name: name.to_owned(),
        node: node.to_owned(),
        pinned: name == "pin",
        status,
        ..v1::Container::default()
    };
    v1::ContainerEvent { kind: kind.into(), container: Some(container), revision: 1 }
}

fn synced() -> v1::ContainerEvent {
    v1::ContainerEvent { kind: Kind::Synced.into(), container: None, revision: 1 }
}
