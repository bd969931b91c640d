//! How fast flows get into one bridge, beside the same flow mods as bytes that were encoded before, and what packets
//! through that bridge feel of it.

mod bridge;
mod ours;
mod raw;

use std::time::Duration;

use flowlib::openflow::oxm::field;
use flowlib::openflow::{Action, Flow, Instruction, Match};
use flowlib::types::{PortNo, Priority, TableId};
use ipnet::{IpNet, Ipv4Net};

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on};
use bridge::{Bridge, Felt};

const FLOWS: u32 = 100_000;
const ROUNDS: usize = 3;
/// How fast it is to be, in per cent of the bytes.
const LEAST_PERCENT: f64 = 70.0;
/// The longest that a packet may take meanwhile.
const MOST_RTT_MS: f64 = 10.0;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let world = World::up("vlan").await?;
    let bridge = Bridge::open(&world.lab, &world.nodes[0])?;
    let (mut rows, mut rates, mut longest) = (Vec::new(), [Vec::new(), Vec::new()], 0.0_f64);
    for round in 1..=ROUNDS {
        eprintln!("    round {round} of {ROUNDS}");
        let raw = raw::install(&bridge).await?;
        let ours = ours::install(&bridge).await?;
        longest = longest.max(ours.1.max_ms);
        for ((way, (took, felt)), rates) in [("bytes", raw), ("controller", ours)].into_iter().zip(&mut rates)
        {
            let rate = f64::from(FLOWS) / took.as_secs_f64();
            rates.push(rate);
            let Felt { max_ms, sent, answered } = felt;
            let cells = [format!("{rate:.0}"), format!("{max_ms:.1}"), format!("{answered} of {sent}")];
            rows.push([vec![round.to_string(), way.to_owned()], cells.to_vec()].concat());
        }
    }
    let [raw, ours] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    Ok(Section {
        title: "Flows into one bridge".to_owned(),
        text: format!(
            "{FLOWS} flows (`ip,nw_dst=…,actions=output:1`) into one bridge of Open vSwitch's userspace datapath. *Bytes*: \
             flow mods that were encoded before, written to the socket without a stop, until the barrier behind them is \
             answered. *Controller*: a session of Weir's, which is given them as one segment, sends them in bundles of at \
             most 1,000 with the ledger's row, and confirms. In turn, {ROUNDS} times; the middle of each counts. Meanwhile a \
             ping every 5 ms goes from a namespace on one port of the bridge to another."
        ),
        targets: vec![
            Target::new("of the rate of the bytes", Bound::AtLeast(LEAST_PERCENT), ours / raw * 100.0, "%"),
            Target::new("the longest ping meanwhile", Bound::AtMost(MOST_RTT_MS), longest, "ms"),
        ],
        tables: vec![Table::new(
            "By round",
            ["round", "way", "flows a second", "longest ping, ms", "pings answered"],
            rows,
        )],
        charts: Vec::new(),
        machine: None,
    })
}

/// What is installed: a flow an address, in a table that no packet reaches.
fn flows() -> impl Iterator<Item = Flow> {
    let flow = |n: u32| {
        let address = IpNet::from(Ipv4Net::from(std::net::Ipv4Addr::from(0x0a00_0000 + n)));
        Flow {
            table: TableId(5),
            priority: Priority(100),
            flow_match: Match::new().with(field::ETH_TYPE, 0x0800_u16).with_prefix(field::IPV4_DST, address),
            instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo(1))])],
            ..Flow::default()
        }
    };
    (0..FLOWS).map(flow)
}

/// What carries the pings.
fn carrier() -> Flow {
    let normal = vec![Instruction::ApplyActions(vec![Action::output(PortNo::NORMAL)])];
    Flow { table: TableId(0), priority: Priority(1), instructions: normal, ..Flow::default() }
}

/// The time of an install, and what packets felt of it.
type Installed = (Duration, Felt);
