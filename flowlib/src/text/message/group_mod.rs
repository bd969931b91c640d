//! Group mods as ovs-ofctl(8) takes them.
//!
//! Source: `parse_ofp_group_mod_str__` in `lib/ofp-group.c` of Open vSwitch 3.1.

use super::selection::Selection;
use crate::openflow::action::Within;
use crate::openflow::group::GroupCommand;
use crate::openflow::oxm::Packets;
use crate::openflow::{Action, Bucket, Group, GroupMod, GroupType};
use crate::text::Protocols;
use crate::text::action::{self, ActionReader};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::names::Names;
use crate::text::port::parse_port;
use crate::types::{GroupId, PortNo};

/// A group mod that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedGroupMod {
    /// The group mod.
    pub group_mod: GroupMod,
    /// The protocols that can say it. Open vSwitch goes by the actions of the last bucket, if there are any.
    pub protocols: Protocols,
}

type Result<T = ()> = std::result::Result<T, ParseError>;

/// Reads a group as `add-group`, `mod-group` and `del-groups` take it:
/// `group_id=1,type=select,bucket=weight:2,watch_port:1,actions=output:1,bucket=actions=drop`.
///
/// Without a command the text may begin with one: `add`, `modify`, `add_or_mod` or `delete`; else it is an add. To
/// delete nothing in particular is to delete all groups.
///
/// How a packet's bucket is selected (`selection_method`, `selection_method_param`, `fields`) and a bucket's
/// `bucket_id` are checked and left out: OpenFlow 1.3 has no place for them.
///
/// # Errors
/// Says at which column what is wrong. Words that only OpenFlow 1.5 has are named as such.
pub fn parse_group_mod(text: &str, command: Option<GroupCommand>, names: Option<&Names>) -> Result<GroupMod> {
    let parsed = parse_group(text, command, names)?;
    if parsed.protocols.contains(Protocols::OF13) {
        Ok(parsed.group_mod)
    } else {
        Err(Piece::new(text).error(Problem::Expected("a group that OpenFlow 1.3 can say")))
    }
}

/// Reads a group as [`parse_group_mod`] does, and says which protocols ovs-ofctl takes to be able to say it.
///
/// # Errors
/// See [`parse_group_mod`].
pub fn parse_group(
    text: &str,
    command: Option<GroupCommand>,
    names: Option<&Names>,
) -> Result<ParsedGroupMod> {
    let whole = Piece::new(text);
    let (command, whole) = match command {
        Some(command) => (command, whole),
        None => leading_command(whole)?,
    };
    let is_delete = command == GroupCommand::DELETE;
    if is_delete && whole.is_empty() {
        return Ok(ParsedGroupMod { group_mod: GroupMod::delete(GroupId::ALL), protocols: Protocols::all() });
    }
    let (head, buckets) =
        whole.split_once("bucket=").map_or((whole, None), |(head, rest)| (head, Some(rest)));
    let found = Head::read(head, is_delete, names)?;
    let mut protocols = found.selection.protocols;
    let mut group = Group { group: found.group, group_type: found.group_type, buckets: Vec::new() };
    let mut rest = buckets;
    while let Some(piece) = rest {
        if is_delete {
            return Err(piece.error(Problem::Expected("left out: a group to delete has no buckets")));
        }
        let (bucket, next) =
            piece.split_once("bucket=").map_or((piece, None), |(one, next)| (one, Some(next)));
        let mut reader = ActionReader::new(Packets::any(), names);
        group.buckets.push(parse_bucket(bucket, group.group_type, &mut reader)?);
        protocols = reader.protocols;
        if group.group_type == GroupType::INDIRECT && group.buckets.len() > 1 {
            return Err(bucket.error(Problem::Expected("left out: an indirect group has one bucket")));
        }
        rest = next;
    }
    Ok(ParsedGroupMod { group_mod: GroupMod { command, group }, protocols })
}

/// The command that a text begins with, and what follows. As in ovs-ofctl it may be cut short.
fn leading_command(whole: Piece<'_>) -> Result<(GroupCommand, Piece<'_>)> {
    let whole = whole.trim();
    let text = whole.text();
    let len = text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len());
    let (word, rest) = (whole.slice(0, len), whole.slice(len, text.len()));
    let commands = [
        ("add", GroupCommand::ADD),
        ("delete", GroupCommand::DELETE),
        ("modify", GroupCommand::MODIFY),
        ("add_or_mod", GroupCommand::ADD_OR_MODIFY),
    ];
    if let Some((_, command)) = commands.iter().find(|(name, _)| name.starts_with(word.text())) {
        return Ok((*command, rest));
    }
    if ["insert_bucket", "remove_bucket"].iter().any(|name| name.starts_with(word.text())) {
        return Err(only_in_15(word));
    }
    Ok((GroupCommand::ADD, whole))
}

