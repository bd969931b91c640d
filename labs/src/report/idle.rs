//! What the agents and the controller cost while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::time::sleep;

use crate::Lab;
use crate::process::cpu_time;
use crate::protocol::{DaemonStatus, Phase};
use crate::state::Daemon;

/// What one daemon has cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Idle {
    pub(super) machine: String,
    pub(super) daemon: &'static str,
    /// Percent of one core.
    pub(super) cpu_percent: f64,
    /// Resident memory in MiB, at the end.
    pub(super) rss_mib: f64,
}

/// Measures each agent and the controller for that long.
///
/// # Errors
/// If one of them is not running, or has not all the time.
pub(super) async fn measure(lab: &Lab, time: Duration) -> anyhow::Result<Vec<Idle>> {
    let mut daemons = lab.status()?.daemons;
    daemons.retain(|status| matches!(status.daemon, Daemon::WeirAgent | Daemon::WeirController));
    let pids = daemons.iter().map(pid).collect::<anyhow::Result<Vec<i32>>>()?;
    let used = || pids.iter().map(|pid| cpu_time(*pid)).collect::<anyhow::Result<Vec<Duration>>>();
    let (start, before) = (Instant::now(), used()?);
    sleep(time).await;
    let (elapsed, after) = (start.elapsed(), used()?);
    let spent = before.iter().zip(&after).map(|(before, after)| after.saturating_sub(*before));
    daemons
        .iter()
        .zip(pids.iter().zip(spent))
        .map(|(status, (pid, spent))| {
            Ok(Idle {
                machine: status.machine.clone(),
                daemon: status.daemon.program(),
                cpu_percent: percent(spent, elapsed),
                rss_mib: resident(&status_of(*pid)?)?,
            })
        })
        .collect()
}

fn pid(status: &DaemonStatus) -> anyhow::Result<i32> {
    match status.phase {
        Phase::Running(pid) => Ok(pid),
        _ => bail!("{} of {} is not running", status.daemon, status.machine),
    }
}

fn status_of(pid: i32) -> anyhow::Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended meanwhile"))
}

/// `VmRSS` of `/proc/PID/status`, in MiB to a tenth.
fn resident(status: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok((kib.context("/proc/PID/status has no VmRSS")? / 102.4).round() / 10.0)
}

/// To a hundredth; a tick in ten seconds is a tenth.
fn percent(spent: Duration, elapsed: Duration) -> f64 {
    (spent.as_secs_f64() / elapsed.as_secs_f64() * 1e4).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_one_core() {
        assert_eq!(percent(Duration::from_millis(420), Duration::from_secs(10)), 4.2);
    }

    #[test]
    fn memory_is_what_is_resident() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   20480 kB\nVmSwap:\t 1 kB\n").unwrap(), 20.0);
        assert!(resident("Name:\tx\n").is_err(), "a kernel thread has none");
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = nix::unistd::getpid().as_raw();
        assert!(resident(&status_of(pid).unwrap()).unwrap() > 0.0);
    }
}
