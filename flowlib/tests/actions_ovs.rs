//! Random actions, read, printed and encoded by us and by the real `ovs-ofctl`. Where it is not installed, the tests
//! say so and pass.

#![allow(clippy::unwrap_used)]

mod generate;
mod installed;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{ParseError, ParsedFlowMod, format_flow_mod, parse_flow_mod};
use flowlib::types::Xid;
use installed::ovs_ofctl;

/// Actions in every spelling, one a line.
const ACTIONS: &str = include_str!("actions.txt");

/// What `ovs-ofctl` prints when it is given lines, and what it says on the side.
fn run(arguments: &[&str], lines: &[String]) -> (String, String) {
    let mut child = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow13"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let out = child.wait_with_output().unwrap();
    // It closes its input early if it refuses a line.
    writer.join().unwrap().ok();
    (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

/// What `ovs-ofctl parse-flows` makes of lines; `None` of one that it refuses, which ends it.
fn theirs(lines: &[String]) -> Vec<Option<String>> {
    let mut found = Vec::new();
    while found.len() < lines.len() {
        // A flow that has no encoding is told of without the line's number: then one at a time.
        let end = lines.len().min(found.len() + 200);
        let (out, _) = run(&["parse-flows", "-"], &lines[found.len()..end]);
        found.extend(
            out.lines()
                .filter(|line| line.starts_with("OFPT_FLOW_MOD"))
                .filter_map(|line| line.split_once("): "))
                .map(|(_, rest)| (!rest.contains("***")).then(|| rest.trim_end().to_owned())),
        );
        if found.len() < end {
            let (out, _) = run(&["parse-flow", &lines[found.len()]], &[]);
            let printed = out.lines().find_map(|line| line.split_once("): "));
            found.push(
                printed.map(|(_, rest)| rest.trim_end().to_owned()).filter(|rest| !rest.contains("***")),
            );
        }
    }
    found
}

fn ours(line: &str) -> Result<ParsedFlowMod, ParseError> {
    let parsed = parse_flow_mod(line, Some(FlowModCommand::ADD), None)?;
    match parsed.inconsistency {
        Some(error) => Err(*error),
        None => Ok(parsed),
    }
}

fn encoded(parsed: &ParsedFlowMod) -> Vec<u8> {
    let mut bytes = Vec::new();
    Message::FlowMod(parsed.flow_mod.clone()).encode(Xid(0), &mut bytes).unwrap();
    bytes
}

/// The text of a flow mod that went over the wire.
fn printed(parsed: &ParsedFlowMod) -> String {
    match Message::decode(&encoded(parsed)) {
        Ok((_, Message::FlowMod(flow_mod))) => format_flow_mod(&flow_mod),
        other => panic!("{:?} became {other:?}", parsed.flow_mod),
    }
}

/// The flow mods that `ovs-ofctl add-flows` sends for lines that it takes, but for their xids.
fn their_bytes(lines: &[String]) -> Vec<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!(
        "flowlib-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("switch");
    let listener = UnixListener::bind(&path).unwrap();
    let switch = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let target = format!("unix:{}", path.display());
    let (_, err) = run(&["--no-names", "add-flows", &target, "-"], lines);
    std::fs::remove_dir_all(&folder).unwrap();
    let found = switch.join().unwrap();
    assert_eq!(found.len(), lines.len(), "{err}");
    found
}

/// A switch that knows just enough to be sent flow mods, which it returns.
fn serve(mut stream: UnixStream) -> Vec<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(&[4, 0, 0, 8, 0, 0, 0, 1]).unwrap();
    let mut found = Vec::new();
    let mut header = [0; 8];
    while stream.read_exact(&mut header).is_ok() {
        let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut message = header.to_vec();
        message.resize(len, 0);
        stream.read_exact(&mut message[8..]).unwrap();
        let xid = &header[4..8];
        let answer = |message_type: u8, body: &[u8]| {
            let len = (8 + body.len()) as u16;
            [&[4, message_type][..], &len.to_be_bytes(), xid, body].concat()
        };
        let reply = match header[1] {
            14 => {
                message[4..8].fill(0);
                found.push(message);
                continue;
            }
            2 => answer(3, &message[8..]),
            20 => answer(21, &[]),
            _ => continue,
        };
        stream.write_all(&reply).unwrap();
    }
    found
}

/// Compares text and bytes of lines; says how many both took.
fn compare(lines: &[String]) -> usize {
    let mut differences = Vec::new();
    let mut taken = Vec::new();
    for (line, theirs) in lines.iter().zip(theirs(lines)) {
        match (ours(line), theirs) {
            (Err(_), None) => {}
            (Ok(_), None) => differences.push(format!("{line}\n  ours takes it")),
            (Err(error), Some(_)) => differences.push(format!("{line}\n  {error}")),
            (Ok(parsed), Some(theirs)) => {
                let ours = printed(&parsed);
                if ours == theirs {
                    taken.push((line.clone(), encoded(&parsed)));
                } else {
                    differences.push(format!("{line}\n  ours   {ours}\n  theirs {theirs}"));
                }
            }
        }
    }
    let lines: Vec<_> = taken.iter().map(|(line, _)| line.clone()).collect();
    let hex = |bytes: &[u8]| bytes.iter().skip(48).map(|byte| format!("{byte:02x}")).collect::<String>();
    for ((line, ours), theirs) in taken.iter().zip(their_bytes(&lines)) {
        if *ours != theirs {
            differences.push(format!("{line}\n  ours   {}\n  theirs {}", hex(ours), hex(&theirs)));
        }
    }
    let shown = differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differ:\n{shown}", differences.len());
    taken.len()
}

#[test]
fn every_spelling_is_read_printed_and_encoded_as_ovs_ofctl_does() {
    if ovs_ofctl() {
        let lines: Vec<_> = ACTIONS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        compare(&lines);
    }
}

#[test]
fn random_matches_are_encoded_as_ovs_ofctl_does() {
    if ovs_ofctl() {
        let flows = generate::sample(&generate::flow_match::flow(), 1000);
        let lines: Vec<_> = flows.iter().map(|flow| format!("{flow} actions=drop")).collect();
        // Some it encodes in a way that it does not understand itself.
        let is_clear = theirs(&lines).into_iter().map(|printed| printed.is_some());
        let clear: Vec<_> =
            lines.into_iter().zip(is_clear).filter(|(_, is_clear)| *is_clear).map(|(line, _)| line).collect();
        assert!(clear.len() > 500);
        compare(&clear);
    }
}

#[test]
fn random_actions_are_read_printed_and_encoded_as_ovs_ofctl_does() {
    if ovs_ofctl() {
        let lines = generate::sample(&generate::action::flow(), 3000);
        let n_taken = compare(&lines);
        assert!(n_taken > 2000, "only {n_taken} of {} were taken", lines.len());
    }
}

#[test]
fn actions_that_may_not_go_with_the_match_are_refused_as_ovs_ofctl_does() {
    if ovs_ofctl() {
        compare(&generate::sample(&generate::action::any_flow(), 300));
    }
}
