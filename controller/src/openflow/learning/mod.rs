//! Learning mode: a switch that no node has is served as a plain learning switch, if the operator wants so.
//!
//! ```text
//!  listener ── no node has this datapath id ──▶ serve: socket ⇄ flowlib::channel ─▶ learner (pure) ─▶ table (addresses)
//!                                                 seats: who is served, for `weir status`
//! ```
//!
//! A switch's session is one task with all that it knows: nothing is shared between switches but the list of seats, which
//! is looked at when one comes. What came in one read is answered in one write. Promises: whatever a switch or its hosts
//! send, a session's memory is bounded, and other sessions have their turn. It ends when a node has the datapath id.

mod frame;
mod learner;
mod seats;
mod table;

use std::pin::pin;
use std::time::Instant;

use flowlib::channel::{Channel, CloseReason, Event};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep_until;

pub use seats::LearningSwitch;
pub(super) use seats::{LearnerSeat, LearnerSeats};

use super::connection::{End, Parts};
use learner::Learner;

/// What one read takes: some hundred packets, then other switches have their turn.
const READ: usize = 32 << 10;
/// Bytes that may wait for a switch that does not read before it is not listened to any more.
const BACKLOG: usize = 1 << 20;

/// Serves a connection whose version is agreed on until it ends.
///
/// Cancel safety: `read` takes nothing that it does not return, the others take nothing.
pub(super) async fn serve(parts: Parts<TcpStream>, seat: LearnerSeat) -> End {
    let Parts { mut stream, mut channel, mut outgoing } = parts;
    let known = seat.known.clone();
    let mut known = pin!(known.cancelled());
    let mut learner = Learner::new(Instant::now(), seat);
    learner.begin(&mut channel);
    let mut buffer = vec![0; READ];
    let mut alarm = pin!(sleep_until(Instant::now().into()));
    loop {
        channel.transmit_to(&mut outgoing);
        if let Err(error) = write_some(&stream, &mut outgoing) {
            return error.into();
        }
        let (mut reader, writer) = stream.split();
        tokio::select! {
            n = reader.read(&mut buffer), if outgoing.len() < BACKLOG => match n {
                Ok(0) => return End::HungUp,
                Ok(n) => {
                    let now = Instant::now();
                    channel.handle_bytes_showing(now, &buffer[..n], |channel, packet| {
                        learner.handle_packet_in(now, channel, packet);
                    });
                    if n == buffer.len() {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => return error.into(),
            },
            writable = writer.writable(), if !outgoing.is_empty() => match writable {
                Ok(()) => {}
                Err(error) => return error.into(),
            },
            () = &mut alarm => {
                let now = Instant::now();
                channel.handle_timeout(now);
                learner.handle_timeout(now, &mut channel);
                let next = channel.poll_timeout().map_or(learner.poll_timeout(), |due| due.min(learner.poll_timeout()));
                alarm.as_mut().reset(next.into());
            },
            () = &mut known => return End::Known,
        }
        if let Some(reason) = events(&mut learner, &mut channel) {
            channel.transmit_to(&mut outgoing);
            if let Err(error) = stream.try_write(&outgoing) {
                tracing::debug!(%error, "peer not told why its connection is closed");
            }
            return reason.into();
        }
    }
}

/// Writes what the socket takes at once.
fn write_some(stream: &TcpStream, outgoing: &mut Vec<u8>) -> std::io::Result<()> {
    if outgoing.is_empty() {
        return Ok(());
    }
    match stream.try_write(outgoing) {
        Ok(n) if n == outgoing.len() => outgoing.clear(),
        Ok(n) => drop(outgoing.drain(..n)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Handles what has come besides packets; gives back why the connection is to end.
fn events(learner: &mut Learner, channel: &mut Channel) -> Option<CloseReason> {
    while let Some(event) = channel.poll_event() {
        match event {
            Event::Closed(reason) => return Some(reason),
            event => learner.handle_event(channel, event),
        }
    }
    None
}
