//! A lab that is up, as tests and commands see it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::sys::signal::Signal;

use crate::log::tail;
use crate::ovs::Ovs;
use crate::place::Place;
use crate::protocol::{DaemonName, LabStatus, Progress, Request, Response};
use crate::state::{Daemon, Kind, State};
use crate::supervisor::DETACH;
use crate::topology::Topology;
use crate::wait::wait_until;
use crate::{endpoint, registry, up};

/// A lab that is up.
///
/// One that [`Lab::up`] made goes down when this is dropped, and also when the process that holds it dies.
pub struct Lab {
    state: State,
    owned: Option<(Child, ChildStdin)>,
}

impl Lab {
    /// Checks that a lab can be built on this machine at all: root, Open vSwitch, tools.
    ///
    /// # Errors
    /// What is missing.
    pub fn possible() -> anyhow::Result<()> {
        up::possible()
    }

    /// Checks that a lab whose nodes have Docker can be built on this machine.
    ///
    /// # Errors
    /// What is missing.
    pub fn docker_possible() -> anyhow::Result<()> {
        up::possible()?;
        up::docker_possible()
    }

    /// Builds a lab in `dir`, an empty or new folder, and waits until all of it is up.
    ///
    /// # Errors
    /// With the end of the log that tells most; nothing is left behind then.
    pub fn up(topology: &Topology, dir: &Path) -> anyhow::Result<Lab> {
        Lab::up_telling(topology, dir, &mut |_| {})
    }

    /// [`Lab::up`], telling how far it is.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up_telling(
        topology: &Topology,
        dir: &Path,
        tell: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Lab> {
        let up::Started { supervisor, tie, state } = up::start(topology, dir, tell)?;
        Ok(Lab { state, owned: Some((supervisor, tie)) })
    }

    /// Finds a lab that is up: by name, or the only one.
    ///
    /// # Errors
    /// If there is none, or its supervisor was killed.
    pub fn open(name: Option<&str>) -> anyhow::Result<Lab> {
        let entry = registry::find(name)?;
        if !entry.supervisor.is_alive() {
            bail!(
                "the supervisor of lab {0} is gone: `weir-lab --lab {0} down` removes what is left",
                entry.name
            );
        }
        Ok(Lab { state: State::load(&entry.dir)?, owned: None })
    }

