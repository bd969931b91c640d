//! Errors that one side reports to the other, and which one answers bytes that could not be decoded.

use std::fmt;

use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

pub use super::error_code::ErrorCode;

/// What went wrong with the message of the same xid.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorMsg {
    /// What.
    pub code: ErrorCode,
    /// The beginning of that message (at least 64 bytes of it, if it has them), or a text if a HELLO failed.
    pub data: Vec<u8>,
}

impl ErrorMsg {
    /// What answers `offending`, which could not be decoded.
    #[must_use]
    pub fn for_decode_error(error: &DecodeError, offending: &[u8]) -> Self {
        Self { code: error_code(error), data: offending.iter().take(64).copied().collect() }
    }
}

impl fmt::Display for ErrorMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code, f)?;
        if self.code.error_type == ErrorCode::OFPHFC_INCOMPATIBLE.error_type {
            write!(f, ": {}", String::from_utf8_lossy(&self.data).escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ErrorMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes of the message)", self.code, self.data.len())
    }
}

/// Shape: type `u16`, code `u16`, for an experimenter's error its number `u32`, data.
///
/// Source: OpenFlow 1.3.5 §7.4.4.
impl Wire for ErrorMsg {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (error_type, code) = (r.u16()?, r.u16()?);
        let experimenter = if error_type == ErrorCode::EXPERIMENTER { r.u32()? } else { 0 };
        Ok(Self { code: ErrorCode { error_type, code, experimenter }, data: r.rest().to_vec() })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.code.error_type);
        w.u16(self.code.code);
        if self.code.error_type == ErrorCode::EXPERIMENTER {
            w.u32(self.code.experimenter);
        }
        w.bytes(&self.data);
    }
}

/// The error that answers bytes that could not be decoded. Total: every error has one.
///
/// Source: OpenFlow 1.3.5 §7.4.4.
#[must_use]
pub fn error_code(error: &DecodeError) -> ErrorCode {
    match error.problem {
        Problem::BadVersion { .. } => ErrorCode::OFPBRC_BAD_VERSION,
        Problem::BadField { .. } if is_action(error.part) => ErrorCode::OFPBAC_BAD_SET_TYPE,
        Problem::BadMask { .. } | Problem::BadWildcards { .. } if is_action(error.part) => {
            ErrorCode::OFPBAC_BAD_SET_ARGUMENT
        }
        Problem::BadField { .. } => ErrorCode::OFPBMC_BAD_FIELD,
        Problem::BadMask { .. } => ErrorCode::OFPBMC_BAD_MASK,
        Problem::BadWildcards { .. } => ErrorCode::OFPBMC_BAD_WILDCARDS,
        Problem::DuplicateField { .. } => ErrorCode::OFPBMC_DUP_FIELD,
        Problem::BadExperimenter { .. } => ErrorCode::OFPBPC_BAD_EXPERIMENTER,
        Problem::NotZero if is_action(error.part) => ErrorCode::NXBAC_MUST_BE_ZERO,
        Problem::NotZero => ErrorCode::NXBRC_MUST_BE_ZERO,
        Problem::TooDeep => ErrorCode::OFPBAC_TOO_MANY,
        Problem::BadConjunction { .. } => ErrorCode::NXBAC_BAD_CONJUNCTION,
        Problem::BadHeader { .. } => ErrorCode::NXBAC_BAD_HEADER_TYPE,
        Problem::BadProperty { .. } => ErrorCode::NXBAC_UNKNOWN_ED_PROP,
        Problem::BadType { .. } => bad_type(error.part),
        Problem::BadCommand { .. } => bad_command(error.part),
        Problem::BadFlags { .. } => bad_flags(error.part),
        Problem::BadValue { .. } => bad_value(error.part),
        Problem::Truncated { .. } | Problem::BadLength { .. } | Problem::Trailing { .. } => {
            bad_length(error.part)
        }
    }
}

fn is_action(part: Part) -> bool {
    matches!(part, Part::Action | Part::ActionField)
}

