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
    use super::*;
    use crate::openflow::oxm::field;
    use crate::openflow::{Flow, Instruction, Match};
    use crate::segment::id::{Owner, SegmentId};
    use crate::types::{EndpointId, MacAddr, NodeId, Priority, TableId};

    /// The steps of some owners: five flows each, that differ in the numbers in them.
    fn owners() -> Vec<Vec<Step>> {
        let flow = |owner: u32, table: u8| Flow {
            table: TableId(table),
            priority: Priority(100),
            flow_match: Match::new()
                .with(field::IN_PORT, owner + 10)
                .with(field::METADATA, 7u64 << 32)
                .with(field::ETH_SRC, MacAddr([2, 0, 0, 0, 9, owner as u8])),
            instructions: vec![Instruction::GotoTable(TableId(table + 1))],
            ..Flow::default()
        };
        let steps = |owner: u32| {
            let flows = (0..5).map(|table| flow(owner, table)).collect();
            Step::add_all(SegmentId::Node(NodeId(77)), Owner::Endpoint(EndpointId(owner)), flows)
        };
        (1..=100).map(steps).collect()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let mut packer = Packer::default();
        let mut all = owners();
        all[50].clear();
        let deletes: Vec<_> = all[0].iter().map(Step::deleting).collect();
        all.insert(60, deletes);
        let kept: Vec<_> = all.iter().map(|steps| Kept::Packed(packer.pack(steps))).collect();
        for (steps, kept) in all.iter().zip(&kept) {
            assert_eq!((kept.len(), &*kept.steps()), (steps.len(), &steps[..]));
        }
    }

    #[test]
    fn steps_that_are_alike_take_less_than_a_third_of_their_bytes() {
        let mut packer = Packer::default();
        let all = owners();
        let packed: usize = all.iter().map(|steps| packer.pack(steps).block.len()).sum();
        let plain: usize = all.iter().flatten().map(|step| step.bytes().len()).sum();
        assert!(packed * 3 < plain, "{packed} of {plain} bytes");
    }
}
