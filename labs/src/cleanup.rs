//! Removing a lab: what the supervisor does last, and what `down` does after a supervisor was killed.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;

use crate::cgroup::Groups;
use crate::place::namespace;
use crate::process::{ProcessId, run};
use crate::registry;
use crate::state::State;
use crate::wait::wait_until;

/// Removes everything a lab's state file names: processes in its namespaces and containers, the namespaces and with them
/// all links and mounts, its control groups, its files, its entry in the registry. What is gone already is not an error.
///
/// # Errors
/// The first thing that could not be removed, after trying all the others.
pub(crate) fn remove(state: &State) -> anyhow::Result<()> {
    let steps = [
        Groups::of(state).thaw(),
        end_processes(state),
        remove_namespaces(state),
        Groups::of(state).remove(),
        keep_logs(state),
        remove_files(state),
        registry::leave(&state.name),
    ];
    steps.into_iter().collect()
}

/// Kills whatever still runs in the lab's namespaces and containers: endpoints' processes, commands of `weir-lab exec`,
/// containers' processes and their shims.
fn end_processes(state: &State) -> anyhow::Result<()> {
    wait_until(Duration::from_secs(10), "the lab's processes to end", || {
        let alive = processes(state)?;
        for process in &alive {
            process.signal(Signal::SIGKILL);
        }
        Ok(alive.is_empty().then_some(()))
    })
}

/// The processes in one of the lab's network namespaces, in one of its nodes' mount namespaces, or in a container of one
/// of its nodes' Dockers.
pub(crate) fn processes(state: &State) -> anyhow::Result<Vec<ProcessId>> {
    let namespaces: HashSet<(u64, u64)> =
        state.machines.iter().filter_map(|m| identity(&namespace(m))).collect();
    let marks: Vec<String> =
        state.machines.iter().map(|m| format!(" {} ", state.mount_mark(&m.name))).collect();
    let groups = Groups::of(state);
    let this = nix::unistd::getpid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(pid) = entry.ok().and_then(|e| e.file_name().to_str()?.parse::<i32>().ok()) else {
            continue;
        };
        let folder = Path::new("/proc").join(pid.to_string());
        // Mount namespaces are told by the source of the tmpfs on /run: their numbers are used again.
        let ours = identity(&folder.join("ns/net")).is_some_and(|id| namespaces.contains(&id))
            || fs::read_to_string(folder.join("mountinfo"))
                .is_ok_and(|t| marks.iter().any(|m| t.contains(m)))
            || fs::read_to_string(folder.join("cgroup")).is_ok_and(|t| groups.hold(&t));
        if ours && pid != this {
            found.extend(ProcessId::of(pid));
        }
    }
    Ok(found)
}

fn remove_namespaces(state: &State) -> anyhow::Result<()> {
    let there = state.machines.iter().filter(|m| namespace(m).exists());
    let removed: Vec<_> =
        there.map(|m| run(Command::new("ip").args(["netns", "del", &m.namespace])).map(drop)).collect();
    removed.into_iter().collect()
}

/// Copies the logs to `$WEIR_LAB_LOGS/LAB/MACHINE/`, if that is set, for whoever wants to know why something failed.
fn keep_logs(state: &State) -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(KEEP_LOGS) else { return Ok(()) };
    let folder = Path::new(&folder).join(&state.name);
    for machine in state.machines.iter().map(|m| m.name.as_str()).chain([""]) {
        let (from, to) = (state.machine_dir(machine), folder.join(machine));
        for entry in fs::read_dir(&from).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "log") {
                fs::create_dir_all(&to)
                    .and_then(|()| fs::copy(&path, to.join(entry.file_name())))
                    .with_context(|| format!("cannot copy {} to {}", path.display(), to.display()))?;
            }
        }
    }
    Ok(())
}

/// Removes the lab's folder, or its contents if it was there before.
fn remove_files(state: &State) -> anyhow::Result<()> {
    let failed = || format!("cannot remove {}", state.dir.display());
    if !state.dir.exists() {
        return Ok(());
    }
    if state.dir_created {
        return fs::remove_dir_all(&state.dir).with_context(failed);
    }
    for entry in fs::read_dir(&state.dir).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .with_context(failed)?;
    }
    Ok(())
}

/// Device and inode, which tell whether two files are the same namespace.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// The environment variable that names a folder for the logs of labs that are removed.
pub(crate) const KEEP_LOGS: &str = "WEIR_LAB_LOGS";
