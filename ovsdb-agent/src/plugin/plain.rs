//! The calls about Docker's own networks and containers: those that somebody made with `docker network create -d weir`.
//!
//! Which endpoint a container gets is decided when Docker asks for an address: one of those that the controller has given
//! ahead, or, if there is none, one that it is asked for now. Each call is answered from the book; only what is not there
//! makes it wait for the controller, and not for long.

use std::{collections::HashMap, net::Ipv4Addr};

use axum::{Json, body::Bytes, extract::State};
use flowlib::types::MacAddr;
use ipnet::Ipv4Net;
use tokio::sync::oneshot;

use super::{
    Answer, Attached, Driver, Refused, Request, joined,
    message::{
        self, ADDRESS_SPACE, AddressCapabilities, AddressGiven, AddressSpaces, CreateEndpoint, CreateNetwork,
        EndpointCreated, Interface, Joined, OfNetwork, OfPool, PoolData, PoolOpened, RequestPool,
    },
    read,
};
use crate::runtime::EndpointSpec;

type Nothing = HashMap<String, String>;

pub(super) async fn address_capabilities() -> Json<AddressCapabilities> {
    Json(AddressCapabilities { requires_mac_address: false, requires_request_replay: false })
}

pub(super) async fn address_spaces() -> Json<AddressSpaces> {
    Json(AddressSpaces { local: ADDRESS_SPACE, global: ADDRESS_SPACE })
}

/// Opens a pool, of which network is not known yet. Without a subnet it is one that Docker compares with nothing.
pub(super) async fn request_pool(State(driver): State<Driver>, body: Bytes) -> Answer<PoolOpened> {
    let request: RequestPool = read(&body)?;
    let subnet = request.subnet().map_err(Refused)?;
    let token = driver.shelf.change(|book, now_ms| Ok(book.open_pool(subnet, now_ms))).map_err(Refused)?;
    let data = PoolData { gateway: message::shown_gateway(token) };
    let pool = subnet.unwrap_or_default();
    Ok(Json(PoolOpened { pool_id: message::pool_id(token), pool, data }))
}

pub(super) async fn release_pool(State(driver): State<Driver>, body: Bytes) -> Answer<Nothing> {
    let request: OfPool = read(&body)?;
    if let Some(token) = request.token() {
        driver.shelf.note(|book, _| book.pools.remove(&token));
    }
    Ok(Json(Nothing::new()))
}

pub(super) async fn request_address(State(driver): State<Driver>, body: Bytes) -> Answer<AddressGiven> {
    let request: OfPool = read(&body)?;
    let token =
        request.token().ok_or_else(|| Refused("this is no pool of the IPAM driver `weir`".to_owned()))?;
    let asked = request.address().map_err(Refused)?;
    if request.is_gateway() {
        if let Some(gateway) = asked {
            driver.shelf.note(|book, _| book.ask_gateway(token, gateway));
        }
        return Ok(Json(AddressGiven { address: message::shown_gateway(token) }));
    }
    let network = driver.shelf.book().network_of_pool(token).map(str::to_owned);
    let network = network.map_err(|why| Refused(why.to_string()))?;
    let spec = driver.take(&network, asked).await?;
    Ok(Json(AddressGiven { address: spec.address.address.to_string() }))
}

pub(super) async fn release_address(State(driver): State<Driver>, body: Bytes) -> Answer<Nothing> {
    let request: OfPool = read(&body)?;
    if let (Some(token), Ok(Some(address))) = (request.token(), request.address()) {
        driver.shelf.note(|book, now_ms| book.give_back(token, address, now_ms));
    }
    Ok(Json(Nothing::new()))
}

pub(super) async fn delete_network(State(driver): State<Driver>, body: Bytes) -> Answer<Nothing> {
    let request: OfNetwork = read(&body)?;
    driver.shelf.note(|book, now_ms| book.unbind(&request.network_id, now_ms));
    Ok(Json(Nothing::new()))
}

impl Driver {
    /// Makes one of Docker's networks one of Weir's. That there is such a one shows an endpoint of it, which stays in reserve.
    pub(super) async fn create_plain_network(&self, request: &CreateNetwork) -> Result<(), Refused> {
        let network = request.network().map_err(Refused)?;
        let token = request.token().map_err(Refused)?;
        let known = self.shelf.book().any_of(&network).cloned();
        let like = match known {
            Some(spec) => spec,
            None => {
                let of = network.clone();
                let spec = self.ask(|reply| Request::Lease { network: of, address: None, reply }).await?;
                self.shelf.add(&spec);
                spec
            }
        };
        let bind = |book: &mut super::book::Book, _| {
            book.bind(token, (&request.network_id, &network), &like).map_err(|why| why.to_string())
        };
        self.shelf.change(bind).map_err(Refused)
    }

