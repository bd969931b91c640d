//! Changes of groups.

use super::body::Used;
use super::datapath::{Datapath, Held, Log, Step};
use crate::openflow::flow_removed::FlowRemovedReason;
use crate::openflow::group::GroupCommand;
use crate::openflow::{ErrorCode, Group, GroupMod};
use crate::types::GroupId;

impl Datapath {
    /// Carries out a group mod.
    ///
    /// # Errors
    /// Then nothing is changed.
    pub(super) fn change_groups(
        &mut self,
        group_mod: &GroupMod,
        now: u64,
        log: &mut Log,
    ) -> Result<(), ErrorCode> {
        let id = group_mod.group.group;
        if group_mod.command == GroupCommand::DELETE {
            self.delete_groups(id, log);
            return Ok(());
        }
        let old = self.groups.get(&id).cloned();
        let mut group = group_mod.group.clone();
        match (group_mod.command, &old) {
            (GroupCommand::ADD, Some(_)) => return Err(ErrorCode::OFPGMFC_GROUP_EXISTS),
            (GroupCommand::ADD | GroupCommand::ADD_OR_MODIFY, None) => {}
            (_, None) => return Err(ErrorCode::OFPGMFC_UNKNOWN_GROUP),
            (GroupCommand::INSERT_BUCKET | GroupCommand::REMOVE_BUCKET, Some(old)) => {
                with_buckets(&mut group, group_mod.command, &old.what)?;
            }
            _ => {}
        }
        if id > GroupId::MAX {
            return Err(ErrorCode::OFPGMFC_INVALID_GROUP);
        }
        let created = old.as_ref().map_or(now, |old| old.created);
        self.groups.insert(id, Held { what: group.into(), created });
        log.push(Step::Group { group: id, old });
        Ok(())
    }

    fn delete_groups(&mut self, id: GroupId, log: &mut Log) {
        let gone: Vec<GroupId> = match id {
            GroupId::ALL => self.groups.keys().copied().collect(),
            id => vec![id],
        };
        for group in gone {
            let Some(old) = self.groups.remove(&group) else { continue };
            let users = self.flows.users(Used::Group(group));
            self.remove_all(users, FlowRemovedReason::GROUP_DELETE, log);
            log.push(Step::Group { group, old: Some(old) });
        }
    }
}

/// Makes the buckets of a command what the group will have. OpenFlow 1.3 cannot name a bucket: Open vSwitch takes it
/// that all are meant, and that buckets bear their places as names, so that no bucket can be inserted beside others.
fn with_buckets(group: &mut Group, command: GroupCommand, old: &Group) -> Result<(), ErrorCode> {
    group.group_type = old.group_type;
    if command == GroupCommand::INSERT_BUCKET {
        if !group.buckets.is_empty() && !old.buckets.is_empty() {
            return Err(ErrorCode::NXBRC_UNENCODABLE_ERROR);
        }
        group.buckets.extend(old.buckets.iter().cloned());
    }
    Ok(())
}
