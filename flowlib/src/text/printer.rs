//! Where text is printed to: a string, names for numbers, and colours.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::color::Colors;
use super::names::Names;
use crate::types::{MacAddr, PortNo, TableId};

/// How text is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style<'a> {
    /// Names in place of numbers.
    pub names: Option<&'a Names>,
    /// With colours as ovs-ofctl(8) has them, as ANSI escape sequences.
    pub colors: Option<&'a Colors>,
}

/// Appends text to a string. `write!` appends without a colour; the methods for numbers are faster.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    out: &'a mut String,
    /// Names in place of numbers.
    pub(super) names: Option<&'a Names>,
    colors: Option<&'a Colors>,
}

/// What a piece of text is, which decides its colour. Source: ovs-ofctl(8), "Colors".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `actions=`.
    Actions,
    /// `drop`.
    Drop,
    /// `learn(` and what closes it.
    Learn,
    /// The name of something that follows.
    Param,
    /// The parentheses of an action.
    Paren,
    /// A word with a meaning of its own.
    Special,
    /// A value.
    Value,
}

impl<'a> Printer<'a> {
    /// Appends to `out`.
    pub(super) fn new(out: &'a mut String, style: Style<'a>) -> Self {
        Self { out, names: style.names, colors: style.colors }
    }

    /// Appends to `out` without names or colours.
    pub(super) fn plain(out: &'a mut String) -> Self {
        Self::new(out, Style::default())
    }

    /// Appends text without a colour.
    #[inline]
    pub(super) fn push_str(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Appends a character without a colour.
    #[inline]
    pub(super) fn push_char(&mut self, c: char) {
        self.out.push(c);
    }

    /// Takes away one `c` at the end.
    pub(super) fn chomp(&mut self, c: char) {
        if self.out.ends_with(c) {
            self.out.pop();
        }
    }

    /// Takes away all that follows the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// Appends text in the colour of its role.
    #[inline]
    pub(super) fn put(&mut self, role: Role, text: &str) {
        if let Some(colors) = self.colors {
            self.out.push_str(colors.start(role));
            self.out.push_str(text);
            self.out.push_str(END);
        } else {
            self.out.push_str(text);
        }
    }

    /// Begins the colour of a role.
    pub(super) fn begin(&mut self, role: Role) {
        if let Some(colors) = self.colors {
            self.out.push_str(colors.start(role));
        }
    }

    /// Ends a colour.
    pub(super) fn end(&mut self) {
        if self.colors.is_some() {
            self.out.push_str(END);
        }
    }

    /// Appends the name of something that follows.
    pub(super) fn param(&mut self, name: fmt::Arguments<'_>) {
        let (start, end) = self.colors.map_or(("", ""), |colors| (colors.start(Role::Param), END));
        self.out.push_str(start);
        fmt::Write::write_fmt(self.out, name).expect("writing to a string does not fail");
        self.out.push_str(end);
    }

    /// Appends `name=` in the colour of its role.
    #[inline]
    pub(super) fn put_name(&mut self, role: Role, name: &str) {
        if let Some(colors) = self.colors {
            self.out.push_str(colors.start(role));
        }
        self.out.push_str(name);
        self.out.push('=');
        if self.colors.is_some() {
            self.out.push_str(END);
        }
    }

    /// The text so far.
    pub(super) fn text(&self) -> &str {
        self.out
    }

    /// Appends a number in decimal.
    pub(super) fn dec(&mut self, number: impl Into<u64>) {
        self.dec_digits(number.into(), 1);
    }

    /// Appends the decimal digits of a number, at least `width` of them.
    pub(super) fn dec_digits(&mut self, number: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let (mut left, mut at) = (number, digits.len());
        while left != 0 {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.ascii(&digits[at.min(digits.len().saturating_sub(width))..]);
    }

    /// Appends the hex digits of a number, at least `width` of them.
    pub(super) fn hex_digits(&mut self, number: u128, width: usize) {
        let mut digits = [b'0'; 32];
        let (mut left, mut at) = (number, digits.len());
        while left != 0 {
            at -= 1;
            digits[at] = HEX[(left & 0xf) as usize];
            left >>= 4;
        }
        self.ascii(&digits[at.min(digits.len().saturating_sub(width))..]);
    }

    /// Appends a number in hex with 0x before it.
    pub(super) fn hex(&mut self, number: impl Into<u128>) {
        self.out.push_str("0x");
        self.hex_digits(number.into(), 1);
    }

    /// Appends a number in hex with 0x before it, but 0 as `0`, as `%#x` of C does.
    pub(super) fn alternate_hex(&mut self, number: impl Into<u128>) {
        match number.into() {
            0 => self.out.push('0'),
            number => self.hex(number),
        }
    }

    /// Appends an Ethernet address.
    pub(super) fn mac(&mut self, address: MacAddr) {
        let mut text = *b"00:00:00:00:00:00";
        for (place, octet) in text.chunks_mut(3).zip(address.0) {
            place[0] = HEX[usize::from(octet >> 4)];
            place[1] = HEX[usize::from(octet & 0xf)];
        }
        self.ascii(&text);
    }

    /// Appends an IPv4 address.
    pub(super) fn ipv4(&mut self, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.dec(a);
        for octet in [b, c, d] {
            self.out.push('.');
            self.dec(octet);
        }
    }

    /// Appends an IPv6 address. One of 96 zero bits bears the rest as an IPv4 address, as inet_ntop(3) does.
    pub(super) fn ipv6(&mut self, address: Ipv6Addr) {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                self.out.push_str("::");
                self.ipv4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
            }
            _ => {
                use fmt::Write;
                write!(self.out, "{address}").expect("writing to a string does not fail");
            }
        }
    }

