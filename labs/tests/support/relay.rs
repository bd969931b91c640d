//! Between the controller and all that connects to it: a relay that breaks connections after so many bytes.
//!
//! Connections are led to it by the controller's machine, so that nobody has to know of it.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{System, inside};

const CONTROLLER: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 254);
/// A port of the controller with this added is the relay's.
const BESIDE: u16 = 10_000;

/// Relays until the process ends.
pub(crate) struct Relay {
    cuts: Arc<Mutex<Vec<Cut>>>,
    made: Arc<AtomicUsize>,
}

/// A connection that is to break: the first of that peer that carries so many bytes in that direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Who has opened it.
    pub(crate) peer: IpAddr,
    /// Which port of the controller's it is to.
    pub(crate) port: u16,
    /// Whether the bytes that count are those to the controller, or those from it.
    pub(crate) to_controller: bool,
    /// How many are still let through.
    pub(crate) after: usize,
}

impl Relay {
    /// Leads connections to these ports of the controller over a relay. Those that are open already are broken.
    pub(crate) fn start(system: &System, ports: &[u16]) -> Relay {
        let relay = Relay { cuts: Arc::default(), made: Arc::default() };
        for port in ports {
            let (cuts, made) = (relay.cuts.clone(), relay.made.clone());
            let beside = port + BESIDE;
            inside(&system.place("controller"), || {
                let listener = TcpListener::bind((CONTROLLER, beside)).unwrap();
                // A thread begins in the namespace of the one that makes it.
                let port = *port;
                thread::spawn(move || serve(&listener, port, &cuts, &made));
            });
            let words = format!(
                "iptables -t nat -A PREROUTING -p tcp --dport {port} -j REDIRECT --to-ports {beside}"
            );
            system.lab.exec("controller", words.split(' ')).unwrap();
        }
        relay
    }

    /// Breaks a connection when that many bytes have passed.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cuts.lock().unwrap().push(cut);
    }

    /// Breaks nothing any more; gives back how many connections were broken since the last time.
    pub(crate) fn calm(&self) -> usize {
        self.cuts.lock().unwrap().clear();
        self.made.swap(0, Ordering::Relaxed)
    }
}

fn serve(listener: &TcpListener, port: u16, cuts: &Arc<Mutex<Vec<Cut>>>, made: &Arc<AtomicUsize>) {
    while let Ok((near, peer)) = listener.accept() {
        // Without a controller the peer is hung up on.
        let Ok(far) = TcpStream::connect(SocketAddr::from((CONTROLLER, port))) else { continue };
        for stream in [&near, &far] {
            stream.set_nodelay(true).unwrap_or(());
        }
        let ways = [(near.try_clone(), far.try_clone(), true), (Ok(far), Ok(near), false)];
        for (from, to, to_controller) in ways {
            let (Ok(from), Ok(to)) = (from, to) else { continue };
            let (cuts, made) = (cuts.clone(), made.clone());
            thread::spawn(move || {
                let is =
                    |cut: &Cut| (cut.peer, cut.port, cut.to_controller) == (peer.ip(), port, to_controller);
                if pump(&from, &to, &cuts, is) {
                    made.fetch_add(1, Ordering::Relaxed);
                }
                for stream in [from, to] {
                    stream.shutdown(Shutdown::Both).unwrap_or(());
                }
            });
        }
    }
}

/// Carries bytes until either side ends, or (true) a cut is due.
fn pump(mut from: &TcpStream, mut to: &TcpStream, cuts: &Mutex<Vec<Cut>>, is: impl Fn(&Cut) -> bool) -> bool {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let (passed, is_cut) = pass(&mut cuts.lock().unwrap(), n, &is);
        if to.write_all(&buffer[..passed]).is_err() || is_cut {
            return is_cut;
        }
    }
    false
}

/// How many of `n` bytes are let through, and whether that is the end.
fn pass(cuts: &mut Vec<Cut>, n: usize, is: impl Fn(&Cut) -> bool) -> (usize, bool) {
    let Some(nth) = cuts.iter().position(is) else { return (n, false) };
    match cuts[nth].after.checked_sub(n) {
        Some(left) => {
            cuts[nth].after = left;
            (n, false)
        }
        None => (cuts.swap_remove(nth).after, true),
    }
}
