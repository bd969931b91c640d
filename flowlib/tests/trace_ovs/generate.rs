//! Flows and packets that look random and are the same every time.

use std::fmt::Write;

/// Numbers that look random (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What a packet is, so that flows and actions fit it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Any,
    Ip,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Ipv6,
    Tcp6,
    Udp6,
    Sctp6,
    Icmp6,
    Solicit,
    Advert,
    Arp,
    Mpls,
    Nsh,
}

use Kind::*;

pub(crate) const KINDS: [Kind; 16] =
    [Any, Ip, Tcp, Udp, Sctp, Icmp, Ipv6, Tcp6, Udp6, Sctp6, Icmp6, Solicit, Advert, Arp, Mpls, Nsh];

impl Kind {
    /// In a match or a packet.
    fn words(self) -> &'static str {
        match self {
            Any => "",
            Ip => "ip",
            Tcp => "tcp",
            Udp => "udp",
            Sctp => "sctp",
            Icmp => "icmp",
            Ipv6 => "ipv6",
            Tcp6 => "tcp6",
            Udp6 => "udp6",
            Sctp6 => "sctp6",
            Icmp6 => "icmp6",
            Solicit => "icmp6,icmpv6_type=135,icmpv6_code=0",
            Advert => "icmp6,icmpv6_type=136,icmpv6_code=0",
            Arp => "arp",
            Mpls => "mpls",
            Nsh => "dl_type=0x894f",
        }
    }

    /// A kind whose packets are of this one too.
    fn wider(self) -> Self {
        match self {
            Tcp | Udp | Sctp | Icmp => Ip,
            Tcp6 | Udp6 | Sctp6 | Icmp6 => Ipv6,
            Solicit | Advert => Icmp6,
            _ => Any,
        }
    }

    fn is_ip(self) -> bool {
        self.is_ipv4() || self.is_ipv6()
    }

    fn is_ipv4(self) -> bool {
        matches!(self, Ip | Tcp | Udp | Sctp | Icmp)
    }

    fn is_ipv6(self) -> bool {
        matches!(self, Ipv6 | Tcp6 | Udp6 | Sctp6 | Icmp6 | Solicit | Advert)
    }

    fn ports(self) -> Option<&'static str> {
        match self {
            Tcp | Tcp6 => Some("tcp"),
            Udp | Udp6 => Some("udp"),
            Sctp | Sctp6 => Some("sctp"),
            _ => None,
        }
    }
}

const MACS: [&str; 3] = ["0a:00:00:00:00:01", "0a:00:00:00:00:02", "0b:00:00:00:00:03"];
const ADDRESSES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.1.0.3"];
const ADDRESSES6: [&str; 3] = ["fd00::1", "fd00::2", "fd01::3"];
const PORTS: [&str; 3] = ["1", "80", "1025"];

