//! Pieces of text that know where they stand, and what can be wrong with them.

use std::fmt;

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
    #[error("not a match field")]
    UnknownField,
    /// A word that names no action.
    #[error("not an action")]
    UnknownAction,
    /// A name that should be a field's, and is not.
    #[error("not a field of a packet")]
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
    /// No `actions=`.
    #[error("has no actions=")]
    NoActions,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: `{}` {}", self.column, self.found.escape_debug(), self.problem)
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

    pub(super) fn text(self) -> &'a str {
        &self.whole[self.start..self.end]
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The piece from byte `from` to byte `to` of this one; both must be places that `find` or `len` gave.
    pub(super) fn slice(self, from: usize, to: usize) -> Self {
        Self { whole: self.whole, start: self.start + from, end: self.start + to }
    }

    pub(super) fn trim(self) -> Self {
        let text = self.text();
        let from = text.len() - text.trim_start().len();
        self.slice(from, from + text.trim().len())
    }

    /// The pieces before and behind the first `separator`.
    pub(super) fn split_once(self, separator: &str) -> Option<(Self, Self)> {
        let text = self.text();
        let at = text.find(separator)?;
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

    /// The pieces between those separators that are in no parentheses; empty ones are left out.
    ///
    /// # Errors
    /// `Unbalanced`.
    pub(super) fn split_list(self, is_separator: fn(char) -> bool) -> Result<Vec<Self>, ParseError> {
        let (mut pieces, mut depth, mut start) = (Vec::new(), 0u32, 0);
        let text = self.text();
        for (at, c) in text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1).ok_or_else(|| self.error(Problem::Unbalanced))?,
                _ if depth == 0 && is_separator(c) => {
                    pieces.push(self.slice(start, at));
                    start = at + c.len_utf8();
                }
                _ => {}
            }
        }
        if depth != 0 {
            return Err(self.error(Problem::Unbalanced));
        }
        pieces.push(self.slice(start, text.len()));
        Ok(pieces.into_iter().map(Self::trim).filter(|piece| !piece.is_empty()).collect())
    }

    /// The number it is, decimal or with 0x, of at most `n_bits`.
    ///
    /// # Errors
    /// `Expected` or `TooBig`.
    pub(super) fn number(self, n_bits: u16) -> Result<u128, ParseError> {
        let text = self.text();
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) if !hex.starts_with('+') => u128::from_str_radix(hex, 16),
            None if !text.starts_with('+') => text.parse(),
            _ => return Err(self.error(Problem::Expected("a number"))),
        };
        let number = parsed.map_err(|_| self.error(Problem::Expected("a number")))?;
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

    /// An error that lies in this piece.
    pub(super) fn error(self, problem: Problem) -> ParseError {
        let column = self.whole[..self.start].chars().count() + 1;
        ParseError { column, found: self.text().to_owned(), problem }
    }
}
