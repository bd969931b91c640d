//! The switch itself: features, configuration and tables.

use anyhow::{Result, bail};
use flowlib::openflow::multipart::TableStats;
use flowlib::openflow::{Message, MultipartReplyBody};
use flowlib::pipeline::table::Table;

use super::ports::bit_names;

/// OFPC_ bits. Source: OpenFlow 1.3.5 §7.3.1.
const CAPABILITIES: &[(u32, &str)] = &[
    (0, "FLOW_STATS"),
    (1, "TABLE_STATS"),
    (2, "PORT_STATS"),
    (3, "GROUP_STATS"),
    (5, "IP_REASM"),
    (6, "QUEUE_STATS"),
    (8, "PORT_BLOCKED"),
];

/// What the switch says of itself.
pub(super) fn format_features(message: &Message) -> Result<String> {
    let Message::FeaturesReply(features) = message else {
        bail!("the switch answered with something else than its features");
    };
    let capabilities = bit_names(features.capabilities, CAPABILITIES);
    Ok(format!(
        "OFPT_FEATURES_REPLY (OF1.3): dpid:{}\nn_tables:{}, n_buffers:{}\ncapabilities: {capabilities}\n",
        features.datapath_id, features.n_tables, features.n_buffers
    ))
}

/// How the switch is set.
pub(super) fn format_config(message: &Message) -> Result<String> {
    let Message::GetConfigReply(config) = message else {
        bail!("the switch answered with something else than its configuration");
    };
    let fragments = match config.flags & 3 {
        0 => "normal",
        1 => "drop",
        2 => "reassemble",
        _ => "nx-match",
    };
    Ok(format!("OFPT_GET_CONFIG_REPLY (OF1.3): frags={fragments} miss_send_len={}\n", config.miss_send_len))
}

/// How full the tables are. Tables like the one before them are put together; with names, only tables of the
/// pipeline are shown, each by itself.
pub(super) fn format_tables(body: MultipartReplyBody, names: bool) -> Result<String> {
    let MultipartReplyBody::Table(mut tables) = body else {
        bail!("the switch answered with something else than tables");
    };
    tables.sort_by_key(|table| table.table);
    let mut blocks = Vec::new();
    let counters = |table: &TableStats| (table.active_count, table.lookup_count, table.matched_count);
    if names {
        for table in &tables {
            blocks.extend(Table::from_id(table.table).map(|known| format_table(known.name(), table)));
        }
    } else {
        for run in tables.chunk_by(|one, next| counters(one) == counters(next)) {
            let [first, rest @ ..] = run else { continue };
            blocks.push(format_table(&first.table.to_string(), first));
            match rest {
                [] => {}
                [only] => blocks.push(format!("  table {}: ditto\n", only.table)),
                [next, .., last] => {
                    blocks.push(format!("  tables {}...{}: ditto\n", next.table, last.table));
                }
            }
        }
    }
    Ok(format!("OFPST_TABLE reply (OF1.3):\n{}", blocks.join("\n")))
}

fn format_table(name: &str, table: &TableStats) -> String {
    format!(
        "  table {name}:\n    active={}, lookup={}, matched={}\n",
        table.active_count, table.lookup_count, table.matched_count
    )
}
