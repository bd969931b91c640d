//! Where text is printed to: a string, names for numbers, and colours.

use std::fmt;

use super::names::Names;

/// How text is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style<'a> {
    /// Names in place of numbers.
    pub names: Option<&'a Names>,
    /// With the colours of ovs-ofctl(8), as ANSI escape sequences.
    pub color: bool,
}

/// Appends text to a string. `write!` appends without a colour.
#[derive(Debug)]
#[allow(dead_code)]
pub(super) struct Printer<'a> {
    out: &'a mut String,
    /// Names in place of numbers.
    pub(super) names: Option<&'a Names>,
    color: bool,
}

/// What a piece of text is, which decides its colour. Source: ovs-ofctl(8), "Colors".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
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

impl Role {
    /// Its escape sequence. Source: `lib/colors.c` of Open vSwitch 3.1.
    fn start(self) -> &'static str {
        match self {
            Self::Actions => "\x1b[1;31m",
            Self::Drop => "\x1b[34m",
            Self::Learn => "\x1b[31m",
            Self::Param => "\x1b[36m",
            Self::Paren => "\x1b[35m",
            Self::Special => "\x1b[33m",
            Self::Value => "\x1b[32m",
        }
    }
}

impl<'a> Printer<'a> {
    /// Appends to `out`.
    pub(super) fn new(out: &'a mut String, style: Style<'a>) -> Self {
        Self { out, names: style.names, color: style.color }
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

    /// Appends a name as it can stand in a list: in double quotes if it has more than letters, digits and `_-.`.
    pub(super) fn push_name(&mut self, name: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_plain) {
            self.out.push_str(name);
        } else {
            self.out.push('"');
            self.out.extend(name.chars().flat_map(char::escape_default));
            self.out.push('"');
        }
    }

    /// Takes away one `c` at the end.
    pub(super) fn chomp(&mut self, c: char) {
        if self.out.ends_with(c) {
            self.out.pop();
        }
    }

    /// Takes away every `c` at the end.
    pub(super) fn chomp_all(&mut self, c: char) {
        self.out.truncate(self.out.trim_end_matches(c).len());
    }

    /// Appends text in the colour of its role.
    #[inline]
    pub(super) fn put(&mut self, role: Role, text: &str) {
        if self.color {
            self.out.push_str(role.start());
            self.out.push_str(text);
            self.out.push_str("\x1b[m");
        } else {
            self.out.push_str(text);
        }
    }

    /// Appends the name of something that follows.
    pub(super) fn param(&mut self, name: fmt::Arguments<'_>) {
        let (start, end) = if self.color { (Role::Param.start(), "\x1b[m") } else { ("", "") };
        self.out.push_str(start);
        fmt::Write::write_fmt(self.out, name).expect("writing to a string does not fail");
        self.out.push_str(end);
    }

    /// The text so far.
    pub(super) fn text(&self) -> &str {
        self.out
    }
}

impl fmt::Write for Printer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.push_str(text);
        Ok(())
    }
}