fn bad_length(part: Part) -> ErrorCode {
    match part {
        Part::Match => ErrorCode::OFPBMC_BAD_LEN,
        Part::Action => ErrorCode::OFPBAC_BAD_LEN,
        Part::ActionField => ErrorCode::OFPBAC_BAD_SET_LEN,
        Part::Instruction => ErrorCode::OFPBIC_BAD_LEN,
        Part::Bucket => ErrorCode::OFPGMFC_BAD_BUCKET,
        Part::Bundle => ErrorCode::OFPBFC_MSG_BAD_LEN,
        Part::Property | Part::TableFeatures => ErrorCode::OFPBPC_BAD_LEN,
        Part::TlvTable => ErrorCode::NXTTMFC_BAD_OPT_LEN,
        _ => ErrorCode::OFPBRC_BAD_LEN,
    }
}

fn bad_type(part: Part) -> ErrorCode {
    match part {
        Part::Match => ErrorCode::OFPBMC_BAD_TYPE,
        Part::Action | Part::ActionField => ErrorCode::OFPBAC_BAD_TYPE,
        Part::Instruction => ErrorCode::OFPBIC_UNKNOWN_INST,
        Part::GroupMod => ErrorCode::OFPGMFC_BAD_TYPE,
        Part::MeterMod => ErrorCode::OFPMMFC_BAD_BAND,
        Part::Multipart => ErrorCode::OFPBRC_BAD_STAT,
        Part::Bundle => ErrorCode::OFPBFC_MSG_UNSUP,
        Part::Property | Part::TableFeatures => ErrorCode::OFPBPC_BAD_TYPE,
        Part::Monitor => ErrorCode::NXBRC_FM_BAD_EVENT,
        Part::Hello => ErrorCode::OFPHFC_INCOMPATIBLE,
        _ => ErrorCode::OFPBRC_BAD_TYPE,
    }
}

fn bad_command(part: Part) -> ErrorCode {
    match part {
        Part::FlowMod => ErrorCode::OFPFMFC_BAD_COMMAND,
        Part::GroupMod => ErrorCode::OFPGMFC_BAD_COMMAND,
        Part::MeterMod => ErrorCode::OFPMMFC_BAD_COMMAND,
        Part::Bundle => ErrorCode::OFPBFC_BAD_TYPE,
        Part::TlvTable => ErrorCode::NXTTMFC_BAD_COMMAND,
        part => bad_type(part),
    }
}

fn bad_flags(part: Part) -> ErrorCode {
    match part {
        Part::FlowMod => ErrorCode::OFPFMFC_BAD_FLAGS,
        Part::MeterMod => ErrorCode::OFPMMFC_BAD_FLAGS,
        Part::PortMod => ErrorCode::OFPPMFC_BAD_CONFIG,
        Part::TableMod => ErrorCode::OFPTMFC_BAD_CONFIG,
        Part::Config => ErrorCode::OFPSCFC_BAD_FLAGS,
        Part::Bundle => ErrorCode::OFPBFC_BAD_FLAGS,
        Part::Monitor => ErrorCode::OFPMOFC_BAD_FLAGS,
        part => bad_value(part),
    }
}

