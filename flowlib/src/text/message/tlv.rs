//! Which options of tunnels are in which metadata fields.

use super::super::printer::Printer;
use super::{Result, put};
use crate::openflow::nicira::TlvTableCommand;
use crate::openflow::{TlvMap, TlvTable, TlvTableMod};

pub(super) fn format_mod(p: &mut Printer<'_>, change: &TlvTableMod) -> Result {
    put(p, format_args!("\n {}", change.command));
    if change.command != TlvTableCommand::CLEAR {
        format_maps(p, &change.maps);
    }
    Ok(())
}

pub(super) fn format_reply(p: &mut Printer<'_>, table: &TlvTable) -> Result {
    put(p, format_args!("\n max option space={} max fields={}", table.max_option_space, table.max_fields));
    let allocated: u32 = table.maps.iter().map(|map| u32::from(map.option_len)).sum();
    put(p, format_args!("\n allocated option space={allocated}\n\n"));
    format_maps(p, &table.maps);
    Ok(())
}

fn format_maps(p: &mut Printer<'_>, maps: &[TlvMap]) {
    p.push_str(" mapping table:\n");
    p.push_str("  class  type  length  match field\n");
    p.push_str(" ------  ----  ------  --------------");
    for map in maps {
        p.push_str("\n ");
        format_hex(p, map.option_class, 6);
        p.push_str("  ");
        format_hex(p, map.option_type.into(), 4);
        put(p, format_args!("  {:>6}  tun_metadata{}", map.option_len, map.index));
    }
}

/// Appends a number in hex, or a plain 0, with spaces before it up to that width.
fn format_hex(p: &mut Printer<'_>, number: u16, width: usize) {
    match number {
        0 => put(p, format_args!("{:>width$}", 0)),
        number => put(p, format_args!("{number:>#width$x}")),
    }
}
