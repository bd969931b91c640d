//! Messages as text against `ovs-ofctl ofp-print`, byte for byte. Where it is not installed, the tests say so and
//! pass.

#![allow(clippy::unwrap_used)]

mod installed;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use flowlib::text::{Style, Verbosity, print_message};
use installed::ovs_ofctl;

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

#[test]
fn vectors_print_as_ovs_ofctl_prints_them() {
    if !ovs_ofctl() {
        return;
    }
    for (name, bytes) in &vectors() {
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

/// What Open vSwitch does otherwise with a few spoilt messages, by how its text begins, and why it stays so.
const EXPLAINED: &[(&str, &str)] = &[
    ("OFPT_PACKET_IN", "it skips what a packet-in reports of its packet and does not fit"),
    ("NXT_PACKET_IN", "likewise"),
    ("OFPT_ERROR (xid", "errors of other versions are named as in OpenFlow 1.3"),
    ("OFPT_ERROR (OF1.1)", "likewise"),
    ("OFPT_ERROR (OF1.2)", "likewise"),
    ("OFPST_GROUP reply", "it takes a length that is no whole number of buckets"),
    ("NXT_TLV_TABLE_REPLY", "it believes in more than 64 fields of tunnel metadata"),
];

/// Numbers that look random, the same ones each time: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Changes some bytes but the length, cuts the message or makes it longer; then it says its new length.
    fn spoil(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        match self.below(10) {
            0 | 1 => bytes.truncate(8 + self.below(bytes.len() - 7)),
            2 => bytes.resize(bytes.len() + [1, 4, 8, 16][self.below(4)], 0),
            _ => {}
        }
        for _ in 0..[0, 1, 1, 1, 2, 3, 8][self.below(7)] {
            let at = [1, 4 + self.below(bytes.len() - 4)][usize::from(self.below(40) != 0)];
            bytes[at] = match self.below(5) {
                0 => [0, 1, 0xff][self.below(3)],
                1 => bytes[at] ^ 1 << self.below(8),
                2 => bytes[at].wrapping_add([1, 0xff, 8, 0xf8][self.below(4)]),
                _ => self.below(256) as u8,
            };
        }
        if self.below(30) == 0 {
            bytes[0] = 1 + self.below(6) as u8;
        }
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes
    }
}

#[test]
fn spoilt_messages_print_or_are_refused_as_ovs_ofctl_does() {
    if !ovs_ofctl() {
        return;
    }
    let says_its_len = |bytes: &Vec<u8>| usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) == bytes.len();
    let mut good = messages();
    good.extend(vectors().into_iter().map(|(_, bytes)| bytes));
    good.retain(|bytes| bytes[0] == 4 && says_its_len(bytes) && bytes.len() < 3000);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let spoilt: Vec<_> = (0..8000).map(|_| numbers.below(good.len())).collect();
    let spoilt: Vec<_> = spoilt.into_iter().map(|at| numbers.spoil(&good[at])).collect();
    let is_error = |text: &str| text.contains("decode error") || text.contains("parse error");
    let (mut wrong, mut n_explained) = (Vec::new(), 0);
    for (bytes, theirs) in spoilt.iter().zip(theirs_of_all(&spoilt, 0)) {
        let ours = ours(bytes, Verbosity::MESSAGE);
        // Of another version than OpenFlow 1.3 little more than the headers is read.
        let agree = match ours.split_once(" ***of this version only") {
            Some((header, _)) => theirs.starts_with(header),
            None => ours == theirs || is_error(&ours) && is_error(&theirs),
        };
        if agree {
            continue;
        }
        if EXPLAINED.iter().any(|(start, _)| theirs.starts_with(start)) {
            n_explained += 1;
        } else {
            wrong.push(format!("{}\ntheirs: {theirs}ours:   {ours}", hex(bytes)));
        }
    }
    assert!(n_explained < 10, "{n_explained} of {}", spoilt.len());
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
