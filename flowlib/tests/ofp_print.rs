//! Messages as text against `ovs-ofctl ofp-print`, byte for byte. Where it is not installed, the tests say so and
//! pass.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flowlib::text::{Style, Verbosity, print_message};

fn ovs_ofctl() -> bool {
    let found = Command::new("ovs-ofctl").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("ovs-ofctl is not installed: not compared with it");
    }
    found
}

/// Raw messages, one a file, with the file's name.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/ryu-of13");
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("{} is not there: its messages are not printed", folder.display());
        return Vec::new();
    };
    let mut vectors: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    vectors.sort();
    vectors
}

fn ours(bytes: &[u8], verbosity: Verbosity) -> String {
    let mut out = String::new();
    print_message(&mut out, bytes, Style::default(), verbosity);
    out
}

/// What ovs-ofctl prints of one message. Its `ofp-print` takes the verbosity as a number, not `-m`.
fn theirs(bytes: &[u8], verbosity: Verbosity) -> String {
    let arguments = ["ofp-print", &hex(bytes), &verbosity.0.to_string()];
    let out = Command::new("ovs-ofctl").args(arguments).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What ovs-ofctl prints of many messages, which must be as long as they say.
fn theirs_of_all(messages: &[Vec<u8>], more: u8) -> Vec<String> {
    /// A message that stands between others, and how it is printed.
    const BETWEEN: &[u8] = &[4, 3, 0, 8, 0xde, 0xad, 0xbe, 0xef];
    const PRINTED: &str = "OFPT_ECHO_REPLY (OF1.3) (xid=0xdeadbeef): 0 bytes of payload\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| message.iter().chain(BETWEEN)).copied().collect();
    fs::write(file.path(), bytes).unwrap();
    let options = (0..more).map(|_| "-m");
    let out = Command::new("ovs-ofctl").args(options).arg("ofp-parse").arg(file.path()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut parts: Vec<_> = text.split(PRINTED).map(str::to_owned).collect();
    assert_eq!(parts.pop().as_deref(), Some(""), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(parts.len(), messages.len());
    parts
}

fn messages() -> Vec<Vec<u8>> {
    let lines =
        include_str!("messages.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    lines.map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Vectors that are refused for what is not checked here.
const NOT_HERE: &[&str] = &[
    "4-12-ofp_flow_stats_reply.packet",
    "4-2-ofp_flow_mod.packet",
    "4-59-ofp_packet_in.packet",
    "4-60-ofp_flow_mod.packet",
    "libofproto-OFP13-flow_mod_match_conj.packet",
    "ovs-ofctl-of13-action_ct.packet",
];

#[test]
fn vectors_print_as_ovs_ofctl_prints_them() {
    if !ovs_ofctl() {
        return;
    }
    for (name, bytes) in vectors().iter().filter(|(name, _)| !NOT_HERE.contains(&name.as_str())) {
        for more in [0, 1, 3] {
            let verbosity = Verbosity(Verbosity::MESSAGE.0 + more);
            assert_eq!(ours(bytes, verbosity), theirs(bytes, verbosity), "{name} with {more} -m");
        }
    }
}

#[test]
fn messages_of_every_kind_print_as_ovs_ofctl_prints_them() {
    if !ovs_ofctl() {
        return;
    }
    let messages = messages();
    for more in [0, 1, 2] {
        let verbosity = Verbosity(Verbosity::MESSAGE.0 + more);
        for (bytes, theirs) in messages.iter().zip(theirs_of_all(&messages, more)) {
            assert_eq!(ours(bytes, verbosity), theirs, "{} with {more} -m", hex(bytes));
        }
    }
}