    /// An endpoint of a network, with that address or any, that nobody else gets.
    async fn take(&self, network: &str, asked: Option<Ipv4Addr>) -> Result<EndpointSpec, Refused> {
        for _ in 0..TRIES {
            let take = |book: &mut super::book::Book, now_ms| match asked {
                None => Ok(book.take(network, now_ms)),
                Some(address) => book.take_address(network, address, now_ms).map_err(|why| why.to_string()),
            };
            if let Some(spec) = self.shelf.change(take).map_err(Refused)? {
                return Ok(spec);
            }
            let network = network.to_owned();
            let spec = self.ask(|reply| Request::Lease { network, address: asked, reply }).await?;
            let is_ours =
                |book: &mut super::book::Book, now_ms| Ok(book.add(&spec, (true, asked.is_some()), now_ms));
            if self.shelf.change(is_ours).map_err(Refused)? {
                return Ok(spec);
            }
        }
        Err(Refused("others took each address that the controller gave: try again".to_owned()))
    }

    /// Makes an endpoint of Docker's of the one whose address it has.
    pub(super) async fn create_plain_endpoint(&self, request: CreateEndpoint) -> Answer<EndpointCreated> {
        if request.publishes_ports() {
            return Err(Refused(
                "ports are not published in networks of the driver `weir`, where a container has an address of its own: \
                 leave -p out, and use that address"
                    .to_owned(),
            ));
        }
        let interface = request.interface.unwrap_or_default();
        let address: Ipv4Net = interface.address.parse().map_err(|_| {
            Refused(format!("`{}` is no address that the IPAM driver `weir` has given", interface.address))
        })?;
        let asked = match interface.mac_address.as_str() {
            "" => None,
            text => Some(text.parse::<MacAddr>().map_err(|error| Refused(error.to_string()))?),
        };
        let make = |book: &mut super::book::Book, now_ms| {
            let ids = (request.network_id.as_str(), request.endpoint_id.as_str());
            book.make(ids, address, now_ms).map_err(|why| why.to_string())
        };
        let spec = self.shelf.change(make).map_err(Refused)?;
        // What Docker has already it does not take again.
        let mac_address = asked.map_or_else(|| spec.mac.to_string(), |_| String::new());
        if let Some(mac) = asked.filter(|mac| *mac != spec.mac) {
            let changed = self.ask(|reply| Request::SetMac { endpoint: spec.id, mac, reply }).await;
            if let Err(refused) = changed {
                self.shelf.note(|book, now_ms| book.unmake(&request.endpoint_id, now_ms));
                return Err(refused);
            }
            self.shelf.note(|book, _| book.set_mac(spec.id, mac));
        }
        self.begin_to_attach(&request.endpoint_id);
        Ok(Json(EndpointCreated { interface: Interface { address: String::new(), mac_address } }))
    }

    /// Begins with what [`Self::join_plain`] waits for: before it asks for that, Docker writes down what it has, and makes the
    /// container's namespace.
    fn begin_to_attach(&self, docker_id: &str) {
        let Some(spec) = self.shelf.book().made(docker_id).cloned().map(Box::new) else { return };
        let (reply, _) = oneshot::channel();
        // If there is no room for it now, it is early enough when Docker asks.
        drop(self.requests.try_send(Request::AttachPlain { spec, docker: docker_id.to_owned(), reply }));
    }

    /// Plugs an endpoint of Docker's; `None` if it is not one of Docker's own.
    pub(super) async fn join_plain(&self, docker_id: &str) -> Result<Option<Joined>, Refused> {
        let spec = self.shelf.book().made(docker_id).cloned().map(Box::new);
        let Some(spec) = spec else { return Ok(None) };
        let endpoint = docker_id.to_owned();
        let attached = self.ask(|reply| Request::AttachPlain { spec, docker: endpoint, reply }).await?;
        let Attached { interface, gateway } = attached;
        self.shelf.note(|book, _| book.set_joined(docker_id, true));
        Ok(Some(joined(interface, gateway)))
    }

    /// Unplugs an endpoint of Docker's; `false` if it is not one of Docker's own.
    pub(super) async fn leave_plain(&self, docker_id: &str) -> Result<bool, Refused> {
        let endpoint = self.shelf.book().made(docker_id).map(|spec| spec.id);
        let Some(endpoint) = endpoint else { return Ok(false) };
        self.shelf.note(|book, _| book.set_joined(docker_id, false));
        self.ask(|reply| Request::Detach { endpoint, reply }).await?;
        Ok(true)
    }
}

/// How often an address is asked for that somebody else takes first.
const TRIES: usize = 3;