fn only_in_15(piece: Piece<'_>) -> ParseError {
    piece.error(Problem::Expected("left out: only OpenFlow 1.5 has it"))
}

/// What stands before the buckets.
struct Head<'a> {
    group: GroupId,
    group_type: GroupType,
    selection: Selection<'a>,
}

impl<'a> Head<'a> {
    fn read(head: Piece<'a>, is_delete: bool, names: Option<&Names>) -> Result<Self> {
        let (mut group, mut group_type) = (None, None);
        let mut selection = Selection::default();
        for (key, value) in head.key_values() {
            match key.text() {
                "group_id" => group = Some(parse_id(value)?),
                "type" | "selection_method" | "selection_method_param" | "fields" if is_delete => {
                    return Err(key.error(Problem::Expected("left out: a group is deleted by its number")));
                }
                "type" => group_type = Some(parse_type(value)?),
                "command_bucket_id" => return Err(only_in_15(key)),
                name if selection.read(name, value, names)? => {}
                _ => return Err(key.error(Problem::Expected("group_id, type or bucket"))),
            }
        }
        let group = group.ok_or_else(|| head.error(Problem::Expected("a group with its group_id")))?;
        let group_type = match group_type {
            Some(group_type) => group_type,
            None if is_delete => GroupType::ALL,
            None => return Err(head.error(Problem::Expected("a group with its type"))),
        };
        selection.check(head)?;
        Ok(Self { group, group_type, selection })
    }
}

fn parse_id(value: Piece<'_>) -> Result<GroupId> {
    match value.text() {
        "all" => Ok(GroupId::ALL),
        _ => match GroupId(value.u32()?) {
            group @ (GroupId(0..=0xffff_ff00) | GroupId::ALL) => Ok(group),
            _ => Err(value.error(Problem::Expected("a group up to 4294967040, or all"))),
        },
    }
}

fn parse_type(value: Piece<'_>) -> Result<GroupType> {
    Ok(match value.text() {
        "all" => GroupType::ALL,
        "select" => GroupType::SELECT,
        "indirect" => GroupType::INDIRECT,
        "ff" | "fast_failover" => GroupType::FAST_FAILOVER,
        _ => return Err(value.error(Problem::Expected("all, select, indirect or ff"))),
    })
}

/// The highest number of a bucket.
const MAX_BUCKET: u32 = 0xffff_ff00;

fn parse_bucket(piece: Piece<'_>, group_type: GroupType, reader: &mut ActionReader<'_>) -> Result<Bucket> {
    let mut bucket = Bucket {
        weight: u16::from(group_type == GroupType::SELECT),
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: Vec::new(),
    };
    let mut actions = Vec::new();
    for (key, value) in piece.key_values() {
        match key.text().to_ascii_lowercase().as_str() {
            "weight" => {
                bucket.weight = value.u16()?;
                if bucket.weight != 0 && group_type != GroupType::SELECT {
                    return Err(
                        key.error(Problem::Expected("left out: only groups of type select have weights"))
                    );
                }
            }
            "watch_port" => {
                bucket.watch_port = parse_port(value, reader.names())?;
                let is_watched = matches!(bucket.watch_port, PortNo::CONTROLLER | PortNo::ANY);
                if bucket.watch_port > PortNo::MAX_OVS && !is_watched {
                    return Err(value.error(Problem::Expected("a port that can be up or down")));
                }
            }
            "watch_group" => {
                bucket.watch_group = GroupId(value.u32()?);
                if bucket.watch_group.0 > 0xffff_ff00 {
                    return Err(value.error(Problem::Expected("a group up to 4294967040")));
                }
            }
            "bucket_id" if value.u32()? > MAX_BUCKET => {
                return Err(value.error(Problem::Expected("a bucket up to 4294967040")));
            }
            "bucket_id" => {}
            "action" | "actions" => actions.push(value),
            _ => actions.push(key.up_to(value)),
        }
    }
    if actions.is_empty() {
        return Err(piece.error(Problem::NoActions));
    }
    let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
    if group_type == GroupType::FAST_FAILOVER && !watches {
        return Err(piece.error(Problem::Expected("a bucket with a watch_port or watch_group")));
    }
    bucket.actions = parse_actions(&actions, reader)?;
    Ok(bucket)
}

