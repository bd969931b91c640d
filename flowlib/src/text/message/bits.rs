//! Sets of bits by name.

use super::super::printer::Printer;
use super::put;

/// Appends the names of the bits that are set with spaces between them, bits without a name as one number, or 0.
pub(super) fn format(p: &mut Printer<'_>, bits: u32, names: &[(u32, &str)]) {
    let mut left = bits;
    let mut separator = "";
    for (_, name) in names.iter().filter(|(bit, _)| bits >> bit & 1 == 1) {
        p.push_str(separator);
        p.push_str(name);
        separator = " ";
    }
    for (bit, _) in names {
        left &= !(1 << bit);
    }
    if left != 0 {
        p.push_str(separator);
        put(p, format_args!("{left:#x}"));
    } else if bits == 0 {
        p.push_str("0");
    }
}
