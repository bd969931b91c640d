//! Tables: how full they are.

use super::super::printer::Printer;
use super::{Received, Result, put};
use crate::openflow::TableMod;
use crate::openflow::multipart::TableStats;
use crate::types::TableId;

pub(super) fn format_mod(p: &mut Printer<'_>, change: &TableMod) -> Result {
    match change.table {
        TableId::ALL => p.push_str(" table_id: ALL_TABLES"),
        table => {
            p.push_str(" table_id=");
            p.table(table);
        }
    }
    Ok(())
}

/// Tables like the one before them, which are put together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ditto(Option<(TableId, TableId)>);

impl Ditto {
    /// One more.
    pub(super) fn add(&mut self, table: TableId) {
        let first = self.0.map_or(table, |(first, _)| first);
        self.0 = Some((first, table));
    }

    /// Appends them, if there are any, and begins anew.
    pub(super) fn finish(&mut self, p: &mut Printer<'_>) {
        match self.0.take() {
            None => {}
            Some((first, last)) if first == last => put(p, format_args!("\n  table {first}: ditto\n")),
            Some((first, last)) => put(p, format_args!("\n  tables {first}...{last}: ditto\n")),
        }
    }
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let mut ditto = Ditto::default();
    let mut previous: Option<TableStats> = None;
    let counters = |stats: &TableStats| (stats.active_count, stats.lookup_count, stats.matched_count);
    let result = message.read_list(|stats: TableStats| {
        if previous.is_some_and(|previous| counters(&previous) == counters(&stats)) {
            ditto.add(stats.table);
        } else {
            ditto.finish(p);
            put(p, format_args!("\n  table {}:\n    active={}, ", stats.table, stats.active_count));
            put(p, format_args!("lookup={}, matched={}\n", stats.lookup_count, stats.matched_count));
        }
        previous = Some(stats);
        Ok(())
    });
    ditto.finish(p);
    result
}
