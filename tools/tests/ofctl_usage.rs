//! What `ofctl` says of itself, and which options it takes.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn ofctl(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ofctl")).args(words.split_whitespace()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every command of ovs-ofctl(8) 3.1 but those that only its own tests use.
const COMMANDS: &str = "show monitor snoop dump-desc dump-tables dump-table-features dump-flows dump-aggregate \
    queue-stats queue-get-config add-flow add-flows mod-flows del-flows replace-flows diff-flows add-meter mod-meter \
    del-meters dump-meters meter-stats meter-features packet-out dump-ports dump-ports-desc mod-port mod-table \
    get-frags set-frags probe ping benchmark dump-ipfix-bridge dump-ipfix-flow ct-flush-zone ct-flush ofp-parse \
    ofp-parse-pcap add-group add-groups mod-group del-groups insert-buckets remove-buckets dump-groups \
    dump-group-stats dump-group-features bundle add-tlv-map del-tlv-map dump-tlv-map parse-flow parse-flows \
    parse-group ofp-print help list-commands";

#[test]
fn has_every_command_and_completes_it() {
    let listed = text(&ofctl("list-commands").stdout);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for command in COMMANDS.split_whitespace() {
        assert!(names.contains(&command), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&ofctl(&format!("completions {shell}")).stdout);
        assert!(COMMANDS.split_whitespace().all(|command| script.contains(command)), "{shell}");
    }
}

/// `BLESS=1` writes the page anew.
#[test]
fn the_manual_page_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man/ofctl.1");
    let page = text(&ofctl("man").stdout);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        page == std::fs::read_to_string(&path).unwrap(),
        "docs/man/ofctl.1 differs: BLESS=1 writes it anew"
    );
}

#[test]
fn speaks_only_openflow_1_3_and_says_so() {
    for (words, is_taken) in [
        ("-O OpenFlow13", true),
        ("-OOpenFlow10,OpenFlow13", true),
        ("--protocols=OpenFlow13", true),
        ("-F OXM-OpenFlow13", true),
        ("--flow-format=any", true),
        ("-O OpenFlow10", false),
        ("-O OpenFlow15", false),
        ("-F NXM+table_id", false),
        ("-F frob", false),
    ] {
        let out = ofctl(&format!("{words} parse-flow actions=drop"));
        assert_eq!(out.status.success(), is_taken, "{words}: {}", text(&out.stderr));
        let says_why =
            ["OpenFlow13", "invalid flow format"].iter().any(|why| text(&out.stderr).contains(why));
        assert!(is_taken || says_why, "{words}: {}", text(&out.stderr));
    }
}

#[test]
fn an_error_in_text_shows_where_it_is() {
    let out = ofctl("parse-flow in_port=1,actions=output:2,frob:3");
    let shown = text(&out.stderr);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(out.status.code(), Some(1));
    assert!(lines[0].starts_with("ofctl: column 28: `frob"), "{shown}");
    let (column, mark) = (lines[1].find("frob").unwrap(), lines[2].find('^').unwrap());
    assert_eq!(column, mark, "{shown}");
}
