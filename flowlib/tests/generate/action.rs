//! Text of actions and instructions.

use std::net::{Ipv4Addr, Ipv6Addr};

use flowlib::openflow::Field;
use flowlib::openflow::oxm::{Format, Prerequisite, field};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What a flow is for, and the headers that its packets have by that.
const KINDS: &[(&str, &[Prerequisite])] = &[
    ("", &[]),
    ("dl_vlan=5", &[Prerequisite::Vlan]),
    ("ip", &[Prerequisite::Ip, Prerequisite::Ipv4]),
    ("ipv6", &[Prerequisite::Ip, Prerequisite::Ipv6]),
    ("tcp", &[Prerequisite::Ip, Prerequisite::Ipv4, Prerequisite::Tcp]),
    (
        "udp6,vlan_tci=0x1000/0x1000",
        &[Prerequisite::Ip, Prerequisite::Ipv6, Prerequisite::Udp, Prerequisite::Vlan],
    ),
    ("sctp", &[Prerequisite::Ip, Prerequisite::Ipv4, Prerequisite::Sctp]),
    ("icmp", &[Prerequisite::Ip, Prerequisite::Ipv4, Prerequisite::Icmpv4]),
    (
        "icmp6,icmp_type=135,icmp_code=0",
        &[
            Prerequisite::Ip,
            Prerequisite::Ipv6,
            Prerequisite::Icmpv6,
            Prerequisite::Nd,
            Prerequisite::NdSolicit,
        ],
    ),
    ("arp", &[Prerequisite::Arp]),
    ("mpls", &[Prerequisite::Mpls]),
    ("dl_type=0x894f", &[Prerequisite::Nsh]),
];

/// A flow with instructions that go with its match.
pub fn flow() -> impl Strategy<Value = String> {
    (0..KINDS.len()).prop_flat_map(|kind| {
        let (flow_match, headers) = KINDS[kind];
        instructions(headers).prop_map(move |actions| format!("{flow_match} actions={}", actions.join(",")))
    })
}

/// A flow with an action that may not go with its match.
pub fn any_flow() -> impl Strategy<Value = String> {
    (0..KINDS.len(), 0..KINDS.len()).prop_flat_map(|(kind, other)| {
        let flow_match = KINDS[kind].0;
        let any = vec(action(KINDS[other].1, 1), 1..3);
        any.prop_map(move |actions| format!("{flow_match} actions={}", actions.join(",")))
    })
}

fn instructions(headers: &'static [Prerequisite]) -> impl Strategy<Value = Vec<String>> {
    let meter = prop::option::weighted(0.1, (1u32..1000).prop_map(|meter| format!("meter:{meter}")));
    let written =
        vec(action_of_set(headers), 1..4).prop_map(|actions| format!("write_actions({})", actions.join(",")));
    let metadata = prop_oneof![
        any::<u64>().prop_map(|bits| format!("write_metadata:{bits:#x}")),
        any::<(u64, u64)>().prop_map(|(bits, mask)| format!("write_metadata:{bits}/{mask:#x}")),
    ];
    (
        meter,
        vec(action(headers, 2), 0..5),
        prop::option::weighted(0.1, Just("clear_actions".to_owned())),
        prop::option::weighted(0.2, written),
        prop::option::weighted(0.1, metadata),
        prop::option::weighted(0.2, (1u8..254).prop_map(|table| format!("goto_table:{table}"))),
    )
        .prop_map(|(meter, actions, clear, written, metadata, goto)| {
            let mut all: Vec<_> = meter.into_iter().chain(actions).collect();
            all.extend([clear, written, metadata, goto].into_iter().flatten());
            if all.is_empty() { vec!["drop".to_owned()] } else { all }
        })
}

fn action(headers: &'static [Prerequisite], depth: u32) -> BoxedStrategy<String> {
    let mut all = vec![
        (6, field_action(headers)),
        (4, output().boxed()),
        (4, plain().boxed()),
        (3, choice().boxed()),
        (2, learn(headers).boxed()),
        (4, of_headers(headers)),
    ];
    if depth > 0 {
        let nested = vec(action(headers, depth - 1), 0..3);
        all.push((1, nested.prop_map(|actions| format!("clone({})", actions.join(","))).boxed()));
    }
    prop::strategy::Union::new_weighted(all).boxed()
}

