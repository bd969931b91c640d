//! Matches and settings of flows.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A flow without actions: settings and a match, with the words in any order.
pub fn flow() -> impl Strategy<Value = String> {
    (settings(), words(), any::<prop::sample::Index>(), select(&[",", ", ", " ", " ,\t"][..])).prop_map(
        |(settings, words, turn, separator)| {
            let mut all: Vec<_> = settings.into_iter().chain(words).collect();
            let len = all.len();
            if len > 0 {
                all.rotate_left(turn.index(len));
            }
            all.join(separator)
        },
    )
}

fn settings() -> impl Strategy<Value = Vec<String>> {
    let setting = prop_oneof![
        any::<u8>().prop_map(|table| format!("table={table}")),
        any::<u16>().prop_map(|priority| format!("priority={priority}")),
        any::<u16>().prop_map(|seconds| format!("idle_timeout={seconds}")),
        any::<u16>().prop_map(|seconds| format!("hard_timeout={seconds}")),
        any::<u64>().prop_map(|cookie| format!("cookie={cookie:#x}")),
        any::<u16>().prop_map(|importance| format!("importance={importance}")),
        select(&["send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"][..])
            .prop_map(str::to_owned),
        select(&["n_packets=5", "duration=5.5s", "idle_age=3", "allow_hidden_fields"][..])
            .prop_map(str::to_owned),
    ];
    vec(setting, 0..4)
}

/// The words of a match: what every packet has, and what packets of one kind have.
fn words() -> impl Strategy<Value = Vec<String>> {
    let of_kind = prop_oneof![
        1 => Just(Vec::new()),
        4 => packet(&["ip", "dl_type=0x800", "eth_type=2048"], ipv4),
        4 => packet(&["ipv6", "dl_type=0x86dd"], ipv6),
        2 => packet(&["arp", "rarp", "dl_type=0x0806"], arp),
        2 => packet(&["mpls", "mplsm"], mpls),
        2 => transport(&["tcp", "tcp6"], || prop_oneof![ports(), tcp_flags()].boxed()),
        2 => transport(&["udp", "udp6", "sctp", "sctp6"], || ports().boxed()),
        2 => transport(&["icmp", "icmp6"], || icmp().boxed()),
        2 => discovery(),
        2 => nsh(),
        1 => (0u16..0x600).prop_map(|ethertype| vec![format!("dl_type={:#x}", u32::from(ethertype) + 0x9000)]),
        // Fields that the packets do not have.
        1 => vec(prop_oneof![ipv4(), ipv6(), arp(), mpls(), ports(), icmp()], 0..3),
    ];
    (vec(any_packet(), 0..4), of_kind).prop_map(|(mut words, of_kind)| {
        words.extend(of_kind);
        // A field of tunnel metadata is matched once.
        let mut seen = HashSet::new();
        words.retain(|word| {
            !word.starts_with("tun_metadata") || seen.insert(word.split('=').next().map(str::to_owned))
        });
        words
    })
}

fn packet<S>(names: &'static [&'static str], field: fn() -> S) -> BoxedStrategy<Vec<String>>
where
    S: Strategy<Value = String> + 'static,
{
    (select(names), vec(field(), 0..5)).prop_map(|(name, words)| with_name(name, words)).boxed()
}

fn transport(
    names: &'static [&'static str],
    field: fn() -> BoxedStrategy<String>,
) -> BoxedStrategy<Vec<String>> {
    select(names)
        .prop_flat_map(move |name| {
            let network = if name.ends_with('6') { ipv6().boxed() } else { ipv4().boxed() };
            (vec(field(), 0..3), vec(network, 0..3)).prop_map(move |(mut words, more)| {
                words.extend(more.into_iter().filter(|word| !word.contains("proto")));
                with_name(name, words)
            })
        })
        .boxed()
}

fn with_name(name: &str, mut words: Vec<String>) -> Vec<String> {
    words.push(name.to_owned());
    words
}

