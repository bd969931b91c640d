//! `ofctl trace` with flows of a file: no switch is needed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

const FLOWS: &str = "\
OFPST_FLOW reply (OF1.3) (xid=0x2):
 cookie=0x5, duration=1.5s, table=0, n_packets=0, n_bytes=0, priority=100,ip,in_port=1 actions=resubmit(,1),output:2
# what is tracked
table=0,priority=90,ip,in_port=3 actions=ct(table=3)
table=0,priority=80,in_port=4 actions=group:1
table=1,priority=10,ip actions=dec_ttl,set_field:0a:00:00:00:00:01->eth_dst,output:3
table=3,ct_state=+est+trk,ip actions=output:1
";

fn trace(arguments: &[&str]) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("flows"), FLOWS).unwrap();
    fs::write(dir.path().join("groups"), "group_id=1,type=all,bucket=output:1,bucket=output:2\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ofctl"));
    command.current_dir(dir.path()).args(["trace", "--flows", "flows", "--groups", "groups"]);
    let out = command.args(arguments).output().unwrap();
    if out.status.success() {
        Ok(String::from_utf8(out.stdout).unwrap())
    } else {
        Err(String::from_utf8(out.stderr).unwrap())
    }
}

#[test]
fn prints_the_way_of_a_packet() {
    let text = trace(&["in_port=1,tcp,nw_dst=10.0.0.2,nw_ttl=64"]).unwrap();
    let way = "\
 0. ip,in_port=1, priority 100, cookie 0x5
    resubmit(,1)
     1. ip, priority 10
            dec_ttl
            set_field:0a:00:00:00:00:01->eth_dst
            output:3
    output:2
";
    assert!(text.contains(way), "{text}");
    assert!(
        text.ends_with("Datapath actions: set(eth(dst=0a:00:00:00:00:01)),set(ipv4(ttl=63)),3,2\n"),
        "{text}"
    );
}

#[test]
fn takes_the_state_of_the_connection_as_it_is_told() {
    let flow = "in_port=3,tcp,nw_dst=10.0.0.2";
    assert!(trace(&[flow]).unwrap().contains(" 3. No match."));
    let text = trace(&["--ct-next", "trk,est", flow]).unwrap();
    assert!(text.contains(" - resume conntrack with ct_state=est|trk\n"), "{text}");
    assert!(text.ends_with("Datapath actions: 1\n"), "{text}");
    let error = trace(&["--ct-next", "trk,old", flow]).unwrap_err();
    assert!(error.contains("old: not a flag of ct_state"), "{error}");
}

#[test]
fn takes_a_packet_and_prints_json() {
    let packet = "00000000000100000000000208060001080006040001000000000002\
                  0a0000020000000000000a000001";
    let text = trace(&["--output", "json", "in_port=4", packet]).unwrap();
    let passes: serde_json::Value = serde_json::from_str(&text).unwrap();
    let outputs = passes[0]["outputs"].as_array().unwrap();
    assert_eq!(outputs.iter().map(|output| output["port"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert!(outputs[0]["flow"].as_str().unwrap().starts_with("arp,in_port=4,"), "{text}");
    assert_eq!(
        (&passes[0]["trace"][1]["depth"], &passes[0]["trace"][1]["kind"]),
        (&1.into(), &"table".into())
    );
}

#[test]
fn says_what_is_wrong_with_the_packet() {
    let error = trace(&["in_port=1,nw_dst=10.0.0"]).unwrap_err();
    assert!(error.contains("column 18"), "{error}");
    assert!(trace(&["in_port=1,ip,nw_dst=10.0.0.0/8"]).unwrap_err().contains("has a mask"));
}
