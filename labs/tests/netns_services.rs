//! A service of real Docker containers: six replicas that answer HTTP, scaled, rolled to another image while at least five
//! answer at every moment, stopped by an image that is not healthy, and rolled back.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docker::{IMAGE, docker, until_offered};
use labs::Place;
use support::{POOL, System, inside, vlan};
use weir_api::v1;
use weir_api::v1::container_status::Phase as ContainerPhase;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::service_status::Phase;
use weir_api::v1::services_client::ServicesClient;

const PATIENCE: Duration = Duration::from_secs(120);
const NEW: &str = "busybox:new";
/// One whose replicas never become healthy: there is nothing to serve.
const BAD: &str = "busybox:bad";
const WEB: &str = "web";

struct Service<'a>(&'a System);

impl Service<'_> {
    fn client(&self) -> ServicesClient<tonic::transport::Channel> {
        ServicesClient::new(self.0.channel.clone())
    }

    fn create(&self, replicas: u32) -> v1::Service {
        // The page is the image's own, so that each image says which it is.
        let health = v1::HealthCheck {
            http: "80/version".to_owned(),
            interval_s: 1,
            retries: 2,
            ..Default::default()
        };
        let template = v1::Container {
            image: format!("{IMAGE}:old"),
            command: ["httpd", "-f", "-h", "/www"].map(str::to_owned).into(),
            stop_timeout_s: Some(1),
            health: Some(health),
            ..v1::Container::default()
        };
        let service = v1::Service {
            pool: POOL.to_owned(),
            name: WEB.to_owned(),
            network: "v".to_owned(),
            replicas,
            template: Some(template),
            patience_s: 10,
            ..v1::Service::default()
        };
        let request = v1::CreateServiceRequest { service: Some(service) };
        self.0.runtime.block_on(self.client().create_service(request)).unwrap().into_inner()
    }

    fn scale(&self, replicas: u32) {
        let request = v1::ScaleServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned(), replicas };
        self.0.runtime.block_on(self.client().scale_service(request)).unwrap();
    }

    fn update(&self, image: &str) {
        let (pool, name, image) = (POOL.to_owned(), WEB.to_owned(), image.to_owned());
        let request = v1::UpdateServiceRequest { pool, name, image };
        self.0.runtime.block_on(self.client().update_service(request)).unwrap();
    }

    fn roll_back(&self) {
        let request = v1::RollbackServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        self.0.runtime.block_on(self.client().rollback_service(request)).unwrap();
    }

    fn delete(&self) {
        let request = v1::DeleteServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        self.0.runtime.block_on(self.client().delete_service(request)).unwrap();
    }

    fn until(&self, phase: Phase, present: u32) -> v1::Service {
        let request = v1::GetServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        let look = || {
            let got = self.0.runtime.block_on(self.client().get_service(request.clone()))?.into_inner();
            let status = got.status.as_ref().unwrap();
            Ok((status.phase() == phase && status.present == present).then_some(got))
        };
        self.0.lab.wait_until(PATIENCE, &format!("the service to be {phase:?}"), look).unwrap()
    }

    /// The containers of the service, those that are going included.
    fn containers(&self) -> Vec<v1::Container> {
        self.0.containers().into_iter().filter(|container| container.replica_of == WEB).collect()
    }

    /// One of its replicas that are ready.
    fn ready(&self) -> v1::Container {
        let is_ready = |replica: &v1::Container| {
            replica.status.as_ref().is_some_and(|status| status.phase() == ContainerPhase::Ready)
        };
        self.containers().into_iter().find(is_ready).unwrap()
    }

    fn addresses(&self) -> Vec<Ipv4Addr> {
        self.containers().iter().map(|container| container.address.parse().unwrap()).collect()
    }
}

/// What the replicas at these addresses say of their version, those that answer within a second.
fn answers(from: &Place, addresses: &[Ipv4Addr]) -> Vec<String> {
    inside(from, || {
        std::thread::scope(|scope| {
            let asked: Vec<_> =
                addresses.iter().map(|address| scope.spawn(move || answer(*address))).collect();
            asked.into_iter().filter_map(|asked| asked.join().unwrap().ok()).collect()
        })
    })
}

fn answer(address: Ipv4Addr) -> std::io::Result<String> {
    let second = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 80)), second)?;
    stream.set_read_timeout(Some(second))?;
    stream.write_all(b"GET /version HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    if !head.contains(" 200 ") {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    Ok(body.trim().to_owned())
}