fn action_of_set(headers: &'static [Prerequisite]) -> BoxedStrategy<String> {
    prop_oneof![
        field_action(headers).prop_filter("is for action sets", |action| {
            !["push", "pop", "check", "delete"].iter().any(|word| action.starts_with(word))
        }),
        (1u16..100).prop_map(|port| format!("output:{port}")),
        any::<u16>().prop_map(|group| format!("group:{group}")),
        any::<u16>().prop_map(|queue| format!("set_queue:{queue}")),
        of_headers(headers).prop_filter("is for action sets", |action| !action.starts_with("fin")),
    ]
    .boxed()
}

/// A port's number or name.
pub fn port() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0u16..0xff00).prop_map(|port| port.to_string()),
        1 => select(&["in_port", "LOCAL", "65534"][..]).prop_map(str::to_owned),
    ]
}

fn output() -> impl Strategy<Value = String> {
    let reserved = select(&["in_port", "normal", "FLOOD", "all", "table", "controller", "LOCAL"][..]);
    prop_oneof![
        port().prop_map(|port| format!("output:{port}")),
        port(),
        reserved.clone().prop_map(str::to_owned),
        reserved.prop_map(|port| format!("output({port})")),
        subfield(16, false).prop_map(|sub| format!("output:{sub}")),
        (port(), 14u32..70000).prop_map(|(port, len)| format!("output(port={port},max_len={len})")),
        (port(), any::<u32>()).prop_map(|(port, queue)| format!("enqueue:{port}:{queue}")),
        (port(), any::<u16>()).prop_map(|(port, queue)| format!("enqueue({port},{queue})")),
        port().prop_map(|port| format!("resubmit:{port}")),
        (0u8..255).prop_map(|table| format!("resubmit(,{table})")),
        (port(), 0u8..255).prop_map(|(port, table)| format!("resubmit({port},{table})")),
        controller(),
    ]
}

fn controller() -> impl Strategy<Value = String> {
    let reason = select(&["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"][..]);
    let argument = prop_oneof![
        any::<u16>().prop_map(|len| format!("max_len={len}")),
        any::<u16>().prop_map(|id| format!("id={id}")),
        reason.prop_map(|reason| format!("reason={reason}")),
        bytes(1..20).prop_map(|bytes| format!("userdata={bytes}")),
        Just("pause".to_owned()),
        any::<u16>().prop_map(|meter| format!("meter_id={meter}")),
    ];
    prop_oneof![
        any::<u16>().prop_map(|len| format!("controller:{len}")),
        vec(argument, 0..4).prop_map(|arguments| format!("controller({})", arguments.join(","))),
    ]
}

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    (vec(any::<u8>(), len), any::<bool>())
        .prop_map(move |(bytes, dots)| hex(bytes).join(if dots { "." } else { "" }))
}

fn plain() -> impl Strategy<Value = String> {
    prop_oneof![
        select(
            &[
                "ct_clear",
                "exit",
                "pop_queue",
                "decap()",
                "decap",
                "encap(ethernet)",
                "encap(nsh)",
                "encap(nsh(md_type=1))",
                "encap(mpls)",
                "encap(mpls_mc)",
                "decap(packet_type(ns=0,type=0))",
                "push_vlan:0x8100",
                "push_vlan:0x88a8",
                "mod_vlan_vid:7",
                "mod_vlan_pcp:3",
                "delete_field:tun_metadata7",
                "push_mpls:0x8847",
            ][..]
        )
        .prop_map(str::to_owned),
        any::<u32>().prop_map(|group| format!("group:{group}")),
        any::<u32>().prop_map(|queue| format!("set_queue:{queue}")),
        any::<u32>().prop_map(|id| format!("set_tunnel:{id:#x}")),
        any::<u64>().prop_map(|id| format!("set_tunnel64:{id}")),
        mac().prop_map(|mac| format!("mod_dl_src:{mac}")),
        mac().prop_map(|mac| format!("mod_dl_dst:{mac}")),
        bytes(0..20).prop_map(|bytes| format!("note:{bytes}")),
        (any::<u16>(), any::<u8>(), bytes(1..9)).prop_map(|(class, kind, value)| {
            format!("encap(nsh(md_type=2,tlv({class:#06x},{kind},0x{})))", value.replace('.', ""))
        }),
        sample(),
    ]
}

fn sample() -> impl Strategy<Value = String> {
    let side = select(&["", ",ingress", ",egress"][..]);
    (1u16.., any::<[u32; 3]>(), prop::option::of(port()), side).prop_map(|(probability, [a, b, c], port, side)| {
        let port = port.map(|port| format!(",sampling_port={port}")).unwrap_or_default();
        format!(
            "sample(probability={probability},collector_set_id={a},obs_domain_id={b},obs_point_id={c}{port}{side})"
        )
    })
}

