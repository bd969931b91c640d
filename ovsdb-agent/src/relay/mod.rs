//! What a client wants of a container, relayed between the controller and whatever runs the container here.

mod exec;
mod log;
mod stats;
mod volume;

use std::time::Duration;

use tonic::Status;

pub use self::{
    exec::{Inside, relay as relay_exec},
    log::relay as relay_log,
    stats::relay as relay_stats,
    volume::relay as relay_volume,
};

/// Runs both halves of a call. If the call ends first, sending is dropped, and with it what is being relayed; if all is
/// sent first, the controller has a while to end the call.
async fn until_over(
    id: &str,
    sending: impl Future<Output = ()>,
    receiving: impl Future<Output = Result<(), Status>>,
) {
    tokio::pin!(receiving);
    let ended = tokio::select! {
        ended = &mut receiving => ended,
        () = sending => match tokio::time::timeout(FAREWELL, receiving).await {
            Ok(ended) => ended,
            Err(_) => Ok(()),
        },
    };
    if let Err(status) = ended {
        tracing::info!(id, error = status.message(), "a relay ended");
    }
}

/// Messages under way in each direction.
const QUEUE: usize = 16;

/// How long the controller may take to end a call that is over on this side.
const FAREWELL: Duration = Duration::from_secs(5);
