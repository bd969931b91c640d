//! `trace`: what a switch would do with a packet, by the software switch of flowlib.
//!
//! Flows, groups, meters and ports come from files, or from a switch over OpenFlow. Nothing is changed and nothing is
//! sent; what a flow would learn is forgotten.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use flowlib::emulate::{Input, Node, NodeKind, Output as Sent, Pass, Port, Switch as Emulated};
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::oxm::Field;
use flowlib::openflow::port::{PortConfig, PortState};
use flowlib::openflow::{
    FlowModCommand, FlowStatsRequest, Message, MultipartReplyBody, MultipartRequestBody,
};
use flowlib::packet::{Key, Packet, compose_with_payload};
use flowlib::text::{
    Names, ParseError, Style, format_key, parse_flow_filter, parse_flow_mod, parse_group_mod, parse_packet,
};
use flowlib::types::{MeterId, PortNo};
use serde_json::{Value, json};

use super::ask::{ask, ask_optional, multipart};
use super::file::{BadText, Lines};
use super::globals::{Globals, Output};
use super::link::Target;
use super::ours;
use super::out::Out;
use super::switch::Switch;

/// What is traced, and through what.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// The switch (not with --flows), the packet's fields as in a flow, and perhaps the packet in hexadecimal
    #[arg(required = true, num_args = 1..=3, value_name = "[SWITCH] FLOW [PACKET]")]
    words: Vec<String>,
    /// Take the flows of a file and not those of a switch; -: standard input
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
    /// Take the groups of a file
    #[arg(long, value_name = "FILE", requires = "flows")]
    groups: Option<PathBuf>,
    /// The state in which the packet comes back from the connection tracker: trk,new or trk,est,rpl; for each time
    #[arg(long, value_name = "STATE")]
    ct_next: Vec<String>,
    /// Make a packet of the fields, with 64 bytes in it
    #[arg(long)]
    generate: bool,
}

/// Traces a packet and prints its way.
///
/// # Errors
/// What cannot be read, and a [`Failure`](super::link::Failure) of the switch.
pub(super) fn trace(globals: &Globals, trace: &Trace) -> Result<()> {
    let (mut emulated, words, is_ours) = match &trace.flows {
        Some(flows) => (from_files(flows, trace.groups.as_deref())?, trace.words.as_slice(), false),
        None => {
            let [target, words @ ..] = trace.words.as_slice() else {
                bail!("trace needs a switch and a flow")
            };
            let target: Target = target.parse()?;
            let switch = Switch::new(&target, globals);
            (from_switch(&switch)?, words, switch.globals.takes_names() && switch.is_ours()?)
        }
    };
    let mut names = Names::new();
    for port in emulated.ports.values() {
        names.add_port(port.number, &port.name);
    }
    let names = Some(names).filter(|_| globals.takes_names());
    let (flow, packet) = match words {
        [flow] => (flow, None),
        [flow, packet] => (flow, Some(packet)),
        _ => bail!("trace takes a flow and at most one packet"),
    };
    let printed = names.clone().filter(|_| globals.prints_names());
    let mut input = input(trace, flow, packet.map(String::as_str), names.as_ref())?;
    input.names = printed.clone();
    let mut outcome = emulated.run(&input);
    if is_ours && printed.is_some() {
        let nodes = outcome.passes.iter_mut().flat_map(|pass| &mut pass.trace);
        nodes.for_each(|node| name_table(node, &emulated));
    }
    let mut out = Out::default();
    match globals.output {
        Output::Text => {
            let style = Style { colors: None, ..globals.style(printed.as_ref()) };
            out.text().push_str(&outcome.format(style));
        }
        Output::Json => {
            let passes: Vec<_> =
                outcome.passes.iter().map(|pass| pass_json(pass, printed.as_ref())).collect();
            out.text().push_str(&serde_json::to_string_pretty(&passes)?);
            out.text().push('\n');
        }
    }
    out.flush()
}

