//! Whatever can be decoded encodes to something that decodes to the same value, and nothing panics.

#![allow(clippy::unwrap_used)]

mod generate;

use std::fs;
use std::path::Path;
use std::process::Command;

use flowlib::openflow::error::error_code;
use flowlib::openflow::{BundleAdd, BundleFlags, FlowMod, Message};
use flowlib::text::parse_flow;
use flowlib::types::Xid;
use flowlib::wire::DecodeError;
use proptest::prelude::*;

/// Messages of another project; `shared` lies beside the repository and may be missing.
const VECTORS: &str = "../../shared/vectors/ryu-of13";

fn encode(message: &Message, xid: Xid) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(xid, &mut out).expect("what was decoded has an encoding");
    out
}

/// Decodes, and checks that encoding loses nothing. Canonical bytes come back as they were.
fn check(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match Message::decode(bytes) {
        Ok((xid, message)) => {
            let again = encode(&message, xid);
            let (same_xid, same) = Message::decode(&again).expect("our own bytes decode");
            assert_eq!((same_xid, &same), (xid, &message));
            assert_eq!(encode(&same, xid), again);
            Ok(again)
        }
        Err(error) => {
            assert!(error.offset <= bytes.len());
            assert!(error_code(&error).name().is_some());
            Err(error)
        }
    }
}

/// What `ovs-ofctl ofp-print` makes of a message, without the bytes of one it refuses; nothing if it is not installed.
fn ofp_print(bytes: &[u8]) -> Option<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let out = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let end = text.find("***\n").map_or(text.len(), |at| at + 3);
    Some(text[..end].to_owned())
}

fn seeds() -> Vec<Vec<u8>> {
    let flows = include_str!("flows.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut seeds = Vec::new();
    for flow in flows {
        let message = Message::FlowMod(FlowMod::add(&parse_flow(flow).unwrap()));
        seeds.push(encode(&message, Xid(5)));
        seeds.push(encode(&Message::BundleAdd(BundleAdd::new(1, BundleFlags::ATOMIC, message)), Xid(6)));
    }
    seeds.extend(vectors().into_iter().map(|(_, bytes)| bytes));
    seeds
}

fn vectors() -> Vec<(String, Vec<u8>)> {
    let Ok(files) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS)) else {
        eprintln!("no vectors at {VECTORS}: not compared with them");
        return Vec::new();
    };
    let mut found: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    found.sort();
    found
}

/// Vectors that are not in canonical form, and why.
const NOT_CANONICAL: &[(&str, &str)] =
    &[("action_controller2", "properties that have their default value are spelled out")];

/// Vectors that are no OpenFlow 1.3, and why.
const REFUSED: &[(&str, &str)] = &[
    ("queue_get_config_reply", "a property whose length is no multiple of 8"),
    ("of13-action_ct.packet", "a zone from 28 bits of a field"),
    ("onf_flow_monitor_request", "fields without the header of a match"),
];

/// Whether only the order of whole fields differs: a match comes back in canonical order.
fn is_reordered(one: &[u8], other: &[u8]) -> bool {
    let differs = |at: &usize| one.get(*at) != other.get(*at);
    let mut same = 0;
    while let Some(at) = (same..one.len().max(other.len())).find(differs) {
        let ends = (same..=at).rev().filter_map(|start| {
            let len = reordered_fields(one.get(start..)?, other.get(start..)?)?;
            Some(start + len)
        });
        let Some(end) = ends.into_iter().find(|end| *end > at) else { return false };
        same = end;
    }
    true
}

/// Over how many bytes both are the same fields, each in an order of its own.
fn reordered_fields(one: &[u8], other: &[u8]) -> Option<usize> {
    let (mut fields, mut places) = ([Vec::new(), Vec::new()], [0, 0]);
    loop {
        let behind = usize::from(places[0] > places[1]);
        let field = field_at([one, other][behind].get(places[behind]..)?)?;
        places[behind] += field.len();
        fields[behind].push(field);
        if places[0] == places[1] {
            let [mut one, mut other] = fields.clone();
            one.sort_unstable();
            other.sort_unstable();
            if one == other {
                return Some(places[0]);
            }
        }
    }
}

