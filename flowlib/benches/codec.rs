//! Flow mods to bytes and back.

use divan::{Bencher, black_box};
use flowlib::openflow::{FlowMod, Message};
use flowlib::text::parse_flow;
use flowlib::types::Xid;

fn main() {
    divan::main();
}

/// A flow mod as the pipeline has many, and a simple one.
const FLOWS: [&str; 2] = [
    "table=5,priority=100,ip,reg0=1,nw_dst=10.1.2.0/24 \
     actions=load:1->NXM_NX_REG2[],set_field:02:00:00:00:00:01->eth_dst,resubmit(,6)",
    "table=0,priority=10,in_port=1,dl_src=02:00:00:00:00:01 actions=output:2",
];

fn message(text: &str) -> Message {
    Message::FlowMod(FlowMod::add(&parse_flow(text).expect("the flows above are well written")))
}

#[divan::bench(args = FLOWS)]
fn decode(bencher: Bencher<'_, '_>, text: &str) {
    let mut bytes = Vec::new();
    message(text).encode(Xid(1), &mut bytes).expect("it fits a message");
    bencher.bench_local(|| Message::decode(black_box(&bytes)));
}

#[divan::bench(args = FLOWS)]
fn encode(bencher: Bencher<'_, '_>, text: &str) {
    let message = message(text);
    let mut bytes = Vec::with_capacity(512);
    bencher.bench_local(|| {
        bytes.clear();
        black_box(&message).encode(Xid(1), &mut bytes)
    });
}
