//! A range of bits of a field.

use super::{Field, FieldValue};

/// Bits of a field, as `move`, `load` and `output` by register name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubField {
    /// The field.
    pub field: Field,
    /// Its lowest bit used; 0 is the least significant.
    pub start_bit: u16,
    /// How many bits.
    pub n_bits: u16,
}

impl SubField {
    /// The whole field.
    #[must_use]
    pub fn all(field: Field) -> Self {
        Self { field, start_bit: 0, n_bits: field.n_bits() }
    }

    /// Bits `low` to `high`, both included. Bits in the wrong order make an empty range, which no switch takes.
    #[must_use]
    pub fn bits(field: Field, low: u16, high: u16) -> Self {
        Self { field, start_bit: low, n_bits: (high + 1).saturating_sub(low) }
    }

    /// Whether it is not empty and lies within the field.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.n_bits > 0
            && self.start_bit.checked_add(self.n_bits).is_some_and(|end| end <= self.field.n_bits())
    }

    /// Its value in a value of the whole field.
    #[must_use]
    pub fn of(self, whole: FieldValue) -> FieldValue {
        let shifted = whole.to_u128().checked_shr(self.start_bit.into()).unwrap_or(0);
        FieldValue::from(shifted).and(FieldValue::ones(self.n_bits))
    }
}

impl From<Field> for SubField {
    fn from(field: Field) -> Self {
        Self::all(field)
    }
}
