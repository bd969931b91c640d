//! The entries in a part of a multipart answer, as bytes: those of flows and of tables' features, which begin with their
//! length.

use std::ops::Range;

use super::link::Failure;

/// Where the entries begin.
const HEADER_LEN: usize = 16;

/// Where in an entry of tables' features the table's number is, and its name with zeros behind it.
///
/// Source: OpenFlow 1.3.5 §7.3.5.5.1.
pub(super) const TABLE_AT: usize = 2;
pub(super) const TABLE_NAME: Range<usize> = 8..40;

/// The entries in a part of an answer.
///
/// # Errors
/// `BadReply` instead of an entry that the part does not hold all of; nothing follows it.
pub(super) fn entries(part: &[u8]) -> impl Iterator<Item = Result<&[u8], Failure>> {
    places(part).map(|place| place.map(|place| &part[place]))
}

/// Where in a part of an answer the entries are.
///
/// # Errors
/// See [`entries`].
pub(super) fn places(part: &[u8]) -> impl Iterator<Item = Result<Range<usize>, Failure>> {
    let mut next = (part.len() != HEADER_LEN).then_some(HEADER_LEN);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let rest = part.get(start..).unwrap_or_default();
        let len = rest.first_chunk().map_or(0, |len| usize::from(u16::from_be_bytes(*len)));
        if len == 0 || len > rest.len() {
            let problem = format!("the entry at byte {start} of a multipart reply is cut off");
            return Some(Err(Failure::BadReply(problem)));
        }
        next = Some(start + len).filter(|next| *next < part.len());
        Some(Ok(start..start + len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_entries_or_says_where_one_is_broken() {
        let part = |entries: &[u8]| [&[0; HEADER_LEN], entries].concat();
        let found = |entries: &[u8]| places(&part(entries)).collect::<Result<Vec<_>, _>>();
        assert_eq!(found(&[]).unwrap(), []);
        assert_eq!(found(&[0, 4, 1, 1, 0, 2]).unwrap(), [16..20, 20..22]);
        for broken in [&[0, 4, 1, 1, 0, 0, 9][..], &[0, 4, 1, 1, 0], &[0, 4, 1, 1, 0, 4, 1]] {
            let error = found(broken).unwrap_err().to_string();
            assert!(error.contains("byte 20"), "{error}");
            assert_eq!(places(&part(broken)).count(), 2, "the error is the last");
        }
        assert!(places(&[0; HEADER_LEN - 1]).next().is_some_and(|entry| entry.is_err()));
    }
}
