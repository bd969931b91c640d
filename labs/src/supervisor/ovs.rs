//! Open vSwitch on nodes and on the physical switch.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::site::{Site, run, unix};
use crate::protocol::DaemonName;
use crate::state::{Daemon, Machine};

/// Starts a machine's ovsdb-server and ovs-vswitchd and waits until both answer.
///
/// `other_config` is written before ovs-vswitchd starts, since some keys count only then.
pub(super) async fn start(site: &Site, machine: &Machine, other_config: &[&str]) -> anyhow::Result<()> {
    let rundir = site.state().ovs_rundir(&machine.name);
    let (database, socket) = (rundir.join("conf.db"), rundir.join("db.sock"));
    run("ovsdb-tool", &["create".as_ref(), database.as_os_str(), SCHEMA.as_ref()]).await?;

    let remote = format!("--remote=p{}", unix(&socket));
    let server = ["ovsdb-server".into(), database.into_os_string(), remote.into()];
    site.start(machine, Daemon::OvsdbServer, server.into_iter().chain(common()).collect())?;
    let name = DaemonName { machine: machine.name.clone(), daemon: Daemon::OvsdbServer };
    site.expect(name, "its socket does not answer", START, answers(&socket)).await?;

    let mut set = vec!["set", "Open_vSwitch", "."];
    let (id, host) = (
        format!("external_ids:system-id={}", machine.name),
        format!("external_ids:hostname={}", machine.name),
    );
    set.extend([id.as_str(), host.as_str()]);
    set.extend(other_config);
    vsctl(&rundir, &[&["--no-wait", "init", "--"], &set[..]].concat()).await?;

    let vswitchd = ["ovs-vswitchd".into(), unix(&socket).into()];
    site.start(machine, Daemon::OvsVswitchd, vswitchd.into_iter().chain(common()).collect())?;
    let name = DaemonName { machine: machine.name.clone(), daemon: Daemon::OvsVswitchd };
    // Without --no-wait ovs-vsctl returns when ovs-vswitchd has caught up.
    let configured = vsctl(&rundir, &["set", "Open_vSwitch", ".", "external_ids:weir-lab=up"]);
    site.expect(name, "it does not take up its configuration", START, configured).await.map(drop)
}

/// Makes the physical switch's bridge with a port for every cable.
pub(super) async fn make_switch(site: &Site) -> anyhow::Result<()> {
    let state = site.state();
    let ageing = format!("other-config:mac-aging-time={}", state.topology.switch.mac_ageing.as_secs());
    let mut words: Vec<String> =
        ["add-br", "sw0", "--", "set", "Bridge", "sw0", "datapath_type=netdev", "fail_mode=standalone"]
            .map(str::to_owned)
            .to_vec();
    words.push(ageing);
    for machine in &state.machines {
        let Some(nic) = &machine.nic else { continue };
        words.extend(["--", "add-port", "sw0", &nic.port].map(str::to_owned));
        // A trunk carries the untagged underlay too; tag 0 is an access port to it.
        if machine.kind != crate::state::Kind::Node {
            words.push(format!("tag={}", nic.vlan.map_or(0, |v| v.id())));
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    vsctl(&state.ovs_rundir("switch"), &words).await.map(drop)
}

async fn vsctl(rundir: &Path, words: &[&str]) -> anyhow::Result<String> {
    let database = format!("--db={}", unix(&rundir.join("db.sock")));
    run("ovs-vsctl", &[&[database.as_str(), "--timeout=30"], words].concat()).await
}

async fn answers(socket: &Path) -> anyhow::Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(5));
    while UnixStream::connect(socket).await.is_err() {
        poll.tick().await;
    }
    Ok(())
}

/// In the foreground, so that the supervisor is the parent; the log is standard error.
fn common() -> [OsString; 5] {
    ["--pidfile", "--no-chdir", "-vconsole:info", "-vsyslog:off", "-vfile:off"].map(OsString::from)
}

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const START: Duration = Duration::from_secs(30);
