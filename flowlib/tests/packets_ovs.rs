//! Frames are read as Open vSwitch reads them. Where `ovs-ofctl` is not installed, the test says so and passes.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use flowlib::packet::{Key, Nsh, Packet, VlanTag, compose, compose_with_payload, ethertype, protocol};
use flowlib::text::format_frame;
use flowlib::types::MacAddr;

/// Numbers that look random and are the same every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn mac(&mut self) -> MacAddr {
        MacAddr(self.next().to_le_bytes()[..6].try_into().unwrap())
    }
}

/// Headers of every kind that is known, with fields of any value.
fn key(n: &mut Numbers) -> Key {
    let mut key = Key {
        eth_src: n.mac(),
        eth_dst: n.mac(),
        eth_type: n.pick(&[
            ethertype::IPV4,
            ethertype::IPV4,
            ethertype::IPV6,
            ethertype::IPV6,
            ethertype::ARP,
            ethertype::RARP,
            ethertype::MPLS,
            ethertype::MPLS_MULTICAST,
            ethertype::NSH,
            0x88cc,
            ethertype::NONE,
        ]),
        ..Key::default()
    };
    for tag in key.vlans.iter_mut().take(n.below(3)) {
        let tpid = n.pick(&[ethertype::VLAN, ethertype::VLAN_SERVICE]);
        *tag = VlanTag { tpid, tci: n.next() as u16 | VlanTag::PRESENT };
    }
    match key.eth_type {
        ethertype::IPV4 | ethertype::IPV6 => network(n, &mut key),
        ethertype::ARP | ethertype::RARP => {
            (key.nw_src, key.nw_dst) = (n.next() as u32, n.next() as u32);
            (key.arp_sha, key.arp_tha) = (n.mac(), n.mac());
            key.nw_proto = n.next() as u8;
        }
        ethertype::NSH => {
            let mdtype = n.pick(&[1, 1, 2, 5]);
            let (flags, ttl) = (n.below(4) as u8, n.below(64) as u8);
            let context = if mdtype == 1 { [1, 0, 0xffff_ffff, n.next() as u32] } else { [0; 4] };
            key.nsh = Nsh { flags, ttl, mdtype, next_proto: n.next() as u8, path: n.next() as u32, context };
        }
        ethertype::MPLS | ethertype::MPLS_MULTICAST => {
            let n_labels = 1 + n.below(3);
            for label in key.mpls.iter_mut().take(n_labels) {
                *label = n.next() as u32 & !Key::MPLS_BOTTOM | 1 << 12;
            }
            key.mpls[n_labels - 1] |= Key::MPLS_BOTTOM;
        }
        _ => {}
    }
    key
}

fn network(n: &mut Numbers, key: &mut Key) {
    if key.eth_type == ethertype::IPV4 {
        (key.nw_src, key.nw_dst) = (n.next() as u32, n.next() as u32);
    } else {
        let mut address = || u128::from(n.next()) << 64 | u128::from(n.next());
        let any = [0, 1, 0x1_0002, 0xffff_0a00_0001, 0xfe80 << 112 | 1, address(), address()];
        (key.ipv6_src, key.ipv6_dst) = (n.pick(&any), n.pick(&any));
        key.ipv6_label = n.next() as u32 & 0xf_ffff;
    }
    (key.nw_tos, key.nw_ttl) = (n.next() as u8, n.next() as u8);
    key.nw_frag = n.pick(&[0, 0, 0, 0, 1, 3]);
    let transports =
        [protocol::TCP, protocol::UDP, protocol::SCTP, protocol::ICMP, protocol::ICMPV6, protocol::IGMP, 47];
    key.nw_proto = n.pick(&transports);
    if key.nw_frag == 3 {
        if key.eth_type == ethertype::IPV6 {
            key.nw_proto = protocol::FRAGMENT;
        }
        return;
    }
    (key.tp_src, key.tp_dst) = (n.next() as u16, n.next() as u16);
    match key.nw_proto {
        protocol::TCP => key.tcp_flags = n.next() as u16 & 0xfff,
        protocol::UDP | protocol::SCTP => {}
        protocol::ICMP | protocol::IGMP => {
            (key.tp_src, key.tp_dst) = (n.pick(&[0, 8, 3, 22]), n.pick(&[0, 0, 1]));
            if key.nw_proto == protocol::IGMP {
                key.igmp_group = n.next() as u32;
            }
        }
        protocol::ICMPV6 => {
            (key.tp_src, key.tp_dst) = (n.pick(&[128, 129, 133, 135, 136]), n.pick(&[0, 0, 0, 1]));
            if matches!((key.tp_src, key.tp_dst), (135 | 136, 0)) {
                key.nd_target = u128::from(n.next());
                key.igmp_group = n.next() as u32;
                key.arp_sha = n.pick(&[MacAddr::ZERO, MacAddr([2, 0, 0, 0, 0, 9])]);
                key.arp_tha = n.pick(&[MacAddr::ZERO, MacAddr([2, 0, 0, 0, 0, 8])]);
                key.tcp_flags = if key.arp_sha != MacAddr::ZERO {
                    1
                } else if key.arp_tha != MacAddr::ZERO {
                    2
                } else {
                    0
                };
            }
        }
        _ => (key.tp_src, key.tp_dst) = (0, 0),
    }
}