fn discovery() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        masked_ipv6().prop_map(|target| format!("nd_target={target}")),
        masked_mac().prop_map(|address| format!("nd_sll={address}")),
        masked_mac().prop_map(|address| format!("nd_tll={address}")),
    ];
    (select(&[135, 136][..]), vec(field, 0..3)).prop_map(|(icmp_type, mut words)| {
        words.extend(["icmp6".to_owned(), format!("icmp_type={icmp_type}"), "icmp_code=0".to_owned()]);
        words
    })
}

/// Only headers of type 1 have all fields.
fn nsh() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        (0u8..4, any::<u8>())
            .prop_map(|(n, value)| format!("nsh_{}={value}", ["ttl", "np", "si", "flags"][usize::from(n)])),
        masked(8).prop_map(|flags| format!("nsh_flags={flags}")),
        (0u32..1 << 24).prop_map(|spi| format!("nsh_spi={spi:#x}")),
        (1u8..5, masked(32)).prop_map(|(n, value)| format!("nsh_c{n}={value}")),
    ];
    (select(&["nsh_mdtype=1", "nsh_mdtype=2", "nsh_ttl=5"][..]), vec(field, 0..4)).prop_map(
        |(kind, mut words)| {
            words.extend(["dl_type=0x894f".to_owned(), kind.to_owned()]);
            words
        },
    )
}

/// What a tunnel of some kind has.
fn tunnel() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => (0u8..64, masked(64)).prop_map(|(n, value)| format!("tun_metadata{n}={value}")),
        1 => (0u8..64).prop_map(|n| format!("tun_metadata{n}")),
        1 => (select(&["tun_erspan_ver", "tun_erspan_dir"][..]), 0u8..4).prop_map(|(name, n)| format!("{name}={n}")),
        1 => masked(20).prop_map(|index| format!("tun_erspan_idx={index}")),
        1 => masked(6).prop_map(|id| format!("tun_erspan_hwid={id}")),
        1 => (select(&["tun_gtpu_flags", "tun_gtpu_msgtype"][..]), masked(8)).prop_map(named),
    ]
}

/// What packets of every kind have.
fn any_packet() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u8..16, masked(32)).prop_map(|(n, value)| format!("reg{n}={value}")),
        1 => (0u8..8, masked(64)).prop_map(|(n, value)| format!("xreg{n}={value}")),
        1 => (0u8..4, masked(128)).prop_map(|(n, value)| format!("xxreg{n}={value}")),
        1 => (0u8..16, 0u8..16).prop_map(|(n, value)| format!("NXM_NX_REG{n}[4..7]={value}")),
        2 => (select(&["metadata", "tun_id", "tunnel_id"][..]), masked(64)).prop_map(named),
        2 => (select(&["pkt_mark", "ct_mark", "dp_hash"][..]), masked(32)).prop_map(named),
        1 => (select(&["ct_label"][..]), masked(128)).prop_map(named),
        1 => any::<u16>().prop_map(|zone| format!("ct_zone={zone}")),
        2 => ct_state(),
        1 => any::<u32>().prop_map(|id| format!("conj_id={id}")),
        3 => port().prop_map(|port| format!("in_port={port}")),
        1 => port().prop_map(|port| format!("actset_output={port}")),
        3 => (select(&["dl_src", "dl_dst", "eth_src", "eth_dst"][..]), masked_mac()).prop_map(named),
        3 => vlan(),
        2 => (select(&["tun_src", "tun_dst"][..]), masked_ipv4()).prop_map(named),
        1 => (select(&["tun_ipv6_src", "tun_ipv6_dst"][..]), masked_ipv6()).prop_map(named),
        1 => (select(&["tun_gbp_id"][..]), masked(16)).prop_map(named),
        1 => (select(&["tun_gbp_flags"][..]), masked(8)).prop_map(named),
        1 => tunnel(),
        1 => select(&["tun_flags=+oam", "tun_flags=-oam", "tun_flags=oam", "eth", "reg3", "metadata="][..])
            .prop_map(str::to_owned),
    ]
}