fn choice() -> impl Strategy<Value = String> {
    let fields =
        select(&["eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst"][..]);
    let ports =
        || vec((0u16..0xff00).prop_map(|port| port.to_string()), 0..5).prop_map(|ports| ports.join(","));
    let chosen = select(&["active_backup", "hrw"][..]);
    let algorithm = select(&["modulo_n", "hash_threshold", "hrw", "iter_hash"][..]);
    let word = select(&["members", "slaves"][..]);
    prop_oneof![
        (fields.clone(), any::<u16>(), chosen.clone(), word.clone(), ports()).prop_map(
            |(fields, basis, chosen, word, ports)| format!(
                "bundle({fields},{basis},{chosen},ofport,{word}:{ports})"
            )
        ),
        (fields.clone(), any::<u16>(), chosen, word, ports(), subfield(16, true)).prop_map(
            |(fields, basis, chosen, word, ports, dst)| {
                format!("bundle_load({fields}, {basis}, {chosen}, ofport, {dst}, {word}:{ports})")
            }
        ),
        (fields, any::<u16>(), algorithm, 1u32..65537, any::<u16>(), subfield(16, true)).prop_map(
            |(fields, basis, algorithm, links, argument, dst)| {
                format!("multipath({fields},{basis},{algorithm},{links},{argument},{dst})")
            }
        ),
    ]
}

fn learn(headers: &'static [Prerequisite]) -> impl Strategy<Value = String> {
    let setting = prop_oneof![
        any::<u16>().prop_map(|seconds| format!("idle_timeout={seconds}")),
        any::<u16>().prop_map(|seconds| format!("hard_timeout={seconds}")),
        any::<u16>().prop_map(|seconds| format!("fin_idle_timeout={seconds}")),
        any::<u16>().prop_map(|seconds| format!("fin_hard_timeout={seconds}")),
        any::<u16>().prop_map(|priority| format!("priority={priority}")),
        any::<u64>().prop_map(|cookie| format!("cookie={cookie:#x}")),
        (0u8..255).prop_map(|table| format!("table={table}")),
        any::<u32>().prop_map(|limit| format!("limit={limit}")),
        select(
            &["send_flow_rem", "delete_learned", "result_dst=reg0[8]", "result_dst=NXM_NX_XXREG1[100]"][..]
        )
        .prop_map(str::to_owned),
    ];
    let register = || subfield(16, true);
    let spec = prop_oneof![
        set_value(&[])
            .prop_filter("is one field whole", |(_, value, _)| !value.contains('/'))
            .prop_filter("has room", |(field, ..)| !field.is_experimenter() && *field != field::IN_PORT)
            .prop_map(|(_, value, name)| format!("{name}={value}")),
        (register(), register()).prop_map(|(dst, src)| format!("{dst}={src}")),
        register(),
        (any::<u16>(), register()).prop_map(|(value, dst)| format!("load:{value:#x}->{dst}")),
        (register(), register()).prop_map(|(src, dst)| format!("load:{src}->{dst}")),
        register().prop_map(|src| format!("output:{src}")),
        (any::<u16>(), register()).prop_map(|(value, dst)| format!("{dst}={value}")),
    ];
    let of_ip = if headers.contains(&Prerequisite::Ipv4) {
        Just(vec!["eth_type=0x800".to_owned(), "NXM_OF_IP_SRC[]=NXM_OF_IP_DST[]".to_owned()]).boxed()
    } else {
        Just(Vec::new()).boxed()
    };
    (vec(setting, 0..4), of_ip, vec(spec, 0..5)).prop_map(|(settings, of_ip, specs)| {
        let all: Vec<_> = settings.into_iter().chain(of_ip).chain(specs).collect();
        format!("learn({})", all.join(","))
    })
}