/// Fields that packets of a kind have, with a value each: in the packet, and in matches.
fn fields(n: &mut Numbers, kind: Kind) -> Vec<(&'static str, String)> {
    let mut of = Vec::new();
    let mut add = |name, value: &str| of.push((name, value.to_owned()));
    add("dl_src", n.pick(&MACS));
    add("dl_dst", n.pick(&MACS));
    if kind.is_ipv4() {
        add("nw_src", n.pick(&ADDRESSES));
        add("nw_dst", n.pick(&ADDRESSES));
    }
    if kind.is_ipv6() {
        add("ipv6_src", n.pick(&ADDRESSES6));
        add("ipv6_dst", n.pick(&ADDRESSES6));
        add("ipv6_label", n.pick(&["0", "0x12345"]));
    }
    if kind.is_ip() {
        add("ip_dscp", n.pick(&["0", "11"]));
        add("nw_ecn", n.pick(&["0", "1", "3"]));
        add("nw_ttl", n.pick(&["0", "1", "2", "64"]));
        add("ip_frag", n.pick(&["no", "no", "no", "no", "first", "later"]));
    }
    if matches!(kind, Ip | Ipv6) {
        add("nw_proto", n.pick(&["47", "89"]));
    }
    match (kind, kind.ports()) {
        (_, Some("tcp")) => {
            add("tcp_src", n.pick(&PORTS));
            add("tcp_dst", n.pick(&PORTS));
            add("tcp_flags", n.pick(&["0x002", "0x010", "0x001"]));
        }
        (_, Some("udp")) => {
            add("udp_src", n.pick(&PORTS));
            add("udp_dst", n.pick(&PORTS));
        }
        (_, Some(_)) => {
            add("sctp_src", n.pick(&PORTS));
            add("sctp_dst", n.pick(&PORTS));
        }
        (Icmp, _) => {
            add("icmp_type", n.pick(&["0", "8"]));
            add("icmp_code", n.pick(&["0", "1"]));
        }
        (Icmp6, _) => {
            add("icmpv6_type", n.pick(&["128", "129"]));
            add("icmpv6_code", n.pick(&["0", "1"]));
        }
        (Solicit | Advert, _) => {
            add("nd_target", n.pick(&ADDRESSES6));
            if kind == Solicit {
                add("nd_sll", n.pick(&MACS));
            } else {
                add("nd_tll", n.pick(&MACS));
            }
            add("nd_reserved", n.pick(&["0", "5"]));
            add("nd_options_type", if kind == Solicit { "1" } else { "2" });
        }
        (Arp, _) => {
            add("arp_op", n.pick(&["1", "2"]));
            add("arp_spa", n.pick(&ADDRESSES));
            add("arp_tpa", n.pick(&ADDRESSES));
            add("arp_sha", n.pick(&MACS));
            add("arp_tha", n.pick(&MACS));
        }
        (Mpls, _) => {
            add("mpls_label", n.pick(&["0", "100"]));
            add("mpls_tc", n.pick(&["0", "3"]));
            add("mpls_ttl", n.pick(&["1", "64"]));
            add("mpls_bos", n.pick(&["1", "1", "1", "0"]));
        }
        (Nsh, _) => {
            add("nsh_flags", n.pick(&["0", "2"]));
            add("nsh_ttl", n.pick(&["1", "63"]));
            add("nsh_mdtype", "1");
            add("nsh_np", n.pick(&["1", "3"]));
            add("nsh_spi", n.pick(&["0x1234", "1"]));
            add("nsh_si", n.pick(&["255", "1"]));
            for name in ["nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4"] {
                add(name, n.pick(&["0x11223344", "5"]));
            }
        }
        _ => {}
    }
    of
}

