//! Flushes tracked connections.

use anyhow::{Result, bail};
use flowlib::openflow::{CtFlush, CtTuple, Message};
use flowlib::text::parse_ct_tuple;

use crate::ofctl::deliver::order;
use crate::ofctl::file::BadText;
use crate::ofctl::switch::Switch;

/// `ct-flush`: of a zone, and with one or two sides that connections have.
///
/// # Errors
/// [`BadText`], or what the switch refuses.
pub(in crate::ofctl) fn flush(switch: &Switch<'_>, words: &[String]) -> Result<()> {
    let mut flush = CtFlush::default();
    let (zone, tuples) = match words {
        [first, rest @ ..] if first.starts_with("zone=") => (first.strip_prefix("zone="), rest),
        all => (None, all),
    };
    if let Some(zone) = zone {
        flush.zone = Some(zone_of(zone)?);
    }
    let read = |text: &String, flush: &mut CtFlush| -> Result<CtTuple> {
        Ok(parse_ct_tuple(text, flush).map_err(|error| BadText::argument(text, error))?)
    };
    match tuples {
        [] => {}
        [original] => flush.original = Some(read(original, &mut flush)?),
        [original, reply] => {
            flush.original = Some(read(original, &mut flush)?);
            flush.reply = Some(read(reply, &mut flush)?);
        }
        _ => bail!("ct-flush takes [zone=N] [TUPLE [REPLY-TUPLE]]"),
    }
    order(&mut switch.open()?, switch, &Message::NxCtFlush(Box::new(flush)))
}

/// `ct-flush-zone`.
///
/// # Errors
/// [`BadText`], or what the switch refuses.
pub(in crate::ofctl) fn flush_zone(switch: &Switch<'_>, zone: &str) -> Result<()> {
    let zone = zone_of(zone)?;
    order(&mut switch.open()?, switch, &Message::NxCtFlushZone(zone))
}

fn zone_of(text: &str) -> Result<u16> {
    text.parse().map_err(|_| anyhow::anyhow!("{text}: not a zone, which is a number up to 65535"))
}
