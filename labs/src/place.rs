//! Places where a command can run: a machine of a lab, or an endpoint inside a node.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::process::run;
use crate::state::{Kind, Machine, State};

/// Somewhere in a lab. It stays good as long as its machine, and the endpoint, exist, whichever daemons are killed.
#[derive(Clone, Debug)]
pub struct Place {
    /// The machine's name.
    pub machine: String,
    /// The endpoint inside the node, if it is one.
    pub endpoint: Option<u32>,
    prefix: Vec<OsString>,
    namespace: PathBuf,
    ovs_rundir: Option<PathBuf>,
}

impl Place {
    /// A machine.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn machine(state: &State, name: &str) -> anyhow::Result<Place> {
        let machine = state.machine(name)?;
        let has_ovs = matches!(machine.kind, Kind::Switch | Kind::Node);
        Ok(Place {
            machine: machine.name.clone(),
            endpoint: None,
            prefix: enter(machine)?,
            namespace: namespace(machine),
            ovs_rundir: has_ovs.then(|| state.ovs_rundir(&machine.name)),
        })
    }

    /// An endpoint on a node: the network namespace `weir-ID` in the node's mount namespace.
    ///
    /// # Errors
    /// If there is no such node, or the namespace is not there.
    pub fn endpoint(state: &State, node: &str, id: u32) -> anyhow::Result<Place> {
        let machine = state.machine(node)?;
        let holder = holder(machine)?;
        let namespace = machine_root(machine)?.join(format!("run/netns/weir-{id}"));
        if !namespace.exists() {
            bail!("endpoint {id} has no namespace on {node} (yet)");
        }
        // nsenter opens both before it enters either.
        let prefix = nsenter([
            format!("--mount=/proc/{holder}/ns/mnt").into(),
            [OsStr::new("--net="), namespace.as_os_str()].into_iter().collect(),
        ]);
        Ok(Place { machine: node.to_owned(), endpoint: Some(id), prefix, namespace, ovs_rundir: None })
    }

    /// The network namespace, as a file that `setns` takes.
    pub fn namespace(&self) -> &PathBuf {
        &self.namespace
    }

    /// A command that will run here.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut line = self.prefix.iter().cloned().chain(words.into_iter().map(|w| w.as_ref().to_owned()));
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line);
        if let Some(rundir) = &self.ovs_rundir {
            command.env("OVS_RUNDIR", rundir).env("OVS_DBDIR", rundir);
        }
        command
    }

    /// Runs a command here to its end and gives back what it printed.
    ///
    /// # Errors
    /// If it cannot be started, or with its standard error if it fails.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
        run(&mut self.command(words))
    }
}

/// The command line before which a program runs inside a machine's namespaces.
pub(crate) fn enter(machine: &Machine) -> anyhow::Result<Vec<OsString>> {
    let net = [OsStr::new("--net="), namespace(machine).as_os_str()].into_iter().collect();
    Ok(match machine.kind {
        Kind::Node => nsenter([net, format!("--mount=/proc/{}/ns/mnt", holder(machine)?).into()]),
        _ => nsenter([net]),
    })
}

/// A machine's network namespace as a file.
pub(crate) fn namespace(machine: &Machine) -> PathBuf {
    PathBuf::from("/run/netns").join(&machine.namespace)
}

/// The root folder of a node as those outside see it, with the node's own /run.
pub(crate) fn machine_root(machine: &Machine) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(format!("/proc/{}/root", holder(machine)?)))
}

fn holder(machine: &Machine) -> anyhow::Result<i32> {
    let holder = machine.holder.with_context(|| format!("{} is no node, or not up yet", machine.name))?;
    if !holder.is_alive() {
        bail!("the process that keeps {}'s mount namespace has died", machine.name);
    }
    Ok(holder.pid)
}

fn nsenter<const N: usize>(options: [OsString; N]) -> Vec<OsString> {
    ["nsenter".into()].into_iter().chain(options).chain(["--".into()]).collect()
}
