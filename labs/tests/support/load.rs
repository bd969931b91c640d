//! HTTP load: a page that is fetched again and again, whatever happens to its server, and how that went.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use labs::{Place, wait_until};
use nix::sched::{CloneFlags, setns};

/// A client that asks 50 times a second, whether it is answered or not, until this is dropped.
///
/// Each request is a TCP connection of its own. It is tried at one of the servers after the other, each time with a
/// patience of a second, and has failed only when none of them answers: which is what any client does that is given the
/// addresses of a service. With one server it has one chance.
pub(crate) struct Load {
    who: String,
    log: Arc<Mutex<Vec<Fetch>>>,
    done: Arc<AtomicBool>,
    client: Option<JoinHandle<()>>,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    /// When it was begun.
    pub(crate) asked: Instant,
    /// When it was answered, or failed.
    pub(crate) ended: Instant,
    /// The page, or why there is none.
    pub(crate) page: Result<String, String>,
}

/// How some time of a load went.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Requests that were answered.
    pub(crate) answered: usize,
    /// Requests that failed.
    pub(crate) failed: Vec<Fetch>,
    /// The longest time without an answer.
    pub(crate) longest_gap: Duration,
    /// The pages that were seen.
    pub(crate) pages: BTreeSet<String>,
}

impl Load {
    /// Begins to ask from a place, and returns when there are answers.
    pub(crate) fn start(who: &str, from: &Place, servers: &[Ipv4Addr]) -> Load {
        let namespace = File::open(from.namespace()).unwrap();
        let servers: Vec<SocketAddr> = servers.iter().map(|server| (*server, 80).into()).collect();
        let (log, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (sink, end) = (log.clone(), done.clone());
        let client = thread::spawn(move || {
            // Threads begin in the namespace of the one that makes them.
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            ask_until(&end, &servers, &sink);
        });
        let load = Load { who: who.to_owned(), log, done, client: Some(client) };
        load.go_on(20);
        load
    }

    /// Who it is.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// Waits until so many more requests were answered: that takes at least a 50th of a second each.
    pub(crate) fn go_on(&self, n: usize) {
        let from = Instant::now();
        let enough = || Ok((self.since(from).answered >= n).then_some(()));
        let waited = wait_until(PATIENCE, &format!("{n} pages to {}", self.who), enough);
        waited.unwrap_or_else(|e| panic!("{e:#}: {:?}", self.since(from)));
    }

    /// The page that is answered now.
    pub(crate) fn page(&self) -> String {
        let from = Instant::now();
        self.first(from, PATIENCE, |_| true).page.unwrap()
    }

    /// Waits for the first answer to a request begun since then with such a page.
    pub(crate) fn first(&self, since: Instant, patience: Duration, is: impl Fn(&str) -> bool) -> Fetch {
        let fits = |fetch: &&Fetch| fetch.asked >= since && fetch.page.as_ref().is_ok_and(|page| is(page));
        let found = || Ok(self.log.lock().unwrap().iter().filter(fits).min_by_key(|f| f.ended).cloned());
        wait_until(patience, &format!("a page to {}", self.who), found)
            .unwrap_or_else(|e| panic!("{e:#}: {:?}", self.since(since)))
    }

    /// How it went for requests begun since then.
    pub(crate) fn since(&self, from: Instant) -> Tally {
        self.between(from, Instant::now())
    }

    /// How it went for requests begun in that time, until its end.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Tally {
        let inside = |fetch: &&Fetch| fetch.asked >= from && fetch.asked <= to;
        let mut fetches: Vec<Fetch> = self.log.lock().unwrap().iter().filter(inside).cloned().collect();
        fetches.sort_by_key(|fetch| fetch.ended);
        let answered = || fetches.iter().filter(|fetch| fetch.page.is_ok());
        let ends = || answered().map(|fetch| fetch.ended.min(to));
        let gaps = [from].into_iter().chain(ends()).zip(ends().chain([to])).map(|(a, b)| b - a);
        Tally {
            answered: answered().count(),
            longest_gap: gaps.max().unwrap(),
            pages: answered().filter_map(|fetch| fetch.page.clone().ok()).collect(),
            failed: fetches.iter().filter(|fetch| fetch.page.is_err()).cloned().collect(),
        }
    }

    /// Says how it went, for who runs the test with `--nocapture`.
    pub(crate) fn tell(&self, what: &str, tally: &Tally) {
        let gap = tally.longest_gap.as_secs_f64();
        let (answered, failed, pages) = (tally.answered, tally.failed.len(), tally.pages.len());
        println!(
            "{what}, {}: {answered} answered with {pages} pages, {failed} failed, longest gap {gap:.3} s",
            self.who
        );
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(client) = self.client.take() {
            client.join().unwrap_or_else(|_| eprintln!("the client {} panicked", self.who));
        }
    }
}

/// Requests do not wait for one another: one that is not answered must not make the load smaller.
fn ask_until(end: &AtomicBool, servers: &[SocketAddr], sink: &Mutex<Vec<Fetch>>) {
    thread::scope(|scope| {
        let (begun, mut n) = (Instant::now(), 0_u32);
        while !end.load(Ordering::Acquire) {
            let first = usize::try_from(n).unwrap() % servers.len();
            scope.spawn(move || {
                let asked = Instant::now();
                let page = fetch(servers.iter().cycle().skip(first).take(servers.len()));
                sink.lock().unwrap().push(Fetch { asked, ended: Instant::now(), page });
            });
            n += 1;
            // The end of a request may wake this thread.
            while let Some(left) = (begun + EVERY * n).checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
        }
    });
}

fn fetch<'a>(servers: impl Iterator<Item = &'a SocketAddr>) -> Result<String, String> {
    let mut complaints = Vec::new();
    for server in servers {
        match get(server) {
            Ok(page) => return Ok(page),
            Err(error) => complaints.push(format!("{server}: {error:#}")),
        }
    }
    Err(complaints.join("; "))
}

/// `GET /`, with a second for the connection and a second for each part of the answer.
fn get(server: &SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(server, TRY).context("not connected")?;
    stream.set_read_timeout(Some(TRY))?;
    stream.set_write_timeout(Some(TRY))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").context("not asked")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("not answered")?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.split(' ').nth(1) == Some("200") => Ok(page.trim().to_owned()),
        _ => bail!("answered with `{answer}`"),
    }
}

const EVERY: Duration = Duration::from_millis(20);
const TRY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
