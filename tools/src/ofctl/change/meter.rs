//! Adds, changes and deletes meters.

use std::path::Path;

use anyhow::Result;
use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::{Message, MeterMod};
use flowlib::text::{Names, parse_meter_mod};
use flowlib::types::MeterId;

use crate::ofctl::batch::Batch;
use crate::ofctl::deliver::{Changes, Manner, order};
use crate::ofctl::file::{BadText, Lines};
use crate::ofctl::switch::Switch;

/// `add-meter`, `mod-meter` and `del-meters`: one meter, or with `-` those of standard input.
///
/// # Errors
/// [`BadText`], or what [`Changes::send`] says.
pub(in crate::ofctl) fn one(switch: &Switch<'_>, meter: Option<&str>, command: MeterCommand) -> Result<()> {
    match meter {
        Some("-") => file(switch, Path::new("-"), command),
        Some(text) => {
            let meter = parse_meter_mod(text, command).map_err(|error| BadText::argument(text, error))?;
            order(&mut switch.open()?, switch, &Message::MeterMod(meter))
        }
        None => order(&mut switch.open()?, switch, &Message::MeterMod(MeterMod::delete(MeterId::ALL))),
    }
}

/// `add-meters`: each line of a file.
///
/// # Errors
/// [`BadText`], or what [`Changes::send`] says.
pub(in crate::ofctl) fn file(switch: &Switch<'_>, path: &Path, command: MeterCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let parse = |text: &str, _: Option<&Names>| parse_meter_mod(text, command).map(Message::MeterMod);
    let batch = Batch::of_lines(switch, &lines, parse)?;
    // Open vSwitch takes no meters in bundles.
    Changes { batch, lines: Some(&lines) }.send(switch, Manner::Each)
}
