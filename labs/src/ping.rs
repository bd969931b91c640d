//! A long run of pings, and which of them were lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::Signal;

use crate::place::Place;
use crate::process::ProcessId;
use crate::wait::wait_until;

/// A ping that runs until it is stopped.
pub struct Ping {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    started: f64,
    reader: Option<JoinHandle<()>>,
}

/// How a run of pings went.
#[derive(Clone, Debug, PartialEq)]
pub struct PingReport {
    /// Requests sent before [`Ping::stop`] was called.
    pub sent: u64,
    /// Sequence numbers, from 1, of those that were not answered.
    pub lost: Vec<u64>,
    /// Replies that came twice.
    pub duplicates: u64,
    /// The longest time between two replies, or from the start to the first, or from the last to the end.
    pub longest_gap: Duration,
    /// When the first reply came, in seconds of the Unix epoch.
    pub first_reply: Option<f64>,
    /// The longest that a reply took.
    pub slowest: Duration,
}

#[derive(Debug, Default)]
struct Seen {
    /// Sequence number, arrival and round-trip time, in seconds, in order of arrival.
    replies: Vec<(u64, f64, f64)>,
    duplicates: u64,
    transmitted: Option<u64>,
}

impl Ping {
    /// Starts 100 pings a second from a place to an address.
    ///
    /// # Errors
    /// If ping cannot be started.
    pub fn start(place: &Place, target: &str) -> anyhow::Result<Ping> {
        Ping::start_every(place, target, Duration::from_millis(10))
    }

    /// Starts pings at an interval of whole milliseconds.
    ///
    /// # Errors
    /// If ping cannot be started.
    pub fn start_every(place: &Place, target: &str, interval: Duration) -> anyhow::Result<Ping> {
        let interval = format!("{:.3}", interval.as_secs_f64());
        let started = epoch_seconds();
        let mut child = place
            .command(["ping", "-n", "-D", "-i", &interval, target])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start ping")?;
        let out = child.stdout.take().context("ping has no output")?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let sink = seen.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).take(&line);
            }
        });
        Ok(Ping { child, seen, started, reader: Some(reader) })
    }

    /// How many replies there were so far.
    pub fn replies(&self) -> usize {
        self.with(|seen| seen.replies.len())
    }

    /// How long the last reply, or the start if there was none, lies back.
    pub fn silence(&self) -> Duration {
        let last = self.with(|seen| seen.replies.last().map(|(_, at, _)| *at)).unwrap_or(self.started);
        Duration::try_from_secs_f64(epoch_seconds() - last).unwrap_or_default()
    }

    /// Waits until there were `n` more replies than now.
    ///
    /// # Errors
    /// If there were not within the deadline.
    pub fn wait_for_replies(&self, n: usize, deadline: Duration) -> anyhow::Result<()> {
        let enough = self.replies() + n;
        wait_until(deadline, "replies to pings", || Ok((self.replies() >= enough).then_some(())))
    }

    /// Ends the run. What was sent before is given a second to be answered.
    ///
    /// # Errors
    /// If ping has ended by itself.
    pub fn stop(mut self) -> anyhow::Result<PingReport> {
        let (now, since) = (epoch_seconds(), Instant::now());
        // A reply to a later request shows that what is missing before it is missing for good.
        let later =
            |seen: &Seen| seen.replies.iter().find(|(_, at, rtt)| at - rtt > now).map(|(seq, ..)| *seq);
        let boundary = wait_until(LAST_CHANCE, "a later reply", || Ok(self.with(later))).ok();
        let waited = since.elapsed().as_secs_f64();
        self.end()?;
        let sent = match boundary {
            Some(seq) => seq.saturating_sub(1),
            None => self.with(|seen| seen.transmitted).context("ping ended without a summary")?,
        };
        let until = if boundary.is_some() { now } else { now + waited };
        Ok(self.with(|seen| seen.report(sent, self.started, until)))
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(ProcessId::of) {
            process.signal(Signal::SIGINT);
        }
        self.child.wait().context("cannot wait for ping")?;
        if let Some(reader) = self.reader.take() {
            reader.join().ok().context("the reader of ping panicked")?;
        }
        Ok(())
    }

    fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.end().unwrap_or_else(|e| eprintln!("{e:#}"));
        }
    }
}

