//! Reads the actions that Open vSwitch gives its datapath, and carries them out on a packet.

use flowlib::openflow::oxm::{Field, FieldValue, field};
use flowlib::packet::{Key, VlanTag};

/// What a datapath would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// Where the packet leaves, as it is then, and how long it may be.
    pub(crate) outputs: Vec<(String, Key, Option<u32>)>,
    /// What the controller is told: reason, cookie, controller, length.
    pub(crate) to_controller: Vec<(String, u64, String, String)>,
    /// How often it comes again.
    pub(crate) n_recirculations: usize,
}

/// Splits at commas that are in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

fn call(text: &str) -> (&str, &str) {
    match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').unwrap_or(rest)),
        None => (text, ""),
    }
}

fn arguments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    split(text).into_iter().map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn number(text: &str) -> u128 {
    match text.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap_or_else(|_| panic!("not a number: {text}")),
    }
}

/// A number or an address.
fn value(text: &str) -> FieldValue {
    if let Ok(mac) = text.parse::<flowlib::types::MacAddr>() {
        return mac.into();
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return address.into();
    }
    number(text).into()
}

/// The field that a name within a header stands for.
fn field_of(header: &str, name: &str) -> Field {
    match (header, name) {
        ("eth", "src") => field::ETH_SRC,
        ("eth", "dst") => field::ETH_DST,
        ("ipv4", "src") => field::IPV4_SRC,
        ("ipv4", "dst") => field::IPV4_DST,
        ("ipv6", "src") => field::IPV6_SRC,
        ("ipv6", "dst") => field::IPV6_DST,
        ("ipv6", "label") => field::IPV6_FLABEL,
        ("ipv4", "ttl") | ("ipv6", "hlimit") => field::IP_TTL,
        ("tcp" | "udp" | "sctp", "src") => field::TCP_SRC,
        ("tcp" | "udp" | "sctp", "dst") => field::TCP_DST,
        ("icmp" | "icmpv6", "type") => field::TCP_SRC,
        ("icmp" | "icmpv6", "code") => field::TCP_DST,
        ("arp", "sip") => field::ARP_SPA,
        ("arp", "tip") => field::ARP_TPA,
        ("arp", "op") => field::ARP_OP,
        ("arp", "sha") | ("nd", "sll") => field::ARP_SHA,
        ("arp", "tha") | ("nd", "tll") => field::ARP_THA,
        ("nd", "target") => field::ND_TARGET,
        ("nd_ext", "nd_reserved") => field::ND_RESERVED,
        ("nd_ext", "nd_options_type") => field::ND_OPTIONS_TYPE,
        ("nsh", "flags") => field::NSH_FLAGS,
        ("nsh", "ttl") => field::NSH_TTL,
        ("nsh", "spi") => field::NSH_SPI,
        ("nsh", "si") => field::NSH_SI,
        ("nsh", "c1") => field::NSH_C1,
        ("nsh", "c2") => field::NSH_C2,
        ("nsh", "c3") => field::NSH_C3,
        ("nsh", "c4") => field::NSH_C4,
        _ => panic!("set({header}({name}=…))"),
    }
}

fn set(key: &mut Key, text: &str) {
    let (header, inside) = call(text);
    match header {
        "skb_priority" => key.queue = number(inside) as u32,
        "skb_mark" => {
            let (bits, mask) = inside.split_once('/').unwrap_or((inside, "0xffffffff"));
            let mask = number(mask) as u32;
            key.pkt_mark = key.pkt_mark & !mask | number(bits) as u32 & mask;
        }
        "mpls" => key.mpls[0] = label(inside),
        _ => {
            for (name, text) in arguments(inside) {
                let (bits, mask) = match text.split_once('/') {
                    Some((bits, mask)) => (value(bits), value(mask).to_u128()),
                    None => (value(text), u128::MAX),
                };
                if matches!(name, "tos" | "tclass") {
                    let mask = mask as u8;
                    key.nw_tos = key.nw_tos & !mask | bits.to_u32() as u8 & mask;
                    continue;
                }
                let field = field_of(header, name);
                let old = key.get(field).to_u128();
                key.set(field, (old & !mask | bits.to_u128() & mask).into());
            }
        }
    }
}

fn label(text: &str) -> u32 {
    arguments(text).fold(0, |label, (name, text)| {
        let shift = match name {
            "label" => 12,
            "tc" => 9,
            "bos" => 8,
            "ttl" => 0,
            _ => return label,
        };
        label | (number(text) as u32) << shift
    })
}

