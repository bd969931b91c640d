//! The nodes that benchmarks of the orchestration have.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use controller::intent::model::{Resources, Strategy};
use controller::intent::{Refusal, Transaction};
use controller::orchestrate::links::{Links, Offer};
use controller::orchestrate::networks::{self, NetworkSpec};
use controller::orchestrate::nodes::{self, NodeSpec};
use controller::orchestrate::pools::{self, PoolSpec};
use flowlib::types::DatapathId;

/// A pool with a network, and nodes that are connected and have all there is.
pub(crate) fn furnish(tx: &mut Transaction<'_>, links: &Links, n_nodes: u32) -> Result<(), Refusal> {
    let pool = PoolSpec {
        name: "p".to_owned(),
        default_image: String::new(),
        placement: Strategy::Spread,
        ..PoolSpec::default()
    };
    pools::create(tx, pool)?;
    let network = NetworkSpec {
        pool: "p".to_owned(),
        name: "net".to_owned(),
        driver: "vxlan".to_owned(),
        subnet: ipnet::Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 12),
        gateway: None,
        vlan: None,
        vni: None,
        mtu: None,
        block_prefix_len: None,
        within_ranges: false,
    };
    networks::create(tx, &network)?;
    let offer = Arc::new(Offer {
        runtimes: ["netns", "docker"].map(str::to_owned).into(),
        images: ["busybox:latest".to_owned()].into(),
        ..Offer::default()
    });
    for n in 0..n_nodes {
        let [_, _, high, low] = n.to_be_bytes();
        let node = NodeSpec {
            pool: "p".to_owned(),
            name: format!("n{n}"),
            datapath_id: DatapathId(u64::from(n) + 1),
            tunnel_address: Ipv4Addr::new(172, 31, high, low),
            labels: BTreeMap::from([("zone".to_owned(), format!("z{}", n % 2))]),
            capacity: Resources { cpu_millis: 64_000, memory_bytes: 256 << 30, pids: 0 },
            metrics: None,
        };
        let id = nodes::register(tx, node)?.id;
        let offer = Some(offer.clone());
        links.change(id, |link| (link.agent, link.switch, link.offer) = (true, true, offer));
    }
    Ok(())
}
