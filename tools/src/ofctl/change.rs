//! Sends changes: one behind another without waiting, or as a bundle that does all or nothing.

use std::cell::Cell;

use anyhow::{Result, bail};
use flowlib::openflow::{BundleControl, BundleControlType, BundleFlags, ErrorMsg, Message};
use flowlib::text::{Style, Verbosity, print_message};

use super::ask::{ERROR, encode};
use super::batch::Batch;
use super::file::Lines;
use super::link::{Connection, Next, header};
use super::switch::Switch;

/// The switch has refused something; that is printed already.
#[derive(Debug, thiserror::Error)]
#[error("the switch refused")]
pub(super) struct Refused;

/// How changes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each for itself; with xids as if each was waited for.
    Each,
    /// Each for itself, one barrier for all.
    Together,
    /// All or nothing.
    Bundle,
}

/// Changes, and the file they came from.
pub(super) struct Changes<'a> {
    pub(super) batch: Batch,
    pub(super) lines: Option<&'a Lines>,
}

impl Changes<'_> {
    /// Sends them over a new connection and waits until they are done.
    ///
    /// # Errors
    /// [`Refused`] if the switch refuses any: alone, the first of them is printed and those behind it that were not on
    /// their way are not sent; as a bundle, nothing has changed.
    pub(super) fn send(mut self, switch: &Switch<'_>, manner: Manner) -> Result<()> {
        let mut connection = switch.open()?;
        self.send_over(&mut connection, switch, manner)
    }

    /// As [`Changes::send`], over this connection.
    ///
    /// # Errors
    /// See there.
    pub(super) fn send_over(
        &mut self,
        connection: &mut Connection,
        switch: &Switch<'_>,
        manner: Manner,
    ) -> Result<()> {
        if self.batch.is_empty() && manner != Manner::Bundle {
            return Ok(());
        }
        self.batch.number(if manner == Manner::Each { 2 } else { 1 });
        match manner {
            Manner::Bundle => self.send_bundle(connection, switch),
            Manner::Each | Manner::Together => self.send_each(connection, switch),
        }
    }

    fn send_each(&self, connection: &mut Connection, switch: &Switch<'_>) -> Result<()> {
        let barrier = encode(&Message::BarrierRequest)?;
        let (_, barrier_xid) = header(&barrier);
        let refused: Cell<Option<Vec<u8>>> = Cell::new(None);
        let (mut at, mut is_stopped) = (0, false);
        let is_refused = Cell::new(false);
        connection.exchange(
            |out| {
                is_stopped |= is_refused.get();
                if !is_stopped {
                    at = self.batch.fill(at, out);
                }
                let has_more = !is_stopped && !self.batch.is_end(at);
                if !has_more {
                    out.extend_from_slice(&barrier);
                }
                Ok(has_more)
            },
            |message| {
                let (message_type, xid) = header(message);
                let is_ours = xid == barrier_xid || self.batch.member(xid).is_some();
                if message_type == ERROR && is_ours {
                    if !is_refused.replace(true) {
                        refused.set(Some(message.to_vec()));
                    }
                    return Ok(if xid == barrier_xid { Next::Done } else { Next::More });
                }
                Ok::<_, anyhow::Error>(if xid == barrier_xid { Next::Done } else { Next::Ignored })
            },
        )?;
        let Some(error) = refused.take() else { return Ok(()) };
        print_error(switch, &error, 2)?;
        if let Some(member) = self.batch.member(header(&error).1) {
            let n_behind = self.batch.count_until(at).saturating_sub(member.index + 1);
            self.print_line(member.line, n_behind);
        }
        Err(Refused.into())
    }

    fn send_bundle(&self, connection: &mut Connection, switch: &Switch<'_>) -> Result<()> {
        let control = |control_type| {
            encode(&Message::BundleControl(BundleControl::new(BUNDLE.0, control_type, BUNDLE.1)))
        };
        let (open, close) =
            (control(BundleControlType::OPEN_REQUEST)?, control(BundleControlType::CLOSE_REQUEST)?);
        let (open_xid, close_xid) = (header(&open).1, header(&close).1);
        let mut errors = Errors::default();
        let mut at = 0;
        connection.send(&open);
        connection.exchange(
            |out| {
                at = self.batch.fill_wrapped(at, BUNDLE, out)?;
                let has_more = !self.batch.is_end(at);
                if !has_more {
                    out.extend_from_slice(&close);
                }
                Ok(has_more)
            },
            |message| {
                let (message_type, xid) = header(message);
                if message_type == ERROR {
                    errors.push(message);
                    return Ok(if xid == open_xid || xid == close_xid { Next::Done } else { Next::More });
                }
                Ok::<_, anyhow::Error>(if xid == close_xid { Next::Done } else { Next::Ignored })
            },
        )?;
        let last = if errors.is_empty() {
            control(BundleControlType::COMMIT_REQUEST)?
        } else {
            control(BundleControlType::DISCARD_REQUEST)?
        };
        let mut of_members = |message: &[u8]| {
            let (message_type, xid) = header(message);
            if message_type == ERROR {
                errors.push(message);
            }
            Ok::<_, anyhow::Error>(if xid == header(&last).1 { Next::Done } else { Next::Ignored })
        };
        connection.ask(&last, &mut of_members)?;
        if errors.is_empty() {
            return Ok(());
        }
        self.print_errors(&errors, &last, switch)?;
        bail!("talking to {} (Protocol error); nothing has changed", connection.place())
    }

    /// Prints what was refused in a bundle: the error's name and the message.
    fn print_errors(&self, errors: &Errors, control: &[u8], switch: &Switch<'_>) -> Result<()> {
        let style = Style { names: switch.printed_names()?, color: false };
        let verbosity = Verbosity(switch.globals.verbosity(1));
        for error in &errors.kept {
            let Ok((xid, Message::Error(ErrorMsg { code, data }))) = Message::decode(error) else {
                eprintln!("***decode error***");
                continue;
            };
            let member = self.batch.member(xid);
            let is_control = header(control).1 == xid;
            let message = member.map_or(if is_control { control } else { &data }, |member| member.message);
            let mut text = format!("Error {code} for: ");
            print_message(&mut text, message, style, verbosity);
            eprint!("{text}");
            if let Some(member) = member {
                self.print_line(member.line, 0);
            }
        }
        if errors.n_left_out > 0 {
            eprintln!("ofctl: and {} errors more", errors.n_left_out);
        }
        Ok(())
    }

    /// Prints the line of what was refused, and how much was on its way behind it.
    fn print_line(&self, line: Option<u32>, n_behind: usize) {
        let (Some(lines), Some(line)) = (self.lines, line) else { return };
        eprintln!("ofctl: {}", lines.place(line));
        if n_behind > 0 {
            eprintln!("ofctl: {n_behind} lines behind it were sent before the switch refused it");
        }
    }
}

