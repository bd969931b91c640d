//! Choices by hash.

use std::fmt::Display;

use crate::openflow::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::names::Names;
use crate::text::port::parse_port;
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

/// What can be hashed, for a bundle; a multipath can hash the rest too.
const FIELDS: &str =
    "eth_src, symmetric_l4, symmetric_l3l4, symmetric_l3l4+udp, nw_src, nw_dst or symmetric_l3";

fn next<'a>(tokens: &mut impl Iterator<Item = Piece<'a>>, whole: Piece<'a>) -> Result<Piece<'a>, ParseError> {
    tokens.next().ok_or_else(|| whole.error(Problem::Expected("more arguments: see ovs-actions(7)")))
}

fn read_fields(token: Piece<'_>) -> Result<HashFields, ParseError> {
    (0..=6)
        .map(HashFields)
        .find(|fields| fields.name().is_some_and(|name| name.eq_ignore_ascii_case(token.text())))
        .ok_or_else(|| token.error(Problem::Expected(FIELDS)))
}

/// Reads `FIELDS,BASIS,ALGORITHM,ofport,members:PORT…`, of a load with a field before the ports.
pub(super) fn read(value: Piece<'_>, names: Option<&Names>, is_load: bool) -> Result<Bundle, ParseError> {
    let tokens = &mut value.tokens();
    let fields = read_fields(next(tokens, value)?)?;
    let basis = next(tokens, value)?.u16()?;
    let algorithm = next(tokens, value)?;
    let algorithm = match algorithm.text().to_ascii_lowercase().as_str() {
        "active_backup" => BundleAlgorithm::ACTIVE_BACKUP,
        "hrw" => BundleAlgorithm::HRW,
        _ => return Err(algorithm.error(Problem::Expected("active_backup or hrw"))),
    };
    let kind = next(tokens, value)?;
    if !kind.text().eq_ignore_ascii_case("ofport") {
        return Err(kind.error(Problem::Expected("ofport")));
    }
    let dst = if is_load { Some(subfield::parse(next(tokens, value)?)?) } else { None };
    if let Some(dst) = dst.filter(|dst| dst.n_bits < 16 || dst.n_bits > 64 || dst.field.is_experimenter()) {
        return Err(value.error(Problem::BitsFor(dst.field.name(), 16)));
    }
    let first = next(tokens, value)?;
    let (word, first) = first.split_once(":").unwrap_or((first, first.slice(0, 0)));
    if !matches!(word.text().to_ascii_lowercase().as_str(), "members" | "slaves") {
        return Err(word.error(Problem::Expected("members:")));
    }
    let mut members = Vec::new();
    for token in std::iter::once(first).chain(tokens) {
        let name = token.text().trim_matches(['[', ']']);
        if !name.is_empty() {
            let start = token.text().len() - token.text().trim_start_matches('[').len();
            members.push(parse_port(token.slice(start, start + name.len()), names)?);
        }
    }
    if members.len() > Bundle::MAX_MEMBERS {
        return Err(value.error(Problem::Expected("at most 2048 members")));
    }
    Ok(Bundle { fields, basis, algorithm, dst, members })
}

/// Reads `FIELDS,BASIS,ALGORITHM,N_LINKS,ARGUMENT,FIELD`.
pub(super) fn read_multipath(value: Piece<'_>) -> Result<Multipath, ParseError> {
    let tokens = &mut value.tokens();
    let fields = read_fields(next(tokens, value)?)?;
    let basis = next(tokens, value)?.u16()?;
    let algorithm = next(tokens, value)?;
    let known = "modulo_n, hash_threshold, hrw or iter_hash";
    let is_named = |kind: &MultipathAlgorithm| {
        kind.name().is_some_and(|name| name.eq_ignore_ascii_case(algorithm.text()))
    };
    let algorithm = (0..=3)
        .map(MultipathAlgorithm)
        .find(is_named)
        .ok_or_else(|| algorithm.error(Problem::Expected(known)))?;
    let links = next(tokens, value)?;
    let n_links = links.u32()?;
    let max_link = n_links.checked_sub(1).and_then(|max_link| u16::try_from(max_link).ok());
    let max_link = max_link.ok_or_else(|| links.error(Problem::Expected("1 to 65536 links")))?;
    let argument = next(tokens, value)?.u32()?;
    let target = next(tokens, value)?;
    let dst = subfield::parse(target)?;
    if dst.n_bits < 16 && max_link >> dst.n_bits != 0 || dst.n_bits > 64 || dst.field.is_experimenter() {
        let needed = (u16::BITS - max_link.leading_zeros()) as u16;
        return Err(target.error(Problem::BitsFor(dst.field.name(), needed)));
    }
    Ok(Multipath { fields, basis, algorithm, max_link, argument, dst })
}
