//! Which function does which command.

use std::process::ExitCode;

use anyhow::{Result, bail};
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::{
    FlowModCommand, FlowStatsRequest, Message, MultipartRequestBody, QueueStatsRequest, queue,
};
use flowlib::text::{parse_flow_filter, parse_group_mod, parse_meter};
use flowlib::types::{GroupId, MeterId, PortNo};

use super::arguments::Command;
use super::dump::{self, dump_multipart};
use super::file::BadText;
use super::globals::{Globals, Output};
use super::switch::Switch;
use super::{change, echo, manual, monitor, offline, settings, sort, table, trace};

/// Does what the command says.
///
/// # Errors
/// Whatever goes wrong, in words for the user.
pub(super) fn run(globals: &Globals, command: &Command) -> Result<ExitCode> {
    let at = |target| Switch::new(target, globals);
    match command {
        Command::Show(only) => dump::show(&at(&only.switch))?,
        Command::DumpDesc(only) => dump_multipart(&at(&only.switch), MultipartRequestBody::Desc)?,
        Command::DumpTables(only) => dump_multipart(&at(&only.switch), MultipartRequestBody::Table)?,
        Command::DumpTableFeatures(only) => dump::table_features(&at(&only.switch))?,
        Command::DumpTableDesc(_) => {
            bail!("dump-table-desc needs OpenFlow 1.4 or later, and only OpenFlow13 is spoken here")
        }
        Command::DumpPorts(of) => {
            let switch = at(&of.switch);
            let port = match of.port.as_deref() {
                // Not all of them, but the port of that name, which has no counters.
                Some(all) if all.eq_ignore_ascii_case("all") => PortNo::ALL,
                other => port(&switch, other)?,
            };
            dump_multipart(&switch, MultipartRequestBody::PortStats(port))?;
        }
        Command::DumpPortsDesc(of) => {
            let switch = at(&of.switch);
            // OpenFlow 1.3 asks for all of them, but a port must be one.
            port(&switch, of.port.as_deref())?;
            dump_multipart(&switch, MultipartRequestBody::PortDesc)?;
        }
        Command::DumpFlows(of) => dump_flows(&at(&of.switch), of.flow.as_deref())?,
        Command::DumpAggregate(of) => {
            let switch = at(&of.switch);
            let flows = filter(&switch, of.flow.as_deref())?;
            dump_multipart(&switch, MultipartRequestBody::Aggregate(flows))?;
        }
        Command::DumpGroups(of) => {
            // OpenFlow 1.3 asks for all groups, whichever is named.
            if let Some(text) = of.item.as_deref().filter(|text| !is_group(text)) {
                eprintln!("ofctl: {text}: not a group, which is a number, ANY or ALL; all are shown");
            }
            dump_multipart(&at(&of.switch), MultipartRequestBody::GroupDesc)?;
        }
        Command::DumpGroupStats(of) => {
            let switch = at(&of.switch);
            let group = group_of(&switch, of.item.as_deref())?;
            dump_multipart(&switch, MultipartRequestBody::GroupStats(group))?;
        }
        Command::DumpGroupFeatures(only) => {
            dump_multipart(&at(&only.switch), MultipartRequestBody::GroupFeatures)?
        }
        Command::DumpMeters(of) => {
            let meter = meter_of(of.item.as_deref())?;
            dump_multipart(&at(&of.switch), MultipartRequestBody::MeterConfig(meter))?;
        }
        Command::MeterStats(of) => {
            let meter = meter_of(of.item.as_deref())?;
            dump_multipart(&at(&of.switch), MultipartRequestBody::MeterStats(meter))?;
        }
        Command::MeterFeatures(only) => {
            dump_multipart(&at(&only.switch), MultipartRequestBody::MeterFeatures)?
        }
        Command::QueueStats(of) => {
            let switch = at(&of.switch);
            let port = port(&switch, of.port.as_deref())?;
            let queue = queue_of(of.queue.as_deref())?;
            dump_multipart(&switch, MultipartRequestBody::QueueStats(QueueStatsRequest { port, queue }))?;
        }
        Command::QueueGetConfig(of) => {
            let switch = at(&of.switch);
            let port = port(&switch, of.port.as_deref())?;
            // OpenFlow 1.3 asks for all queues, but a queue must be one.
            queue_of(of.queue.as_deref())?;
            dump::dump(&switch, &Message::QueueGetConfigRequest(port))?;
        }
        Command::DumpIpfixBridge(only) => {
            dump_multipart(&at(&only.switch), MultipartRequestBody::IpfixBridge)?
        }
        Command::DumpIpfixFlow(only) => dump_multipart(&at(&only.switch), MultipartRequestBody::IpfixFlow)?,
        Command::DumpTlvMap(only) => dump::dump(&at(&only.switch), &Message::NxTlvTableRequest)?,

        Command::AddFlow(of) => change::flow::one(&at(&of.switch), Some(&of.item), FlowModCommand::ADD)?,
        Command::AddFlows(of) => change::flow::file(&at(&of.switch), &of.file, FlowModCommand::ADD)?,
        Command::ModFlows(of) => {
            let command = if globals.strict { FlowModCommand::MODIFY_STRICT } else { FlowModCommand::MODIFY };
            change::flow::one(&at(&of.switch), Some(&of.item), command)?;
        }
        Command::DelFlows(of) => {
            let command = if globals.strict { FlowModCommand::DELETE_STRICT } else { FlowModCommand::DELETE };
            change::flow::one(&at(&of.switch), of.item.as_deref(), command)?;
        }
        Command::ReplaceFlows(of) => table::replace(&at(&of.switch), &of.file)?,
        Command::DiffFlows { source1, source2 } => {
            return Ok(if table::diff(globals, [source1, source2])? {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            });
        }
        Command::AddGroup(of) => change::group::one(&at(&of.switch), of.item.as_deref(), GroupCommand::ADD)?,
        Command::AddGroups(of) => change::group::file(&at(&of.switch), &of.file, GroupCommand::ADD)?,
        Command::ModGroup(of) => {
            let command = if globals.may_create { GroupCommand::ADD_OR_MODIFY } else { GroupCommand::MODIFY };
            change::group::one(&at(&of.switch), of.item.as_deref(), command)?;
        }
        Command::DelGroups(of) => {
            change::group::one(&at(&of.switch), of.item.as_deref(), GroupCommand::DELETE)?
        }
        Command::InsertBuckets(_) => {
            bail!("insert-bucket needs OpenFlow 1.5 or later, and only OpenFlow13 is spoken here")
        }
        Command::RemoveBuckets(_) => {
            bail!("remove-bucket needs OpenFlow 1.5 or later, and only OpenFlow13 is spoken here")
        }
        Command::AddMeter(of) => change::meter::one(&at(&of.switch), Some(&of.item), MeterCommand::ADD)?,
        Command::AddMeters(of) => change::meter::file(&at(&of.switch), &of.file, MeterCommand::ADD)?,
        Command::ModMeter(of) => change::meter::one(&at(&of.switch), Some(&of.item), MeterCommand::MODIFY)?,
        Command::DelMeters(of) => {
            change::meter::one(&at(&of.switch), of.item.as_deref(), MeterCommand::DELETE)?
        }
        Command::ModPort { switch, port, action } => settings::mod_port(&at(switch), port, action)?,
        Command::ModTable { switch, table, setting } => settings::mod_table(&at(switch), table, setting)?,
        Command::GetFrags(only) => settings::get_frags(&at(&only.switch))?,
        Command::SetFrags { switch, mode } => settings::set_frags(&at(switch), mode)?,
        Command::PacketOut { switch, packet_out } => change::packet_out::send(&at(switch), packet_out)?,
        Command::Bundle(of) => change::bundle::file(&at(&of.switch), &of.file)?,
        Command::AddTlvMap(of) => change::tlv_map::add(&at(&of.switch), &of.item)?,
        Command::DelTlvMap(of) => change::tlv_map::del(&at(&of.switch), of.item.as_deref())?,
        Command::CtFlush { switch, which } => change::conntrack::flush(&at(switch), which)?,
        Command::CtFlushZone { switch, zone } => change::conntrack::flush_zone(&at(switch), zone)?,

        Command::Monitor { switch, words } => match monitor::monitor(&at(switch), words)? {},
        Command::Snoop(only) => match monitor::snoop(&at(&only.switch))? {},
        Command::Probe { target } => echo::probe(&at(target))?,
        Command::Ping { target, n } => echo::ping(&at(target), *n)?,
        Command::Benchmark { target, n, count } => echo::benchmark(&at(target), *n, *count)?,
        Command::OfpPrint { hex, verbosity } => offline::print_hex(globals, hex, verbosity.as_deref())?,
        Command::OfpParse { file } => offline::parse_messages(globals, file)?,
        Command::OfpParsePcap { file, ports } => offline::parse_capture(globals, file, ports)?,
        Command::ParseFlow { flow } => offline::parse_flow(globals, flow)?,
        Command::ParseFlows { file } => offline::parse_flows(globals, file)?,
        Command::ParseGroup { group } => offline::parse_group(globals, group)?,
        Command::ParseActions { protocol } => {
            offline::print_parts(globals, protocol, offline::Kind::Actions)?;
        }
        Command::ParseInstructions { protocol } => {
            offline::print_parts(globals, protocol, offline::Kind::Instructions)?;
        }
        Command::Trace(of) => trace::trace(globals, of)?,
        Command::ListCommands => manual::list_commands()?,
        Command::Completions { shell } => manual::completions(*shell)?,
        Command::Man => manual::page()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `dump-flows`: as messages, or flow by flow if they are printed in another way than the messages are.
fn dump_flows(switch: &Switch<'_>, flow: Option<&str>) -> Result<()> {
    let flows = filter(switch, flow)?;
    let globals = switch.globals;
    let is_plain = globals.criteria().is_empty() && !globals.prints_names() && globals.prints_stats();
    if is_plain || globals.output == Output::Json {
        dump_multipart(switch, MultipartRequestBody::Flow(flows))
    } else {
        sort::dump(switch, flows)
    }
}

/// Which flows are meant.
fn filter(switch: &Switch<'_>, flow: Option<&str>) -> Result<FlowStatsRequest> {
    let Some(flow) = flow.filter(|flow| !flow.is_empty()) else {
        return Ok(FlowStatsRequest::default());
    };
    let filter = switch.parse(|names| parse_flow_filter(flow, names))?;
    filter.map_err(|error| BadText::argument(flow, error).into())
}

/// The port that is meant; without one, all.
fn port(switch: &Switch<'_>, port: Option<&str>) -> Result<PortNo> {
    match port {
        None | Some("") => Ok(PortNo::ANY),
        Some(port) if port.eq_ignore_ascii_case("all") => Ok(PortNo::ANY),
        Some(port) => dump::port(switch, port),
    }
}

fn is_group(text: &str) -> bool {
    text.parse::<u32>().is_ok() || ["any", "all"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The queue that is meant; without one, all.
fn queue_of(queue: Option<&str>) -> Result<u32> {
    match queue {
        None | Some("") => Ok(queue::ALL),
        Some(queue) if queue.eq_ignore_ascii_case("all") || queue.eq_ignore_ascii_case("any") => {
            Ok(queue::ALL)
        }
        Some(queue) => queue.parse().map_err(|_| anyhow::anyhow!("{queue}: not the number of a queue")),
    }
}

/// The group that is meant; without one, all.
fn group_of(switch: &Switch<'_>, group: Option<&str>) -> Result<GroupId> {
    let text = group.unwrap_or_default();
    let parsed = switch.parse(|names| parse_group_mod(text, Some(GroupCommand::DELETE), names))?;
    Ok(parsed.map_err(|error| BadText::argument(text, error))?.group.group)
}

/// The meter that is meant; without one, all.
fn meter_of(meter: Option<&str>) -> Result<MeterId> {
    let Some(text) = meter else { return Ok(MeterId::ALL) };
    parse_meter(text).map_err(|error| BadText::argument(text, error).into())
}
