//! Echoes: whether something answers, and how fast.

use std::time::Instant;

use anyhow::{Result, bail};
use flowlib::openflow::Message;
use flowlib::text::{Style, Verbosity, print_message};

use super::ask::encode;
use super::link::header;
use super::out::Out;
use super::switch::Switch;

/// The longest payload of an echo.
const MAX_LEN: u32 = u16::MAX as u32 - 8;
const N_PINGS: usize = 10;
const ECHO_REPLY: u8 = 3;

/// `probe`: succeeds if an echo is answered.
///
/// # Errors
/// If not.
pub(super) fn probe(switch: &Switch<'_>) -> Result<()> {
    let mut connection = switch.open()?;
    let reply = connection.transact(&encode(&Message::EchoRequest(Vec::new()))?)?;
    if header(&reply).0 != ECHO_REPLY || reply.len() != 8 {
        bail!("reply does not match request");
    }
    Ok(())
}

/// `ping`: ten echoes one after another.
///
/// # Errors
/// If the switch stops to answer.
pub(super) fn ping(switch: &Switch<'_>, len: u32) -> Result<()> {
    check(len)?;
    let mut connection = switch.open()?;
    for _ in 0..N_PINGS {
        let request = encode(&Message::EchoRequest(payload(len)))?;
        let start = Instant::now();
        let reply = connection.transact(&request)?;
        let millis = start.elapsed().as_secs_f64() * 1000.0;
        let mut out = Out::default();
        if header(&reply).0 != ECHO_REPLY || reply.get(8..) != request.get(8..) {
            for (title, message) in
                [("Reply does not match request.  Request:\n", &request), ("Reply:\n", &reply)]
            {
                out.text().push_str(title);
                let verbosity = Verbosity(switch.globals.verbosity(2));
                print_message(out.text(), message, Style::default(), verbosity);
            }
        }
        let (len, xid) = (reply.len().saturating_sub(8), header(&reply).1.0);
        let target = switch.target();
        out.text().push_str(&format!("{len} bytes from {target}: xid={xid:08x} time={millis:.1} ms\n"));
        out.flush()?;
    }
    Ok(())
}

/// `benchmark`: echoes one after another, as fast as they are answered.
///
/// # Errors
/// If the switch stops to answer.
pub(super) fn benchmark(switch: &Switch<'_>, len: u32, count: u32) -> Result<()> {
    check(len)?;
    let message_len = u64::from(len) + 8;
    let total = message_len * u64::from(count);
    let mut out = Out::default();
    out.text().push_str(&format!(
        "Sending {count} packets * {message_len} bytes (with header) = {total} bytes total\n"
    ));
    out.flush()?;
    let mut connection = switch.open()?;
    let start = Instant::now();
    for _ in 0..count {
        connection.transact(&encode(&Message::EchoRequest(vec![0; len as usize]))?)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    out.text().push_str(&format!(
        "Finished in {:.1} ms ({:.0} packets/s) ({:.0} bytes/s)\n",
        seconds * 1000.0,
        f64::from(count) / seconds,
        total as f64 / seconds
    ));
    out.flush()
}

fn check(len: u32) -> Result<()> {
    if len > MAX_LEN {
        bail!("payload must be between 0 and {MAX_LEN} bytes");
    }
    Ok(())
}

/// Bytes that do not repeat soon.
fn payload(len: u32) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
}
