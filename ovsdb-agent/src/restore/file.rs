//! The file that holds a table.
//!
//! ```text
//!   0  magic "WEIRTBL\n"      8 bytes
//!   8  version                u32, big-endian: 1
//!  12  datapath id            u64, big-endian
//!  20  length of the body     u64, big-endian
//!  28  xxh3-64 of bytes 0–27 and the body, u64, big-endian
//!  36  body: OpenFlow 1.3 messages that add meters, groups and flows, in this order
//! ```
//!
//! A file is replaced as a whole (written beside it, synced, renamed), so a crash leaves the old one or the new one. What
//! is torn all the same, by a disk or by hand, is refused and never half used.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flowlib::channel::{BadFrame, Deframer};
use flowlib::openflow::{FlowMod, GroupMod, Message, MeterMod};
use flowlib::types::{DatapathId, Xid};
use flowlib::wire::{DecodeError, EncodeError};
use xxhash_rust::xxh3::Xxh3;

use crate::restore::snapshot::Snapshot;

/// Why a table could not be kept or is not to be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system could not read or write it.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// It is not such a file.
    #[error("not a saved table")]
    NotATable,
    /// It is of another version.
    #[error("a saved table of format {found}, not {VERSION}")]
    OtherVersion {
        /// The version found.
        found: u32,
    },
    /// Its end is missing, or there is more than its end.
    #[error("torn: {found} bytes where {expected} belong")]
    Torn {
        /// The length in its header, with the header.
        expected: u64,
        /// Its length.
        found: u64,
    },
    /// Its bytes are not those that were written.
    #[error("damaged: its checksum is wrong")]
    Damaged,
    /// Its messages cannot be told apart.
    #[error("a saved table of bad messages: {0}")]
    BadFrame(#[from] BadFrame),
    /// A message cannot be read.
    #[error("a saved table with a bad message: {0}")]
    BadMessage(#[from] DecodeError),
    /// A message is not one that belongs there.
    #[error("a saved table with a message of type {message_type}")]
    Foreign {
        /// OpenFlow message type.
        message_type: u8,
    },
    /// The table cannot be written as messages.
    #[error("cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
}

/// Replaces the file.
///
/// # Errors
/// `Io` or `Encode`; the old file is still there then.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<(), FileError> {
    let bytes = encode(snapshot)?;
    let beside = path.with_extension("new");
    let io = |error| FileError::Io { path: path.to_owned(), error };
    let mut file = File::create(&beside).map_err(io)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => File::open(directory).and_then(|directory| directory.sync_all()).map_err(io),
        None => Ok(()),
    }
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// See `FileError`.
pub fn read(path: &Path) -> Result<Option<Snapshot>, FileError> {
    match fs::read(path) {
        Ok(bytes) => decode(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Io { path: path.to_owned(), error }),
    }
}

/// The file's bytes.
///
/// # Errors
/// `Encode`.
pub fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, FileError> {
    let mut body = Vec::new();
    for meter in &snapshot.meters {
        Message::MeterMod(MeterMod::add(meter.clone())).encode(Xid(0), &mut body)?;
    }
    for group in &snapshot.groups {
        Message::GroupMod(GroupMod::add(group.clone())).encode(Xid(0), &mut body)?;
    }
    for flow in &snapshot.flows {
        Message::FlowMod(FlowMod::add(flow)).encode(Xid(0), &mut body)?;
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(snapshot.datapath_id.0.to_be_bytes());
    bytes.extend((body.len() as u64).to_be_bytes());
    bytes.extend(checksum(&bytes, &body).to_be_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// Reads a file's bytes.
///
/// # Errors
/// See `FileError`.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, FileError> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(FileError::NotATable)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(FileError::NotATable)?;
    let (datapath_id, rest) = rest.split_first_chunk::<8>().ok_or(FileError::NotATable)?;
    let (len, rest) = rest.split_first_chunk::<8>().ok_or(FileError::NotATable)?;
    let (expected, body) = rest.split_first_chunk::<8>().ok_or(FileError::NotATable)?;
    if *magic != MAGIC {
        return Err(FileError::NotATable);
    }
    match u32::from_be_bytes(*version) {
        VERSION => {}
        found => return Err(FileError::OtherVersion { found }),
    }
    let len = u64::from_be_bytes(*len);
    if len != body.len() as u64 {
        return Err(FileError::Torn { expected: len.saturating_add(HEADER_LEN), found: bytes.len() as u64 });
    }
    let header = bytes.get(..CHECKED_HEADER_LEN).unwrap_or_default();
    if checksum(header, body) != u64::from_be_bytes(*expected) {
        return Err(FileError::Damaged);
    }
    decode_body(DatapathId(u64::from_be_bytes(*datapath_id)), body)
}

fn decode_body(datapath_id: DatapathId, body: &[u8]) -> Result<Snapshot, FileError> {
    let mut snapshot = Snapshot { datapath_id, meters: Vec::new(), groups: Vec::new(), flows: Vec::new() };
    let mut deframer = Deframer::default();
    deframer.push(body);
    while let Some(bytes) = deframer.next_message()? {
        match Message::decode(bytes)?.1 {
            Message::MeterMod(meter_mod) => snapshot.meters.push(meter_mod.meter),
            Message::GroupMod(group_mod) => snapshot.groups.push(group_mod.group),
            Message::FlowMod(flow_mod) => snapshot.flows.push(flow_mod.into_flow()),
            other => return Err(FileError::Foreign { message_type: other.message_type() }),
        }
    }
    Ok(snapshot)
}

fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(header);
    hash.update(body);
    hash.digest()
}

const MAGIC: [u8; 8] = *b"WEIRTBL\n";
const VERSION: u32 = 1;
const CHECKED_HEADER_LEN: usize = 28;
const HEADER_LEN: u64 = 36;

#[cfg(test)]
mod tests {
    use flowlib::openflow::{Action, Group, GroupType, Instruction, Meter, MeterFlags};
    use flowlib::types::{Cookie, GroupId, MeterId, PortNo, Priority, TableId};

    use super::*;

    fn snapshot() -> Snapshot {
        let output = Action::Output { port: PortNo(1), max_len: 0 };
        Snapshot {
            datapath_id: DatapathId(7),
            meters: vec![Meter { meter: MeterId(3), flags: MeterFlags::KBPS, bands: Vec::new() }],
            groups: vec![Group { group: GroupId(5), group_type: GroupType::ALL, buckets: Vec::new() }],
            flows: vec![flowlib::openflow::Flow {
                table: TableId(4),
                priority: Priority(9),
                cookie: Cookie(0x1000_0000_0000_0001),
                instructions: vec![Instruction::ApplyActions(vec![output])],
                ..Default::default()
            }],
        }
    }

    #[test]
    fn a_table_comes_back_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        assert!(read(&path).unwrap().is_none());
        write(&path, &snapshot()).unwrap();
        write(&path, &snapshot()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(snapshot()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn every_shortened_file_is_refused() {
        let bytes = encode(&snapshot()).unwrap();
        for len in 0..bytes.len() {
            let refused = decode(&bytes[..len]).unwrap_err();
            assert!(matches!(refused, FileError::NotATable | FileError::Torn { .. }), "{len}: {refused}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = encode(&snapshot()).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(decode(&damaged).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_message_that_adds_nothing_to_the_table_is_refused() {
        let mut body = Vec::new();
        Message::BarrierRequest.encode(Xid(0), &mut body).unwrap();
        let refused = decode_body(DatapathId(7), &body).unwrap_err();
        assert!(matches!(refused, FileError::Foreign { message_type: 20 }));
    }
}
