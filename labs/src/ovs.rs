//! A machine's Open vSwitch, through its own tools.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use crate::process::run;
use crate::state::{Kind, State};

/// The Open vSwitch of a node or of the physical switch.
#[derive(Clone, Debug)]
pub struct Ovs {
    rundir: PathBuf,
}

impl Ovs {
    /// That of a machine.
    ///
    /// # Errors
    /// If there is no such machine, or it has none.
    pub fn of(state: &State, machine: &str) -> anyhow::Result<Ovs> {
        match state.machine(machine)?.kind {
            Kind::Switch | Kind::Node => Ok(Ovs { rundir: state.ovs_rundir(machine) }),
            kind => bail!("{machine} is a {kind}: it has no Open vSwitch"),
        }
    }

    /// Where its sockets are, for example `br-int.mgmt` and `br-int.snoop`.
    pub fn rundir(&self) -> &PathBuf {
        &self.rundir
    }

    /// `ovs-vsctl WORDS…`, see ovs-vsctl(8).
    ///
    /// # Errors
    /// With what it complained about.
    pub fn vsctl<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
        let database = format!("--db=unix:{}", self.rundir.join("db.sock").display());
        run(Command::new("ovs-vsctl").arg(database).arg("--timeout=20").args(words))
    }

    /// `ovs-appctl WORDS…`, to ovs-vswitchd, see ovs-vswitchd(8).
    ///
    /// # Errors
    /// With what it complained about.
    pub fn appctl<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
        run(Command::new("ovs-appctl").env("OVS_RUNDIR", &self.rundir).arg("--timeout=20").args(words))
    }

    /// `ovs-ofctl -O OpenFlow13 COMMAND BRIDGE WORDS…`, see ovs-ofctl(8).
    ///
    /// # Errors
    /// With what it complained about.
    pub fn ofctl<S: AsRef<OsStr>>(
        &self,
        command: &str,
        bridge: &str,
        words: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<String> {
        let target = format!("unix:{}", self.rundir.join(format!("{bridge}.mgmt")).display());
        run(Command::new("ovs-ofctl")
            .args(["-O", "OpenFlow13", "--timeout=20", command])
            .arg(target)
            .args(words))
    }

    /// `ovs-ofctl -O OpenFlow13 monitor BRIDGE 128 watch:`, which goes on until it is killed: the flows there are on its standard
    /// output, then changes of flows and ports, as they happen, on its standard error.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn monitor(&self, bridge: &str) -> anyhow::Result<Child> {
        let target = format!("unix:{}", self.rundir.join(format!("{bridge}.mgmt")).display());
        let watch = Command::new("ovs-ofctl")
            .arg(format!("--unixctl={}", self.rundir.join("monitor.ctl").display()))
            .args(["-O", "OpenFlow13", "monitor", &target, "128", "watch:"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        watch.context("ovs-ofctl")
    }

    /// A bridge's flows, with names of ports and tables left as numbers.
    ///
    /// # Errors
    /// As [`Ovs::ofctl`].
    pub fn dump_flows(&self, bridge: &str) -> anyhow::Result<String> {
        self.ofctl("dump-flows", bridge, ["--no-names"])
    }

    /// Which interface has which OpenFlow port number.
    ///
    /// # Errors
    /// As [`Ovs::vsctl`], or if there is no such interface or it has no number.
    pub fn ofport(&self, interface: &str) -> anyhow::Result<u16> {
        let shown = self.vsctl(["get", "Interface", interface, "ofport"])?;
        match shown.trim().parse() {
            Ok(ofport) => Ok(ofport),
            Err(_) => bail!("{interface} has no port number: {}", shown.trim()),
        }
    }
}
