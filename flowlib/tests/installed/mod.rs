//! What is installed.

use std::process::{Command, Stdio};

/// Whether `ovs-ofctl` is there; if not, says so.
pub(crate) fn ovs_ofctl() -> bool {
    let found = Command::new("ovs-ofctl").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("ovs-ofctl is not installed: not compared with it");
    }
    found
}
