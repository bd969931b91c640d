//! Groups.

use super::super::flow::format_duration;
use super::super::printer::Printer;
use super::{Received, Result, action_bits, decoded, format_actions, put};
use crate::openflow::group::GroupCommand;
use crate::openflow::multipart::{GroupFeatures, GroupStats};
use crate::openflow::{Bucket, Group, GroupMod, GroupType, refusal};
use crate::types::{GroupId, PortNo};
use crate::wire::{Part, Reader, Wire};

/// Appends a group's number, or what a reserved one means.
fn format_id(p: &mut Printer<'_>, group: GroupId) {
    match group {
        GroupId::ALL => p.push_str("ALL"),
        GroupId::ANY => p.push_str("ANY"),
        group => put(p, format_args!("{group}")),
    }
}

/// Appends a group as `dump-groups` prints it.
pub(super) fn format(p: &mut Printer<'_>, group: &Group, with_type: bool) {
    put(p, format_args!("group_id={}", group.group));
    if with_type {
        put(p, format_args!(",type={}", group.group_type.name().unwrap_or("unknown")));
    }
    for bucket in &group.buckets {
        p.push_str(",bucket=");
        format_bucket(p, bucket, group.group_type);
    }
}

fn format_bucket(p: &mut Printer<'_>, bucket: &Bucket, group_type: GroupType) {
    let usual = u16::from(group_type == GroupType::SELECT);
    if bucket.weight != usual {
        put(p, format_args!("weight:{},", bucket.weight));
    }
    if bucket.watch_port != PortNo::ANY {
        p.push_str("watch_port:");
        p.port(bucket.watch_port);
        p.push_str(",");
    }
    if bucket.watch_group != GroupId::ANY {
        put(p, format_args!("watch_group:{},", bucket.watch_group));
    }
    p.push_str("actions=");
    format_actions(p, &bucket.actions);
}

pub(super) fn format_mod(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    // What is wrong with a bucket is said before what is wrong with the next.
    let mut buckets = message.body.clone();
    decoded(buckets.skip(8))?;
    read_buckets(&mut buckets)?;
    let change: GroupMod = message.read()?;
    refusal::group_mod(&change)?;
    let (name, with_type) = match change.command {
        GroupCommand::ADD => ("ADD", true),
        GroupCommand::MODIFY => ("MOD", true),
        GroupCommand::DELETE => ("DEL", true),
        GroupCommand::ADD_OR_MODIFY => ("ADD_OR_MOD", true),
        GroupCommand::INSERT_BUCKET => ("INSERT_BUCKET", false),
        _ => ("REMOVE_BUCKET", false),
    };
    put(p, format_args!("\n {name} "));
    format(p, &change.group, with_type);
    Ok(())
}

pub(super) fn format_desc_reply(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    while !message.body.is_empty() {
        let r = &mut message.body;
        let len = usize::from(decoded(r.u16())?);
        let group_type = GroupType(decoded(r.u8())?);
        decoded(r.skip(1))?;
        let group = GroupId(decoded(r.u32())?);
        let buckets = read_buckets(&mut decoded(r.body(len, 8, Part::Message))?)?;
        p.push_str("\n ");
        format(p, &Group { group, group_type, buckets }, true);
    }
    Ok(())
}

fn read_buckets(r: &mut Reader<'_>) -> Result<Vec<Bucket>> {
    let mut buckets = Vec::new();
    while !r.is_empty() {
        let bucket = decoded(Bucket::decode(r))?;
        refusal::bucket(&bucket)?;
        buckets.push(bucket);
    }
    Ok(buckets)
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let result = message.read_list(|stats: GroupStats| {
        put(p, format_args!("\n group_id={},", stats.group));
        if stats.duration_s != u32::MAX {
            p.push_str("duration=");
            format_duration(p, stats.duration_s, stats.duration_ns);
            p.push_str(",");
        }
        put(p, format_args!("ref_count={},packet_count={}", stats.ref_count, stats.packet_count));
        put(p, format_args!(",byte_count={}", stats.byte_count));
        // A counter of all ones is one that the switch does not have.
        for (n, bucket) in
            stats.buckets.iter().enumerate().filter(|(_, bucket)| bucket.packet_count != u64::MAX)
        {
            put(p, format_args!(",bucket{n}:packet_count={}", bucket.packet_count));
            put(p, format_args!(",byte_count={}", bucket.byte_count));
        }
        Ok(())
    });
    if result.is_err() {
        p.push_str(" ***parse error***");
    }
    result
}

pub(super) fn format_features(p: &mut Printer<'_>, features: &GroupFeatures) -> Result {
    p.push_str("\n Group table:\n");
    put(p, format_args!("    Types:  {:#x}\n", features.types));
    put(p, format_args!("    Capabilities:  {:#x}\n", features.capabilities));
    let names = ["all", "select", "indirect", "fast failover"];
    for (n, name) in names.iter().enumerate().filter(|(n, _)| features.types >> n & 1 == 1) {
        put(p, format_args!("    {name} group:\n       max_groups="));
        match features.max_groups.get(n) {
            None | Some(0) => p.push_str("0"),
            Some(most) => put(p, format_args!("{most:#x}")),
        }
        p.push_str("\n       actions: ");
        action_bits::format(p, features.actions.get(n).copied().unwrap_or(0));
        p.push_str("\n");
    }
    Ok(())
}

pub(super) fn format_stats_request(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let group = GroupId(message.first_u32()?);
    p.push_str(" group_id=");
    format_id(p, group);
    Ok(())
}
