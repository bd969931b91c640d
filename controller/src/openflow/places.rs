//! How many switches can be connected at the same time: the process's file descriptors bound that.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections at the same time; further ones wait in the kernel's queue.
const MOST: u64 = 20_000;
/// Files that are no connections of switches or agents.
const OTHERS: u64 = 256;

/// How many connections of switches there is room for, with as many of agents; raises the limit of open files as far as
/// that needs and is allowed.
pub(super) fn places() -> usize {
    let wanted = 2 * MOST + OTHERS;
    let limit = raise(wanted).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files cannot be read or raised");
        1024
    });
    let places = places_within(limit);
    if limit < wanted {
        tracing::warn!(
            limit,
            wanted,
            places,
            "few files may be open: no more switches can be connected at the same time"
        );
    }
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// Raises the limit to what is wanted, or as far as is allowed; gives back what it is then.
fn raise(wanted: u64) -> nix::Result<u64> {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let aim = wanted.min(most);
    if now < aim {
        setrlimit(Resource::RLIMIT_NOFILE, aim, most)?;
    }
    Ok(now.max(aim))
}

fn places_within(limit: u64) -> u64 {
    (limit.saturating_sub(OTHERS) / 2).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_all_else_have_files_left() {
        for limit in [0, 1, 256, 1024, 20_000, 1 << 20] {
            let places = places_within(limit);
            assert!(places == 1 || 2 * places + OTHERS <= limit, "{limit}: {places}");
        }
        assert_eq!(places_within(1 << 20), MOST);
    }
}
