//! The tables, registers and drop reasons as Markdown, for `docs/pipeline.md`.

use std::fmt::Write;

use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::register::REGISTERS;
use crate::pipeline::table::TABLES;

/// The list of tables.
#[must_use]
pub fn tables() -> String {
    let mut out =
        String::from("| table | name | decides | flows are of | on a miss |\n|---|---|---|---|---|\n");
    for d in &TABLES {
        writeln!(out, "| {} | {} | {} | {} | {} |", d.table.id(), d.name, d.decides, d.segments, d.miss)
            .expect("a String takes all that is written");
    }
    out
}

/// The list of registers.
#[must_use]
pub fn registers() -> String {
    let mut out = String::from("| register | holds | values | from | to |\n|---|---|---|---|---|\n");
    for r in &REGISTERS {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            r.field.name(),
            r.name,
            r.values,
            r.from.name(),
            r.to.name()
        )
        .expect("a String takes all that is written");
    }
    out
}

/// The list of drop reasons.
#[must_use]
pub fn drop_reasons() -> String {
    let mut out = String::from("| reg7 | reason | meaning |\n|---|---|---|\n");
    for r in DropReason::ALL {
        writeln!(out, "| {} | {} | {} |", r.number(), r.name(), r.meaning())
            .expect("a String takes all that is written");
    }
    out
}
