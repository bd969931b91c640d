//! An endpoint, whoever made it, and pings between many of them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Context;
use pnet_datalink::MacAddr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tools::bench::Percentiles;

use crate::place::Place;
use crate::report::echo::{Echo, EchoSocket};

/// An endpoint.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) node: String,
    pub(super) place: Place,
    pub(super) address: Ipv4Addr,
    pub(super) mac: MacAddr,
}

/// How first packets fared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    /// Of those that were answered.
    pub(super) times: Percentiles,
    pub(super) lost: usize,
}

/// Sends one echo request a pair, given by the seats' numbers, one pair every `pace`; nothing is sent twice.
///
/// Raw sockets opened in the seats' namespaces send and receive, all in this process: no process is started. The kernel of
/// the sender resolves the address, and that of the receiver answers.
///
/// # Errors
/// If a namespace cannot be entered.
pub(super) async fn ping_cold(
    seats: &[Seat],
    pairs: &[(usize, usize)],
    pace: Duration,
) -> anyhow::Result<Cold> {
    // Dropping the set ends the listeners.
    let mut listeners = JoinSet::new();
    let (heard, mut replies) = mpsc::unbounded_channel();
    let mut sockets = Vec::with_capacity(seats.len());
    for seat in seats {
        let socket = std::sync::Arc::new(EchoSocket::open(seat.place.namespace())?);
        sockets.push(socket.clone());
        let heard = heard.clone();
        listeners.spawn(async move {
            while let Ok(echo) = socket.receive().await {
                // The other end is gone only when nobody asks any more.
                if echo.reply && heard.send((echo.round, Instant::now())).is_err() {
                    return;
                }
            }
        });
    }
    let mut tick = interval(pace);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::with_capacity(pairs.len());
    for (round, (from, to)) in (0_u32..).zip(pairs) {
        tick.tick().await;
        let (socket, target) = sockets.get(*from).zip(seats.get(*to)).context("a pair of no seats")?;
        let echo = Echo { reply: false, from: u32::try_from(*from)?, to: u32::try_from(*to)?, round };
        sent.push(Instant::now());
        socket.request(target.address, echo).await;
    }
    let mut times = vec![None; sent.len()];
    let collect = async {
        let mut missing = sent.len();
        while missing > 0 {
            let Some((round, at)) = replies.recv().await else { return };
            let Some((sent, time)) = sent.get(round as usize).zip(times.get_mut(round as usize)) else {
                continue;
            };
            missing -= usize::from(time.is_none());
            time.get_or_insert(at - *sent);
        }
    };
    // What is still missing then is lost.
    timeout(LAST_CHANCE, collect).await.unwrap_or(());
    let lost = times.iter().filter(|time| time.is_none()).count();
    Ok(Cold { times: Percentiles::of(times.into_iter().flatten().collect()), lost })
}

/// For each of `seats` seats so many others, in an order that mixes all; always the same ones.
pub(super) fn random_pairs(seats: usize, each: usize) -> Vec<(usize, usize)> {
    let mut random = SplitMix(seats as u64);
    let mut pairs = Vec::with_capacity(seats * each);
    for from in 0..seats {
        let mut others: Vec<usize> = (0..seats).filter(|to| *to != from).collect();
        random.shuffle(&mut others);
        pairs.extend(others.into_iter().take(each).map(|to| (from, to)));
    }
    random.shuffle(&mut pairs);
    pairs
}

/// Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
    }
}

/// How long an answer is waited for.
const LAST_CHANCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_seat_has_as_many_different_others_in_mixed_order() {
        let pairs = random_pairs(20, 5);
        let different: BTreeSet<_> = pairs.iter().collect();
        assert_eq!((pairs.len(), different.len()), (100, 100));
        assert!((0..20).all(|seat| pairs.iter().filter(|(from, _)| *from == seat).count() == 5));
        assert!(pairs.iter().all(|(from, to)| from != to) && !pairs.is_sorted());
        assert_eq!(random_pairs(2, 5).len(), 2, "there is only one other");
    }
}