/// Makes an image on a node whose page says which it is; without a page if `version` is none.
fn make_image(system: &System, node: &str, image: &str, version: Option<&str>) {
    let page = version.map_or_else(String::new, |version| format!(" && echo {version} > /www/version"));
    let script = format!("mkdir -p /www{page}");
    let id = docker(&system.lab, node, &["create", "--network", "none", IMAGE, "sh", "-c", &script]).unwrap();
    docker(&system.lab, node, &["start", "--attach", &id]).unwrap();
    docker(&system.lab, node, &["commit", &id, image]).unwrap();
    docker(&system.lab, node, &["rm", &id]).unwrap();
}

/// Waits until the controller knows that all nodes have an image.
fn until_images(system: &System, image: &str) {
    let container = v1::Container {
        pool: POOL.to_owned(),
        network: "v".to_owned(),
        image: image.to_owned(),
        ..v1::Container::default()
    };
    let known = || {
        let request = v1::PreviewContainerRequest { container: Some(container.clone()) };
        let mut client = ContainersClient::new(system.channel.clone());
        let placement = system.runtime.block_on(client.preview_container(request))?.into_inner();
        Ok(placement.candidates.iter().all(|candidate| candidate.image_score > 0).then_some(()))
    };
    system.lab.wait_until(PATIENCE, &format!("{image} to be on all nodes"), known).unwrap();
}

/// Counts who answers, again and again while something is done; the fewest that did at once, and all versions seen.
fn watched(system: &System, service: &Service<'_>, doing: impl FnOnce()) -> (usize, BTreeSet<String>) {
    let (done, from) = (AtomicBool::new(false), system.place("gw"));
    let (done, from) = (&done, &from);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || {
            let (mut fewest, mut versions) = (usize::MAX, BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                let said = answers(from, &service.addresses());
                fewest = fewest.min(said.len());
                versions.extend(said);
            }
            (fewest, versions)
        });
        doing();
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

#[test]
fn a_service_is_scaled_and_rolled_to_a_new_image_while_all_but_one_answer() {
    let Some(system) = System::up_docker("svc") else { return };
    system.network(vlan("v"));
    for node in ["n1", "n2", "n3"] {
        until_offered(&system, node, true);
        let old = format!("{IMAGE}:old");
        for (image, version) in [(old.as_str(), Some("old")), (NEW, Some("new")), (BAD, None)] {
            make_image(&system, node, image, version);
        }
    }
    until_images(&system, BAD);
    let service = Service(&system);
    service.create(3);
    service.until(Phase::Steady, 3);
    let nodes: BTreeSet<String> = service.containers().into_iter().map(|replica| replica.node).collect();
    assert_eq!(nodes.len(), 3, "one on each node");
    service.scale(6);
    service.until(Phase::Steady, 6);
    let from = system.place("gw");
    assert_eq!(answers(&from, &service.addresses()), ["old"; 6]);

    let (fewest, versions) = watched(&system, &service, || {
        service.update(NEW);
        service.until(Phase::Steady, 6);
    });
    assert!(fewest >= 5, "only {fewest} of six answered\n{}", system.lab.dump());
    assert_eq!(versions, BTreeSet::from(["old".to_owned(), "new".to_owned()]));

    let (fewest, versions) = watched(&system, &service, || {
        service.update(BAD);
        let stopped = service.until(Phase::Stopped, 7).status.unwrap();
        assert!(stopped.message.contains("is not healthy"), "{stopped:?}");
        service.roll_back();
        service.until(Phase::Steady, 6);
    });
    assert!(fewest >= 6, "only {fewest} of six answered\n{}", system.lab.dump());
    assert_eq!(versions, BTreeSet::from(["new".to_owned()]));

    // What is deleted, and what is unhealthy, is told as it is.
    system.delete(&service.ready().name);
    service.until(Phase::Steady, 6);
    let one = service.ready();
    let name = format!("{}.{POOL}.{}", one.name, one.endpoint_id);
    docker(&system.lab, &one.node, &["exec", &name, "rm", "/www/version"]).unwrap();
    let unhealthy = || {
        let status = system.container(&one.name).status.unwrap();
        Ok((status.phase() == ContainerPhase::Degraded && status.reason == "Unhealthy").then_some(()))
    };
    system.lab.wait_until(PATIENCE, "the replica to be unhealthy", unhealthy).unwrap();

    service.scale(2);
    service.until(Phase::Steady, 2);
    service.delete();
    let gone = || Ok(service.containers().is_empty().then_some(()));
    system.lab.wait_until(PATIENCE, "the replicas to go", gone).unwrap();
}
