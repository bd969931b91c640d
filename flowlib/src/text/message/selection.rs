//! How a group selects a bucket for a packet, which OpenFlow 1.3 cannot say: it is read to be checked.

use crate::openflow::oxm::field;
use crate::openflow::{Field, FieldValue};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::{Names, Protocols, field_value, subfield};

/// The longest name of a method. Source: `NTR_MAX_SELECTION_METHOD_LEN` of Open vSwitch 3.1.
const MAX_METHOD: usize = 15;

/// What a text says of it.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    method: Option<Piece<'a>>,
    has_param: bool,
    fields: Vec<Field>,
    /// The protocols that can say it.
    pub(super) protocols: Protocols,
}

impl Default for Selection<'_> {
    fn default() -> Self {
        Self { method: None, has_param: false, fields: Vec::new(), protocols: Protocols::all() }
    }
}

impl<'a> Selection<'a> {
    /// Takes a key and its value; says whether it was one of these.
    ///
    /// # Errors
    /// What is wrong with the value.
    ///
    /// Source: `parse_ofp_group_mod_str__` in `lib/ofp-group.c` of Open vSwitch 3.1.
    pub(super) fn read(
        &mut self,
        name: &str,
        value: Piece<'a>,
        names: Option<&Names>,
    ) -> Result<bool, ParseError> {
        match name {
            "selection_method" if value.text().len() > MAX_METHOD => {
                return Err(value.error(Problem::Expected("a name of at most 15 bytes")));
            }
            "selection_method" => self.method = Some(value),
            "selection_method_param" => self.has_param = field_value::parse_integer(value, 64)? != 0,
            "fields" => {
                for (key, value) in value.key_values() {
                    self.field(key, value, names)?;
                }
            }
            _ => return Ok(false),
        }
        self.protocols &= Protocols::OF10_ANY | Protocols::NXM | Protocols::OF15;
        Ok(true)
    }

    /// Takes a field that is hashed, and the bits of it that are, if not all.
    fn field(&mut self, key: Piece<'_>, value: Piece<'_>, names: Option<&Names>) -> Result<(), ParseError> {
        let found = match key.text() {
            "dl_vlan" => Some(field::VLAN_VID),
            name => subfield::find_short_name(name),
        };
        let found = found.ok_or_else(|| key.error(Problem::UnknownSubField))?;
        if self.fields.contains(&found) {
            return Err(key.error(Problem::Expected("left out: the field is there already")));
        }
        self.fields.push(found);
        if found.is_wide() {
            return if value.is_empty() { Ok(()) } else { field_value::parse_wide(found, value).map(drop) };
        }
        let mut bits = None;
        if !value.is_empty() {
            let (parsed, mask) = field_value::parse(found, value, names)?;
            let is_whole = parsed == found.wire_mask();
            if mask.is_some() || parsed == FieldValue::ZERO {
                return Err(value.error(Problem::Expected("a mask of some bits")));
            }
            if !is_whole && !found.info().maskable {
                return Err(value.error(Problem::NoMask));
            }
            bits = Some(parsed).filter(|_| !is_whole);
        }
        self.protocols &= Protocols::of_field(found, bits);
        Ok(())
    }

    /// Checks that what goes together is there together.
    pub(super) fn check(&self, head: Piece<'_>) -> Result<(), ParseError> {
        let method = self.method.map_or("", Piece::text);
        if !self.fields.is_empty() && method != "hash" {
            return Err(head.error(Problem::Expected("with selection_method=hash beside fields")));
        }
        if self.has_param && method.is_empty() {
            return Err(head.error(Problem::Expected("with a selection_method beside its parameter")));
        }
        Ok(())
    }
}
