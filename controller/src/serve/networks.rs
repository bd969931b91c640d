//! The service `weir.v1.Networks`.

use tonic::{Request, Response, Status};
use weir_api::v1::networks_server::Networks;
use weir_api::v1::{
    CreateNetworkRequest, DeleteNetworkRequest, DeleteNetworkResponse, GetNetworkRequest,
    ListNetworksRequest, ListNetworksResponse, Network,
};

use super::page::Page;
use super::{Api, condition, convert, fault, refused};
use crate::access::Caller;
use crate::intent::{Refusal, State};
use crate::orchestrate::networks::{self, NetworkSpec};
use crate::orchestrate::pools;

#[tonic::async_trait]
impl Networks for Api {
    async fn create_network(
        &self,
        request: Request<CreateNetworkRequest>,
    ) -> Result<Response<Network>, Status> {
        let key = condition::key(request.metadata())?;
        let within_ranges = matches!(request.extensions().get(), Some(Caller::Pool(_)));
        let network = request.into_inner().network;
        let network = network.ok_or_else(|| fault::invalid("network", "no network is given"))?;
        let spec = NetworkSpec { within_ranges, ..convert::network_spec(network)? };
        let network = self.orchestrator.create_network(spec, key).await.map_err(refused)?;
        let shown = self.orchestrator.intent().read(|state| convert::network(state, &network));
        Ok(Response::new(shown))
    }

    async fn get_network(&self, request: Request<GetNetworkRequest>) -> Result<Response<Network>, Status> {
        let GetNetworkRequest { pool, name } = request.into_inner();
        let find = |state: &State| {
            let pool = pools::find(state, &pool)?;
            let network = networks::find(state, pool, &name).map_err(|refusal| refusal.of("name"))?;
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
        let ListNetworksRequest { pool, page_size, page_token } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let list = |state: &State| {
            let only = (!pool.is_empty()).then(|| pools::find(state, &pool)).transpose()?;
            let all = state.networks().filter(|network| only.is_none_or(|pool| network.pool == pool.id));
            let mut networks: Vec<Network> = all.map(|network| convert::network(state, network)).collect();
            networks.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
            let (networks, next_page_token) = page.cut(networks, |network| (&network.pool, &network.name));
            Ok(ListNetworksResponse { networks, next_page_token })
        };
        self.orchestrator.intent().read(list).map(Response::new).map_err(|error: Refusal| refused(error))
    }

    async fn delete_network(
        &self,
        request: Request<DeleteNetworkRequest>,
    ) -> Result<Response<DeleteNetworkResponse>, Status> {
        let at = condition::revision(request.metadata())?;
        let DeleteNetworkRequest { pool, name } = request.into_inner();
        self.orchestrator.delete_network(pool, name, at).await.map_err(refused)?;
        Ok(Response::new(DeleteNetworkResponse {}))
    }
}
