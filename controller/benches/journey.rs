//! What it costs to follow a create from its request until it is ready, and to be asked when none is under way.
//!
//!     cargo bench -p controller --bench journey

use std::hint::black_box;
use std::time::Instant;

use controller::measure::journey::{Begun, Journal, Request};
use controller::measure::{Metrics, Milestone, TraceId};
use divan::Bencher;
use flowlib::types::{EndpointId, NodeId};

fn main() {
    divan::main();
}

/// All that is told of one create, beside so many others under way.
#[divan::bench(args = [0, 100, 10_000])]
fn a_create(bencher: Bencher<'_, '_>, others: u32) {
    let metrics = Metrics::default();
    let journal = Journal::among(&metrics);
    (1..=others).for_each(|endpoint| begin(&journal, endpoint));
    let mut endpoint = others;
    bencher.bench_local(|| {
        endpoint += 1;
        begin(&journal, endpoint);
        let (id, now) = (EndpointId(endpoint), Instant::now());
        journal.published(endpoint.into(), now);
        journal.reach(id, Milestone::Committed, now);
        journal.session(node(endpoint), endpoint.into(), &[(Milestone::Woken, now)]);
        let confirmed = [Milestone::Sent, Milestone::Barrier, Milestone::Confirmed];
        journal.session(node(endpoint), endpoint.into(), &confirmed.map(|milestone| (milestone, now)));
        for milestone in [Milestone::Told, Milestone::PortUp, Milestone::Ready] {
            journal.reach(id, milestone, now);
        }
        black_box(journal.of(id))
    });
}

/// What each session pays at each turn while no create is under way.
#[divan::bench]
fn nothing_under_way(bencher: Bencher<'_, '_>) {
    let journal = Journal::default();
    let now = Instant::now();
    bencher.bench_local(|| journal.session(NodeId(1), 1, black_box(&[(Milestone::Woken, now)])));
}

fn begin(journal: &Journal, endpoint: u32) {
    let now = Instant::now();
    let request = Request { trace: TraceId::random(), received: now, decoded: now };
    let begun = Begun { endpoint: EndpointId(endpoint), node: node(endpoint), revision: endpoint.into() };
    journal.begin(begun, request);
}

/// A hundred nodes in turn.
fn node(endpoint: u32) -> NodeId {
    NodeId(endpoint % 100)
}
