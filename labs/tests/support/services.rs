//! A service of containers that answer HTTP, and who watches it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use labs::Place;
use weir_api::v1;
use weir_api::v1::container_status::Phase as ContainerPhase;
use weir_api::v1::service_status::Phase;
use weir_api::v1::services_client::ServicesClient;

use crate::support::{POOL, System, inside};

const PATIENCE: Duration = Duration::from_secs(120);
/// What it is called.
pub(crate) const WEB: &str = "web";

/// A service `web` of replicas that say which version they are.
pub(crate) struct Service<'a>(pub(crate) &'a System);

impl Service<'_> {
    fn client(&self) -> ServicesClient<tonic::transport::Channel> {
        ServicesClient::new(self.0.channel.clone())
    }

    /// Makes it; the image has a page `/www/version`.
    pub(crate) fn create(&self, image: &str, replicas: u32) -> v1::Service {
        // The page is the image's own, so that each image says which it is.
        let health = v1::HealthCheck {
            http: "80/version".to_owned(),
            interval_s: 1,
            retries: 2,
            ..Default::default()
        };
        let template = v1::Container {
            image: image.to_owned(),
            command: ["httpd", "-f", "-h", "/www"].map(str::to_owned).into(),
            stop_timeout_s: Some(1),
            health: Some(health),
            ..v1::Container::default()
        };
        self.create_of(template, replicas)
    }

    /// Makes it of other containers.
    pub(crate) fn create_of(&self, template: v1::Container, replicas: u32) -> v1::Service {
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

    pub(crate) fn scale(&self, replicas: u32) {
        let request = v1::ScaleServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned(), replicas };
        self.0.runtime.block_on(self.client().scale_service(request)).unwrap();
    }

    pub(crate) fn update(&self, image: &str) {
        let (pool, name, image) = (POOL.to_owned(), WEB.to_owned(), image.to_owned());
        let request = v1::UpdateServiceRequest { pool, name, image };
        self.0.runtime.block_on(self.client().update_service(request)).unwrap();
    }

    pub(crate) fn roll_back(&self) {
        let request = v1::RollbackServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        self.0.runtime.block_on(self.client().rollback_service(request)).unwrap();
    }

    pub(crate) fn delete(&self) {
        let request = v1::DeleteServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        self.0.runtime.block_on(self.client().delete_service(request)).unwrap();
    }

    pub(crate) fn until(&self, phase: Phase, present: u32) -> v1::Service {
        let request = v1::GetServiceRequest { pool: POOL.to_owned(), name: WEB.to_owned() };
        let look = || {
            let got = self.0.runtime.block_on(self.client().get_service(request.clone()))?.into_inner();
            let status = got.status.as_ref().unwrap();
            Ok((status.phase() == phase && status.present == present).then_some(got))
        };
        self.0.lab.wait_until(PATIENCE, &format!("the service to be {phase:?}"), look).unwrap()
    }

    /// The containers of the service, those that are going included.
    pub(crate) fn containers(&self) -> Vec<v1::Container> {
        self.0.containers().into_iter().filter(|container| container.replica_of == WEB).collect()
    }

    /// One of its replicas that are ready.
    pub(crate) fn ready(&self) -> v1::Container {
        let is_ready = |replica: &v1::Container| {
            replica.status.as_ref().is_some_and(|status| status.phase() == ContainerPhase::Ready)
        };
        self.containers().into_iter().find(is_ready).unwrap()
    }

    pub(crate) fn addresses(&self) -> Vec<Ipv4Addr> {
        self.containers().iter().map(|container| container.address.parse().unwrap()).collect()
    }
}

/// What the replicas at these addresses say of their version, those that answer within a second.
pub(crate) fn answers(from: &Place, addresses: &[Ipv4Addr]) -> Vec<String> {
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

/// Counts who answers, again and again while something is done; the fewest that did at once, and all versions seen.
pub(crate) fn watched(
    system: &System,
    service: &Service<'_>,
    doing: impl FnOnce(),
) -> (usize, BTreeSet<String>) {
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