fn bad_value(part: Part) -> ErrorCode {
    match part {
        Part::Match => ErrorCode::OFPBMC_BAD_VALUE,
        Part::Action | Part::ActionField => ErrorCode::OFPBAC_BAD_ARGUMENT,
        Part::Instruction => ErrorCode::OFPBIC_UNSUP_INST,
        Part::FlowMod => ErrorCode::OFPFMFC_UNKNOWN,
        Part::GroupMod => ErrorCode::OFPGMFC_INVALID_GROUP,
        Part::Bucket => ErrorCode::OFPGMFC_BAD_WATCH,
        Part::MeterMod => ErrorCode::OFPMMFC_UNKNOWN,
        Part::PortMod => ErrorCode::OFPPMFC_BAD_CONFIG,
        Part::TableMod => ErrorCode::OFPTMFC_BAD_CONFIG,
        Part::Role => ErrorCode::OFPRRFC_BAD_ROLE,
        Part::Bundle => ErrorCode::OFPBFC_MSG_BAD_XID,
        Part::Property | Part::TableFeatures => ErrorCode::OFPBPC_BAD_VALUE,
        Part::Config => ErrorCode::OFPBRC_EPERM,
        Part::Async => ErrorCode::OFPACFC_INVALID,
        Part::TlvTable => ErrorCode::NXTTMFC_BAD_FIELD_IDX,
        Part::Monitor => ErrorCode::OFPMOFC_BAD_FLAGS,
        Part::Hello => ErrorCode::OFPHFC_INCOMPATIBLE,
        Part::Message | Part::Multipart | Part::Queue => ErrorCode::OFPBRC_BAD_TYPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part a problem can lie in.
    const PARTS: [Part; 22] = [
        Part::Message,
        Part::Hello,
        Part::Match,
        Part::Action,
        Part::ActionField,
        Part::Instruction,
        Part::FlowMod,
        Part::GroupMod,
        Part::Bucket,
        Part::MeterMod,
        Part::PortMod,
        Part::Role,
        Part::Multipart,
        Part::Bundle,
        Part::Property,
        Part::TableFeatures,
        Part::TableMod,
        Part::Queue,
        Part::Config,
        Part::Async,
        Part::Monitor,
        Part::TlvTable,
    ];

    #[test]
    fn every_problem_in_every_part_has_a_code_with_a_name() {
        let problems = [
            Problem::Truncated { needed: 1, left: 0 },
            Problem::BadLength { found: 1 },
            Problem::Trailing { left: 1 },
            Problem::BadVersion { found: 1 },
            Problem::BadType { found: 1 },
            Problem::BadCommand { found: 1 },
            Problem::BadFlags { found: 1 },
            Problem::BadExperimenter { found: 0 },
            Problem::NotZero,
            Problem::BadValue { found: 1 },
            Problem::BadField { header: 1 },
            Problem::BadMask { header: 1 },
            Problem::BadWildcards { header: 1 },
            Problem::DuplicateField { header: 1 },
        ];
        for part in PARTS {
            for problem in problems {
                let error = DecodeError { part, offset: 0, problem };
                assert!(error_code(&error).name().is_some(), "{error}");
            }
        }
    }

    #[test]
    fn the_same_problem_has_another_code_in_another_part() {
        let code = |part, problem| error_code(&DecodeError { part, offset: 0, problem });
        let length = Problem::BadLength { found: 3 };
        for (part, expected) in [
            (Part::Message, ErrorCode::OFPBRC_BAD_LEN),
            (Part::Match, ErrorCode::OFPBMC_BAD_LEN),
            (Part::Action, ErrorCode::OFPBAC_BAD_LEN),
            (Part::Instruction, ErrorCode::OFPBIC_BAD_LEN),
            (Part::Bucket, ErrorCode::OFPGMFC_BAD_BUCKET),
            (Part::Bundle, ErrorCode::OFPBFC_MSG_BAD_LEN),
            (Part::Property, ErrorCode::OFPBPC_BAD_LEN),
            (Part::TlvTable, ErrorCode::NXTTMFC_BAD_OPT_LEN),
        ] {
            assert_eq!(code(part, length), expected);
        }
        let command = Problem::BadCommand { found: 9 };
        assert_eq!(code(Part::MeterMod, command), ErrorCode::OFPMMFC_BAD_COMMAND);
        assert_eq!(code(Part::TlvTable, command), ErrorCode::NXTTMFC_BAD_COMMAND);
        assert_eq!(code(Part::Role, Problem::BadValue { found: 9 }), ErrorCode::OFPRRFC_BAD_ROLE);
        assert_eq!(code(Part::Bundle, Problem::BadValue { found: 9 }), ErrorCode::OFPBFC_MSG_BAD_XID);
        assert_eq!(code(Part::Monitor, Problem::BadType { found: 9 }), ErrorCode::NXBRC_FM_BAD_EVENT);
    }
}
