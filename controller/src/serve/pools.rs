//! The service `weir.v1.Pools`.

use tonic::{Request, Response, Status};
use weir_api::v1::pools_server::Pools;
use weir_api::v1::{
    CreatePoolRequest, DeletePoolRequest, DeletePoolResponse, GetPoolRequest, ListPoolsRequest,
    ListPoolsResponse, Pool,
};

use super::{Api, convert, refused};
use crate::orchestrate::pools;

#[tonic::async_trait]
impl Pools for Api {
    async fn create_pool(&self, request: Request<CreatePoolRequest>) -> Result<Response<Pool>, Status> {
        let pool = request.into_inner().pool.ok_or_else(|| Status::invalid_argument("no pool is given"))?;
        let pool = self.orchestrator.create_pool(convert::pool_spec(pool)).await.map_err(refused)?;
        Ok(Response::new(convert::pool(&pool)))
    }

    async fn get_pool(&self, request: Request<GetPoolRequest>) -> Result<Response<Pool>, Status> {
        let name = request.into_inner().name;
        let find = |state: &_| pools::find(state, &name).map(|pool| convert::pool(pool));
        self.orchestrator.intent().read(find).map(Response::new).map_err(refused)
    }

    async fn list_pools(&self, _: Request<ListPoolsRequest>) -> Result<Response<ListPoolsResponse>, Status> {
        let pools = self.orchestrator.intent().read(|state| {
            let mut pools: Vec<Pool> = state.pools().map(|pool| convert::pool(pool)).collect();
            pools.sort_by(|a, b| a.name.cmp(&b.name));
            pools
        });
        Ok(Response::new(ListPoolsResponse { pools }))
    }

    async fn delete_pool(
        &self,
        request: Request<DeletePoolRequest>,
    ) -> Result<Response<DeletePoolResponse>, Status> {
        self.orchestrator.delete_pool(request.into_inner().name).await.map_err(refused)?;
        Ok(Response::new(DeletePoolResponse {}))
    }
}
