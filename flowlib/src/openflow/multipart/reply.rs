//! What is answered in a multipart reply, in one part or in several.

use crate::openflow::group::Group;
use crate::openflow::header::Header;
use crate::openflow::message::MULTIPART_REPLY;
use crate::openflow::meter::Meter;
use crate::openflow::oxm::OxmId;
use crate::openflow::port::Port;
use crate::types::Xid;
use crate::wire::{DecodeError, EncodeError, Part, Reader, Wire, Writer};

use super::*;

/// One part of an answer, or several joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultipartReply {
    /// OFPMPF_REPLY_ bits.
    pub flags: u16,
    /// What is answered.
    pub body: MultipartReplyBody,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultipartReplyBody {
    /// Who made the switch.
    Desc(Box<Desc>),
    /// Its flows.
    Flow(Vec<FlowStats>),
    /// How many flows, and what they counted together.
    Aggregate(AggregateStats),
    /// How full its tables are.
    Table(Vec<TableStats>),
    /// What ports counted.
    PortStats(Vec<PortStats>),
    /// What queues counted.
    QueueStats(Vec<QueueStats>),
    /// What groups counted.
    GroupStats(Vec<GroupStats>),
    /// Groups.
    GroupDesc(Vec<Group>),
    /// What groups can do.
    GroupFeatures(GroupFeatures),
    /// What meters counted.
    MeterStats(Vec<MeterStats>),
    /// Meters.
    MeterConfig(Vec<Meter>),
    /// What meters can do.
    MeterFeatures(MeterFeatures),
    /// What tables can do.
    TableFeatures(Vec<TableFeatures>),
    /// Ports.
    PortDesc(Vec<Port>),
    /// Changes of flows.
    FlowMonitor(Vec<FlowUpdate>),
    /// What the bridge's IPFIX exporter counted.
    IpfixBridge(Box<IpfixStats>),
    /// What the IPFIX exporters of collector sets counted.
    IpfixFlow(Vec<IpfixStats>),
    /// An experimenter's answer that is not known here, byte for byte.
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// Which.
        experimenter_type: u32,
        /// The rest.
        body: Vec<u8>,
    },
    /// A type that is not known here, byte for byte.
    Unknown {
        /// The type.
        multipart_type: u16,
        /// All that follows type, flags and padding.
        body: Vec<u8>,
    },
}

impl From<MultipartReplyBody> for MultipartReply {
    fn from(body: MultipartReplyBody) -> Self {
        Self { flags: 0, body }
    }
}

impl MultipartReply {
    /// Whether another part follows.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }

