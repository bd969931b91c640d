//! Namespaces and cables.

use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::site::{Site, dies_with_us, make_dir, run};
use crate::place::namespace;
use crate::process::shown;
use crate::state::{Kind, Machine, Nic, State};

/// Checks that none of the lab's namespaces is there: whatever is, is someone else's.
pub(super) fn check_free(state: &State) -> anyhow::Result<()> {
    match state.machines.iter().find(|m| namespace(m).exists()) {
        Some(m) => bail!("the network namespace {} exists already, and no lab of ours made it", m.namespace),
        None => Ok(()),
    }
}

/// Makes a machine's folder, network namespace and, for a node, mount namespace.
pub(super) async fn make_machine(site: &Site, machine: &Machine) -> anyhow::Result<()> {
    let state = site.state();
    make_dir(&state.machine_dir(&machine.name))?;
    run("ip", &["netns", "add", &machine.namespace]).await?;
    run("ip", &["-n", &machine.namespace, "link", "set", "lo", "up"]).await?;
    match machine.kind {
        Kind::Node => {
            make_dir(&state.ovs_rundir(&machine.name))?;
            hold_mounts(site, &state, machine).await
        }
        // The kernel must not speak for the switch on its ports.
        Kind::Switch => {
            make_dir(&state.ovs_rundir(&machine.name))?;
            let off = ["all", "default"].map(|conf| format!("net.ipv6.conf.{conf}.disable_ipv6=1"));
            let [all, default] = off.each_ref().map(String::as_str);
            run("ip", &["netns", "exec", &machine.namespace, "sysctl", "-q", "-w", all, default])
                .await
                .map(drop)
        }
        Kind::Host | Kind::Controller => Ok(()),
    }
}

/// Plugs a machine into the switch: a veth whose ends are born where they belong.
pub(super) async fn plug(state: &State, machine: &Machine, nic: &Nic) -> anyhow::Result<()> {
    let switch = &state.machine("switch")?.namespace;
    let (here, mac) = (&machine.namespace, nic.mac.to_string());
    let end = ["link", "add", "name", &nic.interface, "address", &mac, "netns", here];
    let peer = ["type", "veth", "peer", "name", &nic.port, "netns", switch];
    run("ip", &[&end[..], &peer[..]].concat()).await?;
    run("ip", &["-n", switch, "link", "set", &nic.port, "up"]).await?;
    run("ip", &["-n", here, "link", "set", &nic.interface, "up"]).await?;
    if machine.kind != Kind::Node {
        let address = nic.address.to_string();
        run("ip", &["-n", here, "addr", "add", &address, "dev", &nic.interface]).await?;
        // A userspace datapath may pass on what the kernel left half done, so hosts compute their own checksums.
        run("ip", &["netns", "exec", here, "ethtool", "-K", &nic.interface, "tx", "off"]).await?;
    }
    Ok(())
}

/// Starts the process that keeps a node's mount namespace, with /run and /sys of its own.
///
/// It ends when the supervisor does, also by its standard input, which the supervisor holds open.
async fn hold_mounts(site: &Site, state: &State, machine: &Machine) -> anyhow::Result<()> {
    let mut line = dies_with_us();
    line.extend(["nsenter".into(), format!("--net={}", namespace(machine).display()).into(), "--".into()]);
    line.extend(
        ["unshare", "--mount", "--propagation", "private", "--", "sh", "-euc", HOLD, "sh"].map(Into::into),
    );
    line.extend([state.mount_mark(&machine.name).into(), state.ovs_rundir(&machine.name).into_os_string()]);
    let mut words = line.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).current_dir("/");
    let what = || format!("cannot make the mount namespace of {}", machine.name);
    let mut holder = command.spawn().with_context(what)?;
    let mut ready = [0];
    let out = holder.stdout.as_mut().context("no output of the holder")?;
    out.read_exact(&mut ready)
        .await
        .with_context(|| format!("{}: see supervisor.log", shown(command.as_std())))?;
    site.hold(&machine.name, holder)
}

/// $1 is the tmpfs's source, by which the namespace is recognized; $2 the node's OVS_RUNDIR.
///
/// The bind mounts of other namespaces are let go first, so that this one does not keep them alive. /sys is mounted
/// anew because it shows the network of the namespace it was mounted in; control groups are carried over, for Docker.
const HOLD: &str = r#"
umount --recursive --lazy /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=755 "$1" /run
mkdir -p /run/netns /run/lock /run/cgroup
ln -s "$2" /run/openvswitch
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup
rmdir /run/cgroup
printf .
exec cat
"#;
