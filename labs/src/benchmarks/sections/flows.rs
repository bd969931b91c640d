//! How many flows a node holds for 1,000 endpoints, beside the rule by which OVN's grow.

use anyhow::Context;

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on};

const ENDPOINTS: usize = 1000;
/// What a node may hold of a VLAN.
const MOST_ON_A_VLAN: f64 = 1600.0;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

/// The rule for OVN 23.03, on every chassis: 3 a port, 5 a local port, and 135. OVN itself is not run here.
fn ovn(ports: usize, local: usize) -> usize {
    3 * ports + 5 * local + 135
}

async fn run() -> anyhow::Result<Section> {
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for driver in ["vxlan", "vlan"] {
        let mut world = World::up(driver).await?;
        world.fill(ENDPOINTS).await?;
        let local = ENDPOINTS / world.nodes.len();
        let theirs = ovn(ENDPOINTS, local);
        let mut most = 0;
        for node in &world.nodes {
            let flows = count(&world.lab.node(node)?.ofctl("dump-aggregate", "br-int", [""; 0])?)?;
            rows.push(
                [driver, node, &local.to_string(), &flows.to_string(), &theirs.to_string()]
                    .map(str::to_owned)
                    .to_vec(),
            );
            most = most.max(flows);
        }
        targets.push(match driver {
            "vlan" => {
                Target::new("the most on a node, VLAN", Bound::AtMost(MOST_ON_A_VLAN), most as f64, "flows")
            }
            _ => Target::new(
                "the most on a node, VXLAN",
                Bound::AtMost(theirs as f64 / 3.0),
                most as f64,
                "flows",
            ),
        });
    }
    Ok(Section {
        title: "Flows a node".to_owned(),
        text: format!(
            "{ENDPOINTS} endpoints of one network on four nodes; all flows of `br-int`, as its switch counts them. OVN's \
             are by a rule, 3 a port, 5 a local port, and 135; it was not run here."
        ),
        targets,
        tables: vec![Table::new("By node", ["driver", "node", "local endpoints", "flows", "OVN's"], rows)],
        charts: Vec::new(),
        machine: None,
    })
}

/// Shape: `… packet_count=N byte_count=N flow_count=N`.
pub(super) fn count(aggregate: &str) -> anyhow::Result<usize> {
    let number = aggregate.split_whitespace().find_map(|word| word.strip_prefix("flow_count="));
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no count in {aggregate:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_counts_ports_and_local_ports_and_a_dump_is_read() {
        assert_eq!((ovn(1000, 250), ovn(10_000, 100)), (4385, 30_635));
        assert_eq!(
            count("OFPST_AGGREGATE reply (xid=0x2): packet_count=0 byte_count=0 flow_count=17\n").unwrap(),
            17
        );
        assert!(count("nothing").is_err());
    }
}
