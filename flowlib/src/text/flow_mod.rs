//! Changes to flow tables.

use super::action::ActionReader;
use super::error::{ParseError, Piece, Problem};
use super::flow_match::{self, DEFAULT_PRIORITY, MatchWords, Normalized};
use super::names::Names;
use super::port::{parse_port, parse_table};
use super::printer::{Printer, Style};
use super::protocols::Protocols;
use super::{flow, instruction};
use crate::openflow::oxm::Packets;
use crate::openflow::{FlowMod, FlowModCommand, FlowModFlags, FlowStatsRequest};
use crate::types::{Cookie, GroupId, Priority, TableId};

/// A flow mod that was read, and what ovs-ofctl says of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedFlowMod {
    /// The flow mod.
    pub flow_mod: FlowMod,
    /// The protocols that can say it. [`FlowMod`] is of OpenFlow 1.3, and leaves out what only others can say.
    pub protocols: Protocols,
    /// What was left out of the match because the packets do not have it.
    pub normalized: Option<Box<Normalized>>,
    /// An action on a header that the match does not ask for, which every version but OpenFlow 1.0 refuses.
    pub inconsistency: Option<Box<ParseError>>,
}

/// What a text of a flow is read as, which decides the words that may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Filter,
    Command(FlowModCommand),
}

impl Use {
    fn is_add(self) -> bool {
        self == Self::Command(FlowModCommand::ADD)
    }

    fn is_modify(self) -> bool {
        matches!(self, Self::Command(FlowModCommand::MODIFY | FlowModCommand::MODIFY_STRICT))
    }

    /// Whether it has actions, timeouts and flags.
    fn has_actions(self) -> bool {
        self.is_add() || self.is_modify()
    }

    fn has_priority(self) -> bool {
        self.has_actions() || self == Self::Command(FlowModCommand::DELETE_STRICT)
    }
}

/// Reads a flow as ovs-ofctl(8) takes it for a command. Without a command the text may begin with one: `add`,
/// `modify`, `modify_strict`, `delete` or `delete_strict`; else it is an add.
///
/// Statistics of a dump are passed over.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow_mod(
    text: &str,
    command: Option<FlowModCommand>,
    names: Option<&Names>,
) -> Result<ParsedFlowMod, ParseError> {
    let whole = Piece::new(text);
    let (command, whole) = command.map_or_else(|| leading_command(whole), |command| (command, whole));
    let mut reader = FlowReader::new(Use::Command(command), names);
    let actions = if reader.of.has_actions() { Some(extract_actions(whole)?) } else { None };
    reader.read(actions.map_or(whole, |(before, _)| before))?;
    let mut flow_mod = reader.flow_mod;
    let mut protocols = reader.words.protocols();
    let (flow_match, normalized) = reader.words.finish();
    let mut inconsistency = None;
    if let Some((_, actions)) = actions {
        let table = Some(flow_mod.table).filter(|table| *table != TableId::ALL);
        let mut actions_reader = ActionReader::new(Packets::of(&flow_match), names);
        flow_mod.instructions = instruction::parse(actions.trim(), &mut actions_reader, table)?;
        protocols &= actions_reader.protocols;
        inconsistency = actions_reader.inconsistency.map(Box::new);
    }
    if flow_mod.table == TableId::ALL && reader.of.has_actions() {
        flow_mod.table = TableId(0);
    }
    flow_mod.flow_match = flow_match;
    Ok(ParsedFlowMod { flow_mod, protocols, normalized, inconsistency })
}

/// Reads which flows are meant, in the syntax of a flow: a match, and `table`, `cookie=VALUE/MASK`, `out_port` and
/// `out_group`.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow_filter(text: &str, names: Option<&Names>) -> Result<FlowStatsRequest, ParseError> {
    let mut reader = FlowReader::new(Use::Filter, names);
    reader.read(Piece::new(text))?;
    let FlowMod { table, cookie, cookie_mask, out_port, out_group, .. } = reader.flow_mod;
    let (flow_match, _) = reader.words.finish();
    Ok(FlowStatsRequest { table, out_port, out_group, cookie, cookie_mask, flow_match })
}

/// The command that a text begins with, and what follows. As in ovs-ofctl it may be cut short.
fn leading_command(whole: Piece<'_>) -> (FlowModCommand, Piece<'_>) {
    let text = whole.text();
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let start = text.len() - text.trim_start_matches(is_space).len();
    let len = text[start..].find(|c| is_space(c) || c == ',').unwrap_or(text.len() - start);
    let word = &text[start..start + len];
    let commands = [
        (FlowModCommand::ADD, "add"),
        (FlowModCommand::DELETE, "delete"),
        (FlowModCommand::DELETE_STRICT, "delete_strict"),
        (FlowModCommand::MODIFY, "modify"),
        (FlowModCommand::MODIFY_STRICT, "modify_strict"),
    ];
    match commands.iter().find(|(_, name)| name.starts_with(word)) {
        Some((command, _)) => (*command, whole.slice(start + len, text.len())),
        None => (FlowModCommand::ADD, whole),
    }
}

