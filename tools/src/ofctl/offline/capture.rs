//! OpenFlow in captured packets.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flowlib::channel::Deframer;
use flowlib::text::{Verbosity, print_message};
use jiff::Timestamp;

use crate::ofctl::globals::Globals;
use crate::ofctl::out::Out;

/// The ports of OpenFlow before and since it has its own.
const PORTS: [u16; 2] = [6633, 6653];
/// The longest packet that is taken from a file.
const MAX_PACKET: u32 = 256 << 10;

/// `ofp-parse-pcap`: the messages in TCP streams over IPv4, in the order in which they were completed.
///
/// # Errors
/// If the file is no capture of Ethernet, or cannot be read.
pub(in crate::ofctl) fn parse_capture(globals: &Globals, path: &Path, ports: &[u16]) -> Result<()> {
    let name = path.display();
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("{name}: open failed"))?)
    };
    let mut capture =
        Capture::open(BufReader::new(input)).with_context(|| format!("{name}: not a capture"))?;
    let ports = if ports.is_empty() { &PORTS[..] } else { ports };
    let mut streams: HashMap<(SocketAddrV4, SocketAddrV4), Stream> = HashMap::new();
    let (mut out, mut is_first) = (Out::default(), true);
    while let Some((when, packet)) = capture.next().with_context(|| format!("{name}: read failed"))? {
        let Some(segment) = Segment::of_frame(&packet) else { continue };
        if !ports.contains(&segment.from.port()) && !ports.contains(&segment.to.port()) {
            continue;
        }
        let key = (segment.from, segment.to);
        if segment.ends {
            streams.remove(&key);
            continue;
        }
        let stream = streams.entry(key).or_insert_with(|| Stream::new(&segment));
        stream.take(&segment, |message| {
            if !std::mem::take(&mut is_first) {
                out.text().push('\n');
            }
            if globals.timestamp {
                write!(out.text(), "{} ", when.strftime("%H:%M:%S%.3f"))?;
            }
            let dotted = |address: SocketAddrV4| format!("{}.{}", address.ip(), address.port());
            writeln!(out.text(), "{} > {}:", dotted(key.0), dotted(key.1))?;
            print_message(out.text(), message, globals.style(None), Verbosity(globals.verbosity(1)));
            out.flow()
        })?;
    }
    out.flush()
}

/// A file as tcpdump writes it.
///
/// Shape: magic `u32`, which tells byte order and unit of time, version, zone, accuracy, longest packet and link type;
/// then packets, each behind seconds, fraction, stored and original length, `u32` each.
///
/// Source: draft-ietf-opsawg-pcap.
struct Capture<R> {
    input: R,
    is_swapped: bool,
    per_second: u32,
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;

impl<R: Read> Capture<R> {
    fn open(mut input: R) -> Result<Self> {
        let mut header = [0; 24];
        input.read_exact(&mut header)?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let magic = word(0);
        let is_swapped = matches!(magic.swap_bytes(), MICROSECONDS | NANOSECONDS);
        let straight = |word: u32| if is_swapped { word.swap_bytes() } else { word };
        let per_second = match straight(magic) {
            MICROSECONDS => 1_000_000,
            NANOSECONDS => 1_000_000_000,
            _ => bail!("bad magic {magic:#010x}"),
        };
        let link_type = straight(word(20)) & 0xffff;
        if link_type != ETHERNET {
            bail!("its packets are of link type {link_type}, not Ethernet");
        }
        Ok(Self { input, is_swapped, per_second })
    }

    /// The next packet, and when it came; nothing at the end.
    fn next(&mut self) -> Result<Option<(Timestamp, Vec<u8>)>> {
        let mut header = [0; 16];
        match self.input.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let word = |at: usize| {
            let word = u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            if self.is_swapped { word.swap_bytes() } else { word }
        };
        let (seconds, fraction, len) = (word(0), word(4), word(8));
        if len > MAX_PACKET {
            bail!("a packet of {len} bytes");
        }
        let nanoseconds = u64::from(fraction) * u64::from(1_000_000_000 / self.per_second);
        let when = Timestamp::new(seconds.into(), i32::try_from(nanoseconds % 1_000_000_000)?)?;
        let mut packet = vec![0; len as usize];
        self.input.read_exact(&mut packet)?;
        Ok(Some((when, packet)))
    }
}

/// A segment of a TCP stream over IPv4.
struct Segment<'a> {
    from: SocketAddrV4,
    to: SocketAddrV4,
    /// The number of the first byte of data.
    sequence: u32,
    begins: bool,
    ends: bool,
    data: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment in an Ethernet frame, if there is one.
    fn of_frame(frame: &'a [u8]) -> Option<Self> {
        let mut at = 12;
        while matches!(frame.get(at..at + 2)?, [0x81, 0] | [0x88, 0xa8]) {
            at += 4;
        }
        let packet = frame.get(at + 2..).filter(|_| frame[at..at + 2] == [8, 0])?;
        let total = usize::from(u16::from_be_bytes(*packet.get(2..4)?.first_chunk()?));
        let header_len = usize::from(packet.first()? & 15) * 4;
        let packet = packet.get(..total)?;
        let is_tcp = packet.first()? >> 4 == 4 && packet.get(9) == Some(&6) && header_len >= 20;
        let is_whole = u16::from_be_bytes(*packet.get(6..8)?.first_chunk()?) & 0x3fff == 0;
        let tcp = packet.get(header_len..).filter(|_| is_tcp && is_whole)?;
        let address = |at: usize, port: usize| {
            let address: [u8; 4] = *packet.get(at..)?.first_chunk()?;
            let port = u16::from_be_bytes(*tcp.get(port..)?.first_chunk()?);
            Some(SocketAddrV4::new(address.into(), port))
        };
        let flags = *tcp.get(13)?;
        let begins = flags & 2 != 0;
        let sequence = u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?);
        Some(Self {
            from: address(12, 0)?,
            to: address(16, 2)?,
            sequence: sequence.wrapping_add(begins.into()),
            begins,
            ends: flags & 5 != 0,
            data: tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?,
        })
    }
}

/// One direction of a connection.
struct Stream {
    next: u32,
    deframer: Deframer,
}

impl Stream {
    fn new(segment: &Segment<'_>) -> Self {
        Self { next: segment.sequence, deframer: Deframer::default() }
    }

    /// Takes in a segment, if it is the next one, and gives out the messages that are whole. Where the stream is no
    /// OpenFlow, the rest of the segment is passed over: the next may begin with a message.
    fn take(&mut self, segment: &Segment<'_>, mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if segment.begins {
            *self = Self::new(segment);
        }
        if segment.sequence != self.next {
            return Ok(());
        }
        self.next = self.next.wrapping_add(segment.data.len() as u32);
        self.deframer.push(segment.data);
        loop {
            match self.deframer.next_message() {
                Ok(Some(message)) => give(message)?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.deframer = Deframer::default();
                    return Ok(());
                }
            }
        }
    }
}