/// The packet that is meant.
fn input(trace: &Trace, flow: &str, packet: Option<&str>, names: Option<&Names>) -> Result<Input> {
    let filter = parse_flow_filter(flow, names).map_err(|error| BadText::argument(flow, error))?;
    let mut key = Key::default();
    for entry in filter.flow_match.iter() {
        if entry.mask.is_some() {
            bail!("{flow}: {} has a mask, and a packet has one value of it", entry.field);
        }
        key.set(entry.field, entry.value);
    }
    for entry in filter.flow_match.wide() {
        key.set_option(entry.field, entry.value.clone());
    }
    let frame = match packet {
        Some(packet) => {
            let frame = parse_packet(packet).map_err(|error| BadText::argument(packet, error))?;
            let headers = Packet::parse_limited(&frame, 1).key;
            key.take_headers(&headers);
            Some(frame)
        }
        None if trace.generate => Some(compose_with_payload(&key, &(0..64).collect::<Vec<_>>())),
        None => None,
    };
    let ct_states = Some(trace.ct_next.iter().map(|text| ct_state(text)).collect::<Result<_>>()?);
    Ok(Input { key, has_side_effects: frame.is_some(), frame, ct_states, ..Input::default() })
}

/// Flags of `ct_state` with commas between them.
fn ct_state(text: &str) -> Result<u32> {
    const NAMES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
    let mut state = 0;
    for word in text.split([',', '|', ' ']).filter(|word| !word.is_empty()) {
        match NAMES.iter().position(|name| *name == word) {
            Some(bit) => state |= 1 << bit,
            None => bail!("{word}: not a flag of ct_state, which are {}", NAMES.join(", ")),
        }
    }
    Ok(state)
}

/// A switch with the flows and groups of files. It has every port that is spoken of.
fn from_files(flows: &Path, groups: Option<&Path>) -> Result<Emulated> {
    let mut emulated = Emulated::new("br0");
    for flow in read(flows, |text| parse_flow_mod(text, Some(FlowModCommand::ADD), None))? {
        emulated.add_flow(flow.flow_mod.into_flow());
    }
    if let Some(groups) = groups {
        for change in read(groups, |text| parse_group_mod(text, Some(GroupCommand::ADD), None))? {
            emulated.add_group(change.group);
        }
    }
    emulated.add_port(Port::new(PortNo::LOCAL, "LOCAL"));
    emulated.has_all_ports = true;
    Ok(emulated)
}

