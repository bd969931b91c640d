//! How many files and sockets the fleet, and the controller that it starts, may have open.

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A switch's connection and its agent's, and room for what else there is.
const A_SWITCH: u64 = 2;
const BESIDES: u64 = 256;

/// So many switches, or as many whole hundreds of them as there may be files for.
pub(crate) fn at_most(switches: u32) -> anyhow::Result<u32> {
    if allow(switches).is_ok() {
        return Ok(switches);
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let room = hard.saturating_sub(BESIDES) / A_SWITCH / 100 * 100;
    Ok(u32::try_from(room)?.min(switches))
}

/// Raises the limit for so many switches, if it is lower.
///
/// # Errors
/// If it may not be raised.
pub(super) fn allow(switches: u32) -> anyhow::Result<()> {
    let needed = u64::from(switches) * A_SWITCH + BESIDES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).with_context(|| {
        format!("{switches} switches need {needed} open files, and {soft} are allowed: raise `ulimit -n`")
    })
}