/// What stands before the word `actions` (or any other with `action` in it), and what stands behind its `=`.
fn extract_actions(whole: Piece<'_>) -> Result<(Piece<'_>, Piece<'_>), ParseError> {
    let missing = || whole.error(Problem::NoActions);
    let (before, behind) = whole.split_once("action").ok_or_else(missing)?;
    let (_, actions) = behind.split_once("=").ok_or_else(missing)?;
    Ok((before, actions))
}

/// Reads the words of a flow before its actions.
struct FlowReader<'n> {
    of: Use,
    names: Option<&'n Names>,
    flow_mod: FlowMod,
    words: MatchWords,
}

impl<'n> FlowReader<'n> {
    fn new(of: Use, names: Option<&'n Names>) -> Self {
        let command = if let Use::Command(command) = of { command } else { FlowModCommand::ADD };
        let flow_mod =
            FlowMod { command, table: TableId::ALL, priority: DEFAULT_PRIORITY, ..FlowMod::default() };
        Self { of, names, flow_mod, words: MatchWords::default() }
    }

    fn read(&mut self, piece: Piece<'_>) -> Result<(), ParseError> {
        for (key, value) in piece.key_values() {
            let is_known = self.setting(key, value)?
                || self.words.shorthand(key.text())
                || self.words.field(key, value, self.names)?
                || self.flag(key.text());
            if !is_known {
                let problem = if is_setting(key.text()) { Problem::Misplaced } else { Problem::UnknownField };
                return Err(key.error(problem));
            }
        }
        Ok(())
    }

    fn flag(&mut self, name: &str) -> bool {
        if matches!(name, "allow_hidden_fields" | "no_readonly_table") {
            return true;
        }
        let found = flow::FLAGS.iter().find(|(_, flag)| *flag == name).filter(|_| self.of.has_actions());
        let Some((flag, _)) = found else { return false };
        self.flow_mod.flags |= *flag;
        match *flag {
            FlowModFlags::RESET_COUNTS => self.words.protocols &= Protocols::OXM,
            FlowModFlags::NO_PKT_COUNTS | FlowModFlags::NO_BYT_COUNTS => {
                self.words.protocols &= Protocols::OF13_UP;
            }
            _ => {}
        }
        true
    }

