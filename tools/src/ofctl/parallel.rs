//! Work on all processors.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The results of `work` for the numbers below `n`, in their order.
pub(super) fn map<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(n)));
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= n {
                break;
            }
            let result = work(at);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get).min(n);
    thread::scope(|scope| {
        for _ in 1..n_threads {
            scope.spawn(run);
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_are_in_order() {
        assert_eq!(super::map(1000, |n| n * n), (0..1000).map(|n| n * n).collect::<Vec<_>>());
        assert!(super::map(0, |n| n).is_empty());
    }
}