/// Actions on headers that packets have.
fn of_headers(headers: &'static [Prerequisite]) -> BoxedStrategy<String> {
    let mut all: Vec<BoxedStrategy<String>> = vec![Just("normal".to_owned()).boxed()];
    let words = |words: &'static [&'static str]| select(words).prop_map(str::to_owned).boxed();
    for header in headers {
        match header {
            Prerequisite::Ip => {
                all.push(words(&[
                    "dec_ttl",
                    "dec_ttl(1,2,3)",
                    "dec_ttl(0)",
                    "mod_nw_tos:32",
                    "mod_nw_ecn:2",
                ]));
                all.push(any::<u8>().prop_map(|ttl| format!("mod_nw_ttl:{ttl}")).boxed());
                all.push(ct(headers).boxed());
            }
            Prerequisite::Ipv4 => {
                all.push(any::<Ipv4Addr>().prop_map(|address| format!("mod_nw_src:{address}")).boxed());
                all.push(any::<Ipv4Addr>().prop_map(|address| format!("mod_nw_dst:{address}")).boxed());
            }
            Prerequisite::Tcp => {
                all.push(words(&[
                    "fin_timeout(idle_timeout=5)",
                    "fin_timeout(hard_timeout=7,idle_timeout=3)",
                ]));
                all.push(any::<u16>().prop_map(|port| format!("mod_tp_src:{port}")).boxed());
            }
            Prerequisite::Udp | Prerequisite::Sctp => {
                all.push(any::<u16>().prop_map(|port| format!("mod_tp_dst:{port}")).boxed());
            }
            Prerequisite::Mpls => all.push(words(&[
                "set_mpls_label:1048575",
                "set_mpls_tc(3)",
                "set_mpls_ttl:64",
                "dec_mpls_ttl",
                "pop_mpls:0x8847",
            ])),
            Prerequisite::Nsh => all.push(words(&["dec_nsh_ttl"])),
            Prerequisite::Vlan => {
                all.push(words(&["set_vlan_vid:4095", "set_vlan_pcp:7", "pop_vlan", "strip_vlan"]))
            }
            _ => {}
        }
    }
    prop::strategy::Union::new(all).boxed()
}

fn ct(headers: &'static [Prerequisite]) -> impl Strategy<Value = String> {
    let address = || {
        if headers.contains(&Prerequisite::Ipv4) {
            (0u32..u32::MAX - 300)
                .prop_map(|bits| (Ipv4Addr::from(bits + 1).to_string(), Ipv4Addr::from(bits + 9).to_string()))
                .boxed()
        } else {
            (0u128..u128::MAX - 300)
                .prop_map(|bits| {
                    (format!("[{}]", Ipv6Addr::from(bits + 1)), format!("[{}]", Ipv6Addr::from(bits + 9)))
                })
                .boxed()
        }
    };
    let range = (address(), any::<bool>(), prop::option::of((1u16..30000, prop::option::of(1u16..30000))))
        .prop_map(|((min, max), has_max, ports)| {
            let max = if has_max { format!("-{max}") } else { String::new() };
            let ports = ports.map(|(min, more)| match more {
                Some(more) => format!(":{min}-{}", min + more),
                None => format!(":{min}"),
            });
            format!("={min}{max}{}", ports.unwrap_or_default())
        });
    let flags = select(&["", ",persistent", ",hash", ",random", ",persistent,random"][..]);
    let nat = (select(&["src", "dst"][..]), prop::option::of(range), flags)
        .prop_map(|(side, range, flags)| format!("nat({side}{}{flags})", range.unwrap_or_default()));
    let changes = vec(
        prop_oneof![
            any::<u32>().prop_map(|mark| format!("set_field:{mark:#x}->ct_mark")),
            any::<(u32, u32)>()
                .prop_map(|(mark, mask)| format!("set_field:{:#x}/{mask:#x}->ct_mark", mark & mask)),
            any::<u128>().prop_map(|label| format!("set_field:{label:#x}->ct_label")),
            any::<u16>().prop_map(|label| format!("load:{label:#x}->NXM_NX_CT_LABEL[3..18]")),
            Just("move:NXM_NX_REG0[]->NXM_NX_CT_MARK[]".to_owned()),
        ],
        1..3,
    );
    let zone = prop_oneof![
        any::<u16>().prop_map(|zone| zone.to_string()),
        Just("NXM_NX_REG1[3..18]".to_owned()),
        Just("reg1[0..15]".to_owned()),
    ];
    let alg = if headers.contains(&Prerequisite::Tcp) { ",alg=ftp" } else { "" };
    (
        any::<bool>(),
        prop::option::of(0u8..255),
        prop::option::of(zone),
        prop::option::of(nat),
        prop::option::of(changes),
        any::<bool>(),
    )
        .prop_map(move |(force, table, zone, nat, changes, is_plain)| {
            let table = table.map(|table| format!(",table={table}")).unwrap_or_default();
            let zone = zone.map(|zone| format!(",zone={zone}")).unwrap_or_default();
            if is_plain {
                return format!("ct(nat{table}{zone})");
            }
            let nat = nat.map(|nat| format!(",{nat}")).unwrap_or_default();
            let exec = changes.map(|changes| format!(",exec({})", changes.join(","))).unwrap_or_default();
            format!("ct(commit{}{table}{zone}{nat}{exec}{alg})", if force { ",force" } else { "" })
        })
}

