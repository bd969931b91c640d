//! A switch that commands talk to, and the names of its ports and tables.

use std::sync::OnceLock;

use anyhow::Result;
use flowlib::openflow::{FlowStatsRequest, Message, MultipartReplyBody, MultipartRequestBody};
use flowlib::pipeline::table::TABLES;
use flowlib::segment::ledger;
use flowlib::text::{Names, ParseError};
use flowlib::types::{TableId, Xid};

use super::ask::{Answer, ask, ask_optional, multipart, try_ask};
use super::entries::{TABLE_AT, TABLE_NAME, entries};
use super::globals::Globals;
use super::link::{Connection, Failure, Target};

/// A switch, and how to talk to it.
pub(super) struct Switch<'a> {
    target: &'a Target,
    pub(super) globals: &'a Globals,
    ports: OnceLock<Names>,
    names: OnceLock<Known>,
}

/// What was asked of a switch once.
struct Known {
    names: Names,
    is_ours: bool,
}

impl<'a> Switch<'a> {
    pub(super) fn new(target: &'a Target, globals: &'a Globals) -> Self {
        Self { target, globals, ports: OnceLock::new(), names: OnceLock::new() }
    }

    /// A new connection.
    pub(super) fn open(&self) -> Result<Connection, Failure> {
        Connection::open(self.target, &self.globals.identity())
    }

    /// A new connection to what repeats the messages of its controller.
    pub(super) fn snoop(&self) -> Result<Connection, Failure> {
        Connection::snoop(self.target, &self.globals.identity())
    }

    /// Where it is, as it was written.
    pub(super) fn target(&self) -> &'a Target {
        self.target
    }

    /// Parses with names only if it must: most text has none, and asking costs more than sending a flow.
    ///
    /// # Errors
    /// What `parse` says with the names that there are.
    pub(super) fn parse<T>(
        &self,
        parse: impl FnMut(Option<&Names>) -> Result<T, ParseError>,
    ) -> Result<Result<T, ParseError>> {
        let result = self.parse_more(parse)?;
        self.leave_out_xids();
        Ok(result)
    }

    /// As [`Switch::parse`], for what is one of many lines.
    ///
    /// # Errors
    /// What `parse` says with the names that there are.
    pub(super) fn parse_more<T>(
        &self,
        mut parse: impl FnMut(Option<&Names>) -> Result<T, ParseError>,
    ) -> Result<Result<T, ParseError>> {
        // Once the names are known, text is read with them at once.
        Ok(match parse(self.names.get().map(|known| &known.names)) {
            Err(_) if self.globals.takes_names() && self.names.get().is_none() => parse(Some(self.names()?)),
            result => result,
        })
    }

    /// Counts the xids of the questions for names that were not necessary.
    pub(super) fn leave_out_xids(&self) {
        if self.globals.takes_names() && self.names.get().is_none() {
            // A hello and a question for ports, and the same for tables.
            Connection::skip_xids(4);
        }
    }

    /// The names to print, if any; asks the switch for them the first time.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn printed_names(&self) -> Result<Option<&Names>> {
        if self.globals.prints_names() { self.names().map(Some) } else { Ok(None) }
    }

    /// The names of its ports.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn port_names(&self) -> Result<&Names> {
        if let Some(names) = self.ports.get() {
            return Ok(names);
        }
        let names = fetch_ports(&mut self.open()?)?;
        Ok(self.ports.get_or_init(|| names))
    }

    /// The names of its ports and tables.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn names(&self) -> Result<&Names> {
        self.known().map(|known| &known.names)
    }

    /// Whether its tables are those of Weir's pipeline.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn is_ours(&self) -> Result<bool> {
        self.known().map(|known| known.is_ours)
    }

    fn known(&self) -> Result<&Known> {
        if let Some(known) = self.names.get() {
            return Ok(known);
        }
        let known = self.fetch()?;
        Ok(self.names.get_or_init(|| known))
    }

    fn fetch(&self) -> Result<Known> {
        let mut connection = self.open()?;
        let mut names = fetch_ports(&mut connection)?;
        // ovs-ofctl takes another connection for the tables.
        Connection::skip_xids(1);
        let mut tables = Vec::new();
        ask_optional(&mut connection, &table_features_request(), |part| {
            tables.extend(table_names(part)?);
            Ok(())
        })?;
        let is_ours = has_ledger(&mut connection)?;
        if is_ours && tables.is_empty() {
            tables.extend(TABLES.iter().map(|table| (table.table.id(), table.name.to_owned())));
        }
        for (table, name) in tables {
            names.add_table(table, &name);
        }
        Ok(Known { names, is_ours })
    }
}