    /// Takes a key that is no field of the match; says whether it was one.
    fn setting(&mut self, key: Piece<'_>, value: Piece<'_>) -> Result<bool, ParseError> {
        let flow_mod = &mut self.flow_mod;
        match key.text() {
            name if value.is_empty() => {
                let needs_value = VALUED.contains(&name) && name != "actions";
                return if needs_value { Err(key.error(Problem::MissingValue)) } else { Ok(false) };
            }
            "table" => {
                flow_mod.table = parse_table(value, self.names)?;
                if flow_mod.table != TableId::ALL {
                    self.words.protocols &= Protocols::WITH_TABLE;
                }
            }
            "priority" if self.of.has_priority() => flow_mod.priority = Priority(value.u16()?),
            "idle_timeout" if self.of.has_actions() => flow_mod.idle_timeout_s = value.u16()?,
            "hard_timeout" if self.of.has_actions() => flow_mod.hard_timeout_s = value.u16()?,
            // Flow mods of OpenFlow 1.3 have none.
            "importance" if self.of.is_add() => drop(value.u16()?),
            "out_port" if !self.of.has_actions() => flow_mod.out_port = Some(parse_port(value, self.names)?),
            "out_group" if !self.of.has_actions() => {
                self.words.protocols &= Protocols::OF11_UP;
                flow_mod.out_group = Some(parse_group(value)?);
            }
            "cookie" => self.cookie(value)?,
            "duration" | "n_packets" | "n_bytes" | "idle_age" | "hard_age" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads `VALUE`, which an add gives to the flow, or `VALUE/MASK`, which flows must have. A modify takes the
    /// first but OpenFlow 1.3 has no place for it.
    fn cookie(&mut self, value: Piece<'_>) -> Result<(), ParseError> {
        match value.split_once("/") {
            Some((_, mask)) if self.of.is_add() => Err(mask.error(Problem::NoMask)),
            Some((cookie, mask)) => {
                self.flow_mod.cookie_mask = wrapping_u64(mask)?;
                self.flow_mod.cookie = Cookie(wrapping_u64(cookie)? & self.flow_mod.cookie_mask);
                if self.flow_mod.cookie_mask != 0 {
                    self.words.protocols &= Protocols::NXM | Protocols::OF11_UP;
                }
                Ok(())
            }
            None if self.of.is_add() => {
                wrapping_u64(value).map(|cookie| self.flow_mod.cookie = Cookie(cookie))
            }
            None if self.of.is_modify() => wrapping_u64(value).map(drop),
            None => Err(value.error(Problem::Expected("a cookie and a mask: 5/-1"))),
        }
    }
}

/// Whether a word says something of some flows beside their match.
fn is_setting(word: &str) -> bool {
    VALUED.contains(&word) || flow::FLAGS.iter().any(|(_, flag)| *flag == word)
}

/// What a flow or a choice of flows can say with a value, beside its match.
const VALUED: [&str; 11] = [
    "table",
    "cookie",
    "duration",
    "n_packets",
    "n_bytes",
    "priority",
    "idle_timeout",
    "hard_timeout",
    "out_port",
    "out_group",
    "actions",
];

/// A number of 64 bits, of which -1 is the highest.
fn wrapping_u64(piece: Piece<'_>) -> Result<u64, ParseError> {
    match piece.strip_prefix("-") {
        Some(negative) => negative.u64().map(u64::wrapping_neg),
        None => piece.u64(),
    }
}

fn parse_group(piece: Piece<'_>) -> Result<GroupId, ParseError> {
    match piece.text() {
        text if text.eq_ignore_ascii_case("all") => Ok(GroupId::ALL),
        text if text.eq_ignore_ascii_case("any") => Ok(GroupId::ANY),
        _ => piece.u32().map(GroupId),
    }
}

/// A flow mod as `ovs-ofctl parse-flow` prints it, behind the message's header.
#[must_use]
pub fn format_flow_mod(flow_mod: &FlowMod) -> String {
    let mut out = String::new();
    print_flow_mod(&mut out, flow_mod, Style::default());
    out
}

/// Appends a flow mod as `ovs-ofctl parse-flow` prints it, behind the message's header: `ADD table:3 ip actions=drop`.
pub fn print_flow_mod(out: &mut String, flow_mod: &FlowMod, style: Style<'_>) {
    format(&mut Printer::new(out, style), flow_mod);
}

/// Appends a flow mod.
pub(super) fn format(out: &mut Printer<'_>, flow_mod: &FlowMod) {
    match flow_mod.command {
        FlowModCommand::ADD => out.push_str("ADD"),
        FlowModCommand::MODIFY => out.push_str("MOD"),
        FlowModCommand::MODIFY_STRICT => out.push_str("MOD_STRICT"),
        FlowModCommand::DELETE => out.push_str("DEL"),
        FlowModCommand::DELETE_STRICT => out.push_str("DEL_STRICT"),
        FlowModCommand(other) => {
            out.push_str("cmd:");
            out.dec(other);
        }
    }
    if flow_mod.table != TableId(0) || out.names.is_some_and(|names| names.table_name(TableId(0)).is_some()) {
        out.push_str(" table:");
        out.table(flow_mod.table);
    }
    out.push_str(" ");
    if flow_match::format(out, flow_mod.priority, &flow_mod.flow_match) {
        out.push_str(" ");
    }
    format_cookie(out, flow_mod);
    for (name, seconds) in [("idle:", flow_mod.idle_timeout_s), ("hard:", flow_mod.hard_timeout_s)] {
        if seconds != 0 {
            out.push_str(name);
            out.dec(seconds);
            out.push_str(" ");
        }
    }
    if let Some(buffer) = flow_mod.buffer_id {
        out.push_str("buf:");
        out.hex(buffer);
        out.push_str(" ");
    }
    if let Some(port) = flow_mod.out_port {
        out.push_str("out_port:");
        out.port(port);
        out.push_str(" ");
    }
    flow::format_flags(out, flow_mod.flags);
    out.push_str("actions=");
    instruction::format_list(out, &flow_mod.instructions);
}

/// Appends the cookie that an add sets, or the one that flows to change must have.
fn format_cookie(out: &mut Printer<'_>, flow_mod: &FlowMod) {
    let is_add = flow_mod.command == FlowModCommand::ADD;
    let (cookie, mask) = (flow_mod.cookie.0, flow_mod.cookie_mask);
    if is_add && cookie != 0 && cookie != u64::MAX || !is_add && mask != 0 {
        out.push_str("cookie:");
        out.hex(cookie);
        if !is_add {
            out.push_str("/");
            out.hex(mask);
        }
        out.push_str(" ");
    }
}
