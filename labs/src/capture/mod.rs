//! Frames as they were on a wire, kept in memory.
//!
//! [`Capture::on_port`] sees what a machine says to the physical switch, or hears from it, with VLAN tags, by a mirror
//! of the switch's bridge. [`Capture::on_interface`] sees an interface as its namespace does; the kernel has taken the
//! tags off received frames there.
//!
//! A kernel socket would give the tag only as auxiliary data, which `pnet_datalink` does not read. The mirror's output
//! is therefore watched where ovs-vswitchd sends it, where the tag is still in the frame.

mod frame;
mod mirror;
mod socket;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use anyhow::Context;

use crate::lab::Lab;
use crate::place::Place;
use mirror::Mirror;

pub use frame::{Arp, Frame, Payload, Summary};
pub use mirror::Direction;
pub use socket::send;

/// A running capture; it ends when this is dropped.
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Removed after the thread has ended.
    mirror: Option<Mirror>,
}

impl Capture {
    /// Watches a machine's port of the physical switch. Frames that arrive after the return are seen.
    ///
    /// # Errors
    /// If the lab has no such machine, it has no cable, or is captured already in this direction.
    pub fn on_port(lab: &Lab, machine: &str, direction: Direction) -> anyhow::Result<Capture> {
        let mirror = Mirror::new(lab.state(), machine, direction)?;
        let mut capture = Capture::on_interface(&lab.place("switch")?, mirror.interface())?;
        capture.mirror = Some(mirror);
        Ok(capture)
    }

    /// Watches an interface in a place. Frames that arrive after the return are seen, in both directions.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn on_interface(place: &Place, interface: &str) -> anyhow::Result<Capture> {
        let frames = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, opened) = mpsc::channel();
        let (place, name) = (place.clone(), interface.to_owned());
        let (sink, stopped) = (frames.clone(), stop.clone());
        let thread = thread::Builder::new().name(format!("capture {interface}")).spawn(move || {
            let mut source = match socket::Socket::open(&place, &name) {
                Ok(source) => source,
                // The receiver waits for this.
                Err(e) => return ready.send(Err(e)).unwrap_or(()),
            };
            ready.send(Ok(())).unwrap_or(());
            // A read that times out after the order to stop has seen all there was before it.
            loop {
                let stopping = stopped.load(Ordering::Acquire);
                match source.read() {
                    Some(bytes) => locked(&sink).push(Frame { at: SystemTime::now(), bytes }),
                    None if stopping => break,
                    None => {}
                }
            }
        })?;
        opened.recv().context("the capture's thread is gone")??;
        Ok(Capture { frames, stop, thread: Some(thread), mirror: None })
    }

    /// What has been seen so far, in order.
    pub fn frames(&self) -> Vec<Frame> {
        locked(&self.frames).clone()
    }

    /// What can be said about the frames so far; those that are no Ethernet II frames are left out.
    pub fn summaries(&self) -> Vec<Summary> {
        locked(&self.frames).iter().filter_map(Frame::summary).collect()
    }

    /// Ends the capture and gives all that was seen.
    pub fn stop(mut self) -> Vec<Frame> {
        self.end();
        std::mem::take(&mut *locked(&self.frames))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("a capture's thread panicked");
        }
        self.mirror = None;
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

/// The frames, also after another holder of the lock has panicked: a half-written `Vec` is not possible.
fn locked(frames: &Mutex<Vec<Frame>>) -> std::sync::MutexGuard<'_, Vec<Frame>> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}
