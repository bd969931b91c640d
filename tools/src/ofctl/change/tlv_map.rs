//! Which tunnel options are which fields.

use anyhow::Result;
use flowlib::openflow::nicira::TlvTableCommand;
use flowlib::openflow::{Message, TlvTableMod};
use flowlib::text::parse_tlv_maps;

use crate::ofctl::deliver::order;
use crate::ofctl::file::BadText;
use crate::ofctl::switch::Switch;

/// `add-tlv-map`.
///
/// # Errors
/// [`BadText`], or what the switch refuses.
pub(in crate::ofctl) fn add(switch: &Switch<'_>, text: &str) -> Result<()> {
    change(switch, TlvTableCommand::ADD, text)
}

/// `del-tlv-map`; without mappings, all.
///
/// # Errors
/// [`BadText`], or what the switch refuses.
pub(in crate::ofctl) fn del(switch: &Switch<'_>, text: Option<&str>) -> Result<()> {
    let command = if text.is_some() { TlvTableCommand::DELETE } else { TlvTableCommand::CLEAR };
    change(switch, command, text.unwrap_or_default())
}

fn change(switch: &Switch<'_>, command: TlvTableCommand, text: &str) -> Result<()> {
    let maps = parse_tlv_maps(text).map_err(|error| BadText::argument(text, error))?;
    order(&mut switch.open()?, switch, &Message::NxTlvTableMod(TlvTableMod { command, maps }))
}
