//! Flows, as text and as JSON.

use anyhow::{Result, bail};
use flowlib::openflow::oxm::field;
use flowlib::openflow::{FlowStats, MultipartReplyBody};
use flowlib::pipeline::drop_reason::DropReason;
use flowlib::pipeline::table::Table;
use flowlib::text::{format_flow, format_flow_stats, format_instructions, format_match};
use serde_json::{Value, json};

/// The flows of an answer.
pub(super) fn of_reply(body: MultipartReplyBody) -> Result<Vec<FlowStats>> {
    match body {
        MultipartReplyBody::Flow(stats) => Ok(stats),
        _ => bail!("the switch answered with something else than flows"),
    }
}

/// A line a flow, in the order of the switch.
pub(super) fn format(stats: &[FlowStats], names: bool, with_stats: bool) -> String {
    let mut text = String::new();
    for entry in stats {
        let mut line = if with_stats { format_flow_stats(entry) } else { format_flow(&entry.flow) };
        if names {
            let table = entry.flow.table;
            if let Some(name) = Table::from_id(table).map(Table::name) {
                line = line.replacen(&format!("table={table},"), &format!("table={name},"), 1);
            }
            if let Some(reason) = drop_reason(entry) {
                line.push_str(&format!(" # {}", reason.name()));
            }
        }
        text.push_str(&format!(" {line}\n"));
    }
    text
}

/// The reason whose packets a flow of the drop table counts.
fn drop_reason(entry: &FlowStats) -> Option<DropReason> {
    let number = entry.flow.flow_match.exact(field::REG7)?.to_u32();
    (Table::from_id(entry.flow.table) == Some(Table::Drop)).then(|| DropReason::from_number(number))?
}

/// A list with an object a flow; match and actions are text.
pub(super) fn to_json(stats: &[FlowStats], names: bool) -> Result<String> {
    let list: Vec<Value> = stats.iter().map(|entry| object(entry, names)).collect();
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

fn object(entry: &FlowStats, names: bool) -> Value {
    let flow = &entry.flow;
    let mut object = json!({
        "table": flow.table.0,
        "priority": flow.priority.0,
        "cookie": flow.cookie.to_string(),
        "match": format_match(&flow.flow_match),
        "actions": format_instructions(&flow.instructions),
        "duration_s": entry.duration().as_secs_f64(),
        "n_packets": entry.packet_count,
        "n_bytes": entry.byte_count,
        "idle_timeout_s": flow.idle_timeout_s,
        "hard_timeout_s": flow.hard_timeout_s,
    });
    if names {
        object["table_name"] = json!(Table::from_id(flow.table).map(Table::name));
        object["drop_reason"] = json!(drop_reason(entry).map(DropReason::name));
    }
    object
}