fn fetch_ports(connection: &mut Connection) -> Result<Names> {
    let mut names = Names::new();
    ask(connection, &multipart(MultipartRequestBody::PortDesc)?, |part| {
        let (_, message) = Message::decode(part)?;
        if let Message::MultipartReply(reply) = message
            && let MultipartReplyBody::PortDesc(ports) = reply.body
        {
            for port in ports {
                names.add_port(port.port, &port.name.to_string());
            }
        }
        Ok(())
    })?;
    Ok(names)
}

/// The question what tables can do. They are not decoded here: of a megabyte, only the names are of interest.
fn table_features_request() -> Vec<u8> {
    let mut request = vec![flowlib::openflow::VERSION, 18, 0, 16];
    request.extend(Connection::new_xid().0.to_be_bytes());
    request.extend([0, TABLE_FEATURES, 0, 0, 0, 0, 0, 0]);
    request
}

/// OFPMP_TABLE_FEATURES.
const TABLE_FEATURES: u8 = 12;

/// The names in a part of the answer; tables without a name are left out.
///
/// # Errors
/// If the part cannot be cut into tables.
fn table_names(part: &[u8]) -> Result<Vec<(TableId, String)>, Failure> {
    let mut names = Vec::new();
    for entry in entries(part) {
        let entry = entry?;
        let (Some(table), Some(name)) = (entry.get(TABLE_AT), entry.get(TABLE_NAME)) else {
            return Err(Failure::BadReply("a table's features without its name".to_owned()));
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if !name.is_empty() {
            names.push((TableId(*table), String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(names)
}

/// Whether the switch keeps a ledger of segments, which only those of Weir's controller do.
fn has_ledger(connection: &mut Connection) -> Result<bool> {
    let mut request = Vec::new();
    let rows = MultipartRequestBody::Flow(FlowStatsRequest::of_table(ledger::TABLE));
    // Its xid is not counted: ovs-ofctl does not ask this.
    Message::MultipartRequest(rows.into()).encode(UNCOUNTED, &mut request)?;
    let mut found = false;
    let answer = try_ask(connection, &request, |part| {
        if let Ok((_, Message::MultipartReply(reply))) = Message::decode(part)
            && let MultipartReplyBody::Flow(flows) = reply.body
        {
            found |= flows.iter().any(|stats| ledger::read_row(&stats.flow).is_some());
        }
        Ok(())
    })?;
    Ok(found && matches!(answer, Answer::Complete))
}

const UNCOUNTED: Xid = Xid(u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_without_a_name_have_none() {
        let mut part = vec![0; 16];
        for (table, name) in [(0u8, "in"), (1, ""), (2, "a table with a name of 32 bytes!")] {
            let mut entry = [0; 64];
            entry[1] = 64;
            entry[2] = table;
            entry[8..8 + name.len()].copy_from_slice(name.as_bytes());
            part.extend(entry);
        }
        let expected = [(0, "in"), (2, "a table with a name of 32 bytes!")];
        let expected = expected.map(|(table, name)| (TableId(table), name.to_owned()));
        assert_eq!(table_names(&part).unwrap(), expected);
        part.extend([0, 3, 9]);
        assert!(table_names(&part).is_err(), "an entry without a name");
    }
}
