//! Commands that ask one thing and print the answer as it comes.

use anyhow::Result;
use flowlib::openflow::{Message, MultipartReplyBody, MultipartRequestBody};
use flowlib::text::{TableFeaturesList, Verbosity, parse_port, print_message};
use flowlib::types::PortNo;

use super::ask::{Answer, encode, multipart, try_ask};
use super::globals::Output;
use super::json;
use super::link::Connection;
use super::out::Out;
use super::switch::Switch;

/// Asks over a new connection and prints the answer.
///
/// # Errors
/// [`Failure`](super::link::Failure), or that the output cannot be written.
pub(super) fn dump(switch: &Switch<'_>, request: &Message) -> Result<()> {
    let mut connection = switch.open()?;
    dump_over(&mut connection, switch, &encode(request)?)
}

/// Asks a multipart question over a new connection and prints the answer.
///
/// # Errors
/// See [`dump`].
pub(super) fn dump_multipart(switch: &Switch<'_>, body: MultipartRequestBody) -> Result<()> {
    dump(switch, &Message::MultipartRequest(body.into()))
}

/// Asks over this connection and prints the answer. That the switch refuses is an answer too: as ovs-ofctl, this
/// prints the error and succeeds.
///
/// # Errors
/// See [`dump`].
pub(super) fn dump_over(connection: &mut Connection, switch: &Switch<'_>, request: &[u8]) -> Result<()> {
    if switch.globals.output == Output::Json {
        return json::dump_over(connection, switch, request);
    }
    let verbosity = Verbosity(switch.globals.verbosity(1));
    let mut out = Out::default();
    let answer = try_ask(connection, request, |message| {
        let style = switch.globals.style(switch.printed_names()?);
        print_message(out.text(), message, style, verbosity);
        out.flow()
    })?;
    if let Answer::Refused(error) = answer {
        let style = switch.globals.style(switch.printed_names()?);
        print_message(out.text(), &error, style, verbosity);
    }
    out.flush()
}

/// `show`: features, ports and configuration.
///
/// # Errors
/// See [`dump`].
pub(super) fn show(switch: &Switch<'_>) -> Result<()> {
    if switch.globals.output == Output::Json {
        return json::show(switch);
    }
    let mut connection = switch.open()?;
    let features = connection.transact(&encode(&Message::FeaturesRequest)?)?;
    let mut out = Out::default();
    let verbosity = Verbosity(switch.globals.verbosity(1));
    print_message(out.text(), &features, switch.globals.style(None), verbosity);
    out.flush()?;
    dump_over(&mut connection, switch, &multipart(MultipartRequestBody::PortDesc)?)?;
    // ovs-ofctl takes another connection for the configuration.
    Connection::skip_xids(1);
    dump_over(&mut connection, switch, &encode(&Message::GetConfigRequest)?)
}

/// `dump-ports`, `dump-ports-desc`, `queue-stats` and `queue-get-config` take a port: by number, or by name.
///
/// # Errors
/// If there is no such port.
pub(super) fn port(switch: &Switch<'_>, text: &str) -> Result<PortNo> {
    if let Ok(port) = parse_port(text, None) {
        return Ok(port);
    }
    let names = if switch.globals.takes_names() { Some(switch.port_names()?) } else { None };
    parse_port(text, names).map_err(|_| anyhow::anyhow!("{}: unknown port `{text}'", switch.target()))
}

/// `dump-table-features`: the tables as one list, however many messages they come in.
///
/// # Errors
/// See [`dump`].
pub(super) fn table_features(switch: &Switch<'_>) -> Result<()> {
    let body = MultipartRequestBody::TableFeatures(Vec::new());
    if switch.globals.output == Output::Json {
        return dump_multipart(switch, body);
    }
    let (mut list, mut text) = (TableFeaturesList::default(), String::new());
    let answer = try_ask(&mut switch.open()?, &multipart(body)?, |part| {
        if let (_, Message::MultipartReply(reply)) = Message::decode(part)?
            && let MultipartReplyBody::TableFeatures(tables) = reply.body
        {
            for table in tables {
                list.print(&mut text, table).map_err(|error| anyhow::anyhow!("decode error: {error}"))?;
            }
        }
        Ok(())
    })?;
    list.finish(&mut text);
    if let Answer::Refused(error) = answer {
        print_message(&mut text, &error, switch.globals.style(None), Verbosity(switch.globals.verbosity(1)));
    }
    let mut out = Out::default();
    out.text().push_str(text.trim_start_matches('\n'));
    out.text().push('\n');
    out.flush()
}
