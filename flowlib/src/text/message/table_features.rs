//! What tables can do.
//!
//! Source: `ofputil_table_features_format` in `lib/ofp-table.c` of Open vSwitch 3.1.

use std::collections::BTreeSet;

use super::super::printer::Printer;
use super::field_names::{self, Fields};
use super::table::Ditto;
use super::{BAD_FEATURES, Received, Result, action_bits, put};
use crate::openflow::multipart::{FieldId, TableFeature, TableFeatureType, TableFeatures};
use crate::openflow::{ErrorCode, Field};
use crate::types::TableId;

/// Instructions in the order in which ovs-ofctl lists them. Source: OpenFlow 1.3.5 §7.2.4.
const INSTRUCTIONS: &[(u32, &str)] = &[
    (6, "meter"),
    (4, "apply_actions"),
    (5, "clear_actions"),
    (3, "write_actions"),
    (2, "write_metadata"),
    (1, "goto_table"),
];

/// The properties that each table must have, by their bits: all but those for table-miss flows.
const REQUIRED: u16 = 0x5555;

/// Actions of an instruction, and fields that its `set_field` can set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Actions {
    types: u32,
    fields: Fields,
}

impl Actions {
    fn is_empty(&self) -> bool {
        self.types == 0 && self.fields.is_empty()
    }
}

/// What flows can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Abilities {
    next: BTreeSet<u8>,
    instructions: u32,
    write: Actions,
    apply: Actions,
}

impl Abilities {
    fn is_empty(&self) -> bool {
        self.next.is_empty() && self.instructions == 0 && self.write.is_empty() && self.apply.is_empty()
    }

    /// Whether they are the same, but for the next table being no next table of itself.
    fn is_like(&self, table: TableId, other: &Self, other_table: TableId) -> bool {
        is_next_like(&self.next, table, &other.next, other_table)
            && self.instructions == other.instructions
            && self.write == other.write
            && self.apply == other.apply
    }
}

fn is_next_like(next: &BTreeSet<u8>, table: TableId, other: &BTreeSet<u8>, other_table: TableId) -> bool {
    let follows = |first: TableId, second: TableId| first.0.checked_add(1) == Some(second.0);
    let (earlier, later, second) = if follows(table, other_table) {
        (next, other, other_table.0)
    } else if follows(other_table, table) {
        (other, next, table.0)
    } else {
        return next == other;
    };
    if earlier.contains(&second) && !later.contains(&second) {
        earlier.iter().filter(|table| **table != second).eq(later.iter())
    } else {
        earlier == later
    }
}

/// What a table can do, in sets.
#[derive(Clone, Debug, Default)]
struct Table {
    others: Abilities,
    miss: Abilities,
    matching: Fields,
    masking: Fields,
    wildcards: Fields,
}

impl Table {
    fn read(features: &TableFeatures) -> Result<Self> {
        if features.table == TableId::ALL {
            return Err(ErrorCode::OFPTFFC_BAD_TABLE);
        }
        let mut found = Self::default();
        let mut seen = 0_u16;
        for property in &features.properties {
            let feature_type = match property {
                TableFeature::Codes { feature_type, .. }
                | TableFeature::Tables { feature_type, .. }
                | TableFeature::Fields { feature_type, .. } => *feature_type,
                TableFeature::Unknown(_) => continue,
            };
            let bit = 1_u16.checked_shl(feature_type.0.into()).unwrap_or(0);
            if seen & bit != 0 {
                return Err(BAD_FEATURES);
            }
            seen |= bit;
            found.set(property)?;
        }
        if seen & REQUIRED != REQUIRED {
            return Err(BAD_FEATURES);
        }
        found.fill_miss(seen);
        found.matching.extend(&found.masking);
        found.wildcards.extend(&found.masking);
        found.wildcards = &found.wildcards & &found.matching;
        Ok(found)
    }

    fn set(&mut self, property: &TableFeature) -> Result {
        match property {
            TableFeature::Codes { feature_type, codes } => {
                let bits =
                    codes.iter().filter(|code| code.code < 32).fold(0, |bits, code| bits | 1 << code.code);
                self.set_codes(*feature_type, bits);
            }
            TableFeature::Tables { feature_type, tables } => {
                if tables.contains(&TableId::ALL) {
                    return Err(ErrorCode::OFPBPC_BAD_VALUE);
                }
                self.of(*feature_type).next = tables.iter().map(|table| table.0).collect();
            }
            TableFeature::Fields { feature_type, fields } => self.set_fields(*feature_type, fields)?,
            TableFeature::Unknown(_) => {}
        }
        Ok(())
    }

