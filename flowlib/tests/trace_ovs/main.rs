//! The software switch against `ovs-appctl ofproto/trace`: generated flows and packets, the same path, and the same
//! packets out of the same ports. Where Open vSwitch is not installed, the test says so and passes.

#![allow(clippy::unwrap_used)]

#[path = "../daemons/mod.rs"]
mod daemons;
mod datapath;
mod generate;
mod golden;
mod ovs;

use std::collections::{BTreeMap, BTreeSet};

use flowlib::compile;
use flowlib::emulate::{DatapathAction, Input, Node, NodeKind, Outcome, Pass, Port, Switch, ToController};
use flowlib::openflow::multipart::{MultipartReplyBody, MultipartRequestBody};
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Action, Field, Flow, Group, GroupType, Instruction};
use flowlib::packet::{Key, compose_with_payload};
use flowlib::segment::fixture::Fixture;
use flowlib::text::{Style, format_key, parse_flow, parse_flow_filter};
use flowlib::types::{Cookie, MeterId, PortNo};

use datapath::Effects;
use generate::{GROUPS, Numbers, Round};
use ovs::Ovs;

const N_ROUNDS: u64 = 50;
const N_PACKETS: usize = 30;

/// Where the generated cases begin; `TRACE_SEED` chooses others.
const SEED: u64 = 200;

#[test]
fn the_path_and_the_outputs_are_those_of_open_vswitch() {
    let mut comparison = Comparison::default();
    let first = std::env::var("TRACE_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let rounds = (0..N_ROUNDS).map(|n| {
        let mut numbers = Numbers(first + n);
        let mut round = Round::new(&mut numbers);
        round.fill();
        let (flows, has_encaps) = (std::mem::take(&mut round.flows), round.has_encaps);
        let packets = (0..N_PACKETS).map(|_| {
            let packet = generate::packet(&mut numbers);
            (packet, !has_encaps && numbers.one_in(2))
        });
        (flows, packets.collect())
    });
    let chains = CHAINS.iter().map(|(flows, packet)| (flows.to_string(), vec![(packet.to_string(), false)]));
    let Some(mut ovs) = start() else { return };
    let mut n_gone = 0;
    for (flows, packets) in rounds.chain(chains) {
        if let Err(ovs::Gone) = comparison.round(&ovs, &flows, packets) {
            n_gone += 1;
            assert!(n_gone <= 5, "Open vSwitch is gone too often");
            ovs = start().unwrap();
        }
    }
    let seen = comparison.finish();
    // Of other cases it is chance whether every action and field comes up.
    if first == SEED {
        seen.check();
    }
}

#[test]
fn compiled_flows_do_with_all_packets_what_they_do_in_open_vswitch() {
    let mut comparison = Comparison::default();
    let Some(ovs) = Ovs::start(&golden::PORTS) else { return };
    let meters = compile::meters().into_iter().map(Fixture::Meter);
    // A trace ends at a group of type select; its only bucket does the same in one of type indirect.
    let indirect = |mut group: Group| {
        group.buckets.iter_mut().for_each(|bucket| bucket.weight = 0);
        Fixture::Group(Group { group_type: GroupType::INDIRECT, ..group })
    };
    let groups = compile::groups().into_iter().map(indirect);
    ovs.give(&meters.chain(groups).map(|fixture| fixture.add()).collect::<Vec<_>>());
    let flows = golden::flows();
    let packets = golden::packets().into_iter().map(|packet| (packet, false)).collect();
    comparison.round(&ovs, &flows, packets).unwrap();
    golden::check_reached(&flows, &comparison.finish().tables);
}

fn start() -> Option<Ovs> {
    let ovs = Ovs::start(&[1, 2, 3, 4])?;
    ovs.run("ovs-ofctl", &["add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0"]);
    ovs.run("ovs-ofctl", &["-O", "OpenFlow13", "add-meter", "br0", "meter=1,pktps,band=type=drop,rate=100"]);
    for group in GROUPS.lines() {
        ovs.run("ovs-ofctl", &["-O", "OpenFlow13", "add-group", "br0", group]);
    }
    Some(ovs)
}

