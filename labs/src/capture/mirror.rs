//! Mirrors of the physical switch's ports.

use std::process::Command;

use anyhow::{Context, bail};

use crate::ovs::Ovs;
use crate::process::run;
use crate::state::State;

/// Which frames of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the machine sends to the switch.
    FromMachine,
    /// What the switch sends to the machine.
    ToMachine,
    /// Both, in the order in which the switch handled them.
    Both,
}

/// A mirror of one port into one end of a veth whose other end nobody reads.
pub(super) struct Mirror {
    switch: Ovs,
    namespace: String,
    interface: String,
}

impl Mirror {
    pub(super) fn new(state: &State, machine: &str, direction: Direction) -> anyhow::Result<Mirror> {
        let nic = state.machine(machine)?.nic.as_ref().with_context(|| format!("{machine} has no cable"))?;
        let letter = match direction {
            Direction::FromMachine => 'f',
            Direction::ToMachine => 't',
            Direction::Both => 'b',
        };
        let (namespace, interface) = (&state.machine("switch")?.namespace, format!("c{letter}-{machine}"));
        if let Err(e) = plug(namespace, &interface) {
            bail!("cannot capture {machine} (twice in one direction?): {e:#}");
        }
        // From here on, and not before, dropping it takes it away again.
        let mirror = Mirror { switch: Ovs::of(state, "switch")?, namespace: namespace.clone(), interface };
        mirror.select(&nic.port, direction)?;
        Ok(mirror)
    }

    /// The interface whose outgoing frames are the mirrored ones.
    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    fn select(&self, port: &str, direction: Direction) -> anyhow::Result<()> {
        let name = &self.interface;
        let mut words = vec!["add-port", "sw0", name, "--", "--id=@out", "get", "Port", name];
        words.extend(["--", "--id=@port", "get", "Port", port, "--", "--id=@mirror", "create", "Mirror"]);
        let named = format!("name={name}");
        words.extend([named.as_str(), "output-port=@out"]);
        if direction != Direction::ToMachine {
            words.push("select-src-port=@port");
        }
        if direction != Direction::FromMachine {
            words.push("select-dst-port=@port");
        }
        words.extend(["--", "add", "Bridge", "sw0", "mirrors", "@mirror"]);
        self.switch.vsctl(words).map(drop)
    }
}

fn plug(namespace: &str, interface: &str) -> anyhow::Result<()> {
    let peer = format!("x{}", interface.get(1..).unwrap_or_default());
    ip(namespace, &["link", "add", "name", interface, "up", "type", "veth", "peer", "name", &peer])?;
    ip(namespace, &["link", "set", &peer, "up"])
}

fn ip(namespace: &str, words: &[&str]) -> anyhow::Result<()> {
    run(Command::new("ip").args(["-n", namespace]).args(words)).map(drop)
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let name = &self.interface;
        let mirror =
            ["--id=@mirror", "get", "Mirror", name, "--", "remove", "Bridge", "sw0", "mirrors", "@mirror"];
        let gone = self
            .switch
            .vsctl(mirror)
            .and_then(|_| self.switch.vsctl(["--if-exists", "del-port", "sw0", name]))
            .and_then(|_| ip(&self.namespace, &["link", "del", name]));
        // A lab that is down has taken it along.
        gone.unwrap_or_else(|e| eprintln!("cannot remove the mirror {name}: {e:#}"));
    }
}