    /// What is not said of table-miss flows is as for the others.
    fn fill_miss(&mut self, seen: u16) {
        let Self { others, miss, .. } = self;
        let is_missing = |feature_type: TableFeatureType| seen >> feature_type.0 & 1 == 0;
        if is_missing(TableFeatureType::INSTRUCTIONS_MISS) {
            miss.instructions = others.instructions;
        }
        if is_missing(TableFeatureType::NEXT_TABLES_MISS) {
            miss.next.clone_from(&others.next);
        }
        if is_missing(TableFeatureType::WRITE_ACTIONS_MISS) {
            miss.write.types = others.write.types;
        }
        if is_missing(TableFeatureType::APPLY_ACTIONS_MISS) {
            miss.apply.types = others.apply.types;
        }
        if is_missing(TableFeatureType::WRITE_SET_FIELD_MISS) {
            miss.write.fields.clone_from(&others.write.fields);
        }
        if is_missing(TableFeatureType::APPLY_SET_FIELD_MISS) {
            miss.apply.fields.clone_from(&others.apply.fields);
        }
    }

    /// What table-miss flows can do has the odd types.
    fn of(&mut self, feature_type: TableFeatureType) -> &mut Abilities {
        if feature_type.0 % 2 == 1 { &mut self.miss } else { &mut self.others }
    }

    fn set_codes(&mut self, feature_type: TableFeatureType, bits: u32) {
        let place = self.of(feature_type);
        match TableFeatureType(feature_type.0 & !1) {
            TableFeatureType::INSTRUCTIONS => {
                let known = INSTRUCTIONS.iter().fold(0, |known, (bit, _)| known | 1 << bit);
                place.instructions = bits & known;
            }
            TableFeatureType::WRITE_ACTIONS => place.write.types = action_bits::known(bits),
            _ => place.apply.types = action_bits::known(bits),
        }
    }

    fn set_fields(&mut self, feature_type: TableFeatureType, fields: &[FieldId]) -> Result {
        let named = |has_mask: bool| -> Fields {
            let of_kind = fields.iter().filter(|id| id.has_mask() == has_mask);
            of_kind.filter_map(|id| field_names::place(field_of(id)?)).collect()
        };
        let (whole, masked) = (named(false), named(true));
        if feature_type == TableFeatureType::MATCH {
            (self.matching, self.masking) = (whole, masked);
            return Ok(());
        }
        if !masked.is_empty() {
            return Err(ErrorCode::OFPBMC_BAD_MASK);
        }
        let place = self.of(feature_type);
        match TableFeatureType(feature_type.0 & !1) {
            TableFeatureType::WILDCARDS => self.wildcards = whole,
            TableFeatureType::WRITE_SET_FIELD => place.write.fields = whole,
            _ => place.apply.fields = whole,
        }
        Ok(())
    }
}

/// The field that an OXM header names, if it says the field's length too.
fn field_of(id: &FieldId) -> Option<Field> {
    let len = |id: FieldId| id.header & 0xff;
    let field = id.field()?;
    let is_exact = len(FieldId::new(field, id.has_mask())) == len(*id);
    (is_exact || field.name().starts_with("tun_metadata")).then_some(field)
}

pub(super) fn format(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let mut list = TableFeaturesList::default();
    let result = message.read_list(|features: TableFeatures| list.add(p, features));
    list.ditto.finish(p);
    result
}

/// Tables that are printed one behind another, those like the one before them put together: they may have come in
/// several messages.
#[derive(Debug, Default)]
pub struct TableFeaturesList {
    ditto: Ditto,
    previous: Option<(TableFeatures, Table)>,
}

impl TableFeaturesList {
    /// Appends a table, or keeps it until it is known how many are like it.
    ///
    /// # Errors
    /// What is wrong with the table; then nothing is appended.
    pub fn print(&mut self, out: &mut String, features: TableFeatures) -> Result {
        self.add(&mut Printer::plain(out), features)
    }

    /// Appends those that were kept.
    pub fn finish(mut self, out: &mut String) {
        self.ditto.finish(&mut Printer::plain(out));
    }

    fn add(&mut self, p: &mut Printer<'_>, features: TableFeatures) -> Result {
        let table = Table::read(&features)?;
        let before = self.previous.as_ref();
        let is_same = before.is_some_and(|(before, old)| is_like(&features, &table, before, old));
        if is_same && features.name.as_bytes().is_empty() {
            self.ditto.add(features.table);
        } else {
            self.ditto.finish(p);
            put(p, format_args!("\n  table {}", features.table));
            format_name(p, &features);
            if is_same {
                p.push_str(": ditto");
            } else {
                p.push_str(":\n");
                format_table(p, &features, &table, before);
            }
        }
        self.previous = Some((features, table));
        Ok(())
    }
}

fn format_name(p: &mut Printer<'_>, features: &TableFeatures) {
    // Open vSwitch keeps 31 bytes of it.
    let name = features.name.as_bytes();
    let name = name.get(..31).unwrap_or(name);
    if !name.is_empty() {
        put(p, format_args!(" (\"{}\")", String::from_utf8_lossy(name)));
    }
}

