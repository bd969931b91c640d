//! The physical switch's MAC table, as `ovs-appctl fdb/show` prints it.

use anyhow::Context;
use serde::Serialize;

use crate::place::Place;
use crate::state::State;

/// A learned address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Learned {
    /// 0: untagged.
    pub(crate) vlan: u16,
    pub(crate) mac: String,
    /// The lab's machine behind the port.
    pub(crate) machine: String,
}

/// Reads the switch's table.
///
/// # Errors
/// If the switch does not answer.
pub(crate) fn read(state: &State) -> anyhow::Result<Vec<Learned>> {
    let switch = Place::machine(state, "switch")?;
    let table = switch.run(["ovs-appctl", "fdb/show", "sw0"])?;
    let ports = switch.run(["ovs-ofctl", "-O", "OpenFlow13", "show", "sw0"])?;
    let name = |number: &str| {
        let port = ports.lines().find_map(|line| {
            let (before, rest) = line.trim().split_once('(')?;
            (before == number).then(|| rest.split(')').next())?
        });
        let machine =
            state.machines.iter().find(|m| m.nic.as_ref().is_some_and(|nic| Some(nic.port.as_str()) == port));
        machine.map_or_else(|| format!("port {number}"), |machine| machine.name.clone())
    };
    parse(&table, name)
}

/// Shape: a header line, then `PORT VLAN MAC AGE`, blanks between.
fn parse(table: &str, machine: impl Fn(&str) -> String) -> anyhow::Result<Vec<Learned>> {
    let mut learned = Vec::new();
    for line in table.lines().skip(1) {
        let mut words = line.split_whitespace();
        let (Some(port), Some(vlan), Some(mac)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let vlan = vlan.parse().with_context(|| format!("no VLAN in `{line}`"))?;
        learned.push(Learned { vlan, mac: mac.to_owned(), machine: machine(port) });
    }
    learned.sort_by(|a, b| (a.vlan, &a.machine, &a.mac).cmp(&(b.vlan, &b.machine, &b.mac)));
    Ok(learned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_switch_prints() {
        let table = " port  VLAN  MAC                Age\n    2   100  0e:00:00:00:00:01    3\nLOCAL     0  aa:bb:cc:dd:ee:ff  0\n";
        let learned = parse(table, |port| format!("at {port}")).unwrap();
        let mac = "0e:00:00:00:00:01".to_owned();
        assert_eq!(learned.len(), 2);
        assert_eq!(learned[1], Learned { vlan: 100, mac, machine: "at 2".to_owned() });
        assert!(parse("header\n 1 x y 0", str::to_owned).is_err());
    }
}