    /// Takes in the part that follows this one. A part of another type is given back.
    ///
    /// # Errors
    /// The part, if it cannot follow this one.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        use MultipartReplyBody as Body;
        match (&mut self.body, next.body) {
            (Body::Flow(all), Body::Flow(more)) => all.extend(more),
            (Body::Table(all), Body::Table(more)) => all.extend(more),
            (Body::PortStats(all), Body::PortStats(more)) => all.extend(more),
            (Body::QueueStats(all), Body::QueueStats(more)) => all.extend(more),
            (Body::GroupStats(all), Body::GroupStats(more)) => all.extend(more),
            (Body::GroupDesc(all), Body::GroupDesc(more)) => all.extend(more),
            (Body::MeterStats(all), Body::MeterStats(more)) => all.extend(more),
            (Body::MeterConfig(all), Body::MeterConfig(more)) => all.extend(more),
            (Body::TableFeatures(all), Body::TableFeatures(more)) => all.extend(more),
            (Body::PortDesc(all), Body::PortDesc(more)) => all.extend(more),
            (Body::FlowMonitor(all), Body::FlowMonitor(more)) => all.extend(more),
            (Body::IpfixFlow(all), Body::IpfixFlow(more)) => all.extend(more),
            (
                Body::Experimenter { experimenter: one, experimenter_type: one_type, body: all },
                Body::Experimenter { experimenter: other, experimenter_type: other_type, body: more },
            ) if (*one, *one_type) == (other, other_type) => all.extend(more),
            (
                Body::Unknown { multipart_type: one, body: all },
                Body::Unknown { multipart_type: other, body: more },
            ) if *one == other => all.extend(more),
            (_, body) => return Err(Self { flags: next.flags, body }),
        }
        self.flags = next.flags;
        Ok(())
    }

    /// Appends the whole answer with that xid to `out`, in as many messages as it takes; all but the last bear
    /// the `more` flag. Lists are cut between their items.
    ///
    /// # Errors
    /// If one item is too long for a message, or has no encoding; `out` is then as it was.
    pub fn encode_parts(&self, xid: Xid, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        use MultipartReplyBody as Body;
        let mut parts = Parts::open(self, xid, out);
        match &self.body {
            Body::Flow(list) => parts.list(list),
            Body::Table(list) => parts.list(list),
            Body::PortStats(list) => parts.list(list),
            Body::QueueStats(list) => parts.list(list),
            Body::GroupStats(list) => parts.list(list),
            Body::GroupDesc(list) => parts.list(list),
            Body::MeterStats(list) => parts.list(list),
            Body::MeterConfig(list) => parts.list(list),
            Body::TableFeatures(list) => parts.list(list),
            Body::PortDesc(list) => parts.list(list),
            Body::FlowMonitor(list) => parts.list(list),
            Body::IpfixFlow(list) => parts.list(list),
            _ => {
                self.encode_body(&mut parts.w);
                parts.close();
            }
        }
        parts.w.finish()
    }

    /// Writes what stands before the list or the body.
    fn encode_header(&self, flags: u16, w: &mut Writer<'_>) {
        use MultipartReplyBody as Body;
        w.u16(self.body.multipart_type());
        w.u16(flags);
        w.zeros(4);
        match &self.body {
            Body::FlowMonitor(_) => experimenter_header(OxmId::ONF, FLOW_MONITOR, w),
            Body::IpfixBridge(_) => experimenter_header(OxmId::NICIRA, IPFIX_BRIDGE, w),
            Body::IpfixFlow(_) => experimenter_header(OxmId::NICIRA, IPFIX_FLOW, w),
            Body::Experimenter { experimenter, experimenter_type, .. } => {
                experimenter_header(*experimenter, *experimenter_type, w);
            }
            _ => {}
        }
    }

    fn encode_body(&self, w: &mut Writer<'_>) {
        use MultipartReplyBody as Body;
        match &self.body {
            Body::Desc(body) => body.encode(w),
            Body::Flow(list) => encode_list(list, w),
            Body::Aggregate(body) => body.encode(w),
            Body::Table(list) => encode_list(list, w),
            Body::PortStats(list) => encode_list(list, w),
            Body::QueueStats(list) => encode_list(list, w),
            Body::GroupStats(list) => encode_list(list, w),
            Body::GroupDesc(list) => encode_list(list, w),
            Body::GroupFeatures(body) => body.encode(w),
            Body::MeterStats(list) => encode_list(list, w),
            Body::MeterConfig(list) => encode_list(list, w),
            Body::MeterFeatures(body) => body.encode(w),
            Body::TableFeatures(list) => encode_list(list, w),
            Body::PortDesc(list) => encode_list(list, w),
            Body::FlowMonitor(list) => encode_list(list, w),
            Body::IpfixBridge(body) => body.encode(w),
            Body::IpfixFlow(list) => encode_list(list, w),
            Body::Experimenter { body, .. } | Body::Unknown { body, .. } => w.bytes(body),
        }
    }
}

/// An answer that is being cut into messages.
struct Parts<'a, 'out> {
    reply: &'a MultipartReply,
    xid: Xid,
    w: Writer<'out>,
    /// Where the message that is being written begins.
    start: Mark,
    /// How long its header is.
    header_len: usize,
}

impl<'a, 'out> Parts<'a, 'out> {
    fn open(reply: &'a MultipartReply, xid: Xid, out: &'out mut Vec<u8>) -> Self {
        let w = Writer::new(out);
        let start = w.mark();
        let mut parts = Self { reply, xid, w, start, header_len: 0 };
        parts.begin(reply.flags & !MORE);
        parts
    }

    fn begin(&mut self, flags: u16) {
        self.start = self.w.mark();
        Header::ours(MULTIPART_REPLY, self.xid).encode(&mut self.w);
        self.reply.encode_header(flags, &mut self.w);
        self.header_len = self.w.len_since(self.start);
    }

    fn close(&mut self) {
        self.w.patch_len(self.start, 2);
    }

    fn list<T: Wire>(&mut self, list: &[T]) {
        for item in list {
            let at = self.w.mark();
            item.encode(&mut self.w);
            let is_too_long = self.w.len_since(self.start) > usize::from(u16::MAX);
            if is_too_long && self.w.len_between(self.start, at) > self.header_len {
                let item = self.w.take_back(at);
                self.w.set_u16(self.start, MULTIPART_FLAGS_AT, self.reply.flags | MORE);
                self.close();
                self.begin(self.reply.flags & !MORE);
                self.w.bytes(&item);
            }
        }
        self.close();
    }
}

impl MultipartReplyBody {
    fn multipart_type(&self) -> u16 {
        match self {
            Self::Desc(_) => DESC,
            Self::Flow(_) => FLOW,
            Self::Aggregate(_) => AGGREGATE,
            Self::Table(_) => TABLE,
            Self::PortStats(_) => PORT_STATS,
            Self::QueueStats(_) => QUEUE_STATS,
            Self::GroupStats(_) => GROUP_STATS,
            Self::GroupDesc(_) => GROUP_DESC,
            Self::GroupFeatures(_) => GROUP_FEATURES,
            Self::MeterStats(_) => METER_STATS,
            Self::MeterConfig(_) => METER_CONFIG,
            Self::MeterFeatures(_) => METER_FEATURES,
            Self::TableFeatures(_) => TABLE_FEATURES,
            Self::PortDesc(_) => PORT_DESC,
            Self::FlowMonitor(_) | Self::IpfixBridge(_) | Self::IpfixFlow(_) | Self::Experimenter { .. } => {
                EXPERIMENTER
            }
            Self::Unknown { multipart_type, .. } => *multipart_type,
        }
    }

