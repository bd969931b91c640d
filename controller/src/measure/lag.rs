//! How late the event loop is: a timer that fires late says that every task had to wait so long.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Histogram;

/// Between two looks. Seldom enough to cost an idle controller nothing that shows.
const INTERVAL: Duration = Duration::from_millis(250);

/// Measures for ever.
pub async fn watch(late: Histogram) {
    loop {
        let due = Instant::now() + INTERVAL;
        sleep_until(due).await;
        late.observe(due.elapsed().as_secs_f64());
    }
}