#[derive(Default)]
struct Comparison {
    seen: Seen,
    n_cases: usize,
    differences: Vec<String>,
}

impl Comparison {
    /// Sends packets through the same flows on both sides.
    fn round(&mut self, ovs: &Ovs, flows: &str, packets: Vec<(String, bool)>) -> Result<(), ovs::Gone> {
        ovs.write("flows", flows);
        ovs.ask_with("ovs-ofctl", &["-O", "OpenFlow13", "del-flows", "br0"])?;
        ovs.ask_with("ovs-ofctl", &["-O", "OpenFlow13", "add-flows", "br0", "flows"])?;
        ovs.control("fdb/flush", &["br0"])?;
        let mut switch = copy_of(ovs, flows);
        for (text, is_real) in packets {
            let mut arguments = vec!["br0", text.as_str(), "--names"];
            if is_real {
                arguments.push("-generate");
            }
            let theirs = ovs.control("ofproto/trace", &arguments)?;
            let input = input(&text, is_real);
            let outcome = switch.run(&input);
            self.seen.note(&switch, &outcome);
            self.n_cases += 1;
            if let Err(difference) = compare(&input, &outcome, &theirs) {
                let ours = outcome.format(Style::default());
                self.differences.push(format!(
                    "{text} (real: {is_real}): {difference}\n--- theirs\n{theirs}\n--- ours\n{ours}"
                ));
            }
        }
        Ok(())
    }

    /// Fails if there was a difference; gives what the cases were about.
    fn finish(self) -> Seen {
        let Self { seen, n_cases, differences } = self;
        assert!(n_cases >= 1000, "only {n_cases} cases");
        assert!(
            differences.is_empty(),
            "{} of {n_cases} differ, the first:\n{}",
            differences.len(),
            differences[0]
        );
        seen
    }
}

