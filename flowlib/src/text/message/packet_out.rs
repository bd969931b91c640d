//! Packet-outs as ovs-ofctl(8) takes them.

use super::super::action;
use super::super::error::{ParseError, Piece, Problem};
use super::super::flow_match::MatchWords;
use super::super::names::Names;
use super::super::port::parse_port;
use super::super::subfield;
use crate::openflow::oxm::field;
use crate::openflow::{Field, PacketOut};
use crate::types::PortNo;

type Result<T = ()> = std::result::Result<T, ParseError>;

/// The least length of an Ethernet frame here: its header.
const MIN_FRAME: usize = 14;

/// Reads a packet and what is done with it: `in_port=1,packet=HEX,actions=output:2`. Without a port it comes from the
/// controller; without actions it is dropped.
///
/// Fields that the pipeline has of a packet may be there (`reg0=1`, `tun_id=5`, `metadata=6`), but a packet-out of
/// OpenFlow 1.3 has no place for them: they are read and left out.
///
/// # Errors
/// Says at which column what is wrong.
///
/// Source: `parse_ofp_packet_out_str__` in `lib/ofp-packet.c` of Open vSwitch 3.1.
pub fn parse_packet_out(text: &str, names: Option<&Names>) -> Result<PacketOut> {
    let whole = Piece::new(text);
    let actions = whole.split_once("action").and_then(|(head, rest)| Some((head, rest.split_once("=")?.1)));
    let (head, actions) = actions.map_or((whole, None), |(head, actions)| (head, Some(actions)));
    let (mut in_port, mut data) = (PortNo::CONTROLLER, None);
    let mut pipeline = MatchWords::default();
    for (key, value) in head.key_values() {
        if value.is_empty() {
            return Err(key.error(Problem::MissingValue));
        }
        match key.text() {
            "in_port" => in_port = parse_in_port(value, names)?,
            "in_port_oxm" => in_port = parse_port(value, names)?,
            "packet" => data = Some(read_packet(value)?),
            name if subfield::find_short_name(name).is_some_and(is_of_pipeline) => {
                pipeline.field(key, value, names)?;
            }
            _ => {
                return Err(
                    key.error(Problem::Expected("in_port, packet, actions, or a field of the pipeline"))
                );
            }
        }
    }
    let data = data.ok_or_else(|| head.error(Problem::Expected("a packet-out with its packet=")))?;
    let actions = actions.map_or(Ok(Vec::new()), |actions| action::parse_list(actions.trim(), names))?;
    Ok(PacketOut { buffer_id: None, in_port, actions, data })
}

/// Whether a packet can come with a value of that field besides its headers.
///
/// Source: `mf_is_pipeline_field` in `lib/meta-flow.c` of Open vSwitch 3.1.
fn is_of_pipeline(known: Field) -> bool {
    let is_of_tunnel = known >= field::TUNNEL_ID && known <= field::TUN_GTPU_MSGTYPE;
    let is_register = known >= field::REG0 && known <= field::XXREG3;
    is_of_tunnel || is_register || matches!(known, field::METADATA | field::PACKET_TYPE)
}

fn parse_in_port(value: Piece<'_>, names: Option<&Names>) -> Result<PortNo> {
    match parse_port(value, names)? {
        port @ (PortNo::LOCAL | PortNo::CONTROLLER | PortNo::ANY) => Ok(port),
        port if port <= PortNo::MAX_OVS => Ok(port),
        _ => Err(value.error(Problem::Expected("a port that packets come from"))),
    }
}

/// Reads an Ethernet frame in hex; spaces may stand between bytes.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_packet(text: &str) -> Result<Vec<u8>> {
    read_packet(Piece::new(text))
}

fn read_packet(piece: Piece<'_>) -> Result<Vec<u8>> {
    let text = piece.text();
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find(|c: char| !c.is_ascii_whitespace())) {
        let start = at + start;
        let pair =
            text.get(start..start + 2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let wrong =
            || piece.slice(start, text.len()).error(Problem::Expected("bytes of two hex digits each"));
        bytes.push(byte.ok_or_else(wrong)?);
        at = start + 2;
    }
    if bytes.len() < MIN_FRAME {
        return Err(piece.error(Problem::Expected("an Ethernet frame of at least 14 bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::Action;

    const FRAME: &str = "0200000000010200000000020800";

    #[test]
    fn a_packet_out_has_a_port_a_packet_and_actions() {
        let parsed = parse_packet_out(&format!("in_port=3 packet={FRAME} actions=output:1"), None).unwrap();
        assert_eq!((parsed.in_port, parsed.data.len()), (PortNo(3), 14));
        assert_eq!(parsed.actions, [Action::output(PortNo(1))]);
        let parsed = parse_packet_out(&format!("packet={FRAME}"), None).unwrap();
        assert_eq!((parsed.in_port, parsed.actions), (PortNo::CONTROLLER, vec![]));
    }

    #[test]
    fn fields_of_the_pipeline_are_read_and_left_out() {
        let fields = "reg0=1/1,xxreg1=5,tun_id=7,tun_metadata0=1,metadata=2,packet_type=(0,0)";
        let parsed = parse_packet_out(&format!("in_port_oxm=3,{fields},packet={FRAME}"), None).unwrap();
        assert_eq!(parsed, parse_packet_out(&format!("in_port=3,packet={FRAME}"), None).unwrap());
    }

    #[test]
    fn errors_say_the_column() {
        for (text, column) in [
            ("in_port=1,actions=drop".to_owned(), 1),
            (format!("in_port=in_port,packet={FRAME}"), 9),
            (format!("packet={FRAME}x"), 8 + FRAME.len()),
            ("packet=0102".to_owned(), 8),
            (format!("reg0=1,ct_mark=1,packet={FRAME}"), 8),
            (format!("reg0=x,packet={FRAME}"), 6),
            (format!("packet={FRAME},actions=jump"), 17 + FRAME.len()),
        ] {
            let error = parse_packet_out(&text, None).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
        }
        assert_eq!(parse_packet("0200 00000001 020000000002 0800").unwrap().len(), 14);
    }
}
