//! The command `weir-lab`.

use std::io::IsTerminal as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::{ProgressBar, ProgressStyle};

use crate::lab::{self, Lab};
use crate::protocol::Progress;
use crate::state::{Daemon, State};
use crate::status::{self, Output};
use crate::topology::{Name, Topology};
use crate::{benchmarks, packet_in, registry, report, supervisor};

/// Labs of network namespaces with real Open vSwitch, Weir's controller and its agents, from a topology file.
#[derive(Parser)]
#[command(name = "weir-lab", version)]
struct Arguments {
    /// Which lab, if several are up
    #[arg(long, global = true, env = "WEIR_LAB")]
    lab: Option<String>,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build a lab and wait until all of it is up; it then lives on by itself
    ///
    /// If it fails, nothing is left behind. With WEIR_LAB_LOGS=FOLDER in the environment the logs of a lab are copied
    /// to FOLDER/NAME when it is removed.
    Up {
        /// The topology, for example labs/topologies/quickstart.toml
        file: PathBuf,
        /// A new or empty folder for its sockets and logs [default: weir-lab-NAME in the temporary folder]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Another name than the file's, to have it twice
        #[arg(long, value_parser = Name::new)]
        name: Option<Name>,
    },
    /// Run a command in a node, host, container, the controller or the switch
    Exec {
        /// The machine's or container's name (POOL/NAME if several pools have it)
        name: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Show every machine, namespace, address, daemon, socket and container
    Status {
        /// How
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Terminate a daemon; it stays so until it is started
    Stop {
        /// The machine
        name: String,
        /// The daemon
        daemon: Daemon,
    },
    /// Start a stopped daemon
    Start {
        /// The machine
        name: String,
        /// The daemon
        daemon: Daemon,
    },
    /// Kill a daemon with SIGKILL; it is started again at once, as systemd would
    Kill {
        /// The machine
        name: String,
        /// The daemon
        daemon: Daemon,
    },
    /// Print what a daemon wrote to its log
    Logs {
        /// The machine
        name: String,
        /// The daemon
        daemon: Daemon,
        /// Go on printing as it grows
        #[arg(long, short)]
        follow: bool,
    },
    /// Check every pair, the fabric, the flow tables and the time a start takes; exits with 1 if anything is wrong
    Report {
        /// Where to write it as JSON too
        #[arg(long)]
        json: Option<PathBuf>,
        /// How many containers to create and delete to measure the time it takes; 0: none
        #[arg(long, default_value_t = 12)]
        creates: usize,
        /// A command that creates the containers, to see the fabric from before the first; it finds WEIR_SERVER set
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Measure how long a container takes to start, beside as many as wanted that are there already
    ///
    /// First a network namespace beside a bare port of Open vSwitch; then, where nodes have Docker, a Docker container
    /// beside `docker run --network none`, one after another and ten at once on each node.
    Bench {
        /// Where to write the figures as JSON too
        #[arg(long)]
        json: Option<PathBuf>,
        /// How many endpoints to put on the nodes first
        #[arg(long, default_value_t = 100)]
        endpoints: usize,
        /// How many containers to create and delete, one after another
        #[arg(long, default_value_t = 50)]
        creates: usize,
        /// For how long to measure what agents and controller cost while nothing happens; 0s: not at all
        #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
        idle: Duration,
    },
    /// Measure sections of benchmarks, each in labs and with switches of its own; or make their pages (labs/bench)
    Benchmarks {
        /// The sections; otherwise all
        sections: Vec<String>,
        /// Where the figures are: a file a section
        #[arg(long, value_name = "DIR", required_unless_present = "list")]
        json: Option<PathBuf>,
        /// Measure nothing; make pages and charts of the figures there, in this folder
        #[arg(long, value_name = "DIR", conflicts_with = "sections", requires = "json")]
        render: Option<PathBuf>,
        /// Say which sections there are
        #[arg(long, conflicts_with_all = ["sections", "render"])]
        list: bool,
    },
    /// Measure how fast controllers that run answer packet-ins; needs no lab
    PacketIn(packet_in::Options),
    /// Remove a lab and everything it made, also when its supervisor was killed
    Down {
        /// The lab, if several are up
        name: Option<String>,
    },
    /// List the labs that are up
    List,
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Own a lab's daemons (started by `up`)
    #[command(hide = true)]
    Supervise,
}

/// Runs the command line this process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(arguments) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("weir-lab: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let lab = arguments.lab.as_deref();
    match arguments.command {
        Verb::Up { file, dir, name } => {
            up(&file, dir, name.or(lab.map(Name::new).transpose().map_err(anyhow::Error::msg)?))?
        }
        Verb::Exec { name, command } => return exec(&Lab::open(lab)?, &name, &command),
        Verb::Status { output } => say(&status::render(&Lab::open(lab)?.status()?, output)?),
        Verb::Stop { name, daemon } => Lab::open(lab)?.stop(&name, daemon)?,
        Verb::Start { name, daemon } => Lab::open(lab)?.start(&name, daemon)?,
        Verb::Kill { name, daemon } => Lab::open(lab)?.kill(&name, daemon)?,
        Verb::Logs { name, daemon, follow } => logs(lab, &name, daemon, follow)?,
        Verb::Report { json, creates, command } => {
            let well = report::run(&Lab::open(lab)?, &report::Options { json, creates, command })?;
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Bench { json, endpoints, creates, idle } => {
            report::bench(&Lab::open(lab)?, &report::BenchOptions { json, endpoints, creates, idle })?;
        }
        Verb::Benchmarks { sections, json, render, .. } => match (json, render) {
            (Some(json), Some(docs)) => {
                let (targets, met) = benchmarks::render(&json, &docs)?;
                say(&format!("{met} of {targets} targets are met: {}", docs.join("README.md").display()));
            }
            (Some(json), None) => benchmarks::measure(&sections, &json)?,
            (None, _) => benchmarks::list().for_each(|(name, what)| say(&format!("{name:<12}{what}"))),
        },
        Verb::PacketIn(options) => packet_in::run(&options)?,
        Verb::Down { name } => down(name.as_deref().or(lab))?,
        Verb::List => list()?,
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "weir-lab", &mut std::io::stdout());
        }
        Verb::Supervise => supervisor::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn up(file: &Path, dir: Option<PathBuf>, name: Option<Name>) -> anyhow::Result<()> {
    let mut topology = Topology::read(file)?;
    topology.name = name.or(topology.name);
    let name = topology.name.clone().context("the lab has no name: give one with --name")?;
    let dir = dir.unwrap_or_else(|| Lab::default_dir(name.as_str()));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(1) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg}") {
        bar.set_style(style);
    }
    bar.set_message(format!("building {name}"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let lab = Lab::up_telling(&topology, &dir, &mut |progress| match progress {
        Progress::Steps(n) => bar.set_length(*n as u64),
        Progress::Done(what) if bar.is_hidden() => eprintln!("up: {what}"),
        Progress::Done(what) => {
            bar.println(format!("  {what}"));
            bar.inc(1);
        }
        Progress::Ready | Progress::Failed(_) => bar.finish_and_clear(),
    })?;
    say(&format!("lab {name} is up in {}", lab.state().dir.display()));
    lab.detach()
}

fn exec(lab: &Lab, name: &str, words: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = lab.command(name, words)?;
    // Only what nsenter itself could not do comes back from here.
    Err(command.exec()).with_context(|| format!("cannot run a command in {name}"))
}

fn logs(lab: Option<&str>, name: &str, daemon: Daemon, follow: bool) -> anyhow::Result<()> {
    // The supervisor need not be there to read what was written.
    let state = State::load(&registry::find(lab)?.dir)?;
    let machine = state.machine(name)?;
    let there = state.daemons(machine);
    if !there.contains(&daemon) {
        let there: Vec<&str> = there.iter().map(|d| d.program()).collect();
        anyhow::bail!(
            "{name} has no {daemon}: it has {}",
            if there.is_empty() { "none".to_owned() } else { there.join(", ") }
        );
    }
    let mut command = Command::new("tail");
    command.args(["-n", "+1"]).args(follow.then_some("-F")).arg(state.log(name, daemon));
    let ended = command.status().context("cannot run tail")?;
    if ended.success() || ended.signal().is_some() {
        return Ok(());
    }
    anyhow::bail!("cannot show the log")
}

fn down(name: Option<&str>) -> anyhow::Result<()> {
    let entry = registry::find(name)?;
    match Lab::open(Some(&entry.name)) {
        Ok(lab) => lab.down()?,
        Err(_) => lab::remove(&entry)?,
    }
    say(&format!("lab {} is gone", entry.name));
    Ok(())
}

fn list() -> anyhow::Result<()> {
    for entry in registry::labs()? {
        let state = if entry.supervisor.is_alive() { "up" } else { "its supervisor is gone: take it down" };
        say(&format!("{}\t{}\t{state}", entry.name, entry.dir.display()));
    }
    Ok(())
}

/// Prints a line; that nobody reads it is not our concern.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").unwrap_or(());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn exec_leaves_the_commands_own_options_alone() {
        let parsed =
            Arguments::try_parse_from(["weir-lab", "exec", "n1", "--", "ip", "-br", "link"]).unwrap();
        assert!(matches!(parsed.command, Verb::Exec { command, .. } if command == ["ip", "-br", "link"]));
    }
}