/// Flows that match, one after the other, what generated packets seldom have; and a packet for them.
const CHAINS: &[(&str, &str)] = &[
    (
        "table=0,cookie=1,packet_type=(0,0),actions=write_actions(output:1),goto_table:1\n\
         table=1,cookie=2,actset_output=1,actions=goto_table:2\n\
         table=2,cookie=3,icmp6,icmpv6_type=136,icmpv6_code=0,nd_tll=0a:00:00:00:00:01,actions=goto_table:3\n\
         table=3,cookie=4,icmp6,icmpv6_type=136,icmpv6_code=0,nd_reserved=5,reg0=0,actions=output:2\n",
        "in_port=3,icmp6,icmpv6_type=136,icmpv6_code=0,nd_tll=0a:00:00:00:00:01,nd_reserved=5",
    ),
    (
        "table=0,cookie=1,dl_type=0x894f,nsh_spi=0x1234,actions=output:1\n",
        "in_port=3,dl_type=0x894f,nsh_mdtype=1,nsh_np=3,nsh_spi=0x1234",
    ),
    (
        "table=0,cookie=1,ip,actions=ct(table=1)\n\
         table=1,cookie=2,ip,ct_state=+trk-inv,ct_nw_src=0.0.0.0,actions=goto_table:2\n\
         table=2,cookie=3,ip,ct_state=+trk-inv,ct_nw_dst=0.0.0.0/8,actions=goto_table:3\n\
         table=3,cookie=4,ip,ct_state=+trk-inv,ct_nw_proto=0,actions=output:1\n",
        "in_port=3,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2",
    ),
    (
        "table=0,cookie=1,ipv6,actions=ct(table=1)\n\
         table=1,cookie=2,ipv6,ct_state=+trk-inv,ct_ipv6_src=::,actions=goto_table:2\n\
         table=2,cookie=3,ipv6,ct_state=+trk-inv,ct_ipv6_dst=::/8,actions=output:1\n",
        "in_port=3,tcp6,ipv6_src=fd00::1,ipv6_dst=fd00::2",
    ),
    (
        "table=0,cookie=1,tun_metadata0=0x1234,actions=output:1\n",
        "in_port=3,tun_id=1,tun_src=1.1.1.1,tun_dst=2.2.2.2,tun_metadata0=0x1234,dl_type=0x88cc",
    ),
    // What random cases of other seeds once found.
    (
        "cookie=1,ip,actions=group:5,output:3\n\
         table=6,cookie=2,actions=encap(nsh(md_type=2)),dec_nsh_ttl,encap(ethernet),output:1\n",
        "in_port=3,sctp,nw_src=10.0.0.2,nw_dst=10.1.0.3",
    ),
    (
        "cookie=1,dl_vlan_pcp=3,actions=pop_vlan,output:1,write_actions(push_vlan:0x8100,push_vlan:0x8100,output:2)\n",
        "in_port=3,dl_type=0x88cc,dl_vlan=10,dl_vlan_pcp=3",
    ),
    (
        "cookie=1,mpls,actions=set_mpls_ttl(7),output:1\n",
        "in_port=3,mpls,mpls_label=5,mpls_ttl=64,mpls_bos=1",
    ),
    // And others that set what generated ones seldom set.
    (
        "cookie=1,icmp6,icmpv6_type=135,icmpv6_code=0,actions=set_field:0a:00:00:00:00:0b->nd_sll,\
         set_field:6->nd_reserved,set_field:2->nd_options_type,output:1,set_field:1->icmpv6_code,output:2\n",
        "in_port=3,icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=fd00::1,nd_sll=0a:00:00:00:00:01",
    ),
    (
        "cookie=1,arp,actions=set_field:2->arp_op,set_field:10.0.0.8->arp_spa,set_field:10.0.0.9->arp_tpa,output:1,\
         set_field:0a:00:00:00:00:0b->arp_sha,set_field:0a:00:00:00:00:0c->arp_tha,output:2\n",
        "in_port=3,arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2",
    ),
    (
        "cookie=1,dl_type=0x894f,actions=set_field:1->nsh_flags,set_field:9->nsh_ttl,set_field:0x99->nsh_spi,\
         set_field:7->nsh_si,output:1,set_field:1->nsh_c1,set_field:2->nsh_c2,set_field:3->nsh_c3,\
         set_field:4->nsh_c4,output:2\n",
        "in_port=3,dl_type=0x894f,nsh_mdtype=1,nsh_np=3,nsh_spi=0x1234,nsh_si=255,nsh_ttl=63",
    ),
    (
        "cookie=1,actions=set_field:3->tun_gbp_id,set_field:1->tun_gbp_flags,set_field:2->tun_erspan_ver,\
         set_field:5->tun_erspan_idx,set_field:1->tun_erspan_dir,set_field:7->tun_erspan_hwid,\
         set_field:oam->tun_flags,set_field:1->reg8,set_field:5->xxreg1,output:1\n",
        "in_port=3,dl_type=0x88cc",
    ),
    (
        "cookie=1,actions=load:2->NXM_OF_IN_PORT[],output:2,output:3,\
         load:0x1005->NXM_OF_VLAN_TCI[],output:1,set_field:3->vlan_pcp,output:1\n",
        "in_port=3,dl_type=0x88cc",
    ),
];