#[test]
fn a_composed_frame_is_read_back_as_the_same_headers() {
    let mut n = Numbers(1);
    for _ in 0..5000 {
        let key = key(&mut n);
        assert_eq!(Packet::parse(&compose(&key)).key, key);
        assert_eq!(Packet::parse(&compose_with_payload(&key, b"payload")).key, key);
    }
}

/// Some bytes changed, some cut off, some added.
fn damaged(n: &mut Numbers, mut frame: Vec<u8>) -> Vec<u8> {
    for _ in 0..n.below(4) {
        let at = n.below(frame.len());
        frame[at] = n.pick(&[0, 1, 5, 6, 0x45, 0x4f, 0x81, 0x88, 0xaa, 0xff, n.0 as u8]);
    }
    match n.below(3) {
        0 => frame.truncate(n.below(frame.len() + 1)),
        1 => frame.extend((0..n.below(60)).map(|byte| byte as u8)),
        _ => {}
    }
    frame
}

/// What `ovs-ofctl` makes of frames in packet-ins, a line each.
fn theirs(frames: &[Vec<u8>]) -> Option<Vec<String>> {
    let mut child = Command::new("ovs-ofctl")
        .args(["ofp-parse", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .inspect_err(|error| eprintln!("frames are not compared with ovs-ofctl: {error}"))
        .ok()?;
    let mut messages = Vec::new();
    for frame in frames {
        let frame_len = u16::try_from(frame.len()).unwrap();
        messages.extend([4, 10]);
        messages.extend((42 + frame_len).to_be_bytes());
        messages.extend([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        messages.extend(frame_len.to_be_bytes());
        messages.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        messages.extend([0, 1, 0, 12, 0x80, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        messages.extend(frame);
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&messages).unwrap());
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    Some(text.lines().filter(|line| line.contains("dl_dst=")).map(str::to_owned).collect())
}

#[test]
fn frames_are_read_as_open_vswitch_reads_them() {
    let mut n = Numbers(7);
    let frames: Vec<_> = (0..4000)
        .map(|round| {
            let key = key(&mut n);
            let frame = compose_with_payload(&key, b"payload");
            if round % 2 == 0 { frame } else { damaged(&mut n, frame) }
        })
        .filter(|frame| !frame.is_empty())
        .collect();
    let Some(theirs) = theirs(&frames) else { return };
    assert_eq!(theirs.len(), frames.len());
    for (frame, theirs) in frames.iter().zip(theirs) {
        assert_eq!(format_frame(frame), theirs, "{frame:02x?}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut n = Numbers(3);
    for _ in 0..50_000 {
        let key = key(&mut n);
        let frame = damaged(&mut n, compose(&key));
        assert!(format_frame(&frame).contains("dl_dst="), "{frame:02x?}");
    }
}
