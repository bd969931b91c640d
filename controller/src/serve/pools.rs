//! The service `weir.v1.Pools`.

use tonic::{Request, Response, Status};
use weir_api::v1::pools_server::Pools;
use weir_api::v1::{
    CreatePoolRequest, DeletePoolRequest, DeletePoolResponse, GetPoolRequest, ListPoolsRequest,
    ListPoolsResponse, Pool, UpdatePoolRequest,
};

use super::page::Page;
use super::{Api, condition, convert, fault, refused};
use crate::intent::State;
use crate::orchestrate::pools::{self, Change, QuotaChange};

#[tonic::async_trait]
impl Pools for Api {
    async fn create_pool(&self, request: Request<CreatePoolRequest>) -> Result<Response<Pool>, Status> {
        let key = condition::key(request.metadata())?;
        let pool = request.into_inner().pool.ok_or_else(|| fault::invalid("pool", "no pool is given"))?;
        let pool = self.orchestrator.create_pool(convert::pool_spec(pool), key).await.map_err(refused)?;
        Ok(Response::new(self.orchestrator.intent().read(|state| convert::pool(state, &pool))))
    }

    async fn update_pool(&self, request: Request<UpdatePoolRequest>) -> Result<Response<Pool>, Status> {
        let at = condition::revision(request.metadata())?;
        let request = request.into_inner();
        let quota = QuotaChange {
            containers: request.max_containers,
            cpu_millis: request.max_cpu_millis,
            memory_bytes: request.max_memory_bytes,
            addresses: request.max_addresses,
        };
        let change = Change { quota, registry_proxies: request.registry_proxies.into_iter().collect() };
        let pool = self.orchestrator.update_pool(request.name, change, at).await.map_err(refused)?;
        Ok(Response::new(self.orchestrator.intent().read(|state| convert::pool(state, &pool))))
    }

    async fn get_pool(&self, request: Request<GetPoolRequest>) -> Result<Response<Pool>, Status> {
        let name = request.into_inner().name;
        let find = |state: &State| pools::find(state, &name).map(|pool| convert::pool(state, pool));
        let found = self.orchestrator.intent().read(find).map_err(|refusal| refusal.of("name"));
        found.map(Response::new).map_err(refused)
    }

    async fn list_pools(
        &self,
        request: Request<ListPoolsRequest>,
    ) -> Result<Response<ListPoolsResponse>, Status> {
        let ListPoolsRequest { page_size, page_token, name } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let pools = self.orchestrator.intent().read(|state| {
            let wanted = state.pools().filter(|pool| name.is_empty() || pool.name == name);
            let mut pools: Vec<Pool> = wanted.map(|pool| convert::pool(state, pool)).collect();
            pools.sort_by(|a, b| a.name.cmp(&b.name));
            pools
        });
        let (pools, next_page_token) = page.cut(pools, |pool| (&pool.name, ""));
        Ok(Response::new(ListPoolsResponse { pools, next_page_token }))
    }

    async fn delete_pool(
        &self,
        request: Request<DeletePoolRequest>,
    ) -> Result<Response<DeletePoolResponse>, Status> {
        let at = condition::revision(request.metadata())?;
        self.orchestrator.delete_pool(request.into_inner().name, at).await.map_err(refused)?;
        Ok(Response::new(DeletePoolResponse {}))
    }
}
