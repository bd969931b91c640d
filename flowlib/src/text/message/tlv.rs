//! Which options of tunnels are in which metadata fields.

use super::super::error::{ParseError, Piece, Problem};
use super::super::printer::Printer;
use super::{Result, put};
use crate::openflow::nicira::TlvTableCommand;
use crate::openflow::{ErrorCode, TlvMap, TlvTable, TlvTableMod};

pub(super) fn format_mod(p: &mut Printer<'_>, change: &TlvTableMod) -> Result {
    put(p, format_args!("\n {}", change.command));
    if change.command != TlvTableCommand::CLEAR {
        format_maps(p, &change.maps);
    }
    Ok(())
}

pub(super) fn format_reply(p: &mut Printer<'_>, table: &TlvTable) -> Result {
    if table.maps.iter().any(|map| map.index >= table.max_fields) {
        return Err(ErrorCode::NXTTMFC_BAD_FIELD_IDX);
    }
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

/// Reads mappings with commas between them, as `add-tlv-map` takes them:
/// `{class=0xffff,type=0,len=4}->tun_metadata0`.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_tlv_maps(text: &str) -> std::result::Result<Vec<TlvMap>, ParseError> {
    let mut maps = Vec::new();
    let mut rest = Piece::new(text);
    while !rest.is_empty() {
        let (map, behind) = parse_map(rest)?;
        maps.push(map);
        rest = behind;
    }
    Ok(maps)
}

/// The first mapping, and what follows its comma.
fn parse_map(piece: Piece<'_>) -> std::result::Result<(TlvMap, Piece<'_>), ParseError> {
    let bad = |piece: Piece<'_>| {
        piece.error(Problem::Expected("a mapping: {class=0xffff,type=0,len=4}->tun_metadata0"))
    };
    let mut rest = piece;
    let mut take = |before: &str, end: &str| {
        let (value, behind) =
            rest.strip_prefix(before).and_then(|rest| rest.split_once(end)).ok_or(bad(rest))?;
        rest = behind;
        Ok(value)
    };
    let option_class = take("{class=", ",")?.u16()?;
    let option_type = take("type=", ",")?.u8()?;
    let option_len = take("len=", "}")?.u8()?;
    let name = rest.strip_prefix("->tun_metadata").ok_or_else(|| bad(rest))?;
    let (index, behind) = match name.split_once(",") {
        Some((_, behind)) if behind.is_empty() => return Err(bad(behind)),
        Some((index, behind)) => (index, behind),
        None => (name, name.slice(name.text().len(), name.text().len())),
    };
    Ok((TlvMap { option_class, option_type, option_len, index: index.u16()? }, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_stand_between_commas() {
        let text = "{class=0xffff,type=0,len=4}->tun_metadata0,{class=1,type=2,len=8}->tun_metadata63";
        let maps = parse_tlv_maps(text).unwrap();
        assert_eq!(maps[1], TlvMap { option_class: 1, option_type: 2, option_len: 8, index: 63 });
        assert_eq!(parse_tlv_maps(""), Ok(vec![]));
        for (text, column) in [
            ("class=1", 1),
            ("{class=x,type=0,len=4}->tun_metadata0", 8),
            ("{class=1,len=4}->tun_metadata0", 10),
            ("{class=1,type=0,len=4}->reg0", 23),
            ("{class=1,type=0,len=4}->tun_metadata0,", 39),
        ] {
            assert_eq!(parse_tlv_maps(text).unwrap_err().column, column, "{text}");
        }
    }
}