/// The field, with its header, that some bytes begin with.
fn field_at(bytes: &[u8]) -> Option<&[u8]> {
    let &[a, b, _, len] = bytes.first_chunk()?;
    matches!([a, b], [0, 0] | [0, 1] | [0x80, 0] | [0xff, 0xff]).then_some(())?;
    bytes.get(..4 + usize::from(len))
}

#[test]
fn only_whole_fields_count_as_reordered() {
    let [in_port, eth_type, ip_proto] =
        [&[0x80, 0, 0, 4, 0, 0, 0, 3][..], &[0x80, 0, 10, 2, 8, 0], &[0x80, 0, 20, 1, 6]];
    let of = |fields: &[&[u8]]| [&[4, 14, 0, 99][..], &fields.concat(), &[0, 1, 2]].concat();
    let one = of(&[in_port, eth_type, ip_proto]);
    assert!(is_reordered(&one, &one));
    assert!(is_reordered(&one, &of(&[ip_proto, in_port, eth_type])));
    assert!(is_reordered(&one, &of(&[in_port, ip_proto, eth_type])));
    assert!(!is_reordered(&one, &of(&[in_port, eth_type])));
    assert!(!is_reordered(&one, &of(&[in_port, eth_type, &[0x80, 0, 20, 1, 17]])));
    // The same bytes in another order within a field.
    assert!(!is_reordered(&one, &of(&[&[0x80, 0, 0, 4, 3, 0, 0, 0], eth_type, ip_proto])));
    assert!(!is_reordered(&[1, 2, 3, 4], &[4, 3, 2, 1]));
}

#[test]
fn the_vectors_come_back_as_they_were() {
    for (name, bytes) in vectors() {
        let is_listed = |list: &[(&str, &str)]| list.iter().any(|(of, _)| name.contains(of));
        match check(&bytes) {
            Ok(again) => {
                let is_same = again == bytes || is_reordered(&again, &bytes);
                assert!(is_same || is_listed(NOT_CANONICAL), "{name} became {again:02x?}");
                if again != bytes {
                    assert_eq!(ofp_print(&again), ofp_print(&bytes), "{name}");
                }
            }
            Err(error) => {
                assert!(is_listed(REFUSED), "{name}: {error}");
                if let Some(theirs) = ofp_print(&bytes) {
                    // Theirs may be a finer name of the same type.
                    let code = error_code(&error).to_string();
                    let error_type = code.split('_').next().unwrap();
                    assert!(
                        theirs.contains(&format!("***decode error: {error_type}_")),
                        "{name}: {code}, not {theirs}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_cut_and_every_extra_byte_is_an_error() {
    for seed in seeds() {
        let Ok((xid, _)) = Message::decode(&seed) else { continue };
        for len in 0..seed.len() {
            let error = Message::decode(&seed[..len]).expect_err("a message that is cut");
            assert!(error.offset <= len, "{xid} {error}");
        }
        let longer = [&seed[..], &[0]].concat();
        assert!(Message::decode(&longer).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(mut bytes in prop::collection::vec(any::<u8>(), 8..300), message_type in 0u8..30) {
        let len = bytes.len() as u16;
        bytes[0] = 4;
        bytes[1] = message_type;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        let _ = check(&bytes);
    }

    #[test]
    fn messages_of_every_type_do_not_panic_when_they_are_spoilt(bytes in generate::message::spoilt()) {
        let _ = check(&bytes);
    }

    #[test]
    fn every_cut_of_every_message_is_an_error(
        message in generate::message::message(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = encode(&message, Xid(1));
        let len = cut.index(bytes.len());
        let error = Message::decode(&bytes[..len]).expect_err("a message that is cut");
        prop_assert!(error.offset <= len, "{}", error);
        prop_assert!(Message::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn changed_messages_do_not_panic(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        thread_local!(static SEEDS: Vec<Vec<u8>> = seeds());
        let mut bytes = SEEDS.with(|seeds| pick.get(seeds).clone());
        for (place, value) in changes {
            *place.get_mut(&mut bytes) = value;
        }
        let _ = check(&bytes);
    }

    #[test]
    fn random_text_does_not_panic(text in "[a-z_]{0,6}[=(:,./0-9x>\\[\\] -]{0,9}[a-z0-9]{0,4}(,actions=|=)[a-z_]{0,9}[=(:,./0-9>\\[\\]-]{0,9}é?") {
        if let Err(error) = parse_flow(&text) {
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }
}
