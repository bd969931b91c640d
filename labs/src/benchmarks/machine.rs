//! What the machine is that something was measured on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Its facts by name; what cannot be found out is left out.
pub(super) fn facts() -> BTreeMap<String, String> {
    let all = [
        ("processor", field("/proc/cpuinfo", "model name")),
        ("cores", std::thread::available_parallelism().ok().map(|n| n.to_string())),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").ok()),
        ("Open vSwitch", first_line("ovs-vswitchd", &["--version"])),
        ("OVN", first_line("ovn-northd", &["--version"])),
        ("load before", fs::read_to_string("/proc/loadavg").ok().and_then(|text| word(&text))),
        ("Weir", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("commit", first_line("git", &["describe", "--always", "--dirty"])),
        ("date", first_line("date", &["--utc", "+%Y-%m-%d"])),
    ];
    all.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?.trim().to_owned()))).collect()
}

fn word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(str::to_owned)
}

/// The first field of that name in a file of lines `name: value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, v)| v.to_owned())
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}
