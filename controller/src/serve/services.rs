//! The service `weir.v1.Services`.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};
use weir_api::v1::service_status::Phase as ServicePhase;
use weir_api::v1::services_server::Services;
use weir_api::v1::{
    Container, CreateServiceRequest, DeleteServiceRequest, DeleteServiceResponse, GetServiceRequest,
    ListServicesRequest, ListServicesResponse, RollbackServiceRequest, ScaleServiceRequest, Service,
    ServiceStatus, UpdateServiceRequest,
};

use super::page::Page;
use super::{Api, condition, convert, fault, refused};
use crate::intent::model::{self, ServiceKey};
use crate::intent::{Refusal, State};
use crate::orchestrate::pools;
use crate::orchestrate::services::{self, ServiceSpec, Tally};
use crate::orchestrate::status::Phase;

#[tonic::async_trait]
impl Services for Api {
    async fn create_service(
        &self,
        request: Request<CreateServiceRequest>,
    ) -> Result<Response<Service>, Status> {
        let key = condition::key(request.metadata())?;
        let service = request.into_inner().service;
        let service = service.ok_or_else(|| fault::invalid("service", "no service is given"))?;
        let service = self.orchestrator.create_service(spec(service)?, key).await.map_err(refused)?;
        self.show_service(&service).await
    }

    async fn get_service(&self, request: Request<GetServiceRequest>) -> Result<Response<Service>, Status> {
        let GetServiceRequest { pool, name } = request.into_inner();
        let find = |state: &State| services::find(state, &pool, &name).cloned();
        let service = self.orchestrator.intent().read(find).map_err(|error: Refusal| refused(error))?;
        self.show_service(&service).await
    }

    async fn list_services(
        &self,
        request: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesResponse>, Status> {
        let ListServicesRequest { pool, page_size, page_token } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let troubles = self.orchestrator.service_troubles().await.map_err(refused)?;
        let list = |state: &State| {
            let pool = (!pool.is_empty()).then(|| pools::find(state, &pool)).transpose()?.map(|pool| pool.id);
            let wanted = state.services().filter(|service| pool.is_none_or(|pool| service.pool == pool));
            let mut all: Vec<Service> =
                wanted.map(|service| self.service(state, service, &troubles)).collect();
            all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
            Ok(all)
        };
        let all = self.orchestrator.intent().read(list).map_err(|error: Refusal| refused(error))?;
        let (services, next_page_token) = page.cut(all, |service| (&service.pool, &service.name));
        Ok(Response::new(ListServicesResponse { services, next_page_token }))
    }

    async fn scale_service(
        &self,
        request: Request<ScaleServiceRequest>,
    ) -> Result<Response<Service>, Status> {
        let at = condition::revision(request.metadata())?;
        let ScaleServiceRequest { pool, name, replicas } = request.into_inner();
        let change = self
            .orchestrator
            .change_service((pool, name), at, move |tx, service| services::scale(tx, service, replicas));
        let service = change.await.map_err(refused)?;
        self.show_service(&service).await
    }

    async fn update_service(
        &self,
        request: Request<UpdateServiceRequest>,
    ) -> Result<Response<Service>, Status> {
        let at = condition::revision(request.metadata())?;
        let UpdateServiceRequest { pool, name, image } = request.into_inner();
        let change = self
            .orchestrator
            .change_service((pool, name), at, move |tx, service| services::update(tx, service, &image));
        let service = change.await.map_err(refused)?;
        self.show_service(&service).await
    }

    async fn rollback_service(
        &self,
        request: Request<RollbackServiceRequest>,
    ) -> Result<Response<Service>, Status> {
        let at = condition::revision(request.metadata())?;
        let RollbackServiceRequest { pool, name } = request.into_inner();
        let change = self.orchestrator.change_service((pool, name), at, services::roll_back);
        let service = change.await.map_err(refused)?;
        self.show_service(&service).await
    }

    async fn delete_service(
        &self,
        request: Request<DeleteServiceRequest>,
    ) -> Result<Response<DeleteServiceResponse>, Status> {
        let at = condition::revision(request.metadata())?;
        let DeleteServiceRequest { pool, name } = request.into_inner();
        self.orchestrator.delete_service(pool, name, at).await.map_err(refused)?;
        Ok(Response::new(DeleteServiceResponse {}))
    }
}

impl Api {
    async fn show_service(&self, service: &Arc<model::Service>) -> Result<Response<Service>, Status> {
        let troubles = self.orchestrator.service_troubles().await.map_err(refused)?;
        let show = |state: &State| self.service(state, service, &troubles);
        Ok(Response::new(self.orchestrator.intent().read(show)))
    }

