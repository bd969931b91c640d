//! Sends changes: one behind another without waiting, or as a bundle that does all or nothing.

mod bundle;

use std::cell::RefCell;
use std::ops::Range;

use anyhow::{Result, bail};
use flowlib::openflow::{ErrorCode, ErrorMsg, Message};
use flowlib::text::{Style, Verbosity, print_message};

use bundle::{Control, Errors};

use super::ask::{ERROR, encode, error_code};
use super::batch::{Batch, MAX_BUNDLED, Member};
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

/// What became of changes that were sent in one bundle.
enum AtOnce {
    /// All are done.
    Done,
    /// Those before this one are done; it is refused, or does not fit into a bundle.
    Refused(usize),
    /// None is done: the switch has no bundles.
    NoBundles,
    /// None is done: the switch takes no such messages in bundles.
    Unsupported,
}

impl Changes<'_> {
    /// Sends them over a new connection and waits until they are done.
    ///
    /// # Errors
    /// [`Refused`] if the switch refuses any, and prints the first: those before it are done, those behind it are not.
    /// As a bundle, nothing has changed.
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

    /// Sends them as if each was waited for: up to the first that is refused, and none behind it.
    ///
    /// Waiting for each costs more than all the rest. As a bundle, all are done or, if one is refused, none: then
    /// those before it are done the same way, and it is sent alone, to be refused in the words for it alone.
    fn send_each(&self, connection: &mut Connection, switch: &Switch<'_>) -> Result<()> {
        let (mut start, len) = (0, self.batch.len());
        for _ in 0..MAX_BUNDLES {
            if len - start < 2 {
                break;
            }
            match self.at_once(connection, start..len)? {
                AtOnce::Done => return Ok(()),
                AtOnce::Refused(at) => {
                    self.send_plain(connection, switch, at..at + 1)?;
                    start = at + 1;
                }
                // The rest goes as it is.
                AtOnce::NoBundles => break,
                AtOnce::Unsupported => {
                    return (start..len).try_for_each(|at| self.send_plain(connection, switch, at..at + 1));
                }
            }
        }
        if start == len { Ok(()) } else { self.send_plain(connection, switch, start..len) }
    }

    /// Does what of the range would be done one by one.
    fn at_once(&self, connection: &mut Connection, range: Range<usize>) -> Result<AtOnce> {
        let too_long = self.batch.too_long_for_bundle(range.clone());
        let mut end = too_long.map_or(range.end, |member| member.index);
        while end > range.start {
            let errors = bundle::send(connection, &self.batch, range.start..end, Control::Uncounted)?;
            let members =
                errors.kept.iter().filter_map(|error| Some((error, self.batch.member(header(error).1)?)));
            match members.min_by_key(|(_, member)| member.index) {
                Some((error, _)) if error_code(error) == Some(ErrorCode::OFPBFC_MSG_UNSUP) => {
                    return Ok(AtOnce::Unsupported);
                }
                Some((_, member)) if member.index < end => end = member.index,
                _ if errors.is_empty() => break,
                _ => return Ok(AtOnce::NoBundles),
            }
        }
        Ok(if end == range.end { AtOnce::Done } else { AtOnce::Refused(end) })
    }

    /// Sends a range one behind another, and a barrier.
    ///
    /// # Errors
    /// [`Refused`] if the switch refuses any: the first of them is printed, and those that are not on their way yet
    /// are not sent.
    fn send_plain(
        &self,
        connection: &mut Connection,
        switch: &Switch<'_>,
        range: Range<usize>,
    ) -> Result<()> {
        let barrier = encode(&Message::BarrierRequest)?;
        let (_, barrier_xid) = header(&barrier);
        let mut pieces = self.batch.pieces(range);
        let refused: RefCell<Option<Vec<u8>>> = RefCell::new(None);
        connection.exchange(
            |out| {
                if let Some(piece) = pieces.next().filter(|_| refused.borrow().is_none()) {
                    piece.append(out);
                    return Ok(true);
                }
                out.extend_from_slice(&barrier);
                Ok(false)
            },
            |message| {
                let (message_type, xid) = header(message);
                let is_last = xid == barrier_xid;
                if message_type == ERROR && (is_last || self.batch.member(xid).is_some()) {
                    refused.borrow_mut().get_or_insert_with(|| message.to_vec());
                }
                Ok::<_, anyhow::Error>(if is_last { Next::Done } else { Next::Ignored })
            },
        )?;
        let Some(error) = refused.into_inner() else { return Ok(()) };
        print_error(switch, &error, 2)?;
        if let Some(member) = self.batch.member(header(&error).1) {
            self.print_line(member.line);
        }
        Err(Refused.into())
    }

    fn send_bundle(&self, connection: &mut Connection, switch: &Switch<'_>) -> Result<()> {
        if let Some(Member { message, line, .. }) = self.batch.too_long_for_bundle(0..self.batch.len()) {
            let place = self.lines.zip(line).map(|(lines, line)| format!("{}: ", lines.place(line)));
            bail!(
                "{}a message of {} bytes, and in a bundle it may have {MAX_BUNDLED}; nothing is sent",
                place.unwrap_or_default(),
                message.len()
            );
        }
        let errors = bundle::send(connection, &self.batch, 0..self.batch.len(), Control::Counted)?;
        if errors.is_empty() {
            return Ok(());
        }
        self.print_errors(&errors, switch)?;
        bail!("talking to {} (Protocol error); nothing has changed", connection.place())
    }

    /// Prints what was refused in a bundle: the error's name and the message.
    fn print_errors(&self, errors: &Errors, switch: &Switch<'_>) -> Result<()> {
        let style = Style { names: switch.printed_names()?, colors: None };
        let verbosity = Verbosity(switch.globals.verbosity(1));
        for error in &errors.kept {
            let Ok((xid, Message::Error(ErrorMsg { code, data }))) = Message::decode(error) else {
                eprintln!("***decode error***");
                continue;
            };
            let member = self.batch.member(xid);
            let is_last = header(&errors.last).1 == xid;
            let message =
                member.map_or(if is_last { &errors.last[..] } else { &data }, |member| member.message);
            let mut text = format!("Error {code} for: ");
            print_message(&mut text, message, style, verbosity);
            eprint!("{text}");
            if let Some(member) = member {
                self.print_line(member.line);
            }
        }
        if errors.n_left_out > 0 {
            eprintln!("ofctl: and {} errors more", errors.n_left_out);
        }
        Ok(())
    }

    /// Prints the line of what was refused.
    fn print_line(&self, line: Option<u32>) {
        if let (Some(lines), Some(line)) = (self.lines, line) {
            eprintln!("ofctl: {}: {}", lines.place(line), lines.said(line));
        }
    }
}

/// How many messages a switch may refuse as part of a bundle and take alone, until bundles are given up.
const MAX_BUNDLES: usize = 3;

/// Prints an OFPT_ERROR to standard error.
fn print_error(switch: &Switch<'_>, error: &[u8], verbosity: u8) -> Result<()> {
    let style = Style { names: switch.printed_names()?, colors: None };
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
