//! The service `weir.v1.Containers`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowlib::compile::model::PoolId;
use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use tonic::{Request, Response, Status, Streaming};
use weir_api::v1::container_event::Kind;
use weir_api::v1::containers_server::Containers;
use weir_api::v1::{
    Container, ContainerEvent, ContainerStats, CreateContainerRequest, DeleteContainerRequest, Event,
    ExecContainerRequest, ExecContainerResponse, GetContainerRequest, ListContainersRequest,
    ListContainersResponse, LogContainerRequest, LogContainerResponse, MoveContainerRequest, Placement,
    PreviewContainerRequest, StartContainerRequest, StatContainersRequest, StopContainerRequest,
    WatchContainersRequest, WatchEventsRequest,
};

use super::page::Page;
use super::{Api, Arrived, condition, convert, deadline, fault, refused};
use crate::intent::{Refusal, State, model};
use crate::measure::TraceId;
use crate::measure::journey;
use crate::orchestrate::board::{self, EventKind, Posted};
use crate::orchestrate::{containers, networks, nodes, pools};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Containers for Api {
    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let deadline = deadline::of(request.metadata());
        let (trace, received) = (trace(&request), Arrived::at(&request));
        let key = condition::key(request.metadata())?;
        let CreateContainerRequest { container, wait } = request.into_inner();
        let container = container.ok_or_else(|| fault::invalid("container", "no container is given"))?;
        let spec = convert::container_spec(container)?;
        let request = journey::Request { trace, received, decoded: Instant::now() };
        let container = self.orchestrator.create_container(spec, key, request).await.map_err(refused)?;
        self.answer(container, wait, deadline).await
    }

    async fn get_container(
        &self,
        request: Request<GetContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let GetContainerRequest { pool, name } = request.into_inner();
        let find = |state: &State| {
            let posted = self.orchestrator.board().look(containers::find(state, &pool, &name)?);
            Ok(self.picture(state, &posted))
        };
        self.orchestrator.intent().read(find).map(Response::new).map_err(|error: Refusal| refused(error))
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Result<Response<ListContainersResponse>, Status> {
        let request = request.into_inner();
        let page = Page::of(request.page_size, &request.page_token)?;
        let list = |state: &State| self.select(state, &request, &page);
        self.orchestrator.intent().read(list).map(Response::new).map_err(refused)
    }

    async fn delete_container(
        &self,
        request: Request<DeleteContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let (deadline, at) = (deadline::of(request.metadata()), condition::revision(request.metadata())?);
        let DeleteContainerRequest { pool, name, wait } = request.into_inner();
        let container = self.orchestrator.delete_container(pool, name, at).await.map_err(refused)?;
        let posted = self.orchestrator.board().look(&container);
        if wait {
            let gone = within(deadline, self.orchestrator.wait_gone(&container)).await;
            gone.ok_or_else(|| self.too_late("is being deleted, but not gone yet", &container))?;
        }
        Ok(Response::new(self.show(&posted)))
    }

    async fn move_container(
        &self,
        request: Request<MoveContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let (deadline, at) = (deadline::of(request.metadata()), condition::revision(request.metadata())?);
        let MoveContainerRequest { pool, name, node, wait } = request.into_inner();
        let container = self.orchestrator.move_container(pool, name, node, at).await.map_err(refused)?;
        self.answer(container, wait, deadline).await
    }

    type WatchContainersStream = Answers<ContainerEvent>;

    async fn watch_containers(
        &self,
        request: Request<WatchContainersRequest>,
    ) -> Result<Response<Self::WatchContainersStream>, Status> {
        let since = condition::last_event(request.metadata())?;
        let pool = request.into_inner().pool;
        if !pool.is_empty() {
            self.orchestrator.intent().read(|state| pools::find(state, &pool).map(drop)).map_err(refused)?;
        }
        Ok(Response::new(Box::pin(watch(self.clone(), pool, since))))
    }

    type ExecContainerStream = Answers<ExecContainerResponse>;

    async fn exec_container(
        &self,
        request: Request<Streaming<ExecContainerRequest>>,
    ) -> Result<Response<Self::ExecContainerStream>, Status> {
        let responses = self.exec(request.into_inner()).await?;
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(responses))))
    }

    async fn preview_container(
        &self,
        request: Request<PreviewContainerRequest>,
    ) -> Result<Response<Placement>, Status> {
        let container = request.into_inner().container;
        let container = container.ok_or_else(|| fault::invalid("container", "no container is given"))?;
        let spec = convert::container_spec(container)?;
        let placement = self.orchestrator.preview_container(&spec).map_err(refused)?;
        Ok(Response::new(convert::placement(placement)))
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let (deadline, at) = (deadline::of(request.metadata()), condition::revision(request.metadata())?);
        let StartContainerRequest { pool, name, wait } = request.into_inner();
        let container = self.orchestrator.start_container(pool, name, at).await.map_err(refused)?;
        self.answer(container, wait, deadline).await
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Result<Response<Container>, Status> {
        let (deadline, at) = (deadline::of(request.metadata()), condition::revision(request.metadata())?);
        let StopContainerRequest { pool, name, wait } = request.into_inner();
        let container = self.orchestrator.stop_container(pool, name, at).await.map_err(refused)?;
        if !wait {
            return Ok(Response::new(self.show(&self.orchestrator.board().look(&container))));
        }
        match within(deadline, self.orchestrator.wait_ended(&container)).await {
            Some(Some(posted)) if posted.condition.is_definite() => {
                Err(hopeless("is to stop, but has not started", &posted))
            }
            Some(Some(posted)) => Ok(Response::new(self.show(&posted))),
            Some(None) => Err(superseded(&container, "had ended")),
            None => Err(self.too_late("is to stop, but has not ended yet", &container)),
        }
    }

    type LogContainerStream = Answers<LogContainerResponse>;

    async fn log_container(
        &self,
        request: Request<LogContainerRequest>,
    ) -> Result<Response<Self::LogContainerStream>, Status> {
        let answers = self.log(request.into_inner()).await?;
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(answers))))
    }

    type StatContainersStream = Answers<ContainerStats>;

    async fn stat_containers(
        &self,
        request: Request<StatContainersRequest>,
    ) -> Result<Response<Self::StatContainersStream>, Status> {
        Ok(Response::new(Box::pin(self.clone().stat(request.into_inner())?)))
    }

    type WatchEventsStream = Answers<Event>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Ok(Response::new(Box::pin(self.watch_log(request.into_inner())?)))
    }
}