/// Sets, loads, moves and the stack.
fn field_action(headers: &'static [Prerequisite]) -> BoxedStrategy<String> {
    prop_oneof![
        6 => set_value(headers).prop_map(|(_, value, name)| format!("set_field:{value}->{name}")),
        3 => (any::<u16>(), subfield(16, true)).prop_map(|(value, dst)| format!("load:{value:#x}->{dst}")),
        1 => any::<u128>().prop_map(|value| format!("load:{value:#x}->NXM_NX_XXREG2[]")),
        1 => any::<u128>().prop_map(|value| format!("load:{value:#x}->tun_metadata9[3..130]")),
        2 => (subfield(16, false), subfield(16, true)).prop_map(|(src, dst)| format!("move:{src}->{dst}")),
        1 => subfield(16, false).prop_map(|src| format!("push:{src}")),
        1 => subfield(16, true).prop_map(|dst| format!("pop:{dst}")),
        1 => (any::<u16>(), 0u8..32).prop_map(|(len, bit)| format!("check_pkt_larger({len})->NXM_NX_REG3[{bit}]")),
        1 => (0u8..64, vec(any::<u8>(), 1..125)).prop_map(|(at, value)| {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("set_field:0x{hex}->tun_metadata{at}")
        }),
    ]
    .boxed()
}

/// So many bits of a field that every packet has.
fn subfield(n_bits: u16, is_written: bool) -> impl Strategy<Value = String> {
    let usable: Vec<Field> = Field::all()
        .filter(|field| matches!(field.info().prerequisite, Prerequisite::None) && field.n_bits() >= n_bits)
        .filter(|field| !field.is_experimenter() && !field.is_wide())
        .filter(|field| !is_written || field.info().writable)
        .filter(|field| {
            !matches!(*field, field::IN_PHY_PORT | field::PBB_ISID | field::CT_MARK | field::CT_LABEL)
        })
        .collect();
    (select(usable), any::<u16>(), any::<bool>()).prop_map(move |(field, start, is_short)| {
        let start = start % (field.n_bits() - n_bits + 1);
        let name = if is_short { field.name() } else { field.info().nxm_name };
        format!("{name}[{start}..{}]", start + n_bits - 1)
    })
}

/// A field that packets have, a value of it, perhaps with a mask, and the name it is written by.
fn set_value(headers: &'static [Prerequisite]) -> impl Strategy<Value = (Field, String, &'static str)> {
    let usable: Vec<Field> = Field::all()
        .filter(|field| {
            let prerequisite = field.info().prerequisite;
            matches!(prerequisite, Prerequisite::None | Prerequisite::Ethernet)
                || headers.contains(&prerequisite)
        })
        .filter(|field| field.info().writable && !field.is_wide())
        .filter(|field| {
            !matches!(
                *field,
                field::IN_PORT
                    | field::CT_MARK
                    | field::CT_LABEL
                    | field::PBB_ISID
                    | field::VLAN_VID
                    | field::VLAN_TCI
            )
        })
        .collect();
    (select(usable), any::<u128>(), any::<u128>(), any::<bool>()).prop_map(
        |(field, bits, mask, is_masked)| {
            // ovs-ofctl takes the mask of an IPv6 address for a prefix's length if it begins with a digit.
            let mask = if field.info().format == Format::Ipv6 { mask | 0xf << 124 } else { mask };
            let mask = mask & field.full_mask().to_u128();
            let is_masked = is_masked && field.info().maskable && mask != 0;
            let bits = bits & field.full_mask().to_u128() & if is_masked { mask } else { u128::MAX };
            let bits = match field {
                field::NW_TOS => bits & 0xfc,
                field::ARP_OP => bits & 0xff,
                field::NSH_TTL => bits & 0x3f,
                _ => bits,
            };
            (field, written(field, bits, is_masked.then_some(mask)), field.name())
        },
    )
}

fn mac() -> impl Strategy<Value = String> {
    any::<[u8; 6]>().prop_map(|octets| octets.map(|octet| format!("{octet:02x}")).join(":"))
}

/// A value as text says it.
fn written(field: Field, bits: u128, mask: Option<u128>) -> String {
    let one = |bits: u128| match field.info().format {
        Format::Mac => {
            bits.to_be_bytes()[10..].iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
        }
        Format::Ipv4 => Ipv4Addr::from(bits as u32).to_string(),
        Format::Ipv6 => Ipv6Addr::from(bits).to_string(),
        Format::Port => (bits % 0xff00).to_string(),
        Format::Decimal => bits.to_string(),
        _ => format!("{bits:#x}"),
    };
    match mask {
        Some(mask) if field.info().format == Format::Decimal => format!("{bits}/{mask:#x}"),
        Some(mask) => format!("{}/{}", one(bits), one(mask)),
        None => one(bits),
    }
}