fn push_vlan(key: &mut Key, text: &str) {
    let mut tag = VlanTag { tpid: 0x8100, tci: VlanTag::PRESENT };
    for (name, text) in arguments(text) {
        match name {
            "tpid" => tag.tpid = number(text) as u16,
            "vid" => tag.tci |= number(text) as u16,
            "pcp" => tag.tci |= (number(text) as u16) << 13,
            _ => panic!("push_vlan({text})"),
        }
    }
    key.push_vlan(tag.tpid);
    key.vlans[0] = tag;
}

fn argument(text: &str, name: &str) -> u128 {
    arguments(text).find(|(found, _)| *found == name).map(|(_, text)| number(text)).unwrap()
}

/// Carries actions out; `packet_len` decides what depends on it.
pub(crate) fn execute(actions: &str, key: &Key, packet_len: usize) -> Effects {
    let mut effects = Effects::default();
    run(actions, &mut key.clone(), packet_len, &mut effects);
    effects
}

fn run(actions: &str, key: &mut Key, packet_len: usize, effects: &mut Effects) {
    let mut max_len = None;
    for action in split(actions) {
        let (name, inside) = call(action);
        match name {
            "set" => set(key, inside),
            "push_vlan" => push_vlan(key, inside),
            "pop_vlan" => key.pop_vlan(),
            "push_mpls" => {
                key.mpls.rotate_right(1);
                key.mpls[0] = label(inside);
                key.eth_type = argument(inside, "eth_type") as u16;
            }
            "pop_mpls" => {
                key.pop_label(argument(inside, "eth_type") as u16);
            }
            "push_eth" => {
                key.packet_type = 0;
                for (name, text) in arguments(inside) {
                    set(key, &format!("eth({name}={text})"));
                }
            }
            "pop_eth" => {
                key.packet_type = 1 << 16 | u32::from(key.eth_type);
                key.eth_src = flowlib::types::MacAddr::ZERO;
                key.eth_dst = flowlib::types::MacAddr::ZERO;
            }
            "push_nsh" => {
                key.take_headers(&Key::default());
                (key.packet_type, key.eth_type) = (0x1_894f, 0x894f);
                for (name, text) in arguments(inside) {
                    match name {
                        "mdtype" => key.nsh.mdtype = number(text) as u8,
                        "np" => key.nsh.next_proto = number(text) as u8,
                        "md2" => {}
                        _ => set(key, &format!("nsh({name}={text})")),
                    }
                }
            }
            "recirc" => effects.n_recirculations += 1,
            "trunc" => max_len = Some(number(inside) as u32),
            "clone" => run(inside, &mut key.clone(), packet_len, effects),
            "check_pkt_len" => {
                let size = argument(inside, "size");
                let wanted = if packet_len as u128 > size { "gt" } else { "le" };
                for part in split(inside) {
                    let (name, inside) = call(part);
                    if name == wanted {
                        run(inside, &mut key.clone(), packet_len, effects);
                    } else if matches!(name, "gt" | "le") {
                        // What is not taken comes again all the same in a trace.
                        let mut other = Effects::default();
                        run(inside, &mut key.clone(), packet_len, &mut other);
                        effects.n_recirculations += other.n_recirculations;
                    }
                }
            }
            "userspace" => to_controller(inside, effects),
            "sample" => {
                let calls = split(inside).into_iter().map(call);
                calls.filter(|(name, _)| *name == "actions").for_each(|(_, inside)| {
                    run(inside, &mut key.clone(), packet_len, effects);
                });
            }
            "drop" | "ct" | "ct_clear" | "hash" | "meter" | "pop_nsh" | "pop_nsh()" => {}
            _ => effects.outputs.push((name.to_owned(), key.clone(), max_len.take())),
        }
    }
}

fn to_controller(inside: &str, effects: &mut Effects) {
    let Some(part) = split(inside).into_iter().find(|part| part.starts_with("controller(")) else { return };
    let (_, inside) = call(part);
    let text = |name| arguments(inside).find(|(found, _)| *found == name).unwrap().1;
    // That no flow is there is told to old controllers only, and to a connection whose version is not known yet.
    if text("reason") == "7" {
        return;
    }
    let cookie = number(text("rule_cookie")) as u64;
    effects.to_controller.push((
        text("reason").to_owned(),
        cookie,
        text("controller_id").to_owned(),
        text("max_len").to_owned(),
    ));
}
