//! Which address a container would have on a node.

use std::cell::OnceCell;

use flowlib::compile::model::NodeId;

use crate::network::ipam::{self, AddressError, Ask, Blocks, Grant};

/// Where an address is from, seen from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A block that the node has: no other node learns of it.
    Own,
    /// A block that nobody has yet: the other nodes learn of the block.
    New,
    /// Another node's block: the other nodes learn of this one address.
    Anothers,
}

/// The addresses that one search has to give. What is the same for all nodes is found out once, if at all.
pub(super) struct Addresses<'a> {
    ask: Ask<'a>,
    fixed: Option<Grant>,
    of_no_own_block: OnceCell<Result<Grant, AddressError>>,
}

impl<'a> Addresses<'a> {
    /// `address` is the only one to be given, if it is not `None`.
    pub(super) fn new(ask: Ask<'a>, address: Option<std::net::Ipv4Addr>) -> Self {
        Self { ask, fixed: address.map(|address| ask.kept(address)), of_no_own_block: OnceCell::new() }
    }

    /// What to take on the node that has these blocks.
    pub(super) fn grant(&self, own: &Blocks) -> Result<Grant, AddressError> {
        match self.fixed {
            Some(grant) => Ok(grant),
            None => self.ask.of_own_block(own).map_or_else(|| self.of_no_own_block().clone(), Ok),
        }
    }

    /// Where the address that [`Addresses::grant`] gives is from.
    pub(super) fn source(&self, node: NodeId, own: &Blocks) -> Result<Source, &AddressError> {
        let grant = match self.fixed {
            Some(grant) => grant,
            None if self.ask.has_own(own) => return Ok(Source::Own),
            None => *self.of_no_own_block().as_ref()?,
        };
        let block = ipam::block_of(self.ask.network, grant.address);
        let owner = block.and_then(|block| self.ask.space.blocks.get(&block)).map(|block| block.node);
        Ok(match owner {
            None => Source::New,
            Some(owner) if owner == node => Source::Own,
            Some(_) => Source::Anothers,
        })
    }

    fn of_no_own_block(&self) -> &Result<Grant, AddressError> {
        self.of_no_own_block.get_or_init(|| self.ask.of_no_own_block())
    }
}
