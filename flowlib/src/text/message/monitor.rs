//! Flow monitors and what they report.

use super::super::error::{ParseError, Piece, Problem};
use super::super::flow_match::MatchWords;
use super::super::names::Names;
use super::super::port::{parse_port, parse_table};
use super::super::printer::Printer;
use super::super::{flow_match, instruction};
use super::{Received, Result, port, put};
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::multipart::{FlowEvent, FlowUpdate, MonitorFlags, MonitorRequest};
use crate::openflow::{Instruction, Match, refusal};
use crate::types::{Cookie, TableId};

const FLAGS: &[(MonitorFlags, &str)] = &[
    (MonitorFlags::INITIAL, "initial"),
    (MonitorFlags::ADD, "add"),
    (MonitorFlags::DELETE, "delete"),
    (MonitorFlags::MODIFY, "modify"),
    (MonitorFlags::INSTRUCTIONS, "actions"),
    (MonitorFlags::OWN, "own"),
];

pub(super) fn format_requests(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    message.read_list(|request: MonitorRequest| {
        if let Some(out_port) = request.out_port {
            port::check_no(out_port)?;
        }
        refusal::fields(&request.flow_match)?;
        put(p, format_args!("\n id={} flags=", request.monitor));
        let mut separator = "";
        for (_, name) in FLAGS.iter().filter(|(flag, _)| request.flags.contains(*flag)) {
            p.push_str(separator);
            p.push_str(name);
            separator = ",";
        }
        if let Some(out_port) = request.out_port {
            p.push_str(" out_port=");
            p.port(out_port);
        }
        if request.table != TableId::ALL {
            p.push_str(" table=");
            p.table(request.table);
        }
        format_match(p, &request.flow_match);
        Ok(())
    })
}

fn format_match(p: &mut Printer<'_>, flow_match: &Match) {
    if !flow_match.is_empty() {
        p.push_str(" ");
        flow_match::format(p, flow_match::DEFAULT_PRIORITY, flow_match);
    }
}

pub(super) fn format_updates(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    message.read_list(|update: FlowUpdate| {
        if let FlowUpdate::Full { flow_match, instructions, .. } = &update {
            refusal::fields(flow_match)?;
            refusal::instructions(instructions)?;
        }
        match &update {
            FlowUpdate::Abbreviated(xid) => put(p, format_args!("\n event=ABBREV xid={xid}")),
            FlowUpdate::Full { .. } => format_full(p, &update),
        }
        Ok(())
    })
}

fn format_full(p: &mut Printer<'_>, update: &FlowUpdate) {
    let FlowUpdate::Full {
        event,
        reason,
        idle_timeout_s,
        hard_timeout_s,
        table,
        cookie,
        flow_match,
        instructions,
        ..
    } = update
    else {
        return;
    };
    put(p, format_args!("\n event={event}"));
    if *event == FlowEvent::DELETED {
        p.push_str(" reason=");
        match u8::try_from(*reason).ok().and_then(|reason| FlowRemovedReason(reason).name()) {
            Some(name) => p.push_str(name),
            None => put(p, format_args!("{reason}")),
        }
    }
    p.push_str(" table=");
    p.table(*table);
    for (name, timeout) in [("idle_timeout", idle_timeout_s), ("hard_timeout", hard_timeout_s)] {
        if *timeout != 0 {
            put(p, format_args!(" {name}={timeout}"));
        }
    }
    p.push_str(" cookie=");
    match cookie {
        Cookie(0) => p.push_str("0"),
        cookie => put(p, format_args!("{cookie}")),
    }
    p.push_str(" ");
    flow_match::format(p, flow_match::DEFAULT_PRIORITY, flow_match);
    let has_actions = |instruction: &Instruction| !matches!(instruction, Instruction::ApplyActions(actions) if actions.is_empty());
    if instructions.iter().any(has_actions) {
        p.push_str(if p.text().ends_with(' ') { "actions=" } else { " actions=" });
        instruction::format_list(p, instructions);
    }
}

/// Reads which flows `monitor` is to watch, and what of them: a match, `table`, `out_port`, and `!initial`, `!add`,
/// `!delete`, `!modify`, `!actions` or `!own` for what is not to be reported. Its number is 0.
///
/// # Errors
/// Says at which column what is wrong.
///
/// Source: `parse_flow_monitor_request__` in `lib/ofp-monitor.c` of Open vSwitch 3.1.
pub fn parse_flow_monitor(
    text: &str,
    names: Option<&Names>,
) -> std::result::Result<MonitorRequest, ParseError> {
    let mut request = MonitorRequest {
        monitor: 0,
        flags: FLAGS.iter().fold(MonitorFlags::empty(), |all, (flag, _)| all | *flag),
        out_port: None,
        table: TableId::ALL,
        flow_match: Match::new(),
    };
    let mut words = MatchWords::default();
    for (key, value) in Piece::new(text).key_values() {
        let negated = key.text().strip_prefix('!');
        if let Some((flag, _)) = FLAGS.iter().find(|(_, name)| negated == Some(name)) {
            request.flags.remove(*flag);
        } else if !words.shorthand(key.text()) && !words.field(key, value, names)? {
            let needed = || if value.is_empty() { Err(key.error(Problem::MissingValue)) } else { Ok(value) };
            match key.text() {
                "table" => request.table = parse_table(needed()?, names)?,
                "out_port" => request.out_port = Some(parse_port(needed()?, names)?),
                // What OpenFlow 1.4 can ask for beside.
                "out_group" => return Err(key.error(Problem::Misplaced)),
                _ => return Err(key.error(Problem::UnknownField)),
            }
        }
    }
    (request.flow_match, _) = words.finish();
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_flow;
    use crate::types::Priority;

    #[test]
    fn an_update_without_match_or_actions_ends_in_a_space() {
        let update = |text: &str| {
            let crate::openflow::Flow { table, cookie, flow_match, instructions, .. } =
                parse_flow(text).unwrap();
            let mut out = String::new();
            let (reason, idle_timeout_s, hard_timeout_s, priority) = (0, 0, 0, Priority(0));
            let event = FlowEvent::ADDED;
            format_full(
                &mut Printer::plain(&mut out),
                &FlowUpdate::Full {
                    event,
                    reason,
                    priority,
                    idle_timeout_s,
                    hard_timeout_s,
                    table,
                    cookie,
                    flow_match,
                    instructions,
                },
            );
            out
        };
        for (text, printed) in [
            ("actions=drop", ""),
            ("arp,actions=drop", "arp"),
            ("actions=output:1", "actions=output:1"),
            ("arp,actions=output:1", "arp actions=output:1"),
        ] {
            assert_eq!(update(text), format!("\n event=ADDED table=0 cookie=0 {printed}"), "{text}");
        }
    }

    #[test]
    fn a_monitor_watches_all_but_what_is_negated() {
        let request = parse_flow_monitor("!initial,!own,table=3,tcp,tp_dst=80,out_port=5", None).unwrap();
        assert!(!request.flags.intersects(MonitorFlags::INITIAL | MonitorFlags::OWN));
        assert!(request.flags.contains(MonitorFlags::ADD | MonitorFlags::INSTRUCTIONS));
        assert_eq!((request.table, request.flow_match.iter().count()), (TableId(3), 3));
        for (text, column) in
            [("table", 1), ("table=300", 7), ("!some", 1), ("out_group=1", 1), ("ip,nw_src=x", 11)]
        {
            assert_eq!(parse_flow_monitor(text, None).unwrap_err().column, column, "{text}");
        }
    }
}
