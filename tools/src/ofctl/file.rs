//! Files with a flow, a group or the like on each line.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flowlib::text::ParseError;

use super::link::reason;
use super::parallel;

/// Text of one item a line. What follows a # is a comment; lines without anything else are left out.
#[derive(Debug)]
pub(super) struct Lines {
    /// The name of the file.
    name: String,
    text: String,
}

/// A line that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// It without its comment; columns count from its start.
    pub(super) text: &'a str,
}

/// Text that could not be read: where, and a picture of it.
#[derive(Debug)]
pub(super) struct BadText {
    /// File and line; nothing if it was an argument.
    place: Option<(String, u32)>,
    text: String,
    error: ParseError,
}

impl BadText {
    /// An argument that could not be read.
    pub(super) fn argument(text: &str, error: ParseError) -> Self {
        Self { place: None, text: text.to_owned(), error }
    }
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "{file}:{line}: ")?;
        }
        write!(f, "{}", self.error)?;
        // A window of the text around the piece, with what cannot be printed shown as a dot.
        let shown: Vec<char> = self.text.chars().map(|c| if c.is_control() { '.' } else { c }).collect();
        let column = self.error.column.saturating_sub(1).min(shown.len());
        let len = self.error.found.chars().count().clamp(1, WINDOW);
        let from = column.saturating_sub(WINDOW / 2);
        let to = (column + len.max(WINDOW / 2)).min(shown.len());
        let dots = |cut: bool| if cut { "…" } else { "" };
        let window: String = shown[from..to].iter().collect();
        write!(f, "\n  {}{}{}", dots(from > 0), window.trim_end(), dots(to < shown.len()))?;
        let indent = column - from + usize::from(from > 0);
        write!(f, "\n  {}{}", " ".repeat(indent), "^".repeat(len))
    }
}

impl std::error::Error for BadText {}

/// The longest piece of a line that an error shows, in characters.
const WINDOW: usize = 100;

impl Lines {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read, or is no UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut bytes).context("-: read failed")?;
        } else {
            bytes = fs::read(path)
                .map_err(|error| anyhow::anyhow!("{name}: open failed ({})", reason(&error)))?;
        }
        let text = String::from_utf8(bytes).or_else(|error| {
            let mut bytes = error.into_bytes();
            blank_comments(&mut bytes);
            String::from_utf8(bytes)
        });
        let text = text.map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = good.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
            anyhow::anyhow!("{name}:{line}: column {column}: a byte that is no UTF-8")
        })?;
        Ok(Self { name, text })
    }

    /// An error in one of them.
    pub(super) fn bad(&self, line: Line<'_>, error: ParseError) -> BadText {
        BadText { place: Some((self.name.clone(), line.number)), text: line.text.to_owned(), error }
    }

    /// Where the line of that number is.
    pub(super) fn place(&self, number: u32) -> String {
        format!("{}:{number}", self.name)
    }

    /// The line of that number.
    pub(super) fn said(&self, number: u32) -> &str {
        self.text.lines().nth(number.saturating_sub(1) as usize).unwrap_or_default().trim()
    }

    /// Works on pieces of the lines on all processors; the results in order.
    ///
    /// # Errors
    /// The error of the first piece that has one.
    pub(super) fn in_pieces<T: Send>(
        &self,
        work: impl Fn(&mut dyn Iterator<Item = Line<'_>>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let pieces = self.pieces();
        let results = parallel::map(pieces.len(), |at| {
            let (number, text) = pieces[at];
            work(&mut lines(text, number))
        });
        results.into_iter().collect()
    }

    /// The text in pieces of whole lines, each with the number of its first line.
    fn pieces(&self) -> Vec<(u32, &str)> {
        let (mut pieces, mut rest, mut number) = (Vec::new(), self.text.as_str(), 1);
        while !rest.is_empty() {
            let end = rest.as_bytes().iter().skip(PIECE).position(|byte| *byte == b'\n');
            let (piece, behind) = rest.split_at(end.map_or(rest.len(), |end| PIECE + end + 1));
            pieces.push((number, piece));
            number += piece.bytes().filter(|byte| *byte == b'\n').count() as u32;
            rest = behind;
        }
        pieces
    }
}

/// How long a piece is at least, in bytes.
const PIECE: usize = 256 << 10;

/// Replaces what is not ASCII in comments, which may be in any encoding.
fn blank_comments(bytes: &mut [u8]) {
    let mut is_comment = false;
    for byte in bytes {
        match byte {
            b'\n' => is_comment = false,
            b'#' => is_comment = true,
            byte if is_comment && !byte.is_ascii() => *byte = b'?',
            _ => {}
        }
    }
}

fn lines(text: &str, first: u32) -> impl Iterator<Item = Line<'_>> {
    (first..).zip(text.lines()).filter_map(|(number, line)| {
        let said = line.split_once('#').map_or(line, |(said, _)| said).trim_end();
        (!said.is_empty()).then_some(Line { number, text: said })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlib::text::Problem;

    fn of(text: &str) -> Lines {
        Lines { name: "f".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        let lines = of("a\n# all\n  \n\tb c # some\r\nd");
        let said: Vec<_> = super::lines(&lines.text, 1).map(|line| (line.number, line.text)).collect();
        assert_eq!(said, [(1, "a"), (4, "\tb c"), (5, "d")]);
    }

    #[test]
    fn comments_may_be_in_any_encoding_and_flows_may_not() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"a # f\xfcr\nb").unwrap();
        assert_eq!(Lines::read(file.path()).unwrap().text, "a # f?r\nb");
        std::io::Write::write_all(&mut file, b"\nx\xfc # y").unwrap();
        let error = Lines::read(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(":3: column 2: a byte that is no UTF-8"), "{error}");
    }

    #[test]
    fn pieces_are_worked_on_in_order_and_the_first_error_counts() {
        let text: String = (1..=100_000).map(|n| format!("line {n}\n")).collect();
        let lines = of(&text);
        let numbers: Vec<u32> =
            lines.in_pieces(|piece| Ok(piece.map(|line| line.number).collect::<Vec<_>>())).unwrap().concat();
        assert_eq!(numbers, (1..=100_000).collect::<Vec<_>>());
        let error = lines
            .in_pieces(|piece| match piece.map(|line| line.number).find(|n| n.is_multiple_of(40_000)) {
                Some(number) => anyhow::bail!("{number}"),
                None => Ok(()),
            })
            .unwrap_err();
        assert_eq!(error.to_string(), "40000");
    }

    #[test]
    fn an_error_shows_the_piece() {
        let lines = of("\nin_port=99999, actions=drop\n");
        let error = ParseError { column: 9, found: "99999".to_owned(), problem: Problem::TooBig(16) };
        let line = super::lines(&lines.text, 1).next().unwrap();
        let shown = lines.bad(line, error).to_string();
        let (head, picture) = shown.split_once('\n').unwrap();
        assert!(head.starts_with("f:2: column 9: "), "{head}");
        assert_eq!(picture, "  in_port=99999, actions=drop\n          ^^^^^");
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{}x=1,{}", "a".repeat(400), "b".repeat(400));
        let error = ParseError { column: 401, found: "x".to_owned(), problem: Problem::UnknownField };
        let shown = BadText::argument(&text, error).to_string();
        let lines: Vec<_> = shown.lines().collect();
        let at = |line: &str, c| line.chars().position(|found| found == c);
        assert_eq!(at(lines[1], 'x'), at(lines[2], '^'));
        assert!(lines[1].chars().count() < 120);
    }
}
