//! Pieces of text that know where they stand, and what can be wrong with them.

use std::fmt;

use super::nearest;
use crate::openflow::ErrorCode;
use crate::openflow::action::CheckError;

/// Why text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The column it lies at, from 1, in characters.
    pub column: usize,
    /// The piece that is wrong.
    pub found: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A word that names no field, shorthand or setting of a flow.
    #[error("is not a match field")]
    UnknownField,
    /// A setting that the kind of text does not have.
    #[error("has no place here: leave it out")]
    Misplaced,
    /// A word that names no action.
    #[error("is not an action")]
    UnknownAction,
    /// A name that should be a field's, and is not.
    #[error("is not a field of a packet")]
    UnknownSubField,
    /// A value that should be there, and is not.
    #[error("needs a value")]
    MissingValue,
    /// Something else than what should be there.
    #[error("should be {0}")]
    Expected(&'static str),
    /// A number of more bits than its place.
    #[error("does not fit in {0} bits")]
    TooBig(u16),
    /// A mask on a field that has to be matched whole.
    #[error("cannot have a mask")]
    NoMask,
    /// A field that needs another one to be said what it means.
    #[error("needs {0} in the same match")]
    Prerequisite(&'static str),
    /// A parenthesis or bracket without its other half.
    #[error("has an unbalanced parenthesis or bracket")]
    Unbalanced,
    /// Bits that the field does not have, or not in that order.
    #[error("are not bits of the field")]
    BadBits,
    /// Bits that are not as many as those that go with them.
    #[error("should be as many bits as {0} has there: {1}")]
    BitsFor(&'static str, u16),
    /// A field that no action may change.
    #[error("is read-only")]
    ReadOnly,
    /// Actions in actions, too deep.
    #[error("is nested too deep")]
    TooDeep,
    /// The word that is no action, beside one.
    #[error("stands only without other actions")]
    DropBesideOthers,
    /// An action that cannot stand where it does.
    #[error("{0}")]
    Check(CheckError),
    /// No `actions=`.
    #[error("has no actions=")]
    NoActions,
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        Self::Check(error)
    }
}

impl ParseError {
    /// The error that would answer a message that says the same.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.problem {
            Problem::UnknownField | Problem::Misplaced => ErrorCode::OFPBMC_BAD_FIELD,
            Problem::UnknownAction => ErrorCode::OFPBAC_BAD_TYPE,
            Problem::UnknownSubField => ErrorCode::OFPBAC_BAD_SET_TYPE,
            Problem::BadBits | Problem::BitsFor(..) => ErrorCode::OFPBAC_BAD_SET_LEN,
            Problem::ReadOnly => ErrorCode::OFPBAC_BAD_SET_ARGUMENT,
            Problem::NoMask => ErrorCode::OFPBMC_BAD_MASK,
            Problem::Prerequisite(_) => ErrorCode::OFPBMC_BAD_PREREQ,
            Problem::TooDeep => ErrorCode::OFPBAC_TOO_MANY,
            Problem::Check(error) => error.code(),
            _ => ErrorCode::OFPBAC_BAD_ARGUMENT,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: `{}` {}", self.column, self.found.escape_debug(), self.problem)?;
        match nearest::word(self.problem, &self.found) {
            Some(word) => write!(f, "; did you mean {word}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// A piece of the text that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    whole: &'a str,
    /// Byte positions in `whole`, at character boundaries.
    start: usize,
    end: usize,
}

impl<'a> Piece<'a> {
    pub(super) fn new(whole: &'a str) -> Self {
        Self { whole, start: 0, end: whole.len() }
    }

    #[inline]
    pub(super) fn text(self) -> &'a str {
        &self.whole[self.start..self.end]
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The piece from byte `from` to byte `to` of this one; both must be places that `find` or `len` gave.
    #[inline]
    pub(super) fn slice(self, from: usize, to: usize) -> Self {
        Self { whole: self.whole, start: self.start + from, end: self.start + to }
    }

    /// All from the start of this piece to the end of a later one, with a parenthesis that closes it.
    pub(super) fn up_to(self, end: Self) -> Self {
        let closes = self.whole[end.end..].starts_with(')') && self.whole[..end.start].ends_with('(');
        Self { whole: self.whole, start: self.start, end: end.end + usize::from(closes) }
    }

    /// The words between commas and white space.
    pub(super) fn tokens(self) -> impl Iterator<Item = Self> {
        let mut start = 0;
        self.text().split(|c: char| u8::try_from(c).is_ok_and(is_separator)).filter_map(move |word| {
            let at = start;
            start += word.len() + 1;
            (!word.is_empty()).then(|| self.slice(at, at + word.len()))
        })
    }

    pub(super) fn trim(self) -> Self {
        let text = self.text();
        // Most pieces begin and end with ASCII that is no space.
        let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
        if is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last()) {
            return self;
        }
        let from = text.len() - text.trim_start().len();
        self.slice(from, from + text.trim().len())
    }

    /// The pieces before and behind the first `separator`.
    #[inline]
    pub(super) fn split_once(self, separator: &str) -> Option<(Self, Self)> {
        let (text, separator) = (self.text().as_bytes(), separator.as_bytes());
        let first = *separator.first()?;
        // Texts are short, and so are separators: a plain search is the fastest.
        let at = text.iter().enumerate().position(|(at, byte)| {
            *byte == first && text.get(at..).is_some_and(|rest| rest.starts_with(separator))
        })?;
        Some((self.slice(0, at), self.slice(at + separator.len(), text.len())))
    }

    /// The piece behind `prefix`, if it begins with that.
    pub(super) fn strip_prefix(self, prefix: &str) -> Option<Self> {
        let text = self.text();
        text.starts_with(prefix).then(|| self.slice(prefix.len(), text.len()))
    }

    /// The piece before `suffix`, if it ends with that.
    pub(super) fn strip_suffix(self, suffix: &str) -> Option<Self> {
        let text = self.text();
        text.ends_with(suffix).then(|| self.slice(0, text.len() - suffix.len()))
    }

    /// The keys and their values, as `key`, `key=value`, `key:value` or `key(value)`, with commas and white space
    /// between them.
    pub(super) fn key_values(self) -> KeyValues<'a> {
        KeyValues { rest: self }
    }

    /// The number it is, of at most `n_bits`: in hex behind 0x, in octal behind 0, else decimal.
    ///
    /// # Errors
    /// `Expected` or `TooBig`.
    pub(super) fn number(self, n_bits: u16) -> Result<u128, ParseError> {
        let (digits, radix): (&[u8], u8) = match self.text().as_bytes() {
            [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
            [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
            digits => (digits, 10),
        };
        if digits.is_empty() {
            return Err(self.error(Problem::Expected("a number")));
        }
        // Sixteen digits fit 64 bits in each radix; most numbers are no longer.
        let (start, rest) = digits.split_at(digits.len().min(16));
        let mut short = 0_u64;
        for digit in start {
            short = short * u64::from(radix) + u64::from(self.digit(*digit, radix)?);
        }
        let mut number = u128::from(short);
        for digit in rest {
            let digit = u128::from(self.digit(*digit, radix)?);
            let next = number.checked_mul(radix.into()).and_then(|shifted| shifted.checked_add(digit));
            number = next.ok_or_else(|| self.error(Problem::TooBig(n_bits)))?;
        }
        if n_bits < 128 && number >> n_bits != 0 {
            return Err(self.error(Problem::TooBig(n_bits)));
        }
        Ok(number)
    }

    /// The number it is, of at most 8 bits.
    pub(super) fn u8(self) -> Result<u8, ParseError> {
        self.number(8).map(|number| number as u8)
    }

    /// The number it is, of at most 16 bits.
    pub(super) fn u16(self) -> Result<u16, ParseError> {
        self.number(16).map(|number| number as u16)
    }

    /// The number it is, of at most 32 bits.
    pub(super) fn u32(self) -> Result<u32, ParseError> {
        self.number(32).map(|number| number as u32)
    }

    /// The number it is, of at most 64 bits.
    pub(super) fn u64(self) -> Result<u64, ParseError> {
        self.number(64).map(|number| number as u64)
    }

    fn digit(self, digit: u8, radix: u8) -> Result<u8, ParseError> {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => radix,
        };
        if value < radix { Ok(value) } else { Err(self.error(Problem::Expected("a number"))) }
    }

    /// An error that lies in this piece.
    #[cold]
    pub(super) fn error(self, problem: Problem) -> ParseError {
        let column = self.whole[..self.start].chars().count() + 1;
        ParseError { column, found: self.text().to_owned(), problem }
    }
}

/// Iterates over the keys of a piece and their values; see [`Piece::key_values`].
///
/// Source: `ofputil_parse_key_value` in `lib/ofp-parse.c` of Open vSwitch 3.1.
#[derive(Clone, Debug)]
pub(super) struct KeyValues<'a> {
    rest: Piece<'a>,
}

impl<'a> Iterator for KeyValues<'a> {
    /// A key, and its value; a key without one has an empty value.
    type Item = (Piece<'a>, Piece<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest.text().as_bytes();
        let start = bytes.iter().position(|byte| !is_separator(*byte))?;
        let is_end = |byte: &u8| is_separator(*byte) || matches!(byte, b':' | b'=' | b'(');
        let key_end = position_from(bytes, start, is_end);
        let key = self.rest.slice(start, key_end);
        let value_start = (key_end + 1).min(bytes.len());
        let value_end = match bytes.get(key_end) {
            Some(b':' | b'=') => value_end(bytes, value_start, |byte| is_separator(*byte)),
            Some(b'(') => match value_end(bytes, value_start, |byte| *byte == b')') {
                // `check_pkt_larger(100)->reg0[0]` has its target behind the parentheses.
                end if bytes.get(end + 1..end + 3) == Some(b"->") => {
                    value_end(bytes, end + 1, |byte| is_separator(*byte))
                }
                end => end,
            },
            _ => {
                self.rest = self.rest.slice(key_end, bytes.len());
                return Some((key, key.slice(key.text().len(), key.text().len())));
            }
        };
        let value = self.rest.slice(value_start, value_end);
        self.rest = self.rest.slice((value_end + 1).min(bytes.len()), bytes.len());
        Some((key, value))
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')
}

/// The first place from `start` on that is an end, or the end of all.
fn position_from(bytes: &[u8], start: usize, is_end: impl FnMut(&u8) -> bool) -> usize {
    bytes.iter().skip(start).position(is_end).map_or(bytes.len(), |at| start + at)
}

/// Like [`position_from`], but passes over what stands in parentheses.
fn value_end(bytes: &[u8], start: usize, is_end: impl Fn(&u8) -> bool) -> usize {
    let mut depth = 0_usize;
    position_from(bytes, start, |byte| match byte {
        b'(' => {
            depth += 1;
            false
        }
        b')' if depth > 0 => {
            depth -= 1;
            false
        }
        _ => depth == 0 && is_end(byte),
    })
}
