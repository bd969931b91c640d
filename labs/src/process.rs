//! Processes: naming one so that a reused pid is not mistaken for it, finding executables, running commands.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

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