    /// Shape: experimenter `u32`, its type `u32`, the rest by both.
    fn decode_experimenter(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (experimenter, experimenter_type) = (r.u32()?, r.u32()?);
        Ok(match (experimenter, experimenter_type) {
            (OxmId::ONF, FLOW_MONITOR) => Self::FlowMonitor(decode_list(r)?),
            (OxmId::NICIRA, IPFIX_BRIDGE) => Self::IpfixBridge(Box::new(Wire::decode(r)?)),
            (OxmId::NICIRA, IPFIX_FLOW) => Self::IpfixFlow(decode_list(r)?),
            _ => Self::Experimenter { experimenter, experimenter_type, body: r.rest().to_vec() },
        })
    }
}

/// Shape: type `u16`, flags `u16`, 4 zeros, the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.3.5.
impl Wire for MultipartReply {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use MultipartReplyBody as Body;
        r.set_part(Part::Multipart);
        let (multipart_type, flags) = (r.u16()?, r.u16()?);
        r.skip(4)?;
        let body = match multipart_type {
            DESC => Body::Desc(Box::new(Wire::decode(r)?)),
            FLOW => Body::Flow(decode_list(r)?),
            AGGREGATE => Body::Aggregate(Wire::decode(r)?),
            TABLE => Body::Table(decode_list(r)?),
            PORT_STATS => Body::PortStats(decode_list(r)?),
            QUEUE_STATS => Body::QueueStats(decode_list(r)?),
            GROUP_STATS => Body::GroupStats(decode_list(r)?),
            GROUP_DESC => Body::GroupDesc(decode_list(r)?),
            GROUP_FEATURES => Body::GroupFeatures(Wire::decode(r)?),
            METER_STATS => Body::MeterStats(decode_list(r)?),
            METER_CONFIG => Body::MeterConfig(decode_list(r)?),
            METER_FEATURES => Body::MeterFeatures(Wire::decode(r)?),
            TABLE_FEATURES => Body::TableFeatures(decode_list(r)?),
            PORT_DESC => Body::PortDesc(decode_list(r)?),
            EXPERIMENTER => Body::decode_experimenter(r)?,
            _ => Body::Unknown { multipart_type, body: r.rest().to_vec() },
        };
        Ok(Self { flags, body })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        self.encode_header(self.flags, w);
        self.encode_body(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::message::Message;
    use crate::types::TableId;

    fn tables(n: u32) -> MultipartReply {
        let table =
            |active_count| TableStats { table: TableId(1), active_count, lookup_count: 2, matched_count: 3 };
        MultipartReplyBody::Table((0..n).map(table).collect()).into()
    }

    /// The parts of `bytes`, each of its length and with its flag.
    fn parts(mut bytes: &[u8]) -> Vec<MultipartReply> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let len = usize::from(bytes[2]) << 8 | usize::from(bytes[3]);
            let (part, rest) = bytes.split_at(len);
            match Message::decode(part).unwrap() {
                (Xid(7), Message::MultipartReply(reply)) => found.push(reply),
                other => panic!("{other:?}"),
            }
            bytes = rest;
        }
        found
    }

    #[test]
    fn a_long_answer_comes_in_parts_that_join_to_it() {
        let whole = tables(10_000);
        let mut bytes = vec![];
        whole.encode_parts(Xid(7), &mut bytes).unwrap();
        let parts = parts(&bytes);
        assert_eq!(parts.len(), 10_000 * 24 / 65_535 + 1);
        let (last, all_but_last) = parts.split_last().unwrap();
        assert!(all_but_last.iter().all(MultipartReply::has_more) && !last.has_more());
        let joined = parts.into_iter().reduce(|mut joined, part| {
            joined.join(part).unwrap();
            joined
        });
        assert_eq!(joined, Some(whole));
    }

    #[test]
    fn a_short_answer_and_an_empty_one_are_one_message() {
        for whole in [tables(0), tables(3), MultipartReplyBody::IpfixBridge(Box::default()).into()] {
            let (mut one, mut other) = (vec![], vec![]);
            whole.encode_parts(Xid(7), &mut one).unwrap();
            Message::MultipartReply(whole).encode(Xid(7), &mut other).unwrap();
            assert_eq!(one, other);
        }
    }

    #[test]
    fn what_is_too_long_for_a_message_leaves_the_buffer_alone() {
        let body = MultipartReplyBody::Unknown { multipart_type: 77, body: vec![0; 70_000] };
        let mut out = vec![9];
        assert!(MultipartReply::from(body).encode_parts(Xid(7), &mut out).is_err());
        assert_eq!(out, [9]);
    }
}
