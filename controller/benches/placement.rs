//! What it costs to place containers in a fleet of 1,000 nodes: one, and 1,000 one after another.
//!
//! `cargo bench -p controller --bench placement`

#![allow(missing_docs)] // Benchmarks are named by their functions.

mod fleet;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use controller::intent::model::{Resources, Rule};
use controller::intent::store::{Commit, Contents, Store, StoreError};
use controller::intent::{Intent, IntentError, Refusal, Transaction};
use controller::orchestrate::containers::{self, ContainerSpec, Surroundings};
use controller::orchestrate::links::Links;
use controller::orchestrate::ofport::Ports;
use controller::orchestrate::plan;
use divan::Bencher;
use tokio::runtime::Runtime;

const N_NODES: u32 = 1000;

fn main() {
    divan::main();
}

/// A store that keeps nothing: what is measured is the choice, not the disk.
struct Nowhere;

impl Store for Nowhere {
    fn load(&mut self) -> Result<Contents, StoreError> {
        Ok(Contents::default())
    }

    fn commit(&mut self, _: &Commit) -> Result<(), StoreError> {
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn begin_term(&mut self, least: u64) -> Result<u64, StoreError> {
        Ok(least)
    }
}

/// What a container of these benchmarks asks for.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// A network namespace.
    Plain,
    /// Limits, and a constraint that half of the nodes meet.
    Limited,
    /// The same, and company that it avoids: every container there is looked at.
    Shy,
}

const WISHES: [Wish; 3] = [Wish::Plain, Wish::Limited, Wish::Shy];

fn spec(wish: Wish, n: u32) -> ContainerSpec {
    let rule = |key: &str, equal, value: &str| Rule { key: key.to_owned(), equal, value: value.to_owned() };
    let plain = ContainerSpec {
        pool: "p".to_owned(),
        name: format!("c{n}"),
        network: "net".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ..ContainerSpec::default()
    };
    let limited = || ContainerSpec {
        image: "busybox".to_owned(),
        resources: Resources { cpu_millis: 500, memory_bytes: 512 << 20, pids: 0 },
        constraints: vec![rule("zone", true, "z0")],
        ..plain.clone()
    };
    match wish {
        Wish::Plain => plain,
        Wish::Limited => limited(),
        Wish::Shy => ContainerSpec { affinities: vec![rule("app", false, "db")], ..limited() },
    }
}

struct Fleet {
    runtime: Runtime,
    intent: Intent,
    links: Arc<Links>,
    ports: Arc<Ports>,
}

impl Fleet {
    fn new() -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let (links, ports) = (Arc::new(Links::default()), Arc::new(Ports::default()));
        let intent = Intent::start(Nowhere)?;
        let fleet = Self { runtime, intent, links, ports };
        let links = fleet.links.clone();
        fleet.transact(move |tx| fleet::furnish(tx, &links, N_NODES)).context("the fleet cannot be made")?;
        Ok(fleet)
    }

    fn transact<T: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, IntentError> {
        Ok(self.runtime.block_on(self.intent.transact(request))?.value)
    }

    /// Creates 1,000 containers in one transaction.
    fn create_all(&self, wish: Wish, keep: bool) -> Result<(), IntentError> {
        let (links, ports) = (self.links.clone(), self.ports.clone());
        self.transact(move |tx| {
            for n in 0..N_NODES {
                containers::create(tx, &spec(wish, n), around(&links, &ports))?;
            }
            if keep { Ok(()) } else { Err(Refusal::Precondition("all of it is taken back".to_owned())) }
        })
    }
}

fn around<'a>(links: &'a Links, ports: &'a Ports) -> Surroundings<'a> {
    Surroundings { links, ports, now_ms: 1_000_000, cool_down_ms: 60_000 }
}

#[divan::bench(args = WISHES, sample_count = 50)]
fn one_where_a_thousand_are(bencher: Bencher<'_, '_>, wish: Wish) {
    let fleet = Fleet::new().expect("a fleet in memory");
    fleet.create_all(wish, true).expect("each has a place");
    let another = spec(wish, N_NODES);
    bencher.bench_local(|| {
        fleet.intent.read(|state| plan::preview(state, &another, around(&fleet.links, &fleet.ports)))
    });
}

#[divan::bench(args = WISHES, sample_count = 10)]
fn a_thousand_one_after_another(bencher: Bencher<'_, '_>, wish: Wish) {
    let fleet = Fleet::new().expect("a fleet in memory");
    bencher.bench_local(|| fleet.create_all(wish, false));
}
