//! Messages that are done together or not at all.

use std::ops::Range;

use anyhow::Result;
use flowlib::openflow::{BundleControl, BundleControlType, BundleFlags, Message};
use flowlib::types::Xid;

use crate::ofctl::ask::ERROR;
use crate::ofctl::batch::Batch;
use crate::ofctl::link::{Connection, Next, header};

/// The bundle of a connection: its number is the connection's own.
const BUNDLE: (u32, BundleFlags) = (0, BundleFlags::ATOMIC.union(BundleFlags::ORDERED));

/// How the messages that control a bundle are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// As ovs-ofctl numbers them.
    Counted,
    /// Out of the way: ovs-ofctl would have none here.
    Uncounted,
}

/// Errors that came for a bundle: the first of them, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) kept: Vec<Vec<u8>>,
    pub(super) n_left_out: usize,
    /// The message that ended the bundle.
    pub(super) last: Vec<u8>,
}

impl Errors {
    fn push(&mut self, error: &[u8]) {
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(error.to_vec());
        } else {
            self.n_left_out += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

const MAX_ERRORS: usize = 100;
/// Far from those that are counted up.
const UNCOUNTED: u32 = 0xffff_0000;

/// Sends a range of messages as a bundle. It is committed only if the switch has refused nothing; else it is discarded.
/// With any error, nothing has changed.
///
/// # Errors
/// What the connection says.
pub(super) fn send(
    connection: &mut Connection,
    batch: &Batch,
    range: Range<usize>,
    numbers: Control,
) -> Result<Errors> {
    let open = control(BundleControlType::OPEN_REQUEST, numbers)?;
    let close = control(BundleControlType::CLOSE_REQUEST, numbers)?;
    let (open_xid, close_xid) = (header(&open).1, header(&close).1);
    let mut errors = Errors::default();
    let mut pieces = batch.pieces(range);
    connection.send(&open);
    connection.exchange(
        |out| {
            if let Some(piece) = pieces.next() {
                piece.append_wrapped(BUNDLE, out)?;
                return Ok(true);
            }
            out.extend_from_slice(&close);
            Ok(false)
        },
        |message| {
            let (message_type, xid) = header(message);
            if message_type == ERROR {
                errors.push(message);
            }
            Ok::<_, anyhow::Error>(match xid {
                xid if xid == close_xid => Next::Done,
                // Nothing of it will be done.
                xid if xid == open_xid && message_type == ERROR => Next::Done,
                _ => Next::Ignored,
            })
        },
    )?;
    let end = if errors.is_empty() {
        BundleControlType::COMMIT_REQUEST
    } else {
        BundleControlType::DISCARD_REQUEST
    };
    errors.last = control(end, numbers)?;
    let last_xid = header(&errors.last).1;
    let last = errors.last.clone();
    connection.ask(&last, |message| {
        let (message_type, xid) = header(message);
        if message_type == ERROR && end == BundleControlType::COMMIT_REQUEST {
            errors.push(message);
        }
        Ok::<_, anyhow::Error>(if xid == last_xid { Next::Done } else { Next::Ignored })
    })?;
    Ok(errors)
}

fn control(control_type: BundleControlType, numbers: Control) -> Result<Vec<u8>> {
    let xid = match numbers {
        Control::Counted => Connection::new_xid(),
        Control::Uncounted => Xid(UNCOUNTED | u32::from(control_type.0)),
    };
    let mut bytes = Vec::new();
    Message::BundleControl(BundleControl::new(BUNDLE.0, control_type, BUNDLE.1)).encode(xid, &mut bytes)?;
    Ok(bytes)
}
