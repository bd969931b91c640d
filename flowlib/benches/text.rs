//! Flows as text: read, printed, and all that `parse-flows` does with them.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{Style, format_flow_mod, parse_flow_mod, print_flow_mod};
use flowlib::types::Xid;

fn main() {
    divan::main();
}

const FLOWS: [&str; 2] = [
    "table=5,priority=100,ip,reg0=1,nw_dst=10.1.2.0/24 \
     actions=load:1->NXM_NX_REG2[],set_field:02:00:00:00:00:01->eth_dst,resubmit(,6)",
    "table=0,priority=10,in_port=1,dl_src=02:00:00:00:00:01 actions=output:2",
];

#[divan::bench(args = FLOWS)]
fn parse(text: &str) {
    let _ = black_box(parse_flow_mod(black_box(text), Some(FlowModCommand::ADD), None));
}

#[divan::bench(args = FLOWS)]
fn print(bencher: Bencher<'_, '_>, text: &str) {
    let parsed =
        parse_flow_mod(text, Some(FlowModCommand::ADD), None).expect("the flows above are well written");
    bencher.bench_local(|| format_flow_mod(black_box(&parsed.flow_mod)));
}

/// One flow of so many actions.
#[divan::bench(args = [10, 100, 1000])]
fn parse_actions(bencher: Bencher<'_, '_>, n_actions: usize) {
    let text = vec!["output:NXM_NX_REG1[]"; n_actions].join(",");
    bencher
        .counter(ItemsCount::new(n_actions))
        .bench_local(|| flowlib::text::parse_actions(black_box(&text), None).map(|actions| actions.len()));
}

/// A thousand flows, half of each kind: read, encoded, decoded and printed.
#[divan::bench]
fn parse_flows(bencher: Bencher<'_, '_>) {
    let (mut bytes, mut out) = (Vec::new(), String::new());
    bencher.counter(ItemsCount::new(1000_usize)).bench_local(|| {
        out.clear();
        for text in FLOWS.iter().cycle().take(1000) {
            let parsed = parse_flow_mod(text, Some(FlowModCommand::ADD), None);
            bytes.clear();
            let message = Message::FlowMod(parsed.expect("the flows above are well written").flow_mod);
            message.encode(Xid(1), &mut bytes).expect("it fits a message");
            if let Ok((_, Message::FlowMod(flow_mod))) = Message::decode(&bytes) {
                print_flow_mod(&mut out, &flow_mod, Style::default());
            }
        }
        out.len()
    });
}