impl Api {
    fn show(&self, posted: &Posted) -> Container {
        self.orchestrator.intent().read(|state| self.picture(state, posted))
    }

    fn picture(&self, state: &State, posted: &Posted) -> Container {
        let journey = self.orchestrator.journal().of(posted.container.endpoint.id);
        Container { creation: journey.map(convert::journey), ..convert::container(state, posted) }
    }

    /// Answers with a container: at once, or when it is ready or has ended.
    async fn answer(
        &self,
        container: Arc<model::Container>,
        wait: bool,
        deadline: Option<Duration>,
    ) -> Result<Response<Container>, Status> {
        if !wait {
            return Ok(Response::new(self.show(&self.orchestrator.board().look(&container))));
        }
        match within(deadline, self.orchestrator.wait_ready(&container)).await {
            Some(Some(posted)) if posted.condition.is_definite() => {
                Err(hopeless("is committed, but does not start", &posted))
            }
            Some(Some(posted)) => Ok(Response::new(self.show(&posted))),
            Some(None) => Err(superseded(&container, "was ready")),
            None => Err(self.too_late("is committed, but not ready yet", &container)),
        }
    }

    fn too_late(&self, what: &str, container: &model::Container) -> Status {
        let key = (container.pool, container.name.clone());
        let current = self.orchestrator.intent().read(|state| state.container(&key).cloned());
        let why = current.map_or_else(String::new, |current| {
            let condition = self.orchestrator.board().look(&current).condition;
            format!(": {}: {}", condition.reason.word(), condition.message)
        });
        Status::deadline_exceeded(format!("the container `{}` {what}{why}", container.name))
    }

