//! OpenFlow 1.3 messages, with the extensions that Open vSwitch knows.
//!
//! What messages mean to a switch or a controller is for others to say. Promises: decoding never panics; equal
//! values encode to equal bytes; what is decoded encodes to the bytes it came from, but for what canonical form
//! (the order of a match, the spelling of a field) takes away.

pub mod action;
pub mod async_config;
pub mod bundle;
pub mod error;
mod error_code;
pub mod features;
pub mod fixed_text;
pub mod flow;
pub mod flow_mod;
pub mod flow_removed;
pub mod group;
mod header;
pub mod hello;
pub mod instruction;
pub mod message;
mod message_len;
pub mod meter;
pub mod multipart;
pub mod nicira;
pub mod oxm;
pub mod packet_in;
pub mod packet_out;
pub mod port;
mod port_no;
pub mod property;
pub mod queue;
pub(crate) mod refusal;
pub mod request_forward;
pub mod role;
pub mod table_mod;

pub use action::Action;
pub use async_config::{AsyncConfig, AsyncMask, AsyncProperty};
pub use bundle::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
pub use error::{ErrorCode, ErrorMsg};
pub use features::{FeaturesReply, SwitchConfig};
pub use flow::Flow;
pub use flow_mod::{FlowMod, FlowModCommand, FlowModFlags};
pub use flow_removed::FlowRemoved;
pub use group::{Bucket, Group, GroupMod, GroupType};
pub use header::{HEADER_LEN, Header};
pub use hello::Hello;
pub use instruction::Instruction;
pub use message::{Message, VERSION};
pub use meter::{Band, BandKind, Meter, MeterFlags, MeterMod};
pub use multipart::{
    AggregateStats, FlowStats, FlowStatsRequest, FlowUpdate, GroupFeatures, GroupStats, IpfixStats,
    MeterFeatures, MeterStats, MonitorRequest, MultipartReply, MultipartReplyBody, MultipartRequest,
    MultipartRequestBody, PortStats, QueueStats, QueueStatsRequest, TableFeatures, TableStats,
};
pub use nicira::{CtFlush, CtTuple, PacketIn2, PacketInFormat, TlvMap, TlvTable, TlvTableMod};
pub use oxm::{Field, FieldValue, Match, SubField};
pub use packet_in::{PacketIn, PacketInRef};
pub use packet_out::PacketOut;
pub use port::{Port, PortMod, PortStatus};
pub use property::RawProperty;
pub use queue::{Queue, QueueConfig, QueueProperty};
pub use request_forward::RequestForward;
pub use role::{NxRole, Role, RoleStatus};
pub use table_mod::TableMod;
