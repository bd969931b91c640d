//! What it takes to read a list of 10,000 containers over TCP: by HTTP and JSON, whole and its first bytes, and by gRPC.
//!
//! `cargo bench -p controller --bench rest`

#![allow(missing_docs)] // Benchmarks are named by their functions.

mod fleet;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use controller::intent::store::embedded::Embedded;
use controller::intent::{Intent, Refusal, Transaction};
use controller::measure::Metrics;
use controller::measure::journey::Journal;
use controller::orchestrate::containers::{self, ContainerSpec, Surroundings};
use controller::orchestrate::links::Links;
use controller::orchestrate::ofport::Ports;
use controller::orchestrate::{Orchestrator, Timing};
use controller::serve::Api;
use controller::serve::listen::{Address, Listener};
use divan::Bencher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use weir_api::v1::ListContainersRequest;

const N_CONTAINERS: u32 = 10_000;
const N_NODES: u32 = 100;

fn main() {
    divan::main();
}

/// A controller with its containers, and where it listens.
struct World {
    runtime: Runtime,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl World {
    fn start() -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let dir = tempfile::tempdir()?;
        let address = runtime.block_on(async {
            let intent = Intent::start(Embedded::open(&dir.path().join("intent.redb"))?)?;
            intent.transact(fill).await?;
            let metrics = Arc::new(Metrics::default());
            let journal = Arc::new(Journal::among(&metrics));
            let timing = Timing { cool_down: Duration::from_secs(60), lease: Duration::from_secs(60) };
            let (orchestrator, _) = Orchestrator::start(intent, timing, journal);
            let api = Api::new(orchestrator, metrics, Vec::new());
            let listener =
                Listener::bind(&Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), None).await?;
            let Listener::Tcp(socket) = &listener else { anyhow::bail!("no TCP") };
            let address = socket.local_addr()?;
            tokio::spawn(listener.serve(api.routes(), CancellationToken::new()));
            Ok(address)
        })?;
        Ok(Self { runtime, address, _dir: dir })
    }
}

fn fill(tx: &mut Transaction<'_>) -> Result<(), Refusal> {
    let (links, ports) = (Links::default(), Ports::default());
    fleet::furnish(tx, &links, N_NODES)?;
    for n in 0..N_CONTAINERS {
        let spec = ContainerSpec {
            pool: "p".to_owned(),
            name: format!("shop-{n}"),
            network: "net".to_owned(),
            image: "busybox:latest".to_owned(),
            labels: [("app", "shop"), ("tier", "front")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            environment: BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]),
            ..ContainerSpec::default()
        };
        let around = Surroundings { links: &links, ports: &ports, now_ms: 1_000_000, cool_down_ms: 60_000 };
        containers::create(tx, &spec, around)?;
    }
    Ok(())
}

/// Reads what a list is answered with: all of it, or until something is there. Says how long it was.
async fn read(address: SocketAddr, only_first: bool) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /v1/containers HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n").await?;
    let mut answer = vec![0; 1 << 16];
    let mut n_bytes = 0;
    loop {
        let n = stream.read(&mut answer).await?;
        anyhow::ensure!(n_bytes > 0 || answer.starts_with(b"HTTP/1.1 200"), "refused");
        n_bytes += n;
        if n == 0 || only_first {
            return Ok(n_bytes);
        }
    }
}

#[divan::bench(sample_count = 50)]
fn list_by_http(bencher: Bencher<'_, '_>) {
    let world = World::start().expect("a controller");
    let n_bytes = world.runtime.block_on(read(world.address, false)).expect("a list");
    assert!(n_bytes > N_CONTAINERS as usize * 200, "{n_bytes} bytes");
    bencher
        .counter(divan::counter::BytesCount::new(n_bytes))
        .bench_local(|| world.runtime.block_on(read(world.address, false)).expect("a list"));
}

#[divan::bench(sample_count = 50)]
fn first_bytes_by_http(bencher: Bencher<'_, '_>) {
    let world = World::start().expect("a controller");
    bencher.bench_local(|| world.runtime.block_on(read(world.address, true)).expect("a beginning"));
}

#[divan::bench(sample_count = 50)]
fn list_by_grpc(bencher: Bencher<'_, '_>) {
    let world = World::start().expect("a controller");
    let channel = async {
        let endpoint = Endpoint::from_shared(format!("http://{}", world.address))?;
        endpoint.connect().await.context("connecting")
    };
    let client = weir_api::client::containers(world.runtime.block_on(channel).expect("a channel"));
    bencher.bench_local(|| {
        let list = async { client.clone().list_containers(ListContainersRequest::default()).await };
        let list = world.runtime.block_on(list).expect("a list").into_inner();
        assert_eq!(list.containers.len(), N_CONTAINERS as usize);
    });
}
