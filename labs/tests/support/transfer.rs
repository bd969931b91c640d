//! A TCP connection that carries data to another place and back, and finds nothing missing.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use labs::{Place, wait_until};

use crate::support::inside;

const PORT: u16 = 5001;
const CHUNK: usize = 1 << 14;
/// Between two chunks: 8 MB a second, so that there is something left of the machine.
const PAUSE: Duration = Duration::from_millis(2);
/// How long it may stand still before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A transfer that runs until it is stopped.
pub(crate) struct Transfer {
    echoed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    writer: JoinHandle<u64>,
    reader: JoinHandle<(u64, Duration)>,
}

impl Transfer {
    /// Connects from one place to another, which sends everything back.
    pub(crate) fn start(from: &Place, to: &Place, address: &str) -> Transfer {
        inside(to, || {
            let listener = TcpListener::bind((address, PORT)).unwrap();
            // A thread begins in the namespace of the one that makes it.
            thread::spawn(move || {
                let (mut near, _) = listener.accept().unwrap();
                let mut back = near.try_clone().unwrap();
                std::io::copy(&mut near, &mut back).map(drop).unwrap_or(());
                back.shutdown(Shutdown::Write).unwrap_or(());
            })
        });
        let stream = inside(from, || TcpStream::connect((address, PORT)).unwrap());
        stream.set_nodelay(true).unwrap();
        let (echoed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ends, output) = (echoed.clone(), stop.clone(), stream.try_clone().unwrap());
        Transfer {
            writer: thread::spawn(move || write(output, &ends)),
            reader: thread::spawn(move || read(stream, &count)),
            echoed,
            stop,
        }
    }

    /// Waits until so many bytes more have come back.
    pub(crate) fn goes_on(&self, bytes: u64) {
        let enough = self.echoed.load(Ordering::Relaxed) + bytes;
        let come = || Ok((self.echoed.load(Ordering::Relaxed) >= enough).then_some(()));
        wait_until(PATIENCE, "the transfer to go on", come).unwrap();
    }

    /// Ends it; all that was sent must have come back. Gives back the longest time in which nothing came.
    pub(crate) fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.writer.join().unwrap();
        let (received, gap) = self.reader.join().unwrap();
        assert_eq!(sent, received);
        gap
    }
}

fn write(mut stream: TcpStream, stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let chunk: Vec<u8> = (sent..).take(CHUNK).map(pattern).collect();
        stream.write_all(&chunk).unwrap();
        sent += CHUNK as u64;
        thread::park_timeout(PAUSE);
    }
    stream.shutdown(Shutdown::Write).unwrap();
    sent
}

fn read(mut stream: TcpStream, echoed: &AtomicU64) -> (u64, Duration) {
    let mut buffer = vec![0; CHUNK];
    let (mut received, mut gap, mut last) = (0, Duration::ZERO, Instant::now());
    loop {
        let n = stream.read(&mut buffer).unwrap();
        if n == 0 {
            return (received, gap);
        }
        gap = gap.max(last.elapsed());
        last = Instant::now();
        for (at, byte) in (received..).zip(&buffer[..n]) {
            assert_eq!(*byte, pattern(at), "at byte {at}");
        }
        received += n as u64;
        echoed.store(received, Ordering::Relaxed);
    }
}

/// The byte at a position: unlike those of other positions that a loss or a repetition might put there.
fn pattern(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