fn is_like(features: &TableFeatures, table: &Table, before: &TableFeatures, old: &Table) -> bool {
    let numbers =
        |features: &TableFeatures| (features.metadata_match, features.metadata_write, features.max_entries);
    numbers(features) == numbers(before)
        && table.others.is_like(features.table, &old.others, before.table)
        && table.miss.is_like(features.table, &old.miss, before.table)
        && table.matching == old.matching
}

fn format_table(
    p: &mut Printer<'_>,
    features: &TableFeatures,
    table: &Table,
    before: Option<&(TableFeatures, Table)>,
) {
    let (readable, writable) = (features.metadata_match, features.metadata_write);
    if readable != 0 || writable != 0 {
        p.push_str("    metadata: match=");
        p.alternate_hex(readable);
        p.push_str(" write=");
        p.alternate_hex(writable);
        p.push_str("\n");
    }
    if features.max_entries != 0 {
        put(p, format_args!("    max_entries={}\n", features.max_entries));
    }
    let is_known = before.is_some_and(|(before, old)| {
        table.others.is_like(features.table, &old.others, before.table)
            && table.miss.is_like(features.table, &old.miss, before.table)
    });
    let old = before.map(|(_, old)| old);
    if is_known {
        if !table.others.is_empty() {
            p.push_str("    (same instructions)\n");
        }
    } else if table.others != table.miss {
        p.push_str("    instructions (other than table miss):\n");
        format_abilities(p, &table.others, old.map(|old| &old.others));
        p.push_str("    instructions (table miss):\n");
        format_abilities(p, &table.miss, old.map(|old| &old.miss));
    } else if !table.others.is_empty() {
        p.push_str("    instructions (table miss and others):\n");
        format_abilities(p, &table.others, old.map(|old| &old.others));
    }
    format_matching(p, table, old);
}

fn format_abilities(p: &mut Printer<'_>, abilities: &Abilities, old: Option<&Abilities>) {
    if !abilities.next.is_empty() {
        p.push_str("      next tables: ");
        format_ranges(p, &abilities.next);
        p.push_str("\n");
    }
    if abilities.instructions != 0 {
        if old.is_some_and(|old| old.instructions == abilities.instructions) {
            p.push_str("      (same instructions)\n");
        } else {
            p.push_str("      instructions:");
            for (_, name) in INSTRUCTIONS.iter().filter(|(bit, _)| abilities.instructions >> bit & 1 == 1) {
                put(p, format_args!(" {name}"));
            }
            p.push_str("\n");
        }
    }
    let Abilities { write, apply, .. } = abilities;
    let is_same = old.is_some_and(|old| old.write == *write && old.apply == *apply);
    if is_same && !write.fields.is_empty() {
        p.push_str("      (same actions)\n");
    } else if write != apply {
        p.push_str("      Write-Actions features:\n");
        format_actions(p, write);
        p.push_str("      Apply-Actions features:\n");
        format_actions(p, apply);
    } else if !write.is_empty() {
        p.push_str("      Write-Actions and Apply-Actions features:\n");
        format_actions(p, write);
    }
}

/// Appends numbers with commas between them, those that follow each other as `FIRST-LAST`.
fn format_ranges(p: &mut Printer<'_>, numbers: &BTreeSet<u8>) {
    let mut separator = "";
    let mut left = numbers.iter().copied().peekable();
    while let Some(first) = left.next() {
        let mut last = first;
        while let Some(next) = left.next_if(|next| last.checked_add(1) == Some(*next)) {
            last = next;
        }
        put(p, format_args!("{separator}{first}"));
        if last != first {
            put(p, format_args!("-{last}"));
        }
        separator = ",";
    }
}

fn format_actions(p: &mut Printer<'_>, actions: &Actions) {
    if actions.types != 0 {
        p.push_str("        actions: ");
        action_bits::format(p, actions.types);
        p.push_str("\n");
    }
    if !actions.fields.is_empty() {
        p.push_str("        supported on Set-Field:");
        field_names::format(p, &actions.fields);
        p.push_str("\n");
    }
}

fn format_matching(p: &mut Printer<'_>, table: &Table, old: Option<&Table>) {
    let Table { matching, masking, wildcards, .. } = table;
    if matching.is_empty() {
        return;
    }
    if old.is_some_and(|old| old.matching == *matching) {
        p.push_str("    (same matching)\n");
        return;
    }
    p.push_str("    matching:\n");
    let whole = matching - masking;
    for (title, fields) in [
        ("arbitrary mask", matching & masking),
        ("exact match or wildcard", &whole & wildcards),
        ("must exact match", &whole - wildcards),
    ] {
        if !fields.is_empty() {
            put(p, format_args!("      {title}:"));
            field_names::format(p, &fields);
            p.push_str("\n");
        }
    }
}
