//! Sends packets out.

use anyhow::{Result, bail};
use flowlib::openflow::{Message, PacketOut};
use flowlib::text::{parse_actions, parse_packet, parse_packet_out};

use crate::ofctl::deliver::order;
use crate::ofctl::dump;
use crate::ofctl::file::BadText;
use crate::ofctl::switch::Switch;

/// `packet-out`: in one word, or in the old syntax port, actions and packets.
///
/// # Errors
/// [`BadText`], or what the switch refuses.
pub(in crate::ofctl) fn send(switch: &Switch<'_>, words: &[String]) -> Result<()> {
    let bad = |text: &str, error| BadText::argument(text, error);
    let (in_port, actions, packets) = match words {
        [one] => {
            let packet_out = switch.parse(|names| parse_packet_out(one, names))?;
            let packet_out = packet_out.map_err(|error| bad(one, error))?;
            return order(&mut switch.open()?, switch, &Message::PacketOut(packet_out));
        }
        [in_port, actions, packets @ ..] if !packets.is_empty() => (in_port, actions, packets),
        _ => bail!("packet-out takes PACKET-OUT, or IN_PORT ACTIONS PACKET..."),
    };
    let in_port = dump::port(switch, in_port)?;
    let actions =
        switch.parse(|names| parse_actions(actions, names))?.map_err(|error| bad(actions, error))?;
    let read =
        |packet: &String| -> Result<_> { Ok(parse_packet(packet).map_err(|error| bad(packet, error))?) };
    let packets = packets.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut connection = switch.open()?;
    for data in packets {
        let packet_out = PacketOut { buffer_id: None, in_port, actions: actions.clone(), data };
        order(&mut connection, switch, &Message::PacketOut(packet_out))?;
    }
    Ok(())
}
