//! Flows and tables.

use flowlib::openflow::multipart::{FieldId, TableFeature};
use flowlib::openflow::{FlowStats, TableFeatures, TableStats};
use flowlib::pipeline::drop_reason::DropReason;
use flowlib::segment::id::SegmentId;
use flowlib::text::{Names, format_instructions, format_match};
use flowlib::types::TableId;
use serde_json::{Value, json};

use crate::ofctl::ours;

fn name(table: TableId, names: Option<&Names>) -> Value {
    json!(names.and_then(|names| names.table_name(table)))
}

/// A flow; in a bridge of Weir's also its segment, and the reason whose drops it counts.
pub(super) fn flow(stats: &FlowStats, names: Option<&Names>, is_ours: bool) -> Value {
    let flow = &stats.flow;
    let mut object = json!({
        "table": flow.table.0,
        "priority": flow.priority.0,
        "cookie": flow.cookie.to_string(),
        "match": format_match(&flow.flow_match),
        "actions": format_instructions(&flow.instructions),
        "flags": flow.flags.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
        "duration_s": stats.duration().as_secs_f64(),
        "n_packets": stats.packet_count,
        "n_bytes": stats.byte_count,
        "idle_timeout_s": flow.idle_timeout_s,
        "hard_timeout_s": flow.hard_timeout_s,
    });
    if names.is_some() {
        object["table_name"] = name(flow.table, names);
    }
    if is_ours {
        object["drop_reason"] = json!(ours::drop_reason(flow).map(DropReason::name));
        object["segment"] = json!(SegmentId::of(flow.cookie).map(|segment| segment.to_string()));
    }
    object
}

pub(super) fn stats(stats: &TableStats, names: Option<&Names>) -> Value {
    json!({
        "table": stats.table.0,
        "name": name(stats.table, names),
        "active": stats.active_count,
        "lookup": stats.lookup_count,
        "matched": stats.matched_count,
    })
}

/// What a table can do; each property by its name, types of instructions and actions as numbers.
pub(super) fn features(table: &TableFeatures) -> Value {
    let field = |id: &FieldId| match id.field() {
        Some(field) if id.has_mask() => json!(format!("{}/mask", field.name())),
        Some(field) => json!(field.name()),
        None => json!(format!("{:#010x}", id.header)),
    };
    let mut object = json!({
        "table": table.table.0,
        "name": table.name.to_string(),
        "metadata_match": format!("{:#x}", table.metadata_match),
        "metadata_write": format!("{:#x}", table.metadata_write),
        "config": table.config,
        "max_entries": table.max_entries,
    });
    for property in &table.properties {
        let (feature_type, values): (_, Vec<Value>) = match property {
            TableFeature::Codes { feature_type, codes } => {
                (feature_type, codes.iter().map(|code| json!(code.code)).collect())
            }
            TableFeature::Tables { feature_type, tables } => {
                (feature_type, tables.iter().map(|table| json!(table.0)).collect())
            }
            TableFeature::Fields { feature_type, fields } => {
                (feature_type, fields.iter().map(field).collect())
            }
            TableFeature::Unknown(_) => continue,
        };
        object[feature_type.to_string().to_lowercase()] = json!(values);
    }
    object
}
