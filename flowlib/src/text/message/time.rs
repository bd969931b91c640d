//! Durations.

use super::super::printer::Printer;
use super::put;

/// Appends seconds without a fraction, with milliseconds, or with as many decimals as it needs; and an `s`.
pub(super) fn format(p: &mut Printer<'_>, seconds: u32, nanoseconds: u32) {
    put(p, format_args!("{seconds}"));
    if nanoseconds != 0 && nanoseconds.is_multiple_of(1_000_000) {
        put(p, format_args!(".{:03}", nanoseconds / 1_000_000));
    } else if nanoseconds != 0 {
        put(p, format_args!(".{nanoseconds:09}"));
        p.chomp_all('0');
    }
    p.push_str("s");
}
