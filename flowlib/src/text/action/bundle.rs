//! Choices by hash.

use std::fmt::Display;

use crate::openflow::action::{Bundle, HashFields, Multipath};
use crate::text::printer::{Printer, Role};
use crate::text::subfield;

fn name(name: Option<&'static str>) -> impl Display {
    name.unwrap_or("<unknown>")
}

fn fields(fields: HashFields) -> impl Display {
    name(fields.name())
}

/// Appends `bundle(symmetric_l4,60,hrw,ofport,members:4,8)`.
pub(super) fn format(out: &mut Printer<'_>, bundle: &Bundle) {
    out.put(Role::Paren, if bundle.dst.is_some() { "bundle_load(" } else { "bundle(" });
    let algorithm = name(bundle.algorithm.name());
    put!(out, "{},{},{algorithm},ofport,", fields(bundle.fields), bundle.basis);
    if let Some(dst) = bundle.dst {
        subfield::format(out, dst);
        out.push_str(",");
    }
    out.put(Role::Param, "members:");
    for (n, member) in bundle.members.iter().enumerate() {
        if n > 0 {
            out.push_str(",");
        }
        out.port(*member);
    }
    out.put(Role::Paren, ")");
}

/// Appends `multipath(symmetric_l4,60,modulo_n,4,0,NXM_NX_REG0[0..3])`.
pub(super) fn format_multipath(out: &mut Printer<'_>, multipath: &Multipath) {
    out.put(Role::Paren, "multipath(");
    let algorithm = name(multipath.algorithm.name());
    put!(
        out,
        "{},{},{algorithm},{},{},",
        fields(multipath.fields),
        multipath.basis,
        u32::from(multipath.max_link) + 1,
        multipath.argument
    );
    subfield::format(out, multipath.dst);
    out.put(Role::Paren, ")");
}