/// The software switch with the same flows, and the groups, meters and ports of the real one as it tells them.
fn copy_of(ovs: &Ovs, flows: &str) -> Switch {
    let mut switch = Switch::new("br0");
    switch.add_port(Port::new(PortNo::LOCAL, "br0"));
    for n in &ovs.ports {
        switch.add_port(Port::new(PortNo(*n), format!("p{n}")));
    }
    for line in flows.lines() {
        switch.add_flow(parse_flow(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    }
    let MultipartReplyBody::GroupDesc(groups) = ovs.ask(MultipartRequestBody::GroupDesc) else {
        panic!("no groups")
    };
    groups.into_iter().for_each(|group| switch.add_group(group));
    let MultipartReplyBody::MeterConfig(meters) = ovs.ask(MultipartRequestBody::MeterConfig(MeterId::ALL))
    else {
        panic!("no meters")
    };
    meters.into_iter().for_each(|meter| switch.add_meter(meter));
    switch
}

/// The packet that a text means; a real one is composed first, as `-generate` does.
fn input(text: &str, is_real: bool) -> Input {
    let mut key = Key::default();
    let filter = parse_flow_filter(text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
    for entry in filter.flow_match.iter() {
        key.set(entry.field, entry.value);
    }
    for entry in filter.flow_match.wide() {
        key.set_option(entry.field, entry.value.clone());
    }
    let ct_states = Some(Vec::new());
    if !is_real {
        return Input { key, ct_states, is_trace: true, ..Input::default() };
    }
    let payload: Vec<u8> = (0..64).collect();
    let frame = compose_with_payload(&key, &payload);
    Input { key, frame: Some(frame), has_side_effects: true, ct_states, is_trace: true, names: None }
}

fn recirculations(actions: &[DatapathAction], ids: &mut BTreeSet<u32>) {
    for action in actions {
        match action {
            DatapathAction::Recirculate(id) => {
                ids.insert(*id);
            }
            DatapathAction::Clone(inner) => recirculations(inner, ids),
            DatapathAction::CheckLength { greater, less_or_equal, .. } => {
                recirculations(greater, ids);
                recirculations(less_or_equal, ids);
            }
            _ => {}
        }
    }
}

/// The tables of a trace, each with the cookie of its flow if there was one.
fn path(trace: &[Node]) -> Vec<(u8, Option<u64>)> {
    let step = |node: &Node| match node.kind {
        NodeKind::Table { table, cookie, .. } => Some((table.0, cookie.map(|cookie| cookie.0))),
        _ => None,
    };
    trace.iter().filter_map(step).collect()
}

fn their_path(text: &str) -> Vec<(u8, Option<u64>)> {
    let step = |line: &str| {
        let (table, rest) = line.trim_start().split_once(". ")?;
        let table = table.parse().ok()?;
        // Whether the controller is told depends on who is connected at the moment.
        if rest.starts_with("No match") {
            return Some((table, None));
        }
        let cookie = rest.rsplit_once(", cookie 0x").map_or(Ok(0), |(_, hex)| u64::from_str_radix(hex, 16));
        rest.contains("priority ").then(|| (table, Some(cookie.unwrap())))
    };
    text.lines().filter_map(step).collect()
}

fn compare(input: &Input, outcome: &Outcome, theirs: &str) -> Result<(), String> {
    let separator = format!("\n{}\nrecirc(", "=".repeat(79));
    let parts: Vec<_> = theirs.split(&separator).collect();
    let passes = &outcome.passes;
    if passes.len() != parts.len() {
        return Err(format!("{} passes and not {}", passes.len(), parts.len()));
    }
    for (pass, part) in passes.iter().zip(parts) {
        let steps = path(&pass.trace);
        let theirs = their_path(part);
        if steps != theirs {
            return Err(format!("the path is {steps:?} and not {theirs:?}"));
        }
        // Of two ways that the packet's length decides between, a trace goes both.
        if !pass.is_hypothetical {
            compare_effects(input, pass, part)?;
        }
    }
    Ok(())
}

fn compare_effects(input: &Input, pass: &Pass, part: &str) -> Result<(), String> {
    let line = part.lines().find_map(|line| line.strip_prefix("Datapath actions: ")).unwrap();
    let packet_len = input.frame_len();
    let theirs = datapath::execute(line, &pass.initial, packet_len);
    let ours = effects_of(input, pass);
    let shown = |effects: &Effects| {
        let mut outputs: Vec<_> = effects
            .outputs
            .iter()
            .map(|(port, key, max_len)| format!("{port} {} {max_len:?}", headers(key)))
            .collect();
        if mentions_many(&pass.trace) {
            outputs.sort();
        }
        outputs
    };
    if shown(&ours) != shown(&theirs) {
        return Err(format!("out comes\n{:#?}\nand not\n{:#?}", shown(&ours), shown(&theirs)));
    }
    if ours.to_controller != theirs.to_controller {
        return Err(format!(
            "the controller is told {:?} and not {:?}",
            ours.to_controller, theirs.to_controller
        ));
    }
    if ours.n_recirculations != theirs.n_recirculations {
        return Err(format!("{} recirculations and not {}", ours.n_recirculations, theirs.n_recirculations));
    }
    Ok(())
}

/// What of a packet a datapath has.
fn headers(key: &Key) -> String {
    let mut headers =
        Key { queue: key.queue, pkt_mark: key.pkt_mark, packet_type: key.packet_type, ..Key::default() };
    headers.take_headers(key);
    format_key(&headers)
}

fn effects_of(input: &Input, pass: &Pass) -> Effects {
    let name = |port: PortNo| if port == PortNo::LOCAL { "br0".to_owned() } else { format!("p{port}") };
    let outputs = pass.outputs.iter().map(|output| (name(output.port), output.key.clone(), output.max_len));
    // A trace without a packet does not say that the controller would have to resume it.
    let is_told = |told: &&ToController| input.has_side_effects || !told.is_paused;
    let to_controller = pass.to_controller.iter().filter(is_told).map(|told| {
        let cookie = told.cookie.map_or(u64::MAX, |cookie| cookie.0);
        // A datapath knows the reasons of all versions of OpenFlow: 6 is a table-miss flow's.
        let reason = if told.reason.0 == 0 && told.is_miss { 6 } else { told.reason.0 };
        (reason.to_string(), cookie, told.controller_id.to_string(), told.max_len.to_string())
    });
    let mut ids = BTreeSet::new();
    recirculations(&pass.actions, &mut ids);
    Effects {
        outputs: outputs.collect(),
        to_controller: to_controller.collect(),
        n_recirculations: ids.len(),
    }
}

/// Whether the packet is sent to many ports at once, whose order is the switch's own.
fn mentions_many(trace: &[Node]) -> bool {
    let is_many = |node: &Node| {
        node.kind == NodeKind::Action && ["FLOOD", "ALL", "NORMAL"].contains(&node.text.as_str())
    };
    trace.iter().any(is_many)
}

/// What the cases have exercised.
#[derive(Default)]
struct Seen {
    actions: BTreeSet<String>,
    instructions: BTreeSet<String>,
    matched: BTreeSet<Field>,
    set: BTreeSet<Field>,
    /// What traces say of tables and their flows.
    tables: BTreeSet<String>,
}

fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

impl Seen {
    fn note(&mut self, switch: &Switch, outcome: &Outcome) {
        let flows: BTreeMap<Cookie, &Flow> = switch
            .tables
            .values()
            .flat_map(|table| table.iter())
            .map(|entry| (entry.flow.cookie, &entry.flow))
            .collect();
        for pass in &outcome.passes {
            let tables = pass.trace.iter().filter(|node| matches!(node.kind, NodeKind::Table { .. }));
            self.tables.extend(tables.map(|node| node.text.clone()));
            let steps = path(&pass.trace);
            for flow in steps.iter().filter_map(|(_, cookie)| flows.get(&Cookie((*cookie)?))) {
                self.matched.extend(flow.flow_match.iter().map(|entry| entry.field));
                self.matched.extend(flow.flow_match.wide().iter().map(|entry| entry.field));
                // A flow with conj_id is reached by flows with conjunctions only.
                if flow.flow_match.get(field::CONJ_ID).is_some() {
                    self.actions.insert("Conjunction".to_owned());
                }
                for instruction in &flow.instructions {
                    self.instructions.insert(variant(instruction));
                    if let Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) =
                        instruction
                    {
                        actions.iter().for_each(|action| self.action(action));
                    }
                }
            }
        }
    }

    fn action(&mut self, action: &Action) {
        self.actions.insert(variant(action));
        match action {
            Action::Legacy(legacy) => {
                self.actions.insert(variant(legacy));
            }
            Action::SetField { field, .. } | Action::DeleteField(field) => {
                self.set.insert(*field);
            }
            Action::RegLoad { dst, .. } | Action::RegMove { dst, .. } => {
                self.set.insert(dst.field);
            }
            Action::RegLoad2(entry) => {
                self.set.insert(entry.field);
            }
            Action::SetWideField(entry) | Action::WideRegLoad2(entry) => {
                self.set.insert(entry.field);
            }
            _ => {}
        }
        action.nested().iter().for_each(|action| self.action(action));
    }

    /// Fails if there is an action or a field that no case was about.
    fn check(&self) {
        let actions: Vec<_> = ACTIONS.iter().filter(|name| !self.actions.contains(**name)).collect();
        assert!(actions.is_empty(), "no case is about the actions {actions:?}");
        let instructions: Vec<_> =
            INSTRUCTIONS.iter().filter(|name| !self.instructions.contains(**name)).collect();
        assert!(instructions.is_empty(), "no case is about the instructions {instructions:?}");
        let is_excepted = |field: &Field| {
            NOT_MATCHED.iter().any(|(excepted, _)| excepted == field)
                || is_wide_register(*field)
                || is_unmapped(*field)
        };
        let matched: Vec<_> =
            Field::all().filter(|field| !self.matched.contains(field) && !is_excepted(field)).collect();
        assert!(matched.is_empty(), "no case matches {matched:?}");
        let is_excepted = |field: &Field| {
            NOT_SET.iter().any(|(excepted, _)| excepted == field)
                || !field.info().writable
                || is_unmapped(*field)
        };
        let set: Vec<_> =
            Field::all().filter(|field| !self.set.contains(field) && !is_excepted(field)).collect();
        assert!(set.is_empty(), "no case sets {set:?}");
    }
}

/// Every action but those that Open vSwitch refuses (copy_ttl_*, push_pbb, pop_pbb), unknown ones, those for its own
/// tests (debug_*), and spellings that text does not lead to in OpenFlow 1.3 (legacy ones, reg_load2, copy_field,
/// write_metadata as an action).
const ACTIONS: &[&str] = &[
    "Output",
    "OutputTrunc",
    "OutputReg",
    "Controller",
    "Group",
    "Bundle",
    "Multipath",
    "SetQueue",
    "PopQueue",
    "PushVlan",
    "PopVlan",
    "PushMpls",
    "PopMpls",
    "Encap",
    "Decap",
    "SetMplsTtl",
    "DecMplsTtl",
    "SetNwTtl",
    "DecNwTtl",
    "DecTtlCntIds",
    "DecNshTtl",
    "SetField",
    "SetWideField",
    "RegLoad",
    "RegMove",
    "StackPush",
    "StackPop",
    "DeleteField",
    "CheckPktLarger",
    "Resubmit",
    "Clone",
    "Ct",
    "Nat",
    "CtClear",
    "Learn",
    "Conjunction",
    "FinTimeout",
    "Sample",
    "Exit",
    "Note",
];

/// Text turns a match of two or four registers at once into one of each.
fn is_wide_register(field: Field) -> bool {
    field.name().starts_with("xreg") || field.name().starts_with("xxreg")
}

/// Tunnel metadata without an option that it stands for.
fn is_unmapped(field: Field) -> bool {
    field.is_wide() && field != field::TUN_METADATA0
}

const INSTRUCTIONS: &[&str] =
    &["GotoTable", "WriteMetadata", "WriteActions", "ApplyActions", "ClearActions", "Meter"];

/// Fields that no case can match, and why.
const NOT_MATCHED: &[(Field, &str)] = &[
    (field::DP_HASH, "a trace does not follow the packet that has one"),
    (field::RECIRC_ID, "flows of OpenFlow cannot match it"),
    (
        field::CT_TP_SRC,
        "a trace does not know the first packet of a connection, and 0 is no protocol with ports",
    ),
    (field::CT_TP_DST, "as ct_tp_src"),
    (field::NX_IN_PORT, "Open vSwitch tells it as OXM_OF_IN_PORT"),
    (field::NW_TOS, "Open vSwitch tells it as ip_dscp"),
    (field::IN_PHY_PORT, "Open vSwitch does not know it"),
    (field::TUN_ERSPAN_VER, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::TUN_ERSPAN_DIR, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::TUN_ERSPAN_HWID, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::TUN_GTPU_FLAGS, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::TUN_GTPU_MSGTYPE, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::CT_NW_PROTO, "ovs-ofctl does not match its zero, which is what packets have here"),
    (field::PBB_ISID, "Open vSwitch does not know it"),
    (field::IPV6_EXTHDR, "Open vSwitch does not know it"),
];

/// Fields that no case can set, and why.
const NOT_SET: &[(Field, &str)] = &[
    (field::PBB_ISID, "Open vSwitch does not know it"),
    (field::IN_PORT, "Open vSwitch refuses to set it under this name"),
];
