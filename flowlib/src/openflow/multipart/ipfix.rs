//! What an IPFIX exporter of Open vSwitch counted.

use crate::wire::{DecodeError, Reader, Wire, Writer};

/// What an IPFIX exporter counted: of the whole bridge, or of one collector set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct IpfixStats {
    pub total_flows: u64,
    pub current_flows: u64,
    pub packets: u64,
    pub ipv4_packets: u64,
    pub ipv6_packets: u64,
    pub error_packets: u64,
    pub ipv4_error_packets: u64,
    pub ipv6_error_packets: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    /// Whose counts these are, if they are of one collector set.
    pub collector_set: u32,
}

impl IpfixStats {
    fn counters(&mut self) -> [&mut u64; 10] {
        [
            &mut self.total_flows,
            &mut self.current_flows,
            &mut self.packets,
            &mut self.ipv4_packets,
            &mut self.ipv6_packets,
            &mut self.error_packets,
            &mut self.ipv4_error_packets,
            &mut self.ipv6_error_packets,
            &mut self.tx_packets,
            &mut self.tx_errors,
        ]
    }
}

/// Shape: ten counters `u64`, collector set `u32`, 4 zeros.
///
/// Source: NXST_IPFIX_BRIDGE and NXST_IPFIX_FLOW in `nicira-ext.h` of Open vSwitch 3.1.
impl Wire for IpfixStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut found = Self::default();
        for counter in found.counters() {
            *counter = r.u64()?;
        }
        found.collector_set = r.u32()?;
        r.skip(4)?;
        Ok(found)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        for counter in self.clone().counters() {
            w.u64(*counter);
        }
        w.u32(self.collector_set);
        w.zeros(4);
    }
}