fn vlan() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u16..4096).prop_map(|vid| format!("dl_vlan={vid}")),
        Just("dl_vlan=0xffff".to_owned()),
        (0u8..8, select(&["dl_vlan_pcp", "vlan_pcp"][..])).prop_map(|(pcp, name)| format!("{name}={pcp}")),
        any::<u16>().prop_map(|tci| format!("vlan_tci={tci:#x}")),
        (any::<u16>(), any::<u16>()).prop_map(|(tci, mask)| format!("vlan_tci={tci:#x}/{mask:#x}")),
        select(&["vlan_tci=0x1000/0x1000", "vlan_tci=0/0x1000", "vlan_tci=0xf123/0x1fff"][..])
            .prop_map(str::to_owned),
        (0u16..0x2000).prop_map(|vid| format!("vlan_vid={vid}")),
        (0u16..0x2000, 0u16..0x2000).prop_map(|(vid, mask)| format!("vlan_vid={vid}/{mask}")),
    ]
}

fn ct_state() -> impl Strategy<Value = String> {
    let flags = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"][..];
    let signed = (prop::sample::subsequence(flags, 1..5), any::<u8>()).prop_map(|(flags, signs)| {
        let sign = |at: usize| if signs >> at & 1 == 1 { '+' } else { '-' };
        let flags = flags.iter().enumerate().map(|(at, flag)| format!("{}{flag}", sign(at)));
        format!("ct_state={}", flags.collect::<String>())
    });
    let list =
        prop::sample::subsequence(flags, 1..5).prop_map(|flags| format!("ct_state={}", flags.join("|")));
    prop_oneof![signed, list, (0u8..=255).prop_map(|bits| format!("ct_state={bits}"))]
}

fn ipv4() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (select(&["nw_src", "nw_dst", "ip_src", "ip_dst"][..]), masked_ipv4()).prop_map(named),
        2 => any_ip(),
    ]
}

fn ipv6() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (select(&["ipv6_src", "ipv6_dst"][..]), masked_ipv6()).prop_map(named),
        1 => (0u32..1 << 20, 0u32..1 << 20).prop_map(|(label, mask)| format!("ipv6_label={label:#x}/{mask:#x}")),
        1 => (0u32..1 << 20).prop_map(|label| format!("ipv6_label={label}")),
        2 => any_ip(),
    ]
}

fn any_ip() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u8>().prop_map(|tos| format!("nw_tos={tos}")),
        (0u8..64).prop_map(|dscp| format!("ip_dscp={dscp}")),
        (0u8..4, select(&["nw_ecn", "ip_ecn"][..])).prop_map(|(ecn, name)| format!("{name}={ecn}")),
        any::<u8>().prop_map(|ttl| format!("nw_ttl={ttl}")),
        any::<u8>().prop_map(|protocol| format!("nw_proto={protocol}")),
        (select(&["nw_frag", "ip_frag"][..]), select(&["no", "yes", "first", "later", "not_later"][..]))
            .prop_map(|(name, value)| format!("{name}={value}")),
    ]
}

fn arp() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u8..4, select(&["arp_op", "nw_proto"][..])).prop_map(|(op, name)| format!("{name}={op}")),
        (select(&["arp_spa", "arp_tpa", "nw_src", "nw_dst"][..]), masked_ipv4()).prop_map(named),
        (select(&["arp_sha", "arp_tha"][..]), masked_mac()).prop_map(named),
    ]
}

fn mpls() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u32..1 << 20).prop_map(|label| format!("mpls_label={label}")),
        (0u8..8).prop_map(|class| format!("mpls_tc={class}")),
        (0u8..2).prop_map(|bottom| format!("mpls_bos={bottom}")),
        any::<u8>().prop_map(|ttl| format!("mpls_ttl={ttl}")),
    ]
}

fn ports() -> impl Strategy<Value = String> {
    let names = &["tp_src", "tp_dst", "tcp_src", "udp_dst", "sctp_src"][..];
    (select(names), masked(16)).prop_map(named)
}