impl Seen {
    /// Takes a line of `ping -D`; what is neither a reply nor the summary says nothing.
    fn take(&mut self, line: &str) {
        if let Some(reply) = reply(line) {
            if line.contains("(DUP!)") { self.duplicates += 1 } else { self.replies.push(reply) }
        } else if let Some((n, _)) = line.split_once(" packets transmitted") {
            self.transmitted = n.parse().ok();
        }
    }

    fn report(&self, sent: u64, from: f64, until: f64) -> PingReport {
        let counted = || self.replies.iter().filter(|(seq, ..)| *seq <= sent);
        let answered: BTreeSet<u64> = counted().map(|(seq, ..)| *seq).collect();
        let arrivals: Vec<f64> = counted().map(|(_, at, _)| *at).collect();
        let slowest = counted().map(|(_, _, took)| *took).fold(0.0, f64::max);
        let before = std::iter::once(from).chain(arrivals.iter().copied());
        let after = arrivals.iter().copied().chain(std::iter::once(until));
        let longest = before.zip(after).map(|(before, after)| after - before).fold(0.0, f64::max);
        PingReport {
            sent,
            lost: (1..=sent).filter(|seq| !answered.contains(seq)).collect(),
            duplicates: self.duplicates,
            longest_gap: Duration::try_from_secs_f64(longest).unwrap_or_default(),
            first_reply: arrivals.first().copied(),
            slowest: Duration::try_from_secs_f64(slowest).unwrap_or_default(),
        }
    }
}

/// Sequence number, arrival and round-trip time, in seconds, of
/// `[1700000000.123456] 64 bytes from 10.0.0.1: icmp_seq=5 ttl=64 time=0.371 ms`.
fn reply(line: &str) -> Option<(u64, f64, f64)> {
    let (at, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (seq, rest) =
        rest.split_once(" icmp_seq=").or_else(|| rest.split_once("icmp_seq="))?.1.split_once(' ')?;
    let (time, _) = rest.split_once("time=")?.1.split_once(" ms")?;
    Some((seq.parse().ok()?, at.parse().ok()?, time.parse::<f64>().ok()? / 1e3))
}

fn epoch_seconds() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

const LAST_CHANCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lines: &[&str]) -> Seen {
        let mut seen = Seen::default();
        lines.iter().for_each(|line| seen.take(line));
        seen
    }

    #[test]
    fn tells_lost_numbers_duplicates_and_the_longest_gap() {
        let seen = seen(&[
            "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.",
            "[1700000000.010000] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.371 ms",
            "[1700000000.020000] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.371 ms",
            "[1700000000.020100] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.471 ms (DUP!)",
            "[1700000000.050000] From 10.0.0.2 icmp_seq=3 Destination Host Unreachable",
            "[1700000000.060000] 64 bytes from 10.0.0.1: icmp_seq=5 ttl=64 time=0.371 ms",
            "6 packets transmitted, 3 received, +1 duplicates, 50% packet loss, time 60ms",
        ]);
        assert_eq!(seen.transmitted, Some(6));
        let report = seen.report(6, 1_700_000_000.0, 1_700_000_000.070);
        assert_eq!((report.lost, report.duplicates), (vec![3, 4, 6], 1));
        assert_eq!(report.slowest, Duration::from_micros(371));
        assert!((report.longest_gap.as_secs_f64() - 0.040).abs() < 1e-4, "{:?}", report.longest_gap);
    }

    #[test]
    fn silence_from_the_beginning_loses_all() {
        let report = seen(&[]).report(2, 1_700_000_000.0, 1_700_000_002.0);
        assert_eq!((report.lost, report.first_reply), (vec![1, 2], None));
        assert_eq!(report.longest_gap, Duration::from_secs(2));
    }
}
