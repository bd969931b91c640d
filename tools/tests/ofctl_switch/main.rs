//! `ofctl` beside `ovs-ofctl` on one real Open vSwitch: the same output, the same exit code, the same switch behind it.

#![allow(clippy::unwrap_used)]

mod lines;
mod ovs;
mod trace;
mod watch;

use std::collections::BTreeSet;

use flowlib::openflow::{FlowMod, Hello, Message, VERSION};
use flowlib::text::{format_instructions, format_match, parse_flow};
use flowlib::types::Xid;

use lines::{CHANGES, FILES, QUESTIONS, READINGS, SETUP};
use ovs::{Switch, Tool};

/// Flows that every codec test uses.
const FLOWS: &str = include_str!("../../../flowlib/tests/flows.txt");

/// Needs a meter or group, a datapath that this one is not, or is refused beside the others.
const NOT_HERE: &[&str] =
    &["meter", "group", "recirc_id", "dp_hash", "conjunction", "pause", "tun_flags", "check_overlap"];

/// Lines, sorted, without what changes from one moment to the next.
fn steady(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(steady_line).collect();
    lines.sort();
    lines
}

fn steady_line(line: &str) -> String {
    if line.starts_with("Finished in ") {
        return "Finished".to_owned();
    }
    let mut steady = String::new();
    let mut rest = line;
    // Durations, and times of echoes: digits and dots behind the word.
    while let Some((at, word)) =
        ["duration=", "duration:", "time="].iter().filter_map(|word| Some((rest.find(word)?, word))).min()
    {
        let (before, behind) = rest.split_at(at + word.len());
        steady.push_str(before);
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    }
    steady + rest
}

/// What became of a command line.
#[derive(Debug)]
struct Outcome {
    /// Its output; see [`steady`]. What is to be sorted is left in its order.
    lines: Vec<String>,
    code: Option<i32>,
    errors: String,
}

impl Outcome {
    fn of(switch: &Switch, tool: Tool, line: &str, input: &str) -> Self {
        let out = switch.outcome(tool, line, input);
        let text = String::from_utf8(out.stdout).unwrap();
        Self {
            lines: if line.contains("sort") {
                text.lines().map(steady_line).collect()
            } else {
                steady(&text)
            },
            // A signal ends ovs-ofctl when its time has passed; a shell shows that as we do.
            code: out.status.code().or(Some(142)),
            errors: String::from_utf8(out.stderr).unwrap(),
        }
    }

    /// What the switch says is shown in the same words; our own words may be others.
    fn said(&self) -> Vec<String> {
        let is_said = |line: &&str| line.starts_with("OFPT_") || line.starts_with("Error ");
        self.errors.lines().filter(is_said).map(str::to_owned).collect()
    }
}