fn tcp_flags() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u16..0x1000).prop_map(|flags| format!("tcp_flags={flags:#x}")),
        (0u16..0x1000, 1u16..0x1000).prop_map(|(flags, mask)| format!("tcp_flags={flags:#x}/{mask:#x}")),
        select(&["tcp_flags=+syn-ack", "tcp_flags=syn|ack", "tcp_flags=+[200]", "tcp_flags=-fin+ns"][..])
            .prop_map(str::to_owned),
    ]
}

fn icmp() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u8>().prop_map(|icmp_type| format!("icmp_type={icmp_type}")),
        any::<u8>().prop_map(|code| format!("icmp_code={code}")),
    ]
}

fn named((name, value): (&str, String)) -> String {
    format!("{name}={value}")
}

fn port() -> impl Strategy<Value = String> {
    let reserved = &["LOCAL", "local", "in_port", "CONTROLLER", "NORMAL", "ANY"][..];
    prop_oneof![
        3 => (0u32..0xff00).prop_map(|port| port.to_string()),
        1 => select(reserved).prop_map(str::to_owned),
        1 => (0xffff_ff00_u32..=u32::MAX).prop_map(|port| port.to_string()),
    ]
}

/// A number of so many bits in some base, often with a mask.
fn masked(n_bits: u32) -> impl Strategy<Value = String> {
    let number = move || {
        let full = u128::MAX >> (128 - n_bits);
        prop_oneof![
            3 => (any::<u128>(), 0..n_bits).prop_map(move |(bits, shift)| (bits & full) >> shift),
            1 => Just(0),
            1 => Just(full),
        ]
    };
    prop_oneof![
        number().prop_map(|value| format!("{value:#x}")),
        number().prop_map(|value| format!("{:#x}", value)),
        number().prop_map(move |value| if n_bits > 64 { format!("{value:#x}") } else { value.to_string() }),
        number().prop_map(move |value| if n_bits > 64 {
            format!("{value:#x}")
        } else {
            format!("0{value:o}")
        }),
        (number(), number()).prop_map(|(value, mask)| format!("{value:#x}/{mask:#x}")),
    ]
}

fn masked_mac() -> impl Strategy<Value = String> {
    let mac = || any::<[u8; 6]>().prop_map(|octets| octets.map(|octet| format!("{octet:02x}")).join(":"));
    prop_oneof![
        2 => mac(),
        1 => (mac(), mac()).prop_map(|(value, mask)| format!("{value}/{mask}")),
        1 => mac().prop_map(|value| format!("{value}/01:00:00:00:00:00")),
        1 => mac().prop_map(|value| format!("{value}/ff:ff:ff:ff:ff:ff")),
    ]
}

fn masked_ipv4() -> impl Strategy<Value = String> {
    let address = || any::<u32>().prop_map(Ipv4Addr::from_bits);
    prop_oneof![
        2 => address().prop_map(|value| value.to_string()),
        2 => (address(), 0..=32).prop_map(|(value, len)| format!("{value}/{len}")),
        1 => (address(), address()).prop_map(|(value, mask)| format!("{value}/{mask}")),
    ]
}

fn masked_ipv6() -> impl Strategy<Value = String> {
    let sparse = (any::<u128>(), any::<u8>()).prop_map(|(bits, kept)| {
        let groups = (0..8).filter(|at| kept >> at & 1 == 1);
        Ipv6Addr::from_bits(groups.fold(0, |sum, at| sum | bits & 0xffff << (16 * at)))
    });
    prop_oneof![
        2 => sparse.clone().prop_map(|value| value.to_string()),
        2 => (sparse.clone(), 0..=128).prop_map(|(value, len)| format!("{value}/{len}")),
        // ovs-ofctl takes a mask that begins with a digit for the length of a prefix.
        1 => (sparse.clone(), sparse).prop_map(|(value, mask)| {
            format!("{value}/{}", Ipv6Addr::from_bits(mask.to_bits() | 0xf000 << 112))
        }),
    ]
}