    /// Appends a port's name if it has one, else its number.
    pub(super) fn port(&mut self, port: PortNo) {
        if let Some(name) = self.names.and_then(|names| names.port_name(port)) {
            return self.name(name);
        }
        match port.reserved_name() {
            Some(name) => self.out.push_str(name),
            // Open vSwitch counts ports in 16 bits, and shows the reserved ones that have no name so.
            None if port >= PortNo::MAX => self.dec(port.0 & 0xffff),
            None => self.dec(port.0),
        }
    }

    /// Appends a table's name if it has one, else its number.
    pub(super) fn table(&mut self, table: TableId) {
        match self.names.and_then(|names| names.table_name(table)) {
            Some(name) => self.name(name),
            None => self.dec(table.0),
        }
    }

    /// Appends a name, in quotes where it could be taken for something else.
    ///
    /// Source: `namemap_put_name` in `lib/ofp-parse.c` of Open vSwitch 3.1.
    pub(super) fn name(&mut self, name: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(is_plain) {
            self.out.push_str(name);
        } else {
            self.quoted(name);
        }
    }

    /// Appends text as a JSON string.
    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\0'..=' ' if c != ' ' => {
                    self.out.push_str("\\u");
                    self.hex_digits(u128::from(u32::from(c)), 4);
                }
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn ascii(&mut self, text: &[u8]) {
        self.out.push_str(std::str::from_utf8(text).expect("digits and separators are ASCII"));
    }
}

/// Ends a colour.
const END: &str = "\x1b[m\x1b[K";

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Write for Printer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Printer<'_>)) -> String {
        let mut out = String::new();
        print(&mut Printer::plain(&mut out));
        out
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 255, 12_345_678_901, u64::MAX] {
            assert_eq!(printed(|p| p.dec(number)), number.to_string());
            assert_eq!(printed(|p| p.hex(number)), format!("{number:#x}"));
            assert_eq!(printed(|p| p.hex_digits(number.into(), 5)), format!("{number:05x}"));
        }
        assert_eq!(printed(|p| p.hex(u128::MAX)), format!("{:#x}", u128::MAX));
        assert_eq!(printed(|p| p.alternate_hex(0_u8)), "0");
    }

    #[test]
    fn addresses_are_printed_as_the_c_library_does() {
        assert_eq!(printed(|p| p.mac(MacAddr([2, 0x42, 0xa, 1, 0, 0xfe]))), "02:42:0a:01:00:fe");
        for text in ["0.0.0.0", "10.1.2.255"] {
            assert_eq!(printed(|p| p.ipv4(text.parse().unwrap())), text);
        }
        for text in ["::", "::1", "fe80::1", "::1.2.3.4", "::ffff:1.2.3.4", "2001:db8:0:1::", "::1:0:0"] {
            assert_eq!(printed(|p| p.ipv6(text.parse().unwrap())), text);
        }
    }

    #[test]
    fn a_name_that_could_be_a_number_or_a_separator_is_quoted() {
        let printed = |name| printed(|p| p.name(name));
        assert_eq!(printed("eth0"), "eth0");
        assert_eq!(printed("1a"), "\"1a\"");
        assert_eq!(printed("a,b"), "\"a,b\"");
        assert_eq!(printed("a\"\n\u{1}"), "\"a\\\"\\n\\u0001\"");
    }

    #[test]
    fn ports_and_tables_bear_their_names() {
        let mut names = Names::new();
        names.add_port(PortNo(1), "eth0");
        names.add_table(TableId(3), "acl");
        let mut out = String::new();
        let mut p = Printer::new(&mut out, Style { names: Some(&names), colors: None });
        for port in [1, 2, 0xffff_fffe, 0xffff_ff03] {
            p.port(PortNo(port));
            p.push_str(" ");
        }
        p.table(TableId(3));
        p.table(TableId(4));
        assert_eq!(out, "eth0 2 LOCAL 65283 acl4");
    }
}
