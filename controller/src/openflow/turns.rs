//! How many switches begin at a time. When the controller starts, thousands connect at once; were all looked at and filled
//! at once, each would take as long as all of them together, and so would all else that there is to do: agents would not
//! be heard of for longer than a lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// More than keep the cores busy while each waits for its answers.
const AT_A_TIME: usize = 64;
/// How long a turn is, at most: who answers late takes nobody's place.
const LONGEST: Duration = Duration::from_secs(1);

/// The turns of all switches. Copies are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

/// A switch's turn, until this is dropped or it has lasted long enough.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] AbortOnDropHandle<()>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn {
        let place = self.0.clone().acquire_owned().await.expect("it is never closed");
        let held = async move {
            tokio::time::sleep(LONGEST).await;
            drop(place);
        };
        Turn(AbortOnDropHandle::new(tokio::spawn(held)))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_when_it_is_given_back_or_has_lasted_long_enough() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..AT_A_TIME {
            taken.push(turns.take().now_or_never().expect("there is room"));
        }
        assert!(turns.take().now_or_never().is_none());
        drop(taken.pop());
        taken.push(turns.take().await);
        let begun = tokio::time::Instant::now();
        turns.take().await;
        assert!(begun.elapsed() >= LONGEST && begun.elapsed() < 2 * LONGEST);
    }
}
