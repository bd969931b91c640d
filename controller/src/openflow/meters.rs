//! Meters, which Open vSwitch takes in no bundle.

use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::{ErrorCode, Message};

use super::switch::{Switch, SwitchError};

/// Makes the meter of an encoded meter mod, or gives the one of its number its bands.
pub(super) async fn make(switch: &Switch, meter_mod: &[u8]) -> Result<(), SwitchError> {
    let what = "a meter";
    let Ok((_, Message::MeterMod(mut add))) = Message::decode(meter_mod) else {
        return Err(SwitchError::Mismatch(what));
    };
    match switch.confirmed(what, Message::MeterMod(add.clone())).await {
        Err(SwitchError::Refused { error, .. }) if error.code == ErrorCode::OFPMMFC_METER_EXISTS => {
            add.command = MeterCommand::MODIFY;
            switch.confirmed(what, Message::MeterMod(add)).await
        }
        other => other,
    }
}