/// Puts the switch into the state from which every line starts.
fn set_up(switch: &Switch) {
    for line in ["del-flows br0", "del-groups br0", "del-meters br0", "del-tlv-map br0"].iter().chain(SETUP) {
        let out = switch.outcome(Tool::Theirs, line, "");
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// All that a line could have changed.
fn state(switch: &Switch, line: &str) -> Vec<String> {
    let dumps = [
        "dump-flows br0",
        "dump-groups br0",
        "dump-meters br0",
        "dump-tlv-map br0",
        "dump-ports-desc br0",
        "get-frags br0",
    ];
    // What tables can do is a megabyte, and only their names can change.
    let tables = line.starts_with("mod-table").then_some("dump-table-features br0");
    let dump = |line| String::from_utf8(switch.outcome(Tool::Theirs, line, "").stdout).unwrap();
    let texts: Vec<String> = dumps.into_iter().chain(tables).map(dump).collect();
    texts.iter().flat_map(|text| steady(text)).collect()
}

#[test]
fn questions_are_answered_as_by_ovs_ofctl() {
    let Some(switch) = Switch::start() else { return };
    FILES.iter().for_each(|(name, text)| switch.write(name, text));
    let messages = messages();
    std::fs::write(switch.path("messages"), messages.concat()).unwrap();
    std::fs::write(switch.path("short"), &messages.concat()[..20]).unwrap();
    std::fs::write(switch.path("capture"), capture(&messages)).unwrap();
    set_up(&switch);
    let mut differ = Vec::new();
    for line in QUESTIONS {
        let [theirs, ours] = [Tool::Theirs, Tool::Ours].map(|tool| Outcome::of(&switch, tool, line, ""));
        if (&ours.lines, ours.code) != (&theirs.lines, theirs.code) {
            differ.push(format!("{line}\n  ours: {ours:?}\n  theirs: {theirs:?}"));
        }
        let is_silent = ours.lines.is_empty() && ours.errors.is_empty();
        assert_eq!(is_silent, IS_SILENT.contains(line), "{line}");
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Some messages as on the wire.
fn messages() -> Vec<Vec<u8>> {
    let flow = parse_flow("table=3,ip,nw_dst=10.0.0.1,actions=output:2").unwrap();
    let messages = [
        Message::Hello(Hello::new(&[VERSION])),
        Message::FeaturesRequest,
        Message::EchoRequest(vec![1, 2, 3]),
        Message::FlowMod(FlowMod::add(&flow)),
    ];
    let encode = |(xid, message): (u32, &Message)| {
        let mut bytes = Vec::new();
        message.encode(Xid(xid), &mut bytes).unwrap();
        bytes
    };
    (1..).zip(&messages).map(encode).collect()
}

/// The messages in a captured TCP stream, cut where messages are not, with a packet that is none of it.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    let mut sequence = 1000_u32;
    let mut packet = |flags: u8, data: &[u8], ethertype: u8| {
        let len = 40 + data.len() as u16;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, ethertype, 0x45, 0];
        frame.extend(len.to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0x19, 0xfd]);
        frame.extend(sequence.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
        frame.extend(data);
        sequence += data.len() as u32 + u32::from(flags & 2 != 0);
        for word in [1_700_000_000, 123_456, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    };
    packet(2, &[], 0);
    let stream = messages.concat();
    for piece in stream.chunks(21) {
        packet(0x18, piece, 0);
    }
    packet(0x18, &[0; 8], 6);
    file
}

/// Questions whose answer is the exit code.
const IS_SILENT: &[&str] = &[
    "probe br0",
    "ofp-parse-pcap capture 7000",
    "diff-flows br0 setup",
    "diff-flows setup setup",
    "diff-flows br0 br0",
];

#[test]
fn changes_have_the_effect_that_they_have_with_ovs_ofctl() {
    let Some(switch) = Switch::start() else { return };
    FILES.iter().for_each(|(name, text)| switch.write(name, text));
    let mut differ = Vec::new();
    for (line, input) in CHANGES {
        let [theirs, ours] = [Tool::Theirs, Tool::Ours].map(|tool| {
            set_up(&switch);
            let outcome = Outcome::of(&switch, tool, line, input);
            (outcome, state(&switch, line))
        });
        let parts = |of: &Outcome| (of.lines.clone(), of.code, of.said(), of.errors.is_empty());
        if parts(&ours.0) != parts(&theirs.0) {
            differ.push(format!("{line}\n  ours: {:?}\n  theirs: {:?}", ours.0, theirs.0));
        }
        if ours.1 != theirs.1 {
            let only = |some: &[String], others: &[String]| -> Vec<String> {
                some.iter().filter(|line| !others.contains(line)).cloned().collect()
            };
            let (more, less) = (only(&ours.1, &theirs.1), only(&theirs.1, &ours.1));
            differ.push(format!("{line}\n  more: {more:#?}\n  less: {less:#?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn prints_what_was_wanted() {
    let Some(switch) = Switch::start() else { return };
    let is_for_here = |line: &&str| {
        !line.starts_with('#') && !line.is_empty() && !NOT_HERE.iter().any(|word| line.contains(word))
    };
    let lines: Vec<&str> = FLOWS.lines().filter(is_for_here).collect();
    switch.write("flows", &lines.join("\n"));
    switch.ofctl(&["add-flows", "br0", "flows"]);
    assert_eq!(
        steady(&switch.ofctl(&["dump-flows", "br0"])),
        steady(&switch.ovs_ofctl(&["dump-flows", "br0"]))
    );

    let dump: serde_json::Value =
        serde_json::from_str(&switch.ofctl(&["dump-flows", "br0", "--output", "json"])).unwrap();
    let found: BTreeSet<_> = dump
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| [flow["match"].as_str().unwrap(), flow["actions"].as_str().unwrap()].map(str::to_owned))
        .collect();
    let wanted: BTreeSet<_> = lines
        .iter()
        .map(|line| parse_flow(line).unwrap())
        .map(|flow| [format_match(&flow.flow_match), format_instructions(&flow.instructions)])
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn names_tables_registers_and_reasons_in_a_bridge_of_ours() {
    let Some(switch) = Switch::start() else { return };
    let drop = "table=63,cookie=0x700000001,priority=1,reg7=1,actions=drop";
    switch.ofctl(&["add-flow", "br0", drop]);
    let socket = format!("unix:{}", switch.path("br0.mgmt"));
    let filter = "table=63,cookie=0x700000000/0xffffffff00000000";
    let dump = || switch.ofctl(&["dump-flows", &socket, filter, "--names", "--no-stats"]);
    assert_eq!(dump(), " cookie=0x700000001, table=63, priority=1,reg7=0x1 actions=drop\n");

    let row = "table=62,cookie=0x10000001ffffffff,priority=1,metadata=0x10000001,\
               actions=load:0x1->OXM_OF_PKT_REG0[],load:0x2->OXM_OF_PKT_REG1[]";
    switch.ofctl(&["add-flow", "br0", row]);
    let named =
        " cookie=0x700000001, table=drop, priority=1,reg7=0x1 actions=drop # drop reason=unknown-origin\n";
    assert_eq!(dump(), named);
    assert_eq!(switch.ofctl(&["dump-flows", &socket, "cookie=0x8/-1", "--names"]), "");
}

/// Every dump, and a key that its entries have.
const DUMPS: &[(&str, &str)] = &[
    ("show br0", "features"),
    ("dump-desc br0", "software"),
    ("dump-tables br0", "active"),
    ("dump-table-features br0", "max_entries"),
    ("dump-ports br0", "rx_packets"),
    ("dump-ports-desc br0", "hw_addr"),
    ("dump-flows br0", "actions"),
    ("dump-aggregate br0", "n_flows"),
    ("dump-groups br0", "buckets"),
    ("dump-group-stats br0", "ref_count"),
    ("dump-group-features br0", "max_groups"),
    ("dump-meters br0", "bands"),
    ("meter-stats br0", "n_packets"),
    ("meter-features br0", "max_meters"),
    ("queue-stats br0", "tx_bytes"),
    ("queue-get-config br0", "queue"),
    ("dump-tlv-map br0", "maps"),
];

#[test]
fn every_dump_is_one_json_document() {
    let Some(switch) = Switch::start() else { return };
    FILES.iter().for_each(|(name, text)| switch.write(name, text));
    set_up(&switch);
    for (line, key) in DUMPS {
        let words: Vec<&str> = line.split(' ').chain(["--output", "json", "--names"]).collect();
        let text = switch.ofctl(&words);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entries = document.as_array().cloned().unwrap_or_else(|| vec![document.clone()]);
        assert!(
            !entries.is_empty() && entries.iter().all(|entry| entry.get(key).is_some()),
            "{line}: {text}"
        );
    }
    let ports: serde_json::Value =
        serde_json::from_str(&switch.ofctl(&["dump-ports-desc", "br0", "--output=json"])).unwrap();
    let names: BTreeSet<_> =
        ports.as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["br0", "p1", "p2"]));
    let refused = switch.outcome(Tool::Ours, "dump-meter br0 meter=9 --output=json", "");
    assert!(refused.stdout.is_empty() && refused.status.code() == Some(1), "an error is no document");
}

#[test]
fn standard_input_is_read_as_by_ovs_ofctl() {
    let Some(switch) = Switch::start() else { return };
    for (line, input) in READINGS {
        let [theirs, ours] = [Tool::Theirs, Tool::Ours].map(|tool| Outcome::of(&switch, tool, line, input));
        assert_eq!((ours.lines, ours.code), (theirs.lines, theirs.code), "{line}");
    }
}

/// ovs-ofctl has no such command: a file of meters does what its lines do one by one.
#[test]
fn a_file_of_meters_does_what_ovs_ofctl_does_with_each() {
    let Some(switch) = Switch::start() else { return };
    let (first, second) =
        ("meter=5,kbps,band=type=drop,rate=9", "meter=6,pktps,burst,band=type=drop,rate=7,burst_size=3");
    switch.write("meters", &format!("# two\n{first}\n\n{second}\n"));
    let dump = || {
        let text = switch.ovs_ofctl(&["dump-meters", "br0"]);
        text.split_once('\n').map_or(String::new(), |(_, meters)| meters.to_owned())
    };
    switch.ofctl(&["add-meters", "br0", "meters"]);
    let ours = dump();
    switch.ofctl(&["del-meters", "br0"]);
    for meter in [first, second] {
        switch.ovs_ofctl(&["add-meter", "br0", meter]);
    }
    assert_eq!(ours, dump());
    assert!(ours.contains("meter=5") && ours.contains("meter=6"), "{ours}");
    let refused = switch.outcome(Tool::Ours, "add-meters br0 meters", "");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && text.contains("meters:2"), "{text}");
}

#[test]
fn a_read_only_ofctl_changes_nothing() {
    let Some(switch) = Switch::start() else { return };
    for (line, input) in CHANGES {
        let refused = switch.outcome(Tool::Ours, &format!("--read-only {line}"), input);
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && text.contains("read only mode"), "{line}: {text}");
    }
}

#[test]
fn speaks_tls_with_an_authority_that_names_no_host() {
    let Some(switch) = Switch::start() else { return };
    if switch.command("openssl", &["version"]).output().is_err() {
        eprintln!("openssl is not installed: TLS is not tried");
        return;
    }
    let openssl = |words: &str| switch.run("openssl", &words.split_whitespace().collect::<Vec<_>>());
    switch.write("extensions", "basicConstraints=CA:FALSE\nsubjectAltName=DNS:no-host\n");
    for name in ["ca", "other", "switch", "client"] {
        openssl(&format!("genrsa -out {name}.key 2048"));
    }
    for name in ["ca", "other"] {
        openssl(&format!("req -x509 -new -key {name}.key -subj /CN={name} -days 2 -out {name}.crt"));
    }
    for name in ["switch", "client"] {
        openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out {name}.crt"
        ));
    }
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let files = ["switch.key", "switch.crt", "ca.crt"].map(|name| switch.path(name)).join(" ");
    switch.vsctl(&format!("set-ssl {files} -- set-controller br0 pssl:{port}:127.0.0.1"));
    let ask = |authority: &str| {
        let line =
            format!("-p client.key -c client.crt -C {authority} --timeout=20 get-frags ssl:127.0.0.1:{port}");
        Outcome::of(&switch, Tool::Ours, &line, "")
    };
    assert_eq!(ask("ca.crt").lines, ["normal"], "{}", ask("ca.crt").errors);
    assert_eq!(ask("none").lines, ["normal"]);
    let refused = ask("other.crt");
    assert!(refused.code == Some(1) && refused.errors.contains("certificate"), "{}", refused.errors);
}
