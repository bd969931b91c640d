//! What `weir-lab bench` measures on the quickstart's three nodes, as a section: starts in Docker, and idle daemons.

use std::path::Path;
use std::time::Duration;

use crate::benchmarks::section::{Bound, Section, Target};
use crate::benchmarks::world::block_on;
use crate::report::{BenchOptions, bench, bench_text};
use crate::{Lab, Topology};

const TOPOLOGY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/quickstart.toml");

pub(super) fn measure() -> anyhow::Result<Section> {
    let dir = tempfile::tempdir()?;
    let lab = Lab::up(&Topology::read(Path::new(TOPOLOGY))?, dir.path())?;
    let options = BenchOptions { json: None, endpoints: 100, creates: 50, idle: Duration::from_secs(10) };
    let figures = block_on(bench::run(&lab, &options))?;
    let latency = &figures.create_to_reply_ms;
    let above = latency.reply.p50 - latency.bare_add_port.p50;
    Ok(Section {
        title: "Containers on three nodes".to_owned(),
        text: format!(
            "The quickstart's lab with its agents and Docker daemons, a VLAN network.\n\n```\n{}```",
            bench_text::render(&figures)
        ),
        targets: vec![Target::new("first reply above a bare add-port, p50", Bound::AtMost(8.0), above, "ms")],
        tables: Vec::new(),
        charts: Vec::new(),
        machine: None,
    })
}
