//! A controller, three nodes, a gateway, a bare host and a stranger: the lab of the quickstart, and its API.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use labs::topology::Name;
use labs::{Lab, Place, Topology};
use nix::sched::{CloneFlags, setns};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::networks_client::NetworksClient;
use weir_api::v1::nodes_client::NodesClient;
use weir_api::v1::status_client::StatusClient;

/// The one pool of the lab.
pub(crate) const POOL: &str = "pool2";
/// How long anything may take to become ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lab in which everything is connected. It goes down when this is dropped.
pub(crate) struct System {
    pub(crate) lab: Lab,
    pub(crate) runtime: Runtime,
    pub(crate) channel: Channel,
    _folder: tempfile::TempDir,
}

/// A container that is ready, and where commands run in it.
pub(crate) struct Attached {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: [u8; 6],
    pub(crate) ofport: u16,
    pub(crate) endpoint_id: u32,
    pub(crate) place: Place,
}

impl System {
    /// The lab of the quickstart without its Docker daemons; nothing, if a lab cannot be built here.
    pub(crate) fn up(name: &str) -> Option<System> {
        System::up_with(name, |_| {})
    }

    /// [`System::up`] with changes.
    pub(crate) fn up_with(name: &str, change: impl FnOnce(&mut Topology)) -> Option<System> {
        System::build(name, Lab::possible(), |topology, _| {
            topology.nodes.iter_mut().for_each(|node| node.docker = false);
            change(topology);
        })
    }

    /// The lab of the quickstart with a Docker daemon on each node; nothing, if such a lab cannot be built here.
    pub(crate) fn up_docker(name: &str) -> Option<System> {
        System::up_docker_with(name, |_| {})
    }

    /// [`System::up_docker`] with changes.
    pub(crate) fn up_docker_with(name: &str, change: impl FnOnce(&mut Topology)) -> Option<System> {
        System::build(name, Lab::docker_possible(), |topology, _| change(topology))
    }

    /// [`System::up_docker_with`], and with something to be done with the lab's folder before it is there.
    pub(crate) fn up_docker_in(name: &str, change: impl FnOnce(&mut Topology, &Path)) -> Option<System> {
        System::build(name, Lab::docker_possible(), change)
    }

