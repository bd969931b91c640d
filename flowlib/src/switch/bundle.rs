//! Bundles: messages that take effect together (ONF extension 230).

use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::datapath::{Datapath, FlowChange, Log};
use crate::openflow::bundle::{BundleControlType, BundleFlags};
use crate::openflow::{BundleControl, ErrorCode, GroupMod, PacketOut, PortMod};

/// How long a bundle may lie still. Source: `BUNDLE_IDLE_TIMEOUT_DEFAULT` of Open vSwitch 3.1.
const MAX_IDLE: Duration = Duration::from_secs(10);

/// Messages that wait for their commit.
#[derive(Debug)]
pub(super) struct Bundle {
    flags: BundleFlags,
    is_closed: bool,
    /// The message that began it.
    opened: Box<[u8]>,
    used: Instant,
    /// As they came, in their bundle-adds.
    messages: Vec<(Box<[u8]>, Order)>,
}

/// A message of a bundle.
#[derive(Debug)]
pub(super) enum Order {
    Flow(FlowChange),
    Group(Box<GroupMod>),
    Port(PortMod),
    Packet(Box<PacketOut>),
}

/// What a bundle that was committed has done, message by message.
pub(super) type Committed = Vec<(Box<[u8]>, Order, Log)>;

impl Bundle {
    fn new(flags: BundleFlags, opened: &[u8], used: Instant) -> Self {
        Self { flags, is_closed: false, opened: opened.into(), used, messages: Vec::new() }
    }

    /// When it is given up.
    pub(super) fn deadline(&self) -> Instant {
        self.used + MAX_IDLE
    }

    /// Carries it out.
    ///
    /// # Errors
    /// The message that failed and how; then nothing is changed.
    fn commit(self, datapath: &mut Datapath, now: u64) -> Result<Committed, (Box<[u8]>, ErrorCode)> {
        let mut done = Committed::new();
        for (head, order) in self.messages {
            let mut log = Log::new();
            let result = match &order {
                Order::Flow(change) => datapath.change_flows(change, now, &mut log),
                Order::Group(group_mod) => datapath.change_groups(group_mod, now, &mut log),
                Order::Port(_) if self.flags.contains(BundleFlags::ATOMIC) => {
                    Err(ErrorCode::OFPBFC_MSG_FAILED)
                }
                Order::Port(port_mod) => datapath.check_port(port_mod),
                Order::Packet(packet) => datapath.check_packet(packet),
            };
            if let Err(code) = result {
                for (_, _, log) in done.into_iter().rev() {
                    datapath.revert(log, now);
                }
                return Err((head, code));
            }
            done.push((head, order, log));
        }
        Ok(done)
    }
}

impl Connection {
    /// Puts a message into a bundle, which begins with it if there is none.
    ///
    /// # Errors
    /// If the bundle takes none any more; then it is gone.
    pub(super) fn add_to_bundle(
        &mut self,
        (number, flags): (u32, BundleFlags),
        outer: &[u8],
        order: Order,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let mut entry = match self.bundles.entry(number) {
            Entry::Vacant(place) => {
                let mut bundle = Bundle::new(flags, outer, now);
                bundle.messages.push((outer.into(), order));
                place.insert(bundle);
                return Ok(());
            }
            Entry::Occupied(entry) => entry,
        };
        let bundle = entry.get_mut();
        let error = if bundle.is_closed {
            ErrorCode::OFPBFC_BUNDLE_CLOSED
        } else if bundle.flags != flags {
            ErrorCode::OFPBFC_BAD_FLAGS
        } else {
            bundle.used = now;
            bundle.messages.push((outer.into(), order));
            return Ok(());
        };
        entry.remove();
        Err(error)
    }

    /// Opens, closes or discards a bundle.
    ///
    /// # Errors
    /// As Open vSwitch; if there is such a bundle, it is gone then.
    pub(super) fn control_bundle(
        &mut self,
        control: &BundleControl,
        message: &[u8],
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let number = control.bundle_id;
        match control.control_type {
            BundleControlType::OPEN_REQUEST => {
                if self.bundles.remove(&number).is_some() {
                    return Err(ErrorCode::OFPBFC_BAD_ID);
                }
                self.bundles.insert(number, Bundle::new(control.flags, message, now));
                Ok(())
            }
            BundleControlType::CLOSE_REQUEST => {
                let bundle = self.bundles.get_mut(&number).ok_or(ErrorCode::OFPBFC_BAD_ID)?;
                let error = if bundle.is_closed {
                    ErrorCode::OFPBFC_BUNDLE_CLOSED
                } else if bundle.flags != control.flags {
                    ErrorCode::OFPBFC_BAD_FLAGS
                } else {
                    bundle.used = now;
                    bundle.is_closed = true;
                    return Ok(());
                };
                self.bundles.remove(&number);
                Err(error)
            }
            BundleControlType::DISCARD_REQUEST => {
                self.bundles.remove(&number).map(|_| ()).ok_or(ErrorCode::OFPBFC_BAD_ID)
            }
            _ => Err(ErrorCode::OFPBFC_BAD_TYPE),
        }
    }

    /// Carries out a bundle, which is gone then in any case.
    ///
    /// # Errors
    /// As Open vSwitch; the message that failed has been answered too.
    pub(super) fn commit_bundle(
        &mut self,
        control: &BundleControl,
        datapath: &mut Datapath,
        now: u64,
    ) -> Result<Committed, ErrorCode> {
        let bundle = self.bundles.remove(&control.bundle_id).ok_or(ErrorCode::OFPBFC_BAD_ID)?;
        if bundle.flags != control.flags {
            return Err(ErrorCode::OFPBFC_BAD_FLAGS);
        }
        bundle.commit(datapath, now).map_err(|(head, code)| {
            self.send_error(&head, code);
            ErrorCode::OFPBFC_MSG_FAILED
        })
    }

    /// Gives up the bundles that lie still.
    pub(super) fn expire_bundles(&mut self, now: Instant) {
        let is_over = |bundle: &mut Bundle| bundle.deadline() <= now;
        let over: Vec<Bundle> =
            self.bundles.extract_if(.., |_, bundle| is_over(bundle)).map(|(_, bundle)| bundle).collect();
        for bundle in over {
            self.send_error(&bundle.opened, ErrorCode::OFPBFC_TIMEOUT);
        }
    }
}
