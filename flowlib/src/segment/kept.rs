//! How a segment keeps steps: as they are sent, or in a quarter of the bytes.

use std::borrow::Cow;
use std::sync::Arc;

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};

use crate::segment::step::Step;

/// Some steps, in their order.
#[derive(Debug)]
pub(super) enum Kept {
    /// All who send them share their bytes.
    Plain(Box<[Step]>),
    /// Whoever sends them unpacks them.
    Packed(Packed),
}

/// Steps, compressed by what they have in common with others.
#[derive(Debug)]
pub(super) struct Packed {
    n_steps: usize,
    pattern: Arc<[u8]>,
    /// An LZ4 block, behind the length of what it holds.
    block: Box<[u8]>,
}

/// Packs steps that are like each other: the flows of one endpoint are those of another with other numbers in them.
#[derive(Debug, Default)]
pub(super) struct Packer {
    pattern: Arc<[u8]>,
}

impl Kept {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(steps) => steps.len(),
            Self::Packed(packed) => packed.n_steps,
        }
    }

    /// The steps.
    pub(super) fn steps(&self) -> Cow<'_, [Step]> {
        match self {
            Self::Plain(steps) => Cow::Borrowed(steps),
            Self::Packed(packed) => Cow::Owned(packed.steps()),
        }
    }
}

impl Packed {
    fn steps(&self) -> Vec<Step> {
        let bytes = decompress_size_prepended_with_dict(&self.block, &self.pattern);
        Step::split(&bytes.expect("it was compressed here")).collect()
    }
}

impl Packer {
    /// Packs steps.
    pub(super) fn pack(&mut self, steps: &[Step]) -> Packed {
        let bytes: Vec<u8> = steps.iter().flat_map(|step| step.bytes()).copied().collect();
        let block = compress_prepend_size_with_dict(&bytes, &self.pattern).into_boxed_slice();
        let packed = Packed { n_steps: steps.len(), pattern: self.pattern.clone(), block };
        // It is of another kind than those before; the next may be of its kind.
        if packed.block.len() > bytes.len() / 3 {
            self.pattern = bytes.into();
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::compile;
    use crate::compile::model::{Driver, Endpoint, Network, Node};
    use crate::segment::id::{Owner, SegmentId};
    use crate::types::{EndpointId, MacAddr, NetworkId, NodeId, PortNo, Vni};

    /// The steps of a node's endpoints.
    fn endpoints() -> Vec<Vec<Step>> {
        let node = Node {
            id: NodeId(77),
            nat_mac: MacAddr([2, 0, 0, 0, 0, 77]),
            tunnel_address: Ipv4Addr::LOCALHOST,
        };
        let driver = Driver::Vxlan(Vni::try_from(7u32).unwrap());
        let subnet = "10.0.0.0/8".parse().unwrap();
        let network = Network { id: NetworkId(3), driver, subnet, gateway: None };
        let endpoint = |n: u8| Endpoint {
            id: EndpointId(1000 + u32::from(n)),
            network: network.id,
            address: Ipv4Addr::new(10, 0, 0, n),
            mac: MacAddr([2, 9, 9, 9, 9, n]),
            ofport: PortNo(n.into()),
        };
        let steps = |endpoint: Endpoint| {
            let flows = compile::endpoint(&node, &network, &endpoint, false);
            Step::add_all(SegmentId::Node(node.id), Owner::Endpoint(endpoint.id), flows)
        };
        (1..=100).map(endpoint).map(steps).collect()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let mut packer = Packer::default();
        let mut all = endpoints();
        all[50].clear();
        let deletes: Vec<_> = all[0].iter().map(Step::deleting).collect();
        all.insert(60, deletes);
        let kept: Vec<_> = all.iter().map(|steps| Kept::Packed(packer.pack(steps))).collect();
        for (steps, kept) in all.iter().zip(&kept) {
            assert_eq!((kept.len(), &*kept.steps()), (steps.len(), &steps[..]));
        }
    }

    #[test]
    fn a_nodes_endpoints_take_a_quarter_of_the_bytes() {
        let mut packer = Packer::default();
        let all = endpoints();
        let packed: usize = all.iter().map(|steps| packer.pack(steps).block.len()).sum();
        let plain: usize = all.iter().flatten().map(|step| step.bytes().len()).sum();
        assert!(packed * 4 < plain + plain / 10, "{packed} of {plain} bytes");
    }
}
