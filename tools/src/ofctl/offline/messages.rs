//! Messages in hexadecimal, and files of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flowlib::openflow::HEADER_LEN;
use flowlib::text::{Verbosity, print_message};

use crate::ofctl::globals::Globals;
use crate::ofctl::out::Out;

/// `ofp-print HEX [VERBOSITY]`, or `ofp-print [VERBOSITY] -` for a line of standard input.
///
/// # Errors
/// If the digits are none.
pub(in crate::ofctl) fn print_hex(globals: &Globals, hex: &str, other: Option<&str>) -> Result<()> {
    let mut line = String::new();
    let (hex, verbosity) = match (hex, other) {
        ("-", None) => (None, None),
        (verbosity, Some("-")) => (None, Some(verbosity)),
        (hex, verbosity) => (Some(hex), verbosity),
    };
    let hex = match hex {
        Some(hex) => hex,
        None => {
            io::stdin().read_line(&mut line).context("cannot read standard input")?;
            &line
        }
    };
    let verbosity =
        verbosity.map_or(Ok(2), |text| text.parse().with_context(|| format!("{text}: not a verbosity")))?;
    let bytes = bytes_of_hex(hex)?;
    let mut out = Out::default();
    print_message(out.text(), &bytes, globals.style(None), Verbosity(verbosity));
    out.flush()
}

/// The bytes of hexadecimal digits, which may have white space between two bytes.
///
/// # Errors
/// If there is something else.
pub(in crate::ofctl) fn bytes_of_hex(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut rest = text.bytes().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace());
    let digit = |at: usize, byte: u8| {
        (byte as char)
            .to_digit(16)
            .with_context(|| format!("column {}: trailing garbage following hex bytes", at + 1))
    };
    while let Some((at, high)) = rest.next() {
        let high = digit(at, high)?;
        let Some((at, low)) = rest.next() else {
            bail!("column {}: trailing garbage following hex bytes: half of a byte", at + 1);
        };
        bytes.push((high << 4 | digit(at, low)?) as u8);
    }
    Ok(bytes)
}

/// `ofp-parse`: messages one behind another, as on the wire.
///
/// # Errors
/// If the file ends within a message, or cannot be read.
pub(in crate::ofctl) fn parse_messages(globals: &Globals, path: &Path) -> Result<()> {
    let name = path.display();
    let mut input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(io::BufReader::new(File::open(path).with_context(|| format!("{name}: open"))?))
    };
    let mut out = Out::default();
    let mut message = Vec::new();
    loop {
        message.resize(HEADER_LEN, 0);
        match read_whole(&mut input, &mut message)? {
            0 => break,
            HEADER_LEN => {}
            _ => bail!("{name}: unexpected end of file mid-message"),
        }
        let len = usize::from(u16::from_be_bytes([message[2], message[3]]));
        if len < HEADER_LEN {
            bail!("{name}: {len}-byte message is too short for OpenFlow");
        }
        message.resize(len, 0);
        if read_whole(&mut input, &mut message[HEADER_LEN..])? < len - HEADER_LEN {
            bail!("{name}: unexpected end of file mid-message");
        }
        print_message(out.text(), &message, globals.style(None), Verbosity(globals.verbosity(2)));
        out.flow()?;
    }
    out.flush()
}

/// Fills the buffer; how far, if the file ends before.
fn read_whole(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match input.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_may_have_white_space_and_nothing_else() {
        assert_eq!(bytes_of_hex("04 00\n0A0b").unwrap(), [4, 0, 10, 11]);
        assert!(bytes_of_hex("04g0").unwrap_err().to_string().starts_with("column 3"));
        assert!(bytes_of_hex("040").unwrap_err().to_string().starts_with("column 3"));
    }
}