/// What each line of a file says; the first lines of dumps say nothing.
fn read<T: Send>(path: &Path, parse: impl Fn(&str) -> Result<T, ParseError> + Sync) -> Result<Vec<T>> {
    let lines = Lines::read(path)?;
    let pieces = lines.in_pieces(|piece| {
        let said = piece.filter(|line| !line.text.starts_with("OFPST_") && !line.text.starts_with("NXST_"));
        said.map(|line| parse(line.text).map_err(|error| lines.bad(line, error).into()))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(pieces.into_iter().flatten().collect())
}

/// A switch with what another one tells of itself.
fn from_switch(switch: &Switch<'_>) -> Result<Emulated> {
    let mut emulated = Emulated::new(switch.target().to_string());
    let mut connection = switch.open()?;
    for (request, is_optional) in [
        (MultipartRequestBody::PortDesc, false),
        (MultipartRequestBody::GroupDesc, true),
        (MultipartRequestBody::MeterConfig(MeterId::ALL), true),
        (MultipartRequestBody::Flow(FlowStatsRequest::default()), false),
    ] {
        let request = multipart(request)?;
        let take = |part: &[u8]| {
            if let (_, Message::MultipartReply(reply)) = Message::decode(part)? {
                take(&mut emulated, reply.body);
            }
            Ok(())
        };
        if is_optional {
            ask_optional(&mut connection, &request, take)?;
        } else {
            ask(&mut connection, &request, take)?;
        }
    }
    Ok(emulated)
}

fn take(emulated: &mut Emulated, body: MultipartReplyBody) {
    match body {
        MultipartReplyBody::PortDesc(ports) => {
            for port in ports {
                if port.port == PortNo::LOCAL {
                    emulated.name = port.name.to_string();
                }
                emulated.add_port(Port {
                    is_live: !port.state.contains(PortState::LINK_DOWN),
                    no_recv: port.config.contains(PortConfig::NO_RECV),
                    no_fwd: port.config.contains(PortConfig::NO_FWD),
                    ..Port::new(port.port, port.name.to_string())
                });
            }
        }
        MultipartReplyBody::GroupDesc(groups) => {
            groups.into_iter().for_each(|group| emulated.add_group(group))
        }
        MultipartReplyBody::MeterConfig(meters) => {
            meters.into_iter().for_each(|meter| emulated.add_meter(meter))
        }
        MultipartReplyBody::Flow(flows) => flows.into_iter().for_each(|stats| emulated.add_flow(stats.flow)),
        _ => {}
    }
}

/// Adds to a table its name, and to its flow what the registers mean.
fn name_table(node: &mut Node, emulated: &Emulated) {
    if let NodeKind::Table { table, priority, cookie } = &node.kind {
        let name =
            flowlib::pipeline::table::Table::from_id(*table).map(flowlib::pipeline::table::Table::name);
        if let (Some(name), Some((number, rest))) = (name, node.text.split_once(". ")) {
            node.text = format!("{number} ({name}). {rest}");
        }
        let flows = emulated.tables.get(table).into_iter().flat_map(|table| table.iter());
        let mut flows = flows.map(|entry| &entry.flow).filter(|flow| {
            Some(flow.priority) == *priority
                && Some(flow.cookie) == *cookie
                && node
                    .text
                    .contains(&format!(" {}, priority ", flowlib::text::format_match(&flow.flow_match)))
        });
        if let Some(flow) = flows.next() {
            ours::print_remark(&mut node.text, flow);
        }
    }
}

fn pass_json(pass: &Pass, names: Option<&Names>) -> Value {
    let to_controller: Vec<_> = pass
        .to_controller
        .iter()
        .map(|told| {
            json!({
                "reason": told.reason.to_string(), "table": told.table, "cookie": told.cookie,
                "max_len": told.max_len, "controller_id": told.controller_id, "paused": told.is_paused,
                "flow": format_key(&told.key),
            })
        })
        .collect();
    let outputs: Vec<_> = pass.outputs.iter().map(|sent| output_json(sent, names)).collect();
    let resumed = pass.resumed.as_ref().map(|resumed| {
        json!({ "recirc_id": resumed.recirc_id, "reason": format!("{:?}", resumed.reason).to_lowercase() })
    });
    json!({
        "resumed": resumed,
        "flow": format_key(&pass.initial),
        "trace": pass.trace,
        "final_flow": format_key(&pass.last),
        "outputs": outputs,
        "to_controller": to_controller,
        "datapath_actions": pass.format_actions(names),
        "hypothetical": pass.is_hypothetical,
        "failure": pass.failure.map(|failure| failure.to_string()),
    })
}

fn output_json(sent: &Sent, names: Option<&Names>) -> Value {
    let tunnel: HashMap<_, _> = TUNNEL
        .iter()
        .map(|field| (field.name(), sent.key.get(*field)))
        .filter(|(_, value)| value.to_u128() != 0)
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    json!({
        "port": sent.port, "name": names.and_then(|names| names.port_name(sent.port)),
        "flow": format_key(&sent.key), "queue": sent.key.queue, "max_len": sent.max_len, "tunnel": tunnel,
    })
}

/// What of a tunnel an output shows.
const TUNNEL: [Field; 6] = [
    flowlib::openflow::oxm::field::TUNNEL_ID,
    flowlib::openflow::oxm::field::TUN_IPV4_SRC,
    flowlib::openflow::oxm::field::TUN_IPV4_DST,
    flowlib::openflow::oxm::field::TUN_IPV6_SRC,
    flowlib::openflow::oxm::field::TUN_IPV6_DST,
    flowlib::openflow::oxm::field::TUN_FLAGS,
];