/// Fields that every packet has, besides its headers.
fn metadata(n: &mut Numbers) -> (&'static str, String) {
    let of: [(&'static str, &[&str]); 36] = [
        ("reg0", &["0", "1", "5"]),
        ("reg1", &["0", "0x10000"]),
        ("reg2", &["0", "3"]),
        ("reg3", &["0", "7"]),
        ("reg4", &["0", "7"]),
        ("reg5", &["0", "7"]),
        ("reg6", &["0", "7"]),
        ("reg7", &["0", "7"]),
        ("reg8", &["0", "7"]),
        ("reg9", &["0", "7"]),
        ("reg10", &["0", "7"]),
        ("reg11", &["0", "7"]),
        ("reg12", &["0", "7"]),
        ("reg13", &["0", "7"]),
        ("reg14", &["0", "7"]),
        ("reg15", &["0", "7"]),
        ("xreg1", &["0", "0x300000007"]),
        ("xxreg1", &["0", "0x7"]),
        ("xreg2", &["0"]),
        ("xreg3", &["0"]),
        ("xreg4", &["0"]),
        ("xreg5", &["0"]),
        ("xreg6", &["0"]),
        ("xreg7", &["0"]),
        ("xxreg2", &["0"]),
        ("xxreg3", &["0"]),
        ("metadata", &["0", "1", "0xffffffffffffffff"]),
        ("pkt_mark", &["0", "1"]),
        ("tun_id", &["0", "5"]),
        ("tun_src", &["0.0.0.0", "1.1.1.1"]),
        ("tun_dst", &["0.0.0.0", "2.2.2.2"]),
        ("tun_ipv6_src", &["::", "fd00::5"]),
        ("tun_ipv6_dst", &["::", "fd00::6"]),
        ("tun_gbp_id", &["0", "3"]),
        ("tun_gbp_flags", &["0", "1"]),
        ("actset_output", &["1", "2"]),
    ];
    let (name, values) = of[n.below(of.len())];
    (name, n.pick(values).to_owned())
}

/// Fields that matches are about besides those of headers; most packets have these values.
const MATCHED: &[&str] = &[
    "packet_type=(0,0)",
    "actset_output=1",
    "tun_gbp_id=0",
    "tun_gbp_flags=0",
    "tun_erspan_ver=0",
    "tun_erspan_idx=0",
    "tun_erspan_dir=0",
    "tun_erspan_hwid=0",
    "tun_gtpu_flags=0",
    "tun_gtpu_msgtype=0",
    "tun_flags=-oam",
    "reg1=0",
    "xreg0=0/0xf",
    "xreg1=0",
    "xreg2=0",
    "xreg3=0",
    "xreg4=0",
    "xreg5=0",
    "xreg6=0",
    "xreg7=0",
    "xxreg0=0/0xf",
    "xxreg1=0/0xf000000000000000",
    "xxreg2=0",
    "xxreg3=0",
    "ct_state=-trk",
    "ct_zone=0",
    "ct_mark=0",
    "ct_label=0",
];

/// Those of packets whose connection was told.
const TRACKED_MATCHES: &[&str] =
    &["ct_state=+trk", "ct_state=+new", "ct_state=+est+trk", "ct_zone=5", "ct_mark=0x7", "ct_label=0x3/0xf"];

/// Those of packets of IPv4, and of IPv6, whose connection was told.
const ORIGINAL_MATCHES: [&[&str]; 2] = [
    &[
        "ct_nw_src=0.0.0.0/8",
        "ct_nw_dst=0.0.0.0",
        "ct_nw_proto=0",
        "ct_nw_proto=0,ct_tp_src=0",
        "ct_nw_proto=0,ct_tp_dst=0",
    ],
    &[
        "ct_ipv6_src=::/8",
        "ct_ipv6_dst=::",
        "ct_nw_proto=0",
        "ct_nw_proto=0,ct_tp_src=0",
        "ct_nw_proto=0,ct_tp_dst=0",
    ],
];

/// A packet: its kind and the text that `ofproto/trace` takes.
pub(crate) fn packet(n: &mut Numbers) -> String {
    let kind = KINDS[n.below(KINDS.len())];
    let mut text = format!("in_port={}", n.pick(&["1", "2", "3", "4", "LOCAL"]));
    if kind != Any {
        write!(text, ",{}", kind.words()).unwrap();
    } else {
        text.push_str(",dl_type=0x88cc");
    }
    let fields = fields(n, kind);
    let is_later = fields.contains(&("ip_frag", "later".to_owned()));
    for (name, value) in fields {
        // A later fragment has no transport header.
        if is_later
            && (name.contains("tcp")
                || name.contains("udp")
                || name.contains("sctp")
                || name.contains("icmp")
                || name.starts_with("nd_"))
        {
            continue;
        }
        write!(text, ",{name}={value}").unwrap();
    }
    if n.one_in(4) {
        write!(text, ",dl_vlan={},dl_vlan_pcp={}", n.pick(&["0", "10", "20"]), n.below(8)).unwrap();
    }
    for _ in 0..n.below(3) {
        let (name, value) = metadata(n);
        let is_given =
            text.contains(&format!(",{name}=")) || name.starts_with('x') || name == "actset_output";
        if !is_given && value != "0" {
            write!(text, ",{name}={value}").unwrap();
        }
    }
    text
}

/// Values, some of them with a mask, for a field in a match.
fn masked(n: &mut Numbers, name: &str, value: &str) -> String {
    match name {
        "nw_src" | "nw_dst" | "arp_spa" | "arp_tpa" if n.one_in(2) => "10.0.0.0/16".to_owned(),
        "ipv6_src" | "ipv6_dst" | "nd_target" if n.one_in(2) => "fd00::/16".to_owned(),
        "dl_src" | "dl_dst" | "arp_sha" | "arp_tha" if n.one_in(2) => {
            "0a:00:00:00:00:00/ff:00:00:00:00:00".to_owned()
        }
        "tcp_src" | "tcp_dst" | "udp_src" | "udp_dst" if n.one_in(3) => "0x0/0xfc00".to_owned(),
        "tcp_flags" if n.one_in(2) => "+syn-ack".to_owned(),
        "ip_frag" if n.one_in(3) => n.pick(&["no", "yes", "not_later"]).to_owned(),
        "metadata" | "reg0" | "reg1" | "pkt_mark" | "tun_id" if n.one_in(2) => "0x0/0x8".to_owned(),
        _ => value.to_owned(),
    }
}

/// Where flows may lead, and what they are known by.
pub(crate) struct Round<'n> {
    pub(crate) n: &'n mut Numbers,
    cookie: u64,
    pub(crate) flows: String,
    /// Whether there are action sets, or else packets that come again: both at once make Open vSwitch 3.1 give up
    /// (it asserts that no more is in the set than is left to do).
    has_sets: bool,
    /// Whether headers are put around packets: Open vSwitch 3.1 gives up over real ones (it asserts in `push_eth`).
    pub(crate) has_encaps: bool,
}

