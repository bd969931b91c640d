//! What a packet-in holds of the pipeline that it interrupts.

use super::super::printer::{Printer, Role};
use super::{Result, decoded, format_actions, put};
use crate::openflow::{Action, ErrorCode, property, refusal};
use crate::types::{Cookie, TableId};
use crate::wire::{DecodeError, Part, Problem, Reader};

/// Private to Open vSwitch, which may change it; `ovs-ofctl` shows it all the same.
///
/// Source: `enum nx_continuation_prop_type` in `lib/ofp-packet.c` of Open vSwitch 3.1.
#[derive(Debug, Default)]
pub(super) struct Continuation<'a> {
    bridge: Option<[u8; 16]>,
    /// From the top on.
    stack: Vec<&'a [u8]>,
    mirrors: u32,
    is_tracked: bool,
    odp_port: Option<u32>,
    /// Actions that are left, with the table and cookie of the flow that has them.
    actions: Vec<(TableId, Cookie, Vec<Action>)>,
    action_set: Vec<Action>,
}

const BRIDGE: u16 = 0x8000;
const STACK: u16 = 0x8001;
const MIRRORS: u16 = 0x8002;
const CONNTRACKED: u16 = 0x8003;
const TABLE_ID: u16 = 0x8004;
const COOKIE: u16 = 0x8005;
const ACTIONS: u16 = 0x8006;
const ACTION_SET: u16 = 0x8007;
const ODP_PORT: u16 = 0x8008;

/// The most bytes that a value on the stack has.
const MAX_STACK_VALUE: usize = 128;

impl<'a> Continuation<'a> {
    /// Reads its properties.
    ///
    /// # Errors
    /// As ovs-ofctl has them.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut found = Self::default();
        let (mut table, mut cookie) = (TableId(0), Cookie(0));
        let mut r = Reader::new(bytes, Part::Property);
        while !r.is_empty() {
            let (property_type, mut value) = decoded(property::take(&mut r, property::EXPERIMENTER.into()))?;
            match property_type {
                TABLE_ID => table = TableId(decoded(property::u8(&mut value))?),
                COOKIE => cookie = Cookie(decoded(whole(&mut value, aligned_u64))?),
                ACTIONS => {
                    let actions = decoded(read_actions(&mut value))?;
                    refusal::actions(&actions)?;
                    found.actions.push((table, cookie, actions));
                }
                _ => found.read_other(property_type, &mut value)?,
            }
        }
        Ok(found)
    }

    fn read_other(&mut self, property_type: u16, value: &mut Reader<'a>) -> Result {
        match property_type {
            BRIDGE => self.bridge = Some(decoded(whole(value, Reader::array))?),
            STACK if value.len() > MAX_STACK_VALUE => return Err(ErrorCode::OFPBPC_BAD_LEN),
            STACK => self.stack.push(value.rest()),
            MIRRORS => self.mirrors = decoded(whole(value, Reader::u32))?,
            CONNTRACKED => self.is_tracked = true,
            ODP_PORT => self.odp_port = Some(decoded(whole(value, Reader::u32))?),
            ACTION_SET => {
                self.action_set = decoded(read_actions(value))?;
                refusal::actions(&self.action_set)?;
            }
            // What a packet-in reports is kept, known or not.
            _ => {}
        }
        Ok(())
    }

    /// Appends a line for each thing that there is.
    pub(super) fn format(&self, p: &mut Printer<'_>) {
        if let Some(bridge) = self.bridge.filter(|bridge| *bridge != [0; 16]) {
            p.push_str(" continuation.bridge=");
            format_uuid(p, bridge);
            p.push_str("\n");
        }
        if !self.stack.is_empty() {
            p.push_str(" continuation.stack=(top)");
            self.stack.iter().for_each(|value| format_value(p, value));
            p.push_str(" (bottom)\n");
        }
        if self.mirrors != 0 {
            put(p, format_args!(" continuation.mirrors={:#x}\n", self.mirrors));
        }
        if self.is_tracked {
            p.push_str(" continuation.conntracked=true\n");
        }
        if !self.actions.is_empty() {
            p.push_str(" continuation.actions=");
            let mut separator = "";
            for (table, cookie, actions) in &self.actions {
                p.push_str(separator);
                format_origin(p, *table, *cookie);
                if !actions.is_empty() {
                    p.push_str(",");
                    format_actions(p, actions);
                }
                separator = ",";
            }
            p.push_str("\n");
        }
        if !self.action_set.is_empty() {
            p.push_str(" continuation.action_set=");
            format_actions(p, &self.action_set);
            p.push_str("\n");
        }
        if let Some(port) = self.odp_port {
            put(p, format_args!(" continuation.odp_port={port}\n"));
        }
    }
}

/// Reads a value of which nothing is left then.
fn whole<'a, T>(
    value: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> std::result::Result<T, DecodeError>,
) -> std::result::Result<T, DecodeError> {
    let found = read(value)?;
    value.finish().map(|()| found)
}

fn aligned_u64(value: &mut Reader<'_>) -> std::result::Result<u64, DecodeError> {
    value.skip(4)?;
    value.u64()
}

fn read_actions(value: &mut Reader<'_>) -> std::result::Result<Vec<Action>, DecodeError> {
    value.skip(4)?;
    if !value.len().is_multiple_of(8) {
        let at = Reader::at(value.peek(), Part::Message, value.offset());
        return Err(at.error(Problem::BadLength { found: value.len() }));
    }
    Action::decode_list(value.take())
}

fn format_origin(p: &mut Printer<'_>, table: TableId, cookie: Cookie) {
    p.put(Role::Paren, "unroll_xlate(");
    p.put(Role::Special, "table=");
    p.table(table);
    p.push_str(", ");
    p.put(Role::Param, "cookie=");
    p.dec(cookie.0);
    p.put(Role::Paren, ")");
}

/// Open vSwitch sends the four words of it as it has them, which is little-endian nearly everywhere.
fn format_uuid(p: &mut Printer<'_>, uuid: [u8; 16]) {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(uuid.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let [a, b, c, d] = words;
    put(p, format_args!("{a:08x}-{:04x}-{:04x}", b >> 16, b & 0xffff));
    put(p, format_args!("-{:04x}-{:04x}{d:08x}", c >> 16, c & 0xffff));
}

/// Appends a space and a big-endian number of any length in hex.
fn format_value(p: &mut Printer<'_>, value: &[u8]) {
    let start = value.iter().position(|byte| *byte != 0).unwrap_or(value.len());
    match value.get(start..) {
        Some([first, rest @ ..]) => {
            put(p, format_args!(" {first:#x}"));
            rest.iter().for_each(|byte| put(p, format_args!("{byte:02x}")));
        }
        _ => p.push_str(" 0"),
    }
}
