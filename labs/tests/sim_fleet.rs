//! A fleet of fifty simulated switches and agents against the real controller. Needs neither root nor Open vSwitch.

#![allow(clippy::unwrap_used)]

use labs::sim::scenario::Scenario;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_switches_come_into_sync_whatever_happens_to_them() {
    let scenario = Scenario::parse(include_str!("../fleets/small.toml")).unwrap();
    let figures = labs::sim::run(&scenario, &|what| eprintln!("{what}")).await.unwrap();
    println!("{}", figures.table());
    assert_eq!((figures.switches, figures.endpoints), (50, 500));
    let phase = |name| figures.phase(name).unwrap();
    assert!(phase("cold start").flow_mods > 50 * 10, "switches that had lost all were given it again");
    assert_eq!(phase("restart").flow_mods, 0, "what agrees with the ledger is left alone");
    assert_eq!(figures.creates.n, 120, "{} failed: {:?}", figures.failed, figures.failure);
    // A container is not moved to a node whose switch is away just then; all else is done.
    assert!(figures.failed <= 15, "{} failed: {:?}", figures.failed, figures.failure);
    assert!(figures.phase("quiet again").is_some(), "all came into sync once more");
    let [least, _, most] = figures.flows;
    assert!(least > 100 && most < 1000, "a table grows with nodes and blocks: {:?}", figures.flows);
}