/// Reads actions that stand apart. `drop` stands alone, but may do so twice.
fn parse_actions(pieces: &[Piece<'_>], reader: &mut ActionReader<'_>) -> Result<Vec<Action>> {
    let (mut actions, mut drop) = (Vec::new(), None);
    for piece in pieces {
        if action::is_drop(*piece) {
            drop = Some(*piece);
        } else {
            actions.extend(reader.list(*piece, Within::List)?);
        }
    }
    match drop {
        Some(piece) if pieces.len() > 1 && !actions.is_empty() => Err(piece.error(Problem::DropBesideOthers)),
        _ => Ok(actions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_buckets_with_actions_in_any_spelling() {
        let text = "group_id=7,type=select,bucket=weight:2,watch_port:1,actions=output:1,output:2,\
                    bucket=set_queue:3,actions=drop";
        let error = parse_group_mod(text, Some(GroupCommand::ADD), None).unwrap_err();
        assert_eq!(error.column, text.find("drop").unwrap() + 1);
        let text = "modify group_id=7 type=select bucket=weight:2,watch_port:1,actions=output:1,output:2";
        let parsed = parse_group_mod(text, None, None).unwrap();
        assert_eq!((parsed.command, parsed.group.group), (GroupCommand::MODIFY, GroupId(7)));
        let [bucket] = &parsed.group.buckets[..] else { panic!("{parsed:?}") };
        assert_eq!((bucket.weight, bucket.watch_port), (2, PortNo(1)));
        assert_eq!(bucket.actions, [Action::output(PortNo(1)), Action::output(PortNo(2))]);
    }

    #[test]
    fn buckets_name_ports() {
        let mut names = Names::new();
        names.add_port(PortNo(4), "p1");
        let text = "group_id=5,type=all,bucket=output:p1,bucket=actions=p1";
        let parsed = parse_group_mod(text, Some(GroupCommand::ADD), Some(&names)).unwrap();
        for bucket in &parsed.group.buckets {
            assert_eq!(bucket.actions, [Action::output(PortNo(4))]);
        }
    }

    #[test]
    fn what_only_openflow_15_can_say_is_left_out() {
        let plain = "group_id=1,type=select,bucket=actions=output:1";
        let full = "group_id=1,type=select,selection_method=hash,selection_method_param=7,\
                    fields(ip_src=255.255.0.0,dl_vlan),bucket=bucket_id:3,actions=output:1";
        let parse = |text| parse_group(text, None, None).unwrap();
        assert_eq!(parse(full), parse(plain));
        let usable = |text| parse(text).protocols.to_string();
        assert_eq!(usable("group_id=1,type=select,selection_method=hash"), "OpenFlow10,NXM,OXM-OpenFlow15");
        assert_eq!(usable("group_id=1,type=all,bucket=set_field:1->reg0"), "NXM,OXM");
        assert_eq!(usable("group_id=1,type=all,bucket=set_field:1->reg0,bucket=1"), "any");
    }

    #[test]
    fn errors_say_the_column() {
        for (text, column) in [
            ("type=all", 1),
            ("group_id=1", 1),
            ("group_id=1,type=some", 17),
            ("group_id=1,type=all,bucket=weight:1,actions=drop", 28),
            ("group_id=1,type=ff,bucket=actions=drop", 27),
            ("group_id=1,type=all,bucket=", 28),
            ("group_id=1,type=select,selection_method=hash", 1),
            ("group_id=1,type=select,selection_method=hash,fields(ip_src=x),bucket=actions=drop", 60),
            ("group_id=1,type=all,bucket=bucket_id:4294967041,actions=drop", 38),
            ("group_id=1,type=all,command_bucket_id=1,bucket=actions=drop", 21),
            ("insert_bucket group_id=1,command_bucket_id=1,bucket=actions=drop", 1),
            ("group_id=4294967295,type=all", 10),
        ] {
            let error = parse_group_mod(text, None, None).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
        }
        assert_eq!(parse_group_mod("", Some(GroupCommand::DELETE), None).unwrap().group.group, GroupId::ALL);
    }
}
