//! What decoding costs: at most a small multiple of the bytes, whatever they are.

#![allow(clippy::unwrap_used)]

use flowlib::openflow::Message;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The bound that [`Message::decode`] promises, in bytes of memory a byte of the message.
const BOUND: usize = 32;

/// A message of nearly 64 KiB: a head, then one item over and over. The last of `lengths` is where a length of all that
/// follows the header stands, and how much of the message it does not count.
fn filled(message_type: u8, head: &[u8], item: &[u8], lengths: &[(usize, usize)]) -> Vec<u8> {
    let mut bytes = vec![4, message_type, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(head);
    while bytes.len() + item.len() <= 0xfff8 {
        bytes.extend_from_slice(item);
    }
    while !bytes.len().is_multiple_of(8) {
        bytes.truncate(bytes.len() - item.len());
    }
    let len = bytes.len();
    for (at, uncounted) in [(2, 0)].iter().chain(lengths) {
        bytes[*at..at + 2].copy_from_slice(&u16::try_from(len - uncounted).unwrap().to_be_bytes());
    }
    bytes
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The fixed part of a flow mod and an empty match.
fn flow_mod(rest: &str) -> Vec<u8> {
    [vec![0; 40], hex("0001 0004 00000000"), hex(rest)].concat()
}

/// What costs most of each kind: the smallest items.
fn worst() -> Vec<(&'static str, Vec<u8>)> {
    let apply = flow_mod("0004 0000 00000000");
    let nicira_property = |subtype: &str| hex(&format!("00002320 {subtype}"));
    let fields = [vec![0; 40], hex("0001 0000")].concat();
    let learn =
        flow_mod("0004 0000 00000000 ffff 0000 00002320 0010 0000000000000000000000000000000000000000 0000");
    vec![
        ("actions", filled(14, &apply, &hex("0018 0008 00000000"), &[(58, 56)])),
        ("unknown actions", filled(14, &apply, &hex("0777 0008 00000000"), &[(58, 56)])),
        ("set_field", filled(14, &apply, &hex("0019 0010 80000a02 0800 000000000000"), &[(58, 56)])),
        ("learn", filled(14, &learn, &hex("2001 0001 00010004 0000"), &[(58, 56), (66, 64)])),
        ("instructions", filled(14, &flow_mod(""), &hex("0005 0008 00000000"), &[])),
        ("fields", filled(14, &fields, &hex("7f000000"), &[(50, 48)])),
        (
            "buckets",
            filled(15, &hex("0000 00 00 00000001"), &hex("0010 0000 ffffffff ffffffff 00000000"), &[]),
        ),
        ("bands", filled(29, &hex("0000 0001 00000001"), &hex("0001 0010 00000001 00000001 00000000"), &[])),
        ("hello", filled(0, &[], &hex("0009 0004 00000000"), &[])),
        ("queues", filled(23, &[0; 8], &hex("00000001 00000001 0010 000000000000"), &[])),
        ("groups", filled(19, &hex("0007 0000 00000000"), &hex("0008 00 00 00000001"), &[])),
        (
            "flows",
            filled(
                19,
                &hex("0001 0000 00000000"),
                &[&hex("0038")[..], &[0; 46], &hex("0001 0004 00000000")].concat(),
                &[],
            ),
        ),
        (
            "monitors",
            filled(
                18,
                &hex("ffff 0000 00000000 4f4e4600 0000074e"),
                &hex("00000001 0002 0004 ffffffff ff 000000 0001 0004 00000000"),
                &[],
            ),
        ),
        (
            "updates",
            filled(19, &hex("ffff 0000 00000000 4f4e4600 0000074e"), &hex("0008 0003 00000001"), &[]),
        ),
        ("meters", filled(19, &hex("000a 0000 00000000"), &hex("0008 0001 00000001"), &[])),
        (
            "table codes",
            filled(
                19,
                &[&hex("000c 0000 00000000 0000")[..], &[0; 62], &hex("0000 0000")].concat(),
                &hex("0001 0004"),
                &[(16, 16), (82, 80)],
            ),
        ),
        ("asynchronous", filled(4, &nicira_property("0000001b"), &hex("0000 0008 00000001"), &[])),
        (
            "properties",
            filled(
                4,
                &[nicira_property("0000001e"), hex("0000 0005 01 000000")].concat(),
                &hex("0099 0004 00000000"),
                &[],
            ),
        ),
        (
            "TLV maps",
            filled(
                4,
                &[nicira_property("0000001a"), vec![0; 16]].concat(),
                &hex("0001 01 04 0001 0000"),
                &[],
            ),
        ),
    ]
}

#[test]
fn a_message_of_64_kib_costs_a_small_multiple_of_itself() {
    for (name, bytes) in worst() {
        assert!(bytes.len() > 0xff00, "{name} has {} bytes", bytes.len());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let decoded = Message::decode(&bytes);
        let cost = ALLOCATOR.peak_usage() - before;
        if let Err(error) = &decoded {
            panic!("{name}: {error}");
        }
        println!("{name}: {} times", cost / bytes.len());
        assert!(cost <= BOUND * bytes.len(), "{name} costs {} times its bytes", cost / bytes.len());
    }
}
