//! Groups: lists of buckets of actions.

use crate::types::{GroupId, PortNo};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

use super::action::Action;

open_enum! {
    /// Which buckets of a group act. Source: OpenFlow 1.3.5 §7.3.4.2.
    pub struct GroupType(u8) {
        /// All.
        ALL = 0 => "all",
        /// One, chosen by the switch.
        SELECT = 1 => "select",
        /// The only one.
        INDIRECT = 2 => "indirect",
        /// The first that is live.
        FAST_FAILOVER = 3 => "ff",
    }
}

open_enum! {
    /// What a group mod does. Source: OpenFlow 1.3.5 §7.3.4.2.
    pub struct GroupCommand(u16) {
        /// A new group.
        ADD = 0 => "add",
        /// New type and buckets.
        MODIFY = 1 => "modify",
        /// Removes it, and all flows that use it.
        DELETE = 2 => "delete",
        /// More buckets; over 1.3 there is no way to say where.
        INSERT_BUCKET = 3 => "insert_bucket",
        /// Fewer buckets; over 1.3 there is no way to say which.
        REMOVE_BUCKET = 5 => "remove_bucket",
        /// A new group, or new type and buckets for one that exists (Open vSwitch's own).
        ADD_OR_MODIFY = 0x8000 => "add_or_mod",
    }
}

/// One list of actions of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Its share in a select group.
    pub weight: u16,
    /// In a fast-failover group: live while this port is.
    pub watch_port: PortNo,
    /// In a fast-failover group: live while this group is.
    pub watch_group: GroupId,
    /// Its actions, as an action set.
    pub actions: Vec<Action>,
}

/// Shape: length `u16`, weight `u16`, watched port `u32`, watched group `u32`, 4 zeros, actions.
impl Wire for Bucket {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Bucket);
        let at = r.clone();
        let len = usize::from(r.u16()?);
        if len < 16 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 2, Part::Bucket)?;
        if len % 8 != 0 {
            r.set_part(Part::Message);
            return Err(r.error(Problem::BadLength { found: len }));
        }
        let weight = body.u16()?;
        let watch_port = PortNo(body.u32()?);
        let watch_group = GroupId(body.u32()?);
        body.skip(4)?;
        Ok(Self { weight, watch_port, watch_group, actions: Action::decode_list(body)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(0);
        w.u16(self.weight);
        w.u32(self.watch_port.0);
        w.u32(self.watch_group.0);
        w.zeros(4);
        Action::encode_list(&self.actions, w);
        w.patch_len(mark, 0);
    }
}

fn decode_buckets(r: &mut Reader<'_>) -> Result<Vec<Bucket>, DecodeError> {
    let mut buckets = Vec::new();
    while !r.is_empty() {
        buckets.push(Bucket::decode(r)?);
    }
    Ok(buckets)
}

/// A group, as it is wanted or as a switch describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Its number.
    pub group: GroupId,
    /// Which of its buckets act.
    pub group_type: GroupType,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
}

/// As in a group description.
///
/// Shape: length `u16`, type `u8`, a zero, number `u32`, buckets.
///
/// Source: OpenFlow 1.3.5 §7.3.5.9.
impl Wire for Group {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let len = usize::from(r.u16()?);
        if len < 8 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 2, Part::GroupMod)?;
        let group_type = GroupType(body.u8()?);
        body.skip(1)?;
        Ok(Self { group_type, group: GroupId(body.u32()?), buckets: decode_buckets(&mut body)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(0);
        w.u8(self.group_type.0);
        w.zeros(1);
        w.u32(self.group.0);
        for bucket in &self.buckets {
            bucket.encode(w);
        }
        w.patch_len(mark, 0);
    }
}

/// A change of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMod {
    /// What it does.
    pub command: GroupCommand,
    /// The group.
    pub group: Group,
}

impl GroupMod {
    /// Makes that group.
    #[must_use]
    pub fn add(group: Group) -> Self {
        Self { command: GroupCommand::ADD, group }
    }

    /// Removes the group of that number, and all flows that use it.
    #[must_use]
    pub fn delete(group: GroupId) -> Self {
        let group = Group { group, group_type: GroupType::ALL, buckets: Vec::new() };
        Self { command: GroupCommand::DELETE, group }
    }
}

/// Shape: command `u16`, type `u8`, a zero, number `u32`, buckets.
///
/// Source: OpenFlow 1.3.5 §7.3.4.2; `lib/ofp-group.c` of Open vSwitch 3.1.
impl Wire for GroupMod {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::GroupMod);
        let command = GroupCommand(r.u16()?);
        let group_type = GroupType(r.u8()?);
        r.skip(1)?;
        let group = GroupId(r.u32()?);
        Ok(Self { command, group: Group { group, group_type, buckets: decode_buckets(r)? } })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.command.0);
        w.u8(self.group.group_type.0);
        w.zeros(1);
        w.u32(self.group.group.0);
        for bucket in &self.group.buckets {
            bucket.encode(w);
        }
    }
}
