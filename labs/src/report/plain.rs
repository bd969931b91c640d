//! Containers that Docker's own client starts, with no network or in one of Docker's.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::docker::SOCKET;
use crate::place::Place;
use crate::process::run;
use crate::state::State;

/// Containers that Docker's own client starts on one node. Dropping it removes them.
pub(crate) struct Plain {
    place: Place,
    names: Vec<String>,
}

impl Plain {
    /// None so far.
    ///
    /// # Errors
    /// If there is no such node.
    pub(crate) fn on(state: &State, node: &str) -> anyhow::Result<Plain> {
        Ok(Plain { place: Place::machine(state, node)?, names: Vec::new() })
    }

    /// A command that starts one more, in one of Docker's networks, and ends when it runs.
    pub(crate) fn command_in(&mut self, network: &str) -> Command {
        let name = format!("plain-{}", self.names.len());
        let run = ["run", "--detach", "--network", network, "--name", &name, IMAGE];
        let command = self.docker(&[&run[..], &COMMAND].concat());
        self.names.push(name);
        command
    }

    /// Starts one more, in one of Docker's networks, and says how long that took.
    ///
    /// # Errors
    /// With what Docker complains about.
    pub(crate) fn run_in(&mut self, network: &str) -> anyhow::Result<Duration> {
        let mut command = self.command_in(network);
        let start = Instant::now();
        run(&mut command)?;
        Ok(start.elapsed())
    }

    /// Removes them all.
    ///
    /// # Errors
    /// With what Docker complains about.
    pub(crate) fn remove(&mut self) -> anyhow::Result<()> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            run(&mut self.docker(&[&["rm", "--force"], &names[..]].concat()))?;
        }
        self.names.clear();
        Ok(())
    }

    /// Docker's own client, with those words.
    pub(crate) fn docker(&self, words: &[&str]) -> Command {
        let host = format!("unix://{SOCKET}");
        self.place.command([&["docker", "--host", &host], words].concat())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.remove().unwrap_or_else(|e| eprintln!("{e:#}"));
    }
}

/// What they run, and what is measured beside them runs too.
pub(crate) const IMAGE: &str = "busybox";
pub(crate) const COMMAND: [&str; 2] = ["sleep", "1d"];