    fn build(
        name: &str,
        possible: anyhow::Result<()>,
        change: impl FnOnce(&mut Topology, &Path),
    ) -> Option<System> {
        if let Err(e) = possible {
            eprintln!("not run: {e:#}");
            return None;
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/quickstart.toml");
        let mut topology = Topology::read(&file).unwrap();
        topology.name = Some(Name::new(&format!("{name}-{}", std::process::id())).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("lab");
        change(&mut topology, &dir);
        let lab = Lab::up(&topology, &dir).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let channel = runtime.block_on(labs::api::connect(&lab.server())).unwrap();
        Some(System { lab, runtime, channel, _folder: folder })
    }

    /// Creates a network.
    pub(crate) fn network(&self, network: v1::Network) -> v1::Network {
        let request = v1::CreateNetworkRequest { network: Some(network) };
        let mut client = NetworksClient::new(self.channel.clone());
        self.runtime.block_on(client.create_network(request)).unwrap().into_inner()
    }

    /// A network as it is now.
    pub(crate) fn network_now(&self, name: &str) -> v1::Network {
        let request = v1::GetNetworkRequest { pool: POOL.to_owned(), name: name.to_owned() };
        let mut client = NetworksClient::new(self.channel.clone());
        self.runtime.block_on(client.get_network(request)).unwrap().into_inner()
    }

    /// Nodes as they are now, by name.
    pub(crate) fn nodes(&self) -> Vec<v1::Node> {
        let request = v1::ListNodesRequest { pool: POOL.to_owned(), ..Default::default() };
        let mut client = NodesClient::new(self.channel.clone());
        let mut nodes = self.runtime.block_on(client.list_nodes(request)).unwrap().into_inner().nodes;
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    /// All containers as they are now.
    pub(crate) fn containers(&self) -> Vec<v1::Container> {
        let request = v1::ListContainersRequest { pool: POOL.to_owned(), ..Default::default() };
        let mut client = ContainersClient::new(self.channel.clone());
        self.runtime.block_on(client.list_containers(request)).unwrap().into_inner().containers
    }

    /// What the controller says of itself; nothing, if it does not answer.
    pub(crate) fn status(&self) -> Option<v1::GetStatusResponse> {
        let mut client = StatusClient::new(self.channel.clone());
        self.runtime.block_on(client.get_status(v1::GetStatusRequest::default())).ok().map(|s| s.into_inner())
    }

    /// Creates a container of a network (`NETWORK` or `NETWORK/NODE`) and waits until it is ready, or only until it is
    /// committed.
    pub(crate) fn try_create(
        &self,
        name: &str,
        network: &str,
        address: Option<&str>,
        wait: bool,
    ) -> Result<v1::Container, Status> {
        let (network, node) = network.split_once('/').unwrap_or((network, ""));
        let container = v1::Container {
            name: name.to_owned(),
            network: network.to_owned(),
            node: node.to_owned(),
            address: address.unwrap_or_default().to_owned(),
            ..Default::default()
        };
        self.try_create_as(container, wait)
    }

    /// Creates a container of the pool as it is given.
    pub(crate) fn try_create_as(
        &self,
        container: v1::Container,
        wait: bool,
    ) -> Result<v1::Container, Status> {
        let container = v1::Container { pool: POOL.to_owned(), ..container };
        let mut request =
            tonic::Request::new(v1::CreateContainerRequest { container: Some(container), wait });
        request.set_timeout(PATIENCE);
        let mut client = ContainersClient::new(self.channel.clone());
        Ok(self.runtime.block_on(client.create_container(request))?.into_inner())
    }

    /// A ready container of a network, `NETWORK` or `NETWORK/NODE`, with an address of the controller's choice.
    pub(crate) fn create(&self, name: &str, network: &str) -> Attached {
        self.attached(self.try_create(name, network, None, true), name)
    }

    /// A ready container with that address.
    pub(crate) fn create_at(&self, name: &str, network: &str, address: &str) -> Attached {
        self.attached(self.try_create(name, network, Some(address), true), name)
    }

    /// A ready container of the pool as it is given.
    pub(crate) fn create_as(&self, container: v1::Container) -> Attached {
        let name = container.name.clone();
        self.attached(self.try_create_as(container, true), &name)
    }

    /// Why a container cannot be created.
    pub(crate) fn refusal(&self, name: &str, network: &str, address: Option<&str>) -> (Code, String) {
        let refused = self.try_create(name, network, address, false).unwrap_err();
        (refused.code(), refused.message().to_owned())
    }

    /// A container as it is now.
    pub(crate) fn container(&self, name: &str) -> v1::Container {
        let request = v1::GetContainerRequest { pool: POOL.to_owned(), name: name.to_owned() };
        let mut client = ContainersClient::new(self.channel.clone());
        self.runtime.block_on(client.get_container(request)).unwrap().into_inner()
    }

    /// Waits until a container is ready.
    pub(crate) fn until_ready(&self, name: &str) -> Attached {
        let ready = || {
            let container = self.container(name);
            let phase = container.status.as_ref().map(v1::ContainerStatus::phase);
            Ok((phase == Some(v1::container_status::Phase::Ready)).then_some(container))
        };
        let container = self.lab.wait_until(PATIENCE, &format!("{name} to be ready"), ready).unwrap();
        self.attached(Ok(container), name)
    }

    /// Moves a container and waits until it is ready there.
    pub(crate) fn move_to(&self, name: &str, node: &str) -> Attached {
        let request = v1::MoveContainerRequest {
            pool: POOL.to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            wait: true,
        };
        let mut client = ContainersClient::new(self.channel.clone());
        let moved = self.runtime.block_on(client.move_container(request)).map(|m| m.into_inner());
        self.attached(moved, name)
    }

    /// Deletes a container and waits until nothing is left of it.
    pub(crate) fn delete(&self, name: &str) {
        let request = v1::DeleteContainerRequest { pool: POOL.to_owned(), name: name.to_owned(), wait: true };
        let mut client = ContainersClient::new(self.channel.clone());
        if let Err(e) = self.runtime.block_on(client.delete_container(request)) {
            panic!("{name} cannot be deleted: {e}\n{}", self.lab.dump());
        }
    }

    /// Asks for a container to be deleted, and does not wait for it.
    pub(crate) fn begin_delete(&self, name: &str) {
        let request =
            v1::DeleteContainerRequest { pool: POOL.to_owned(), name: name.to_owned(), wait: false };
        let mut client = ContainersClient::new(self.channel.clone());
        self.runtime.block_on(client.delete_container(request)).unwrap();
    }

    /// A host's or node's place.
    pub(crate) fn place(&self, machine: &str) -> Place {
        self.lab.place(machine).unwrap()
    }

    /// The NAT MAC of each node, by the nodes' names.
    pub(crate) fn nat_macs(&self) -> Vec<(String, [u8; 6])> {
        self.nodes().into_iter().map(|node| (node.name, super::mac(&node.nat_mac))).collect()
    }

    /// The MAC address of a host's interface.
    pub(crate) fn host_mac(&self, host: &str) -> [u8; 6] {
        super::mac(&self.lab.state().machine(host).unwrap().nic.as_ref().unwrap().mac.to_string())
    }

    fn attached(&self, created: Result<v1::Container, Status>, name: &str) -> Attached {
        let container = created.unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.lab.dump()));
        let place = Place::endpoint(self.lab.state(), &container.node, container.endpoint_id).unwrap();
        Attached {
            name: container.name,
            node: container.node,
            address: container.address.split('/').next().unwrap().parse().unwrap(),
            mac: super::mac(&container.mac),
            ofport: u16::try_from(container.ofport).unwrap(),
            endpoint_id: container.endpoint_id,
            place,
        }
    }
}

/// A VLAN network of the lab's hosts: their subnet, their gateway, their VLAN.
pub(crate) fn vlan(name: &str) -> v1::Network {
    v1::Network {
        pool: POOL.to_owned(),
        name: name.to_owned(),
        driver: "vlan".to_owned(),
        subnet: "10.209.164.0/22".to_owned(),
        gateway: "10.209.164.1".to_owned(),
        vlan: 100,
        ..Default::default()
    }
}

/// A VXLAN network.
pub(crate) fn vxlan(name: &str, subnet: &str) -> v1::Network {
    v1::Network {
        pool: POOL.to_owned(),
        name: name.to_owned(),
        driver: "vxlan".to_owned(),
        subnet: subnet.to_owned(),
        ..Default::default()
    }
}

/// Whether the one packet that is sent is answered within two seconds.
pub(crate) fn reaches(from: &Place, to: Ipv4Addr) -> bool {
    from.run(["ping", "-n", "-c", "1", "-W", "2", &to.to_string()]).is_ok()
}

/// Does something on a thread inside a place's network namespace.
pub(crate) fn inside<T: Send>(place: &Place, what: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(place.namespace()).unwrap();
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            what()
        });
        inside.join().unwrap()
    })
}