    /// Where a new lab of that name lives unless another folder is chosen.
    pub fn default_dir(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("weir-lab-{name}"))
    }

    /// Lets the lab live on without this process.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub fn detach(mut self) -> anyhow::Result<()> {
        match self.owned.take() {
            Some((_, mut tie)) => writeln!(tie, "{DETACH}").context("the supervisor is gone"),
            None => Ok(()),
        }
    }

    /// The lab's names, namespaces, addresses and folders.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A machine, or a container by name.
    ///
    /// # Errors
    /// If there is neither.
    pub fn place(&self, name: &str) -> anyhow::Result<Place> {
        match Place::machine(&self.state, name) {
            Ok(place) => Ok(place),
            Err(_) if self.state.machine(name).is_err() => endpoint::find(&self.state, name),
            Err(e) => Err(e),
        }
    }

    /// A command that will run in a machine or container.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        place: &str,
        words: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Command> {
        Ok(self.place(place)?.command(words))
    }

    /// Runs a command in a machine or container to its end and gives back what it printed.
    ///
    /// # Errors
    /// If there is no such place, or with the command's standard error if it fails.
    pub fn exec<S: AsRef<OsStr>>(
        &self,
        place: &str,
        words: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<String> {
        self.place(place)?.run(words)
    }

    /// A node's Open vSwitch; the physical switch's is that of `switch`.
    ///
    /// # Errors
    /// If there is no such machine, or it has none.
    pub fn node(&self, name: &str) -> anyhow::Result<Ovs> {
        Ovs::of(&self.state, name)
    }

    /// The server address of the controller's API, `unix:/path`.
    pub fn server(&self) -> String {
        format!("unix:{}", self.state.api_socket().display())
    }

    /// Everything about the lab and its daemons as they are now.
    ///
    /// # Errors
    /// If the supervisor does not answer.
    pub fn status(&self) -> anyhow::Result<LabStatus> {
        match self.request(&Request::Status)? {
            Response::Status(status) => Ok(*status),
            other => bail!("the supervisor answers {other:?}"),
        }
    }

    /// Kills a daemon with SIGKILL and returns when it is dead; the supervisor starts it again as systemd would.
    ///
    /// # Errors
    /// If there is no such daemon, or it is not running.
    pub fn kill(&self, machine: &str, daemon: Daemon) -> anyhow::Result<()> {
        self.done(&Request::Kill(DaemonName { machine: machine.to_owned(), daemon }))
    }

    /// Terminates a daemon, leaves it so, and returns when it has ended.
    ///
    /// # Errors
    /// If there is no such daemon.
    pub fn stop(&self, machine: &str, daemon: Daemon) -> anyhow::Result<()> {
        self.done(&Request::Stop(DaemonName { machine: machine.to_owned(), daemon }))
    }

    /// Starts a stopped daemon; one that runs is left alone. Returns when its process is there.
    ///
    /// # Errors
    /// If there is no such daemon.
    pub fn start(&self, machine: &str, daemon: Daemon) -> anyhow::Result<()> {
        self.done(&Request::Start(DaemonName { machine: machine.to_owned(), daemon }))
    }

    /// Waits for a condition of the lab.
    ///
    /// # Errors
    /// The probe's, or, when the deadline passes, what was waited for and [`Lab::dump`].
    pub fn wait_until<T>(
        &self,
        deadline: Duration,
        what: &str,
        probe: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        wait_until(deadline, what, probe).map_err(|e| anyhow!("{e:#}\n{}", self.dump()))
    }

    /// What to know about a lab when something did not happen: daemons, ports and flows, ends of logs.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for status in self.status().map(|s| s.daemons).unwrap_or_default() {
            let log = tail(&status.log, 12);
            text += &format!(
                "-- {} {} {:?}, restarts {}\n{log}\n",
                status.machine, status.daemon, status.phase, status.restarts
            );
        }
        for node in self.state.of_kind(Kind::Node) {
            let Ok(ovs) = Ovs::of(&self.state, &node.name) else { continue };
            for (what, shown) in [("ports", ovs.vsctl(["show"])), ("flows", ovs.dump_flows("br-int"))] {
                let shown = shown.unwrap_or_else(|e| format!("{e:#}"));
                text += &format!("-- {} {what}\n{shown}\n", node.name);
            }
        }
        text
    }

    /// Removes the lab and everything it made.
    ///
    /// # Errors
    /// If something could not be removed.
    pub fn down(mut self) -> anyhow::Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> anyhow::Result<()> {
        let removed = match self.request(&Request::Down) {
            Ok(Response::Done) => Ok(()),
            Ok(other) => Err(anyhow!("the supervisor answers {other:?}")),
            Err(_) => remove(&registry::Entry {
                name: self.state.name.clone(),
                dir: self.state.dir.clone(),
                supervisor: self.state.supervisor,
            }),
        };
        if let Some((mut supervisor, tie)) = self.owned.take() {
            drop(tie);
            supervisor.wait().context("cannot wait for the supervisor")?;
        }
        removed
    }

    fn done(&self, request: &Request) -> anyhow::Result<()> {
        match self.request(request)? {
            Response::Done => Ok(()),
            Response::Refused(why) => bail!("{why}"),
            Response::Status(_) => bail!("the supervisor misunderstood"),
        }
    }

    fn request(&self, request: &Request) -> anyhow::Result<Response> {
        let path = self.state.control_socket();
        let mut stream =
            UnixStream::connect(&path).with_context(|| format!("no answer at {}", path.display()))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).context("cannot ask the supervisor")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).context("the supervisor does not answer")?;
        serde_json::from_str(&answer).context("the supervisor hung up")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.owned.is_some() {
            self.remove().unwrap_or_else(|e| eprintln!("lab {}: {e:#}", self.state.name));
        }
    }
}

/// Removes a lab, whether its supervisor lives or not.
pub(crate) fn remove(entry: &registry::Entry) -> anyhow::Result<()> {
    if entry.supervisor.is_alive() {
        entry.supervisor.signal(Signal::SIGTERM);
        let gone = || Ok((!entry.supervisor.is_alive()).then_some(()));
        wait_until(Duration::from_secs(30), "the supervisor to remove the lab", gone)?;
    }
    match registry::labs()?.iter().find(|l| l.name == entry.name && l.supervisor == entry.supervisor) {
        Some(left) => up::remove_dead(left),
        None => Ok(()),
    }
}