    /// The containers that a list asks for; empty names stand for all.
    fn select(
        &self,
        state: &State,
        request: &ListContainersRequest,
        page: &Page,
    ) -> Result<ListContainersResponse, Refusal> {
        let ListContainersRequest { pool, network, node, .. } = request;
        if pool.is_empty() && !(network.is_empty() && node.is_empty()) {
            let sentence = "a network or node is named, but not its pool";
            return Err(Refusal::Invalid(sentence.to_owned()).of("pool"));
        }
        let pool = (!pool.is_empty()).then(|| pools::find(state, pool)).transpose()?;
        let network = match pool {
            Some(pool) if !network.is_empty() => Some(networks::find(state, pool, network)?.id),
            _ => None,
        };
        let node = match pool {
            Some(pool) if !node.is_empty() => Some(nodes::find(state, pool, node)?.id),
            _ => None,
        };
        // In the order of their keys, which are the pool's number and the name: so are the tokens.
        let (from, name) = match (page.after(), pool) {
            (Some((after, name)), _) => {
                let number = after.parse().map_err(|_| {
                    Refusal::Invalid("page_token must be a next_page_token of this list".to_owned())
                        .of("page_token")
                })?;
                (PoolId(number), name)
            }
            (None, Some(pool)) => (pool.id, ""),
            (None, None) => (PoolId(0), ""),
        };
        let rest =
            state.containers_after(from, name).skip_while(|c| pool.is_some_and(|pool| c.pool < pool.id));
        let wanted = rest.take_while(|c| pool.is_none_or(|pool| c.pool == pool.id)).filter(|container| {
            network.is_none_or(|network| container.endpoint.network == network)
                && node.is_none_or(|node| container.endpoint.node == node)
        });
        let token = |container: &&Arc<model::Container>| format!("{}/{}", container.pool.0, container.name);
        let (containers, next_page_token) = page.first(wanted, token);
        let board = self.orchestrator.board();
        let show = |container| convert::container(state, &board.look(container));
        let containers = containers.into_iter().map(show).collect();
        Ok(ListContainersResponse { containers, revision: state.revision(), next_page_token })
    }
}

/// The trace that the caller names, or a new one.
fn trace<T>(request: &Request<T>) -> TraceId {
    let named = request.metadata().get("traceparent").and_then(|value| value.to_str().ok());
    named.and_then(TraceId::parse).unwrap_or_else(TraceId::random)
}

fn superseded(container: &model::Container, what: &str) -> Status {
    Status::aborted(format!("the container `{}` was deleted or moved before it {what}", container.name))
}

/// A container that is refused for what it is: what is waited for does not come.
fn hopeless(what: &str, Posted { container, condition, .. }: &Posted) -> Status {
    let (name, word, message) = (&container.name, condition.reason.word(), &condition.message);
    Status::failed_precondition(format!("the container `{name}` {what}: {word}: {message}"))
}

/// `None` when the deadline came first.
async fn within<T>(deadline: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

/// What is there, or what has happened since a revision if that is known, then what happens; of one pool, or of all if
/// `pool` is empty.
fn watch(api: Api, pool: String, since: Option<u64>) -> impl Stream<Item = Result<ContainerEvent, Status>> {
    let wanted = move |change: &ContainerEvent| {
        let container = change.container.as_ref();
        container.is_some_and(|container| pool.is_empty() || container.pool == pool)
    };
    let board = api.orchestrator.board();
    let resumed = since.and_then(|since| Some((since, board.subscribe_since(since)?)));
    let is_resumed = resumed.is_some();
    let (revision, past, mut events) = match resumed {
        Some((since, (past, events))) => (since, past, events),
        None => {
            let (revision, present, events) = board.subscribe();
            let added = |posted| Arc::new(board::Event { kind: EventKind::Added, posted, revision });
            (revision, present.into_iter().map(added).collect(), events)
        }
    };
    async_stream::stream! {
        if is_resumed {
            yield Ok(event(Kind::Resumed, None, revision));
        }
        for happened in past {
            let change = change(&api, &happened);
            if wanted(&change) {
                yield Ok(change);
            }
        }
        if !is_resumed {
            yield Ok(event(Kind::Synced, None, revision));
        }
        loop {
            match events.recv().await {
                Ok(happened) => {
                    let change = change(&api, &happened);
                    if wanted(&change) {
                        yield Ok(change);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    let message = format!("the watch fell behind by {missed} events: start it again");
                    yield Err(Status::out_of_range(message));
                    return;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn change(api: &Api, happened: &board::Event) -> ContainerEvent {
    let kind = match happened.kind {
        EventKind::Added => Kind::Added,
        EventKind::Modified => Kind::Modified,
        EventKind::Deleted => Kind::Deleted,
    };
    event(kind, Some(api.show(&happened.posted)), happened.revision)
}

fn event(kind: Kind, container: Option<Container>, revision: u64) -> ContainerEvent {
    ContainerEvent { kind: kind.into(), container, revision }
}
