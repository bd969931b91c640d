//! The service `weir.v1.Networks`.

use tonic::{Request, Response, Status};
use weir_api::v1::networks_server::Networks;
use weir_api::v1::{
    CreateNetworkRequest, DeleteNetworkRequest, DeleteNetworkResponse, GetNetworkRequest,
    ListNetworksRequest, ListNetworksResponse, Network,
};

use super::{Api, convert, refused};
use crate::intent::{Refusal, State};
use crate::orchestrate::{networks, pools};

#[tonic::async_trait]
impl Networks for Api {
    async fn create_network(
        &self,
        request: Request<CreateNetworkRequest>,
    ) -> Result<Response<Network>, Status> {
        let network = request.into_inner().network;
        let network = network.ok_or_else(|| Status::invalid_argument("no network is given"))?;
        let spec = convert::network_spec(network)?;
        let network = self.orchestrator.create_network(spec).await.map_err(refused)?;
        let shown = self.orchestrator.intent().read(|state| convert::network(state, &network));
        Ok(Response::new(shown))
    }

    async fn get_network(&self, request: Request<GetNetworkRequest>) -> Result<Response<Network>, Status> {
        let GetNetworkRequest { pool, name } = request.into_inner();
        let find = |state: &State| {
            let pool = pools::find(state, &pool)?;
            let network = networks::find(state, pool, &name)?;
            let routes =
                networks::routes(state, network).into_iter().map(|route| convert::route(state, route));
            Ok(Network { routes: routes.collect(), ..convert::network(state, network) })
        };
        self.orchestrator.intent().read(find).map(Response::new).map_err(|error: Refusal| refused(error))
    }

    async fn list_networks(
        &self,
        request: Request<ListNetworksRequest>,
    ) -> Result<Response<ListNetworksResponse>, Status> {
        let pool = request.into_inner().pool;
        let list = |state: &State| {
            let only = (!pool.is_empty()).then(|| pools::find(state, &pool)).transpose()?;
            let all = state.networks().filter(|network| only.is_none_or(|pool| network.pool == pool.id));
            let mut networks: Vec<Network> = all.map(|network| convert::network(state, network)).collect();
            networks.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
            Ok(ListNetworksResponse { networks })
        };
        self.orchestrator.intent().read(list).map(Response::new).map_err(|error: Refusal| refused(error))
    }

    async fn delete_network(
        &self,
        request: Request<DeleteNetworkRequest>,
    ) -> Result<Response<DeleteNetworkResponse>, Status> {
        let DeleteNetworkRequest { pool, name } = request.into_inner();
        self.orchestrator.delete_network(pool, name).await.map_err(refused)?;
        Ok(Response::new(DeleteNetworkResponse {}))
    }
}
