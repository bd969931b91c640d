//! The service `weir.v1.Volumes`.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlib::compile::model::NodeId;
use tonic::{Request, Response, Status};
use weir_api::v1::volumes_server::Volumes;
use weir_api::v1::{
    DeleteVolumeRequest, DeleteVolumeResponse, GetVolumeRequest, ListVolumesRequest, ListVolumesResponse,
    RelayVolumeRequest, Volume, VolumeRemoved, relay_volume_request,
};

use super::page::Page;
use super::relay::{FromAgent, Said};
use super::{Api, condition, refused};
use crate::intent::model::{self, Source, VolumeKey};
use crate::intent::{Refusal, State};
use crate::orchestrate::outbox::VolumeOrder;
use crate::orchestrate::{pools, volumes};

impl FromAgent for RelayVolumeRequest {
    type Output = VolumeRemoved;

    fn said(self) -> Option<Said<Self::Output>> {
        use relay_volume_request::Request;
        Some(match self.request? {
            Request::Id(id) => Said::Id(id),
            Request::Removed(removed) => Said::Output(removed),
            Request::Failed(why) => Said::Failed(why),
        })
    }
}

#[tonic::async_trait]
impl Volumes for Api {
    async fn get_volume(&self, request: Request<GetVolumeRequest>) -> Result<Response<Volume>, Status> {
        let GetVolumeRequest { pool, name } = request.into_inner();
        let show = |state: &State| {
            let volume = volumes::find(state, &pool, &name)?;
            Ok(shown(state, volume, volumes::users(state, volume).map(str::to_owned).collect()))
        };
        self.orchestrator.intent().read(show).map(Response::new).map_err(|error: Refusal| refused(error))
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        let ListVolumesRequest { pool, page_size, page_token } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let list = |state: &State| {
            let pool = (!pool.is_empty()).then(|| pools::find(state, &pool)).transpose()?.map(|pool| pool.id);
            let mut users = users(state);
            let wanted = state.volumes().filter(|volume| pool.is_none_or(|pool| volume.pool == pool));
            let mut all: Vec<Volume> = wanted
                .map(|volume| {
                    let users = users.remove(&(volume.pool, volume.name.clone()));
                    shown(state, volume, users.unwrap_or_default())
                })
                .collect();
            all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
            Ok(all)
        };
        let all = self.orchestrator.intent().read(list).map_err(|error: Refusal| refused(error))?;
        let (volumes, next_page_token) = page.cut(all, |volume| (&volume.pool, &volume.name));
        Ok(Response::new(ListVolumesResponse { volumes, next_page_token }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let at = condition::revision(request.metadata())?;
        let DeleteVolumeRequest { pool, name } = request.into_inner();
        let look = |state: &State| volumes::unused(state, (&pool, &name), at);
        let (node, in_docker) =
            self.orchestrator.intent().read(look).map_err(|error: Refusal| refused(error))?;
        // Its node first: what is forgotten there is not remembered here.
        self.remove(node, in_docker).await?;
        self.orchestrator.delete_volume(pool, name, at).await.map_err(refused)?;
        Ok(Response::new(DeleteVolumeResponse {}))
    }
}

impl Api {
    /// Has a node remove a volume from its Docker.
    async fn remove(&self, node: NodeId, name: String) -> Result<(), Status> {
        let outbox = self.orchestrator.outbox(node).await.map_err(refused)?;
        let away =
            || Status::unavailable("the agent of the volume's node is not connected: try again when it is");
        let outbox = outbox.ok_or_else(away)?;
        let mut opened = self.volumes.open(node, |id| outbox.volume(VolumeOrder { id, name })).await?;
        // `input` is open until here: it ends the agent's call.
        match tokio::time::timeout(PATIENCE, opened.answers.recv()).await {
            Ok(Some(answer)) => answer.map(drop),
            _ => Err(Status::unavailable("the volume's node has not said whether it is removed: try again")),
        }
    }
}

/// Who has which volume mounted.
fn users(state: &State) -> BTreeMap<VolumeKey, Vec<String>> {
    let mut users: BTreeMap<VolumeKey, Vec<String>> = BTreeMap::new();
    for container in state.containers() {
        for mount in &container.mounts {
            if let Source::Volume(name, _) = &mount.source {
                users.entry((container.pool, name.clone())).or_default().push(container.name.clone());
            }
        }
    }
    users
}

fn shown(state: &State, volume: &model::Volume, used_by: Vec<String>) -> Volume {
    Volume {
        pool: state.pool(volume.pool).map_or_else(String::new, |pool| pool.name.clone()),
        name: volume.name.clone(),
        node: state.node(volume.node).map_or_else(String::new, |node| node.name.clone()),
        size_bytes: volume.size_bytes,
        used_by,
        revision: volume.revision,
    }
}

/// How long an agent may take to have a volume removed.
const PATIENCE: Duration = Duration::from_secs(60);