    fn service(
        &self,
        state: &State,
        service: &model::Service,
        troubles: &HashMap<ServiceKey, String>,
    ) -> Service {
        let name_of = |id| state.network(id).map_or_else(String::new, |network| network.name.clone());
        let board = self.orchestrator.board();
        let tally = Tally::of(state, service, |replica| board.look(replica).condition.phase == Phase::Ready);
        let trouble = troubles.get(&(service.pool, service.name.clone())).cloned();
        let previous = service.previous.as_ref();
        Service {
            pool: state.pool(service.pool).map_or_else(String::new, |pool| pool.name.clone()),
            name: service.name.clone(),
            network: name_of(service.network),
            replicas: service.replicas,
            template: Some(template(&service.template)),
            patience_s: service.patience_s,
            version: service.template.version,
            previous_version: previous.map_or(0, |previous| previous.version),
            previous_image: previous.map_or_else(String::new, |previous| previous.image.clone()),
            revision: service.revision,
            status: Some(status(service, tally, trouble)),
        }
    }
}

fn status(service: &model::Service, tally: Tally, trouble: Option<String>) -> ServiceStatus {
    let Tally { present, ready, updated } = tally;
    let wanted = usize::try_from(service.replicas).unwrap_or(usize::MAX);
    let phase = match &trouble {
        _ if present == wanted && ready == wanted && updated == wanted => ServicePhase::Steady,
        Some(_) => ServicePhase::Stopped,
        None if updated < present => ServicePhase::RollingOut,
        None => ServicePhase::Changing,
    };
    let count = convert::count;
    let message = trouble.filter(|_| phase == ServicePhase::Stopped).unwrap_or_default();
    ServiceStatus {
        phase: phase.into(),
        present: count(present),
        ready: count(ready),
        updated: count(updated),
        message,
    }
}

/// A service as the model has it.
fn spec(service: Service) -> Result<ServiceSpec, Status> {
    let template = service.template.unwrap_or_default();
    let has_restart = template.restart.is_some();
    Ok(ServiceSpec {
        pool: service.pool,
        name: service.name,
        network: service.network,
        replicas: service.replicas,
        template: convert::container_spec(template)?,
        has_restart,
        patience_s: service.patience_s,
    })
}

fn template(template: &model::Template) -> Container {
    convert::specified(services::spec_of(template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_steady_only_with_all_its_replicas_and_no_others() {
        let service = |replicas| model::Service {
            pool: flowlib::compile::model::PoolId(1),
            name: "web".to_owned(),
            network: flowlib::compile::model::NetworkId(1),
            replicas,
            template: model::Template {
                version: 1,
                image: String::new(),
                runtime: "netns".to_owned(),
                command: Vec::new(),
                environment: std::collections::BTreeMap::new(),
                resources: model::Resources::default(),
                restart: model::RestartPolicy::No,
                stop_timeout_s: None,
                constraints: Vec::new(),
                affinities: Vec::new(),
                labels: std::collections::BTreeMap::new(),
                health: None,
                mounts: Vec::new(),
            },
            previous: None,
            last_version: 1,
            patience_s: 60,
            request_key: String::new(),
            revision: 1,
        };
        let phase = |(present, ready, updated), trouble: Option<&str>| {
            status(&service(3), Tally { present, ready, updated }, trouble.map(str::to_owned)).phase()
        };
        assert_eq!(phase((3, 3, 3), None), ServicePhase::Steady);
        assert_eq!(phase((2, 2, 2), None), ServicePhase::Changing);
        assert_eq!(phase((3, 2, 3), None), ServicePhase::Changing);
        assert_eq!(phase((4, 4, 1), None), ServicePhase::RollingOut);
        assert_eq!(phase((4, 3, 1), Some("why")), ServicePhase::Stopped);
    }
}
