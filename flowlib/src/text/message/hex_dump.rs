//! Bytes in hex, as `ovs-ofctl` dumps them.

use super::super::printer::Printer;
use super::put;

/// Appends 16 bytes a line: the offset, the bytes with a dash in the middle, and between bars those that are
/// printable ASCII; dots stand for the others.
///
/// Source: `ovs_hex_dump` in `lib/util.c` of Open vSwitch 3.1.
pub(super) fn format(p: &mut Printer<'_>, bytes: &[u8]) {
    for (n, line) in bytes.chunks(16).enumerate() {
        format_line(p, n, line);
        if line.len() == 8 {
            p.push_str("-  ");
        }
        for _ in line.len() + usize::from(line.len() == 8)..16 {
            p.push_str("   ");
        }
        p.push_str(" |");
        for at in 0..16 {
            let byte = line.get(at).copied().map_or(' ', |byte| printable(byte).unwrap_or('.'));
            p.push_char(byte);
        }
        p.push_str("|\n");
    }
}

/// As [`format`], but without the characters.
pub(super) fn format_plain(p: &mut Printer<'_>, bytes: &[u8]) {
    for (n, line) in bytes.chunks(16).enumerate() {
        format_line(p, n, line);
        p.push_str("\n");
    }
}

/// The `n`th line as far as its last byte.
fn format_line(p: &mut Printer<'_>, n: usize, line: &[u8]) {
    put(p, format_args!("{:08x} ", n * 16));
    for (at, byte) in line.iter().enumerate() {
        put(p, format_args!("{}{byte:02x}", if at == 8 { '-' } else { ' ' }));
    }
}

/// The character, if it is printable ASCII.
pub(super) fn printable(byte: u8) -> Option<char> {
    (byte.is_ascii_graphic() || byte == b' ').then_some(char::from(byte))
}
