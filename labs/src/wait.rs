//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Asks again and again until there is an answer.
///
/// `probe` gives the answer, `None` for "not yet", or an error that ends the waiting.
///
/// # Errors
/// The probe's, or one that says what was waited for when the deadline passes.
pub fn wait_until<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("waited {} for {what}, in vain", humantime::format_duration(deadline));
        }
        std::thread::park_timeout(POLL);
    }
}

/// Short beside anything waited for, long beside the cost of asking.
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = wait_until(Duration::from_secs(5), "three", || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn says_what_it_waited_for() {
        let error = wait_until::<()>(Duration::ZERO, "a miracle", || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("a miracle"), "{error}");
    }
}
