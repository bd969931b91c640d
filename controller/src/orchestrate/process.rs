//! Requests to start and stop containers' processes. Address, port number and flows stay a container's own.

use std::sync::Arc;

use crate::intent::model::Container;
use crate::intent::{Refusal, Transaction};

use super::{containers, plain};

/// Asks for a container's process to run: again, if it was stopped or (`has_ended`) has ended by itself. One that runs
/// is left alone.
///
/// # Errors
/// [`Refusal::NotFound`]. [`Refusal::Precondition`]: it is being deleted, or its runtime has no processes.
pub fn start(
    tx: &mut Transaction<'_>,
    pool: &str,
    name: &str,
    has_ended: impl FnOnce(&Arc<Container>) -> bool,
) -> Result<Arc<Container>, Refusal> {
    let container = find(tx, pool, name)?;
    if container.stopped || has_ended(&container) {
        let starts = container.starts.wrapping_add(1);
        tx.put(Container { stopped: false, starts, ..Container::clone(&container) });
    }
    containers::find(tx.state(), pool, name).cloned()
}

/// Asks for a container's process not to run; again is not an error.
///
/// # Errors
/// As [`start`].
pub fn stop(tx: &mut Transaction<'_>, pool: &str, name: &str) -> Result<Arc<Container>, Refusal> {
    let container = find(tx, pool, name)?;
    if !container.stopped {
        tx.put(Container { stopped: true, ..Container::clone(&container) });
    }
    containers::find(tx.state(), pool, name).cloned()
}

/// The container, if it can have a process.
fn find(tx: &Transaction<'_>, pool: &str, name: &str) -> Result<Arc<Container>, Refusal> {
    let container = containers::find(tx.state(), pool, name)?.clone();
    if container.deleting {
        return Err(Refusal::Precondition(format!("the container `{name}` is being deleted")));
    }
    plain::check(&container)?;
    if container.runtime == containers::NETNS {
        return Err(Refusal::Precondition(format!(
            "the container `{name}` has the runtime `netns`, which has no processes to start or stop"
        )));
    }
    Ok(container)
}