/// The last table of the pipelines.
const LAST_TABLE: usize = 6;
/// Where flows are learned.
const LEARNED: usize = 7;
/// Where connections go on.
const TRACKED: usize = 8;
/// Where conjunctions are.
const CONJUNCTIONS: usize = 9;

impl Round<'_> {
    pub(crate) fn new(n: &mut Numbers) -> Round<'_> {
        let has_sets = n.one_in(3);
        let has_encaps = !has_sets && n.one_in(3);
        Round { n, cookie: 0, flows: String::new(), has_sets, has_encaps }
    }

    fn add(&mut self, table: usize, priority: usize, matched: &str, actions: &str) {
        self.cookie += 1;
        let comma = if matched.is_empty() { "" } else { "," };
        let cookie = self.cookie;
        writeln!(
            self.flows,
            "table={table},priority={priority},cookie={cookie:#x}{comma}{matched},actions={actions}"
        )
        .unwrap();
    }

    /// Flows of all tables.
    pub(crate) fn fill(&mut self) {
        for table in 0..=TRACKED {
            for kind in KINDS {
                if table == 0 || self.n.one_in(3) {
                    self.flow(table, kind, 1000);
                }
            }
            for _ in 0..4 {
                let kind = KINDS[self.n.below(KINDS.len())];
                self.flow(table, kind, 2000);
            }
            if !self.n.one_in(5) {
                let actions = self.actions(table, Any, false);
                self.add(table, 0, "", &actions);
            }
        }
        self.conjunctions();
    }

    fn flow(&mut self, table: usize, kind: Kind, priority: usize) {
        let kind = if self.n.one_in(4) { kind.wider() } else { kind };
        let mut matched = kind.words().to_owned();
        let mut push = |text: String| {
            if !matched.is_empty() {
                matched.push(',');
            }
            matched.push_str(&text);
        };
        let fields = fields(self.n, kind);
        let n_fields = if priority > 1000 { 1 + self.n.below(3) } else { self.n.below(3) };
        for _ in 0..n_fields {
            let (name, value) = &fields[self.n.below(fields.len())];
            // Actions on ports need packets that have them.
            if *name == "ip_frag" && kind != Ip && kind != Ipv6 {
                continue;
            }
            push(format!("{name}={}", masked(self.n, name, value)));
        }
        if self.n.one_in(8) {
            let (name, value) = metadata(self.n);
            push(format!("{name}={}", masked(self.n, name, &value)));
        }
        if self.n.one_in(8) {
            push(self.n.pick(&["in_port=1", "in_port=2", "in_port=LOCAL"]).to_owned());
        }
        if table == TRACKED && kind.is_ip() && self.n.one_in(2) {
            let of = ORIGINAL_MATCHES[usize::from(kind.is_ipv6())];
            push(format!("ct_state=+trk-inv,{}", self.n.pick(of)));
        } else if table == TRACKED && self.n.one_in(2) {
            push(self.n.pick(TRACKED_MATCHES).to_owned());
        } else if self.n.one_in(2) {
            push(self.n.pick(MATCHED).to_owned());
        }
        let is_tagged = self.n.one_in(6);
        if is_tagged {
            push(
                self.n
                    .pick(&[
                        "dl_vlan=10",
                        "vlan_tci=0x1000/0x1000",
                        "dl_vlan_pcp=3",
                        "vlan_vid=0x100a/0x1fff",
                    ])
                    .to_owned(),
            );
        } else if self.n.one_in(8) {
            push("vlan_tci=0x0000/0x1000".to_owned());
        }
        let mut seen = Vec::new();
        let unique: Vec<_> = matched
            .split(',')
            .filter(|part| {
                let name = part.split('=').next().unwrap_or_default();
                let name = if name.contains("vlan") { "vlan" } else { name };
                let is_new = !seen.contains(&name.to_owned());
                seen.push(name.to_owned());
                is_new
            })
            .collect();
        let matched = unique.join(",");
        let actions = self.actions(table, kind, is_tagged);
        // Of two flows with the same priority, Open vSwitch takes either.
        let priority = priority + self.cookie as usize;
        self.add(table, priority, &matched, &actions);
    }

    /// Actions and instructions for packets of a kind.
    fn actions(&mut self, table: usize, kind: Kind, is_tagged: bool) -> String {
        let mut list = Vec::new();
        if self.n.one_in(12) {
            list.push("meter:1".to_owned());
        }
        let mut shape = Shape { kind, n_tags: usize::from(is_tagged), is_done: false };
        for _ in 0..self.n.below(6) {
            let action = self.action(table, &mut shape, 0);
            list.push(action);
            if shape.is_done {
                return list.join(",");
            }
        }
        if self.has_sets && self.n.one_in(5) {
            list.push("clear_actions".to_owned());
        }
        if self.has_sets && self.n.one_in(3) {
            let set = self.action_set(kind, shape.n_tags);
            list.push(format!("write_actions({set})"));
        }
        if self.n.one_in(8) {
            list.push(self.n.pick(&["write_metadata:0x5", "write_metadata:0x30/0xf0"]).to_owned());
        }
        if table < LAST_TABLE && self.n.one_in(3) {
            list.push(format!("goto_table:{}", table + 1 + self.n.below(2)));
        }
        if list.is_empty() { "drop".to_owned() } else { list.join(",") }
    }

    fn action_set(&mut self, kind: Kind, n_tags: usize) -> String {
        let mut list = Vec::new();
        let of = [
            "set_field:0x9->reg9",
            "push_vlan:0x8100",
            "set_queue:2",
            "load:0x3->NXM_NX_REG3[]",
            "set_field:0a:00:00:00:00:09->eth_src",
        ];
        for _ in 0..self.n.below(3) {
            list.push(self.n.pick(&of).to_owned());
        }
        list.retain(|action| n_tags == 0 || !action.starts_with("push_vlan"));
        if kind.is_ip() && self.n.one_in(2) {
            list.push("dec_ttl".to_owned());
        }
        list.push(
            self.n
                .pick(&["output:1", "output:2", "output:3", "group:1", "group:3", "resubmit(,6)", "IN_PORT"])
                .to_owned(),
        );
        list.join(",")
    }

    /// One action for a packet of that shape, which it may change.
    fn action(&mut self, table: usize, shape: &mut Shape, depth: usize) -> String {
        loop {
            let n = self.n.below(34);
            if let Some(action) = self.try_action(n, table, shape, depth) {
                return action;
            }
        }
    }

    fn next_table(&mut self, table: usize) -> usize {
        if table >= LAST_TABLE || self.n.one_in(40) {
            return LAST_TABLE + self.n.below(2);
        }
        table + 1 + self.n.below(2)
    }

    fn try_action(&mut self, n: usize, table: usize, shape: &mut Shape, depth: usize) -> Option<String> {
        let kind = shape.kind;
        Some(match n {
            0..=3 => self.n.pick(&["output:1", "output:2", "output:3", "output:4", "LOCAL", "IN_PORT", "output:9"]).to_owned(),
            4 => self.n.pick(&["ALL", "FLOOD", "NORMAL", "NORMAL"]).to_owned(),
            5 => self.n.pick(&["CONTROLLER", "CONTROLLER:100", "controller(reason=no_match,max_len=20,id=3)", "controller(userdata=01.02)"]).to_owned(),
            6 => format!("group:{}", 1 + self.n.below(if self.has_sets { 5 } else { 6 })),
            7 | 8 => format!("resubmit(,{})", self.next_table(table)),
            9 | 13 if kind == Tcp && self.n.one_in(2) => "fin_timeout(idle_timeout=5,hard_timeout=9)".to_owned(),
            9 => format!("resubmit({},{})", self.n.pick(&["1", "2"]), self.next_table(table)),
            10 => format!("set_field:{}->{}", self.n.pick(&MACS), self.n.pick(&["eth_src", "eth_dst"])),
            11 => {
                let (name, value) = metadata(self.n);
                if name == "actset_output" {
                    return None;
                }
                format!("set_field:{value}->{name}")
            }
            12 => self.n.pick(&["load:0x5->NXM_NX_REG0[0..15]", "set_field:0x10/0xf0->reg1", "load:0x2->NXM_NX_XXREG0[3..9]", "load:0x0102->NXM_OF_ETH_DST[0..15]", "set_field:0x7/0x7->xxreg0", "set_field:0x3->xreg0", "load:1->OXM_OF_METADATA[]"]).to_owned(),
            13 => self.n.pick(&["move:NXM_NX_REG0[]->NXM_NX_REG1[]", "move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG2[16..31]", "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "move:NXM_OF_IN_PORT[]->NXM_NX_REG4[0..15]", "move:NXM_NX_REG0[0..7]->NXM_NX_TUN_ID[8..15]"]).to_owned(),
            14 if shape.n_tags < 2 => {
                shape.n_tags += 1;
                format!("push_vlan:{}", self.n.pick(&["0x8100", "0x88a8"]))
            }
            15 if shape.n_tags > 0 => {
                shape.n_tags -= 1;
                "pop_vlan".to_owned()
            }
            16 if shape.n_tags > 0 => self.n.pick(&["set_field:4106->vlan_vid", "set_field:3->vlan_pcp", "mod_vlan_vid:20", "mod_vlan_pcp:5"]).to_owned(),
            17 | 18 if kind.is_ipv4() => format!("{}:{}->{}", "set_field", self.n.pick(&ADDRESSES), self.n.pick(&["ip_src", "ip_dst"])),
            17 if kind.is_ipv6() => format!("set_field:{}->{}", self.n.pick(&ADDRESSES6), self.n.pick(&["ipv6_src", "ipv6_dst"])),
            18 if kind.is_ipv6() => "set_field:0x54321->ipv6_label".to_owned(),
            19 if kind.is_ip() => self.n.pick(&["dec_ttl", "dec_ttl(1,2)", "mod_nw_ttl:9", "set_field:13->ip_dscp", "set_field:2->nw_ecn", "mod_nw_tos:32", "load:7->NXM_NX_IP_TTL[]", "load:8->NXM_OF_IP_TOS[]"]).to_owned(),
            20 if kind.ports().is_some() => format!("set_field:{}->{}_{}", self.n.pick(&PORTS), kind.ports()?, self.n.pick(&["src", "dst"])),
            20 if kind == Arp => self.n.pick(&["set_field:2->arp_op", "set_field:10.0.0.9->arp_spa", "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]", "set_field:0a:00:00:00:00:0a->arp_sha", "set_field:0a:00:00:00:00:0a->arp_tha", "set_field:10.0.0.8->arp_tpa"]).to_owned(),
            20 if kind == Icmp => self.n.pick(&["set_field:0->icmp_type", "set_field:1->icmp_code"]).to_owned(),
            20 if kind == Icmp6 => self.n.pick(&["set_field:129->icmpv6_type", "set_field:1->icmpv6_code"]).to_owned(),
            20 if kind == Solicit => self.n.pick(&["set_field:fd00::9->nd_target", "set_field:0a:00:00:00:00:0b->nd_sll", "set_field:6->nd_reserved", "set_field:2->nd_options_type"]).to_owned(),
            20 if kind == Advert => self.n.pick(&["set_field:fd00::9->nd_target", "set_field:0a:00:00:00:00:0b->nd_tll"]).to_owned(),
            20 | 21 if kind == Nsh => self.n.pick(&["dec_nsh_ttl", "set_field:1->nsh_flags", "set_field:9->nsh_ttl", "set_field:0x99->nsh_spi", "set_field:7->nsh_si", "set_field:0x1->nsh_c1", "set_field:0x2->nsh_c2", "set_field:0x3->nsh_c3", "set_field:0x4->nsh_c4"]).to_owned(),
            19..=21 if kind == Mpls => {
                self.n.pick(&["set_field:55->mpls_label", "set_field:2->mpls_tc", "set_mpls_ttl:9", "dec_mpls_ttl", "load:5->NXM_NX_MPLS_TTL[]", "set_mpls_label:77", "set_mpls_tc:1"]).to_owned()
            }
            22 if depth == 0 && kind != Nsh => {
                shape.kind = Mpls;
                "push_mpls:0x8847".to_owned()
            }
            23 if kind == Mpls && depth == 0 && !self.has_sets => {
                shape.kind = Ip;
                "pop_mpls:0x0800".to_owned()
            }
            24 if depth < 2 => {
                let mut inner = *shape;
                let actions: Vec<_> = (0..=self.n.below(2)).map(|_| self.action(table, &mut inner, depth + 1)).collect();
                format!("clone({})", actions.join(","))
            }
            25 if kind.is_ip() => self.ct(table, kind),
            26 => "push:NXM_NX_REG0[],push:NXM_OF_ETH_SRC[0..15],pop:NXM_NX_REG5[0..15],pop:NXM_NX_REG6[]".to_owned(),
            27 => {
                let fields = self.n.pick(&["eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"]);
                let algorithm = self.n.pick(&["modulo_n", "hash_threshold", "hrw", "iter_hash"]);
                match self.n.below(3) {
                    0 => format!("multipath({fields},{},{algorithm},{},0,NXM_NX_REG0[0..7])", self.n.below(90), 1 + self.n.below(70)),
                    1 => format!("bundle({fields},{},{},ofport,members:1,2,3)", self.n.below(90), self.n.pick(&["hrw", "active_backup"])),
                    _ => format!("bundle_load({fields},{},{},ofport,NXM_NX_REG7[0..15],members:1,2,3,4)", self.n.below(90), self.n.pick(&["hrw", "active_backup"])),
                }
            }
            28 if depth == 0 => format!("check_pkt_larger({})->NXM_NX_REG0[{}]", self.n.pick(&["10", "50", "100", "1500"]), self.n.below(4)),
            29 => self.n.pick(&[
                "learn(table=7,priority=9,cookie=0x1000,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_NX_REG1[]->NXM_NX_REG2[],output:NXM_OF_IN_PORT[])",
                "learn(table=7,hard_timeout=300,cookie=0x1001,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_SRC[],load:0x7->NXM_NX_REG0[0..3])",
                "learn(table=7,limit=1,cookie=0x1002,result_dst=NXM_NX_REG0[7],NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
            ]).to_owned(),
            30 => self.n.pick(&["set_queue:3", "set_queue:3,pop_queue", "set_tunnel:7", "set_tunnel64:0x100000000", "note:01.02", "sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1)", "output(port=2,max_len=64)", "mod_dl_src:0a:00:00:00:00:05", "mod_dl_dst:0a:00:00:00:00:06"]).to_owned(),
            31 => self.n.pick(&["output:NXM_NX_REG0[0..7]", "output:NXM_OF_IN_PORT[]", "output:NXM_NX_XXREG0[0..15]", "ct_clear", "set_field:0x12345678->tun_metadata0", "delete_field:tun_metadata0"]).to_owned(),
            // Behind an exit, Open vSwitch 3.1 confuses what is left to do for packets that come again.
            32 if self.has_sets && self.n.one_in(2) => "exit".to_owned(),
            32 if kind.is_ipv4() => self.n.pick(&["mod_nw_src:10.0.0.7", "mod_nw_dst:10.0.0.8"]).to_owned(),
            32 if self.n.one_in(3) => format!("resubmit(,{CONJUNCTIONS})"),
            33 if depth == 0 && !matches!(kind, Nsh | Mpls) && shape.n_tags == 0 && self.has_encaps => {
                shape.is_done = true;
                self.n.pick(&[
                "encap(nsh(md_type=1)),set_field:0x77->nsh_spi,encap(ethernet),set_field:0a:00:00:00:00:0c->eth_dst,output:2",
                "encap(nsh(md_type=2)),dec_nsh_ttl,encap(ethernet),output:1",
                "decap(),output:1",
                "controller(pause),output:1",
            ]).to_owned()
            }
            33 if kind.ports().is_some() => format!("mod_tp_{}:{}", self.n.pick(&["src", "dst"]), self.n.pick(&PORTS)),
            _ => return None,
        })
    }

    fn ct(&mut self, table: usize, kind: Kind) -> String {
        let mut arguments = Vec::new();
        let is_commit = self.n.one_in(2);
        if is_commit {
            arguments.push("commit".to_owned());
            if self.n.one_in(4) {
                arguments.push("force".to_owned());
            }
        }
        if self.n.one_in(2) {
            arguments.push(self.n.pick(&["zone=5", "zone=NXM_NX_REG0[0..15]"]).to_owned());
        }
        // A trace never ends if a packet comes again and again.
        if table < LAST_TABLE && !self.has_sets && self.n.one_in(2) {
            arguments.push(format!("table={TRACKED}"));
        }
        if is_commit && self.n.one_in(2) {
            let (nat, exec) = if kind.is_ipv4() {
                (
                    [
                        "nat(src=10.9.9.9)",
                        "nat(dst=10.9.9.1-10.9.9.5:1000-2000,hash)",
                        "nat(src=10.9.9.8:80,random)",
                    ],
                    "",
                )
            } else {
                (["nat(src=fd00::99)", "nat(dst=fd00::91-fd00::95)", "nat(src=[fd00::99]:80)"], "")
            };
            arguments.push(format!("{}{exec}", self.n.pick(&nat)));
        } else if self.n.one_in(4) {
            arguments.push("nat".to_owned());
        }
        if is_commit && self.n.one_in(2) {
            arguments.push(
                self.n
                    .pick(&[
                        "exec(load:0x7->NXM_NX_CT_MARK[])",
                        "exec(set_field:0x3->ct_label,set_field:0x1/0xf->ct_mark)",
                        "exec(move:NXM_NX_REG0[]->NXM_NX_CT_LABEL[32..63])",
                    ])
                    .to_owned(),
            );
        }
        if arguments.is_empty() { "ct()".replace("()", "") } else { format!("ct({})", arguments.join(",")) }
    }

    fn conjunctions(&mut self) {
        for address in ADDRESSES {
            self.add(
                CONJUNCTIONS,
                50,
                &format!("ip,nw_src={address}"),
                "conjunction(7,1/2),conjunction(8,2/2)",
            );
        }
        self.add(CONJUNCTIONS, 50, "tcp,tcp_dst=80", "conjunction(7,2/2)");
        self.add(CONJUNCTIONS, 50, "ip,nw_dst=10.0.0.0/16", "conjunction(8,1/2)");
        self.add(CONJUNCTIONS, 40, "ip,conj_id=7", "output:3,set_field:0x7->reg7,output:NXM_NX_REG7[]");
        self.add(CONJUNCTIONS, 45, "ip,conj_id=8", "output:4");
        self.add(CONJUNCTIONS, 10, "ip", "output:1");
        let actions = self.actions(LEARNED, Any, false);
        self.add(CONJUNCTIONS, 1, "", &actions);
    }
}

#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    n_tags: usize,
    /// Whether no action fits any more.
    is_done: bool,
}

/// Groups that flows may use, in the order in which they can be added.
pub(crate) const GROUPS: &str = "\
group_id=1,type=all,bucket=output:1,bucket=set_field:0a:00:00:00:00:0f->eth_src,output:2
group_id=2,type=indirect,bucket=push_vlan:0x8100,set_field:4097->vlan_vid,output:3
group_id=3,type=ff,bucket=watch_port:9,output:1,bucket=watch_port:2,output:2
group_id=4,type=select,bucket=weight:1,output:1,bucket=weight:1000,output:2,bucket=weight:7,output:3
group_id=5,type=all,bucket=group:1,bucket=resubmit(,6),bucket=group:3
group_id=6,type=select,bucket=weight:1,output:1,bucket=weight:2,output:2
";
