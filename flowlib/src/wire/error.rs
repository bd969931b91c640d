//! What can be wrong with bytes, and with values that should become bytes.

use std::fmt;

/// The structure in which an error lies. It decides the OFPT_ERROR type that is sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The OpenFlow header, or the body of a message without a part of its own.
    Message,
    /// A HELLO and its elements.
    Hello,
    /// A match and the OXMs in it.
    Match,
    /// An action, wherever it is.
    Action,
    /// A field that an action names, and its value.
    ActionField,
    /// An instruction of a flow.
    Instruction,
    /// The fixed part of a flow mod.
    FlowMod,
    /// A group mod or a group.
    GroupMod,
    /// A bucket of a group.
    Bucket,
    /// A meter mod or its bands.
    MeterMod,
    /// A port mod.
    PortMod,
    /// A role request.
    Role,
    /// A multipart message's own part.
    Multipart,
    /// A bundle control or add message.
    Bundle,
    /// A property: a type, a length and a value.
    Property,
    /// A table's features.
    TableFeatures,
    /// A table mod.
    TableMod,
    /// A queue and its properties.
    Queue,
    /// A switch's configuration.
    Config,
    /// Which asynchronous messages are sent.
    Async,
    /// A flow monitor or what it reports.
    Monitor,
    /// A mapping of tunnel options to fields.
    TlvTable,
}

impl Part {
    /// Its name, as errors print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Hello => "hello",
            Self::Match => "match",
            Self::Action => "action",
            Self::ActionField => "field of an action",
            Self::Instruction => "instruction",
            Self::FlowMod => "flow mod",
            Self::GroupMod => "group mod",
            Self::Bucket => "bucket",
            Self::MeterMod => "meter mod",
            Self::PortMod => "port mod",
            Self::Role => "role request",
            Self::Multipart => "multipart",
            Self::Bundle => "bundle",
            Self::Property => "property",
            Self::TableFeatures => "table features",
            Self::TableMod => "table mod",
            Self::Queue => "queue",
            Self::Config => "configuration",
            Self::Async => "asynchronous configuration",
            Self::Monitor => "flow monitor",
            Self::TlvTable => "TLV table",
        }
    }
}

/// What is wrong with the bytes. In all of these the peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end before the structure does.
    #[error("needs {needed} bytes more, has {left}")]
    Truncated {
        /// Bytes the next item needs.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
    /// A length field that cannot be true.
    #[error("length {found} is impossible here")]
    BadLength {
        /// The length as it came.
        found: usize,
    },
    /// Bytes after the end of the structure.
    #[error("{left} bytes are left over")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// Another version of OpenFlow than the one negotiated.
    #[error("OpenFlow version {found:#04x} is not 0x04")]
    BadVersion {
        /// The version as it came.
        found: u8,
    },
    /// A type, command or code point that this structure cannot have.
    #[error("type {found:#x} is unknown")]
    BadType {
        /// The type as it came.
        found: u32,
    },
    /// A command that does not exist.
    #[error("command {found:#x} is unknown")]
    BadCommand {
        /// The command as it came.
        found: u32,
    },
    /// Flags that do not exist or do not go together.
    #[error("flags {found:#x} cannot be")]
    BadFlags {
        /// The flags as they came.
        found: u32,
    },
    /// An experimenter that cannot be: 0 is nobody.
    #[error("experimenter {found:#010x} is nobody")]
    BadExperimenter {
        /// The experimenter as it came.
        found: u32,
    },
    /// A reserved byte that must be zero and is not.
    #[error("reserved bytes are not zero")]
    NotZero,
    /// A value out of its range.
    #[error("value {found:#x} is out of range")]
    BadValue {
        /// The value as it came.
        found: u64,
    },
    /// Actions in actions, too deep.
    #[error("actions are nested too deep")]
    TooDeep,
    /// A conjunction of too few or too many clauses, or a clause that it does not have.
    #[error("clause {clause} of {n_clauses} makes no conjunction")]
    BadConjunction {
        /// The clause as it came.
        clause: u8,
        /// The number of clauses as it came.
        n_clauses: u8,
    },
    /// A kind of header that cannot be put around a packet.
    #[error("no header makes a packet of type {found:#010x}")]
    BadHeader {
        /// The packet type as it came.
        found: u32,
    },
    /// A property that is not known here.
    #[error("property {found:#x} is unknown here")]
    BadProperty {
        /// The property as it came.
        found: u32,
    },
    /// An OXM header that names no field that can stand here.
    #[error("field {header:#010x} is unknown here")]
    BadField {
        /// The OXM header as it came.
        header: u32,
    },
    /// An OXM with a mask that the field does not allow.
    #[error("field {header:#010x} cannot have that mask")]
    BadMask {
        /// The OXM header as it came.
        header: u32,
    },
    /// An OXM whose value has bits that its mask does not cover, or more bits than the field.
    #[error("field {header:#010x} has value bits outside of its mask or width")]
    BadWildcards {
        /// The OXM header as it came.
        header: u32,
    },
    /// The same field twice in a match.
    #[error("field {header:#010x} comes twice")]
    DuplicateField {
        /// The OXM header as it came.
        header: u32,
    },
}

/// Why bytes could not be decoded: in which structure, where, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// The structure the error lies in.
    pub part: Part,
    /// Bytes from the start of the message.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad {} at byte {}: {}", self.part.name(), self.offset, self.problem)
    }
}

impl std::error::Error for DecodeError {}

/// Why a value has no encoding. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A structure longer than its 16-bit length field can say.
    #[error("{len} bytes do not fit a 16-bit length")]
    TooLong {
        /// How long it would be.
        len: usize,
    },
    /// A port number that a 16-bit field cannot hold.
    #[error("port {0} does not fit 16 bits")]
    PortTooBig(u32),
    /// A bit range that its field does not have, or that the action cannot hold.
    #[error("bits {start}..{start}+{len} cannot be used here")]
    BadSubField {
        /// The first bit.
        start: u16,
        /// The number of bits.
        len: u16,
    },
    /// A field that this message or action has no way to name.
    #[error("field {0} cannot stand here")]
    BadField(&'static str),
}
