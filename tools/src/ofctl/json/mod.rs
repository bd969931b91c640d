//! Answers as JSON.
//!
//! Lists have one entry a line, and are printed as they come. Keys are only ever added. Numbers stay numbers, but
//! cookies, datapath ids and metadata are text in hex: many readers of JSON know no whole numbers of 64 bits. What flows
//! match and do is text in the syntax of ovs-ofctl(8). A counter that the switch does not keep is null.

mod port;
mod table;
mod value;

use anyhow::{Result, bail};
use flowlib::openflow::{Message, MultipartReplyBody, MultipartRequestBody};
use flowlib::text::Names;
use serde_json::{Value, json};

use super::ask::{ask, describe, encode, multipart};
use super::link::{Connection, header};
use super::out::Out;
use super::switch::Switch;

/// An answer, or a part of one.
enum Piece {
    /// All of it.
    One(Value),
    /// Entries of a list.
    Many(Vec<Value>),
}

/// Asks over this connection and prints the answer.
///
/// # Errors
/// What [`ask`] says.
pub(super) fn dump_over(connection: &mut Connection, switch: &Switch<'_>, request: &[u8]) -> Result<()> {
    let mut list = List::default();
    ask(connection, request, |message| match piece(switch, message)? {
        Piece::One(value) => list.one(&value),
        Piece::Many(values) => list.many(&values),
    })?;
    list.end()
}

/// `show` as one object.
///
/// # Errors
/// See [`dump_over`].
pub(super) fn show(switch: &Switch<'_>) -> Result<()> {
    let mut connection = switch.open()?;
    let mut one = |request: &[u8]| -> Result<Value> {
        let mut all = Vec::new();
        ask(&mut connection, request, |message| {
            match piece(switch, message)? {
                Piece::One(value) => all.push(value),
                Piece::Many(values) => all.extend(values),
            }
            Ok(())
        })?;
        Ok(Value::Array(all))
    };
    let features = one(&encode(&Message::FeaturesRequest)?)?;
    let ports = one(&multipart(MultipartRequestBody::PortDesc)?)?;
    let config = one(&encode(&Message::GetConfigRequest)?)?;
    let mut list = List::default();
    list.one(&json!({ "features": features[0], "ports": ports, "config": config[0] }))?;
    list.end()
}

/// A document that is printed while it grows.
#[derive(Default)]
struct List {
    out: Out,
    is_open: bool,
    has_entries: bool,
}

impl List {
    fn one(&mut self, value: &Value) -> Result<()> {
        self.out.text().push_str(&serde_json::to_string_pretty(value)?);
        self.out.text().push('\n');
        Ok(())
    }

    fn many(&mut self, values: &[Value]) -> Result<()> {
        if !std::mem::replace(&mut self.is_open, true) {
            self.out.text().push('[');
        }
        for value in values {
            self.out.text().push_str(if std::mem::replace(&mut self.has_entries, true) {
                ",\n "
            } else {
                "\n "
            });
            self.out.text().push_str(&serde_json::to_string(value)?);
            self.out.flow()?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        if self.is_open {
            self.out.text().push_str(if self.has_entries { "\n]\n" } else { "]\n" });
        }
        self.out.flush()
    }
}

fn piece(switch: &Switch<'_>, message: &[u8]) -> Result<Piece> {
    let (_, decoded) = Message::decode(message)?;
    let names = switch.printed_names()?;
    let is_ours = names.is_some() && switch.is_ours()?;
    Ok(match decoded {
        Message::MultipartReply(reply) => of_multipart(reply.body, names, is_ours, message)?,
        Message::FeaturesReply(features) => Piece::One(value::features(&features)),
        Message::GetConfigReply(config) => Piece::One(value::config(config)),
        Message::QueueGetConfigReply(config) => Piece::Many(port::queues(&config, names)),
        Message::NxTlvTableReply(table) => Piece::One(value::tlv_table(&table)),
        _ => bail!("no JSON for a message of type {}", header(message).0),
    })
}

fn of_multipart(
    body: MultipartReplyBody,
    names: Option<&Names>,
    is_ours: bool,
    message: &[u8],
) -> Result<Piece> {
    let many = |values: Vec<Value>| Piece::Many(values);
    Ok(match body {
        MultipartReplyBody::Desc(desc) => Piece::One(value::desc(&desc)),
        MultipartReplyBody::Flow(flows) => {
            many(flows.iter().map(|flow| table::flow(flow, names, is_ours)).collect())
        }
        MultipartReplyBody::Aggregate(sums) => Piece::One(value::aggregate(sums)),
        MultipartReplyBody::Table(tables) => {
            many(tables.iter().map(|stats| table::stats(stats, names)).collect())
        }
        MultipartReplyBody::TableFeatures(tables) => many(tables.iter().map(table::features).collect()),
        MultipartReplyBody::PortStats(ports) => {
            many(ports.iter().map(|stats| port::stats(stats, names)).collect())
        }
        MultipartReplyBody::PortDesc(ports) => many(ports.iter().map(port::description).collect()),
        MultipartReplyBody::QueueStats(queues) => {
            many(queues.iter().map(|stats| port::queue_stats(stats, names)).collect())
        }
        MultipartReplyBody::GroupDesc(groups) => {
            many(groups.iter().map(|group| value::group(group, names)).collect())
        }
        MultipartReplyBody::GroupStats(groups) => many(groups.iter().map(value::group_stats).collect()),
        MultipartReplyBody::GroupFeatures(features) => Piece::One(value::group_features(&features)),
        MultipartReplyBody::MeterConfig(meters) => many(meters.iter().map(value::meter).collect()),
        MultipartReplyBody::MeterStats(meters) => many(meters.iter().map(value::meter_stats).collect()),
        MultipartReplyBody::MeterFeatures(features) => Piece::One(value::meter_features(&features)),
        MultipartReplyBody::IpfixBridge(stats) => Piece::One(value::ipfix(&stats)),
        MultipartReplyBody::IpfixFlow(stats) => many(stats.iter().map(value::ipfix).collect()),
        _ => bail!("no JSON for {}", describe(message)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_comes_in_parts_is_one_document() {
        let mut list = List::default();
        list.many(&[json!(1)]).unwrap();
        list.many(&[]).unwrap();
        list.many(&[json!({"a": 2})]).unwrap();
        assert_eq!(list.out.text(), "[\n 1,\n {\"a\":2}");
        list.out.text().clear();
    }
}
