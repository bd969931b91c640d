//! Processes: naming one so that a reused pid is not mistaken for it, finding executables, running commands.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process: its pid, and when it started, by which a later process of the same pid is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// Start time in clock ticks after boot, proc(5) `/proc/PID/stat` field 22.
    pub started: u64,
}

impl ProcessId {
    /// The process that has this pid now, if there is one and it is not a zombie.
    pub fn of(pid: i32) -> Option<ProcessId> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name in parentheses, may hold blanks and parentheses itself.
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(ProcessId { pid, started })
    }

    /// This process.
    pub fn this() -> ProcessId {
        let pid = nix::unistd::getpid().as_raw();
        ProcessId::of(pid).unwrap_or(ProcessId { pid, started: 0 })
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    /// Sends it a signal; that it has ended already is not an error.
    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may end between the two calls, and then there is nothing left to do.
            kill(Pid::from_raw(self.pid), signal).unwrap_or(());
        }
    }
}

/// The processor time that a process has used, in steps of 10 ms.
///
/// # Errors
/// If it has ended.
pub(crate) fn cpu_time(pid: i32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    ticks(&stat.with_context(|| format!("process {pid} has ended meanwhile"))?).map(|n| TICK * n)
}

/// What Linux tells programs it counts in, whatever the kernel's own clock, time(7).
const TICK: Duration = Duration::from_millis(10);

/// Processor time in ticks: `utime` and `stime`, proc(5) `/proc/PID/stat` fields 14 and 15.
fn ticks(stat: &str) -> anyhow::Result<u32> {
    // The second field, the name in parentheses, may hold blanks and parentheses itself.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times: Vec<u32> =
        rest.split_ascii_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    match times[..] {
        [user, system] => Ok(user.saturating_add(system)),
        _ => bail!("`{}` is no /proc/PID/stat", stat.trim()),
    }
}

/// Finds an executable of ours: beside this one, or one folder up when this is a test in `deps`.
///
/// # Errors
/// If it is in neither place.
pub fn find_executable(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this executable")?;
    let folders = here.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| {
        format!("{name} is not beside {}: build it first (cargo build --workspace)", here.display())
    })
}

/// Runs a command to its end and gives back what it printed.
///
/// # Errors
/// If it cannot be started, or with its standard error if it fails.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", shown(command)))?;
    printed(&shown(command), &output)
}

/// Turns a finished command into what it printed, or an error that says what it complained about.
pub(crate) fn printed(shown: &str, output: &Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command line as one would type it, without quoting.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 99 1000 100";
        assert_eq!(ticks(stat).unwrap(), 42);
        assert!(ticks("7 (short) S 1 7").is_err());
        assert!(cpu_time(ProcessId::this().pid).is_ok());
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let id = ProcessId::of(pid);
        child.wait().unwrap();
        assert!(id.is_none_or(|id| !id.is_alive()));
        assert!(ProcessId::this().is_alive());
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no such thing") && error.to_string().contains("3"), "{error}");
    }
}