/// The bundle of a connection: its number is the connection's own.
const BUNDLE: (u32, BundleFlags) = (0, BundleFlags::ATOMIC.union(BundleFlags::ORDERED));

/// Errors that came for a bundle: the first of them, and how many more there were.
#[derive(Debug, Default)]
struct Errors {
    kept: Vec<Vec<u8>>,
    n_left_out: usize,
}

impl Errors {
    fn push(&mut self, error: &[u8]) {
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(error.to_vec());
        } else {
            self.n_left_out += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

const MAX_ERRORS: usize = 100;

/// Prints an OFPT_ERROR to standard error.
fn print_error(switch: &Switch<'_>, error: &[u8], verbosity: u8) -> Result<()> {
    let style = Style { names: switch.printed_names()?, color: false };
    let mut text = String::new();
    print_message(&mut text, error, style, Verbosity(switch.globals.verbosity(verbosity)));
    eprint!("{text}");
    Ok(())
}

/// Sends a message that is answered only if it fails, and waits until it is done.
///
/// # Errors
/// [`Refused`] if the switch refuses it; the error is printed.
pub(super) fn order(connection: &mut Connection, switch: &Switch<'_>, message: &Message) -> Result<()> {
    let message = encode(message)?;
    refuse(switch, settle(connection, &message)?)
}

/// Prints what the switch refused, if it did.
///
/// # Errors
/// [`Refused`] then.
pub(super) fn refuse(switch: &Switch<'_>, error: Option<Vec<u8>>) -> Result<()> {
    let Some(error) = error else { return Ok(()) };
    print_error(switch, &error, 2)?;
    Err(Refused.into())
}

/// Sends messages that are answered only if they fail, all under the xid of the first, and waits until they are done;
/// the error if they are refused.
///
/// # Errors
/// [`Failure`](super::link::Failure).
pub(super) fn settle(connection: &mut Connection, messages: &[u8]) -> Result<Option<Vec<u8>>> {
    let (_, xid) = header(messages);
    let barrier = encode(&Message::BarrierRequest)?;
    let mut refused = None;
    connection.send(messages);
    connection.ask(&barrier, |message| {
        let (message_type, message_xid) = header(message);
        if message_type == ERROR && (message_xid == xid || message_xid == header(&barrier).1) {
            refused.get_or_insert_with(|| message.to_vec());
        }
        Ok::<_, anyhow::Error>(if message_xid == header(&barrier).1 { Next::Done } else { Next::Ignored })
    })?;
    Ok(refused)
}
