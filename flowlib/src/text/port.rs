//! Ports and tables by number or name.

use super::error::{ParseError, Piece, Problem};
use super::names::Names;
use crate::types::{PortNo, TableId};

/// Reserved ports that have a name, which is read in any case.
const RESERVED: &[PortNo] = &[
    PortNo::IN_PORT,
    PortNo::TABLE,
    PortNo::NORMAL,
    PortNo::FLOOD,
    PortNo::ALL,
    PortNo::CONTROLLER,
    PortNo::LOCAL,
    PortNo::ANY,
    PortNo::UNSET,
];

/// Reads a port: a decimal number, the name of a reserved port in any case, or a name that the switch gave it.
///
/// Numbers above 0xff00 are those of OpenFlow 1.0 and mean the reserved ports.
///
/// # Errors
/// `Expected`.
///
/// Source: `ofputil_port_from_string` in `lib/ofp-port.c` of Open vSwitch 3.1.
pub(super) fn parse_port(piece: Piece<'_>, names: Option<&Names>) -> Result<PortNo, ParseError> {
    find_port(piece.text(), names).ok_or_else(|| piece.error(NO_PORT))
}

/// What is wrong with a text that is no port.
pub(super) const NO_PORT: Problem =
    Problem::Expected("a port: a number, a name of the switch's, or a reserved one");

/// The port that a text is, if it is one; see [`parse_port`].
pub(super) fn find_port(text: &str, names: Option<&Names>) -> Option<PortNo> {
    if let Some(number) = decimal(text) {
        return match number {
            0..0xff00 | 0xffff_ff00.. => Some(PortNo(number)),
            0xff00..=0xffff => Some(PortNo(number | 0xffff_0000)),
            _ => None,
        };
    }
    let is_named = |port: &PortNo| port.reserved_name().is_some_and(|name| text.eq_ignore_ascii_case(name));
    if let Some(port) = RESERVED.iter().copied().find(is_named) {
        return Some(port);
    }
    if text.eq_ignore_ascii_case("none") {
        return Some(PortNo::ANY);
    }
    names.and_then(|names| names.port(&unquoted(text)?))
}

/// Reads a table: a decimal number, or a name that the switch gave it.
///
/// # Errors
/// `Expected`.
pub(super) fn parse_table(piece: Piece<'_>, names: Option<&Names>) -> Result<TableId, ParseError> {
    let text = piece.text();
    let number = decimal(text).map(|number| u8::try_from(number).ok().map(TableId));
    let named = || names.and_then(|names| names.table(&unquoted(text)?));
    number.unwrap_or_else(named).ok_or_else(|| {
        piece.error(Problem::Expected("a table: a number up to 255, or a name of the switch's"))
    })
}

fn decimal(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The name in a JSON string, or the text itself if it does not begin with a quote.
fn unquoted(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    let Some(inner) = text.strip_prefix('"') else { return Some(text.into()) };
    let inner = inner.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.into());
    }
    let mut name = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.push(match chars.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            }),
            c => name.push(c),
        }
    }
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str, names: Option<&Names>) -> Option<u32> {
        parse_port(Piece::new(text), names).ok().map(|port| port.0)
    }

    #[test]
    fn reserved_ports_have_names_and_old_numbers() {
        assert_eq!(port("local", None), Some(0xffff_fffe));
        assert_eq!(port("65534", None), Some(0xffff_fffe));
        assert_eq!(port("4294967294", None), Some(0xffff_fffe));
        assert_eq!(port("NONE", None), Some(0xffff_ffff));
        for text in ["70000", "0x1", "-2", "", "4294967296", "eth0"] {
            assert_eq!(port(text, None), None, "{text}");
        }
    }

    #[test]
    fn names_are_read_plain_and_quoted() {
        let mut names = Names::new();
        names.add_port(PortNo(5), "eth0");
        names.add_port(PortNo(6), "a\"b");
        names.add_table(TableId(3), "acl");
        assert_eq!(port("eth0", Some(&names)), Some(5));
        assert_eq!(port("\"eth0\"", Some(&names)), Some(5));
        assert_eq!(port("\"a\\\"b\"", Some(&names)), Some(6));
        assert_eq!(parse_table(Piece::new("acl"), Some(&names)), Ok(TableId(3)));
        assert_eq!(parse_table(Piece::new("255"), None), Ok(TableId::ALL));
        assert!(
            parse_table(Piece::new("256"), None).is_err() && parse_table(Piece::new("0x5"), None).is_err()
        );
    }
}
