//! HELLO.

use super::super::printer::Printer;
use super::{Received, Result, hex_dump, put};
use crate::wire::Reader;

const VERSION_BITMAP: u16 = 1;

/// The versions spoken, and all of the message if something in it is not known.
pub(super) fn format(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    // Without a bitmap the sender speaks all versions up to that of its header.
    let mut versions = match message.version {
        version @ 0..31 => (1_u32 << (version + 1)) - 1,
        _ => u32::MAX,
    } & !1;
    let all_known = read_elements(message.body, &mut versions).is_some();
    p.push_str("\n version bitmap: ");
    let mut separator = "";
    for version in (0..32).filter(|version| versions >> version & 1 == 1) {
        put(p, format_args!("{separator}{version:#04x}"));
        separator = ", ";
    }
    if !all_known {
        p.push_str("\n unknown data in hello:\n");
        hex_dump::format(p, message.whole);
    }
    Ok(())
}

/// Reads as many elements as there are; `None` if one of them is not a bitmap of versions.
fn read_elements(mut r: Reader<'_>, versions: &mut u32) -> Option<()> {
    let mut all_known = Some(());
    while !r.is_empty() {
        let at = r.clone();
        let (element_type, len) = (r.u16().ok()?, usize::from(r.u16().ok()?));
        let element = at.clone().bytes(len.next_multiple_of(8)).ok().and_then(|bytes| bytes.get(4..len))?;
        r.skip(len.next_multiple_of(8) - 4).ok()?;
        let is_bitmap = element_type == VERSION_BITMAP && element.len().is_multiple_of(4);
        match element.first_chunk().filter(|_| is_bitmap) {
            // There is no version 0.
            Some(word) if u32::from_be_bytes(*word) & !1 != 0 => *versions = u32::from_be_bytes(*word) & !1,
            _ => all_known = None,
        }
    }
    all_known
}
