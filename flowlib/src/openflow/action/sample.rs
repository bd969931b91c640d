//! Samples of packets for a collector.

use crate::openflow::port_no;
use crate::types::PortNo;
use crate::wire::{DecodeError, Problem, Reader, Writer, open_enum};

open_enum! {
    /// At which side of the switch a packet is sampled.
    pub struct SampleDirection(u8) {
        /// As the switch sees fit.
        DEFAULT = 0 => "default",
        /// As it came in.
        INGRESS = 1 => "ingress",
        /// As it goes out.
        EGRESS = 2 => "egress",
    }
}

/// Some packets to a set of collectors. Source: ovs-actions(7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sample {
    /// How many of 65535 packets; never 0.
    pub probability: u16,
    /// The collectors, by their number in the database.
    pub collector_set_id: u32,
    /// A number for the collectors.
    pub obs_domain_id: u32,
    /// A number for the collectors.
    pub obs_point_id: u32,
    /// The port whose tunnel is told of as well.
    pub sampling_port: Option<PortNo>,
    /// At which side.
    pub direction: SampleDirection,
}

/// OFPP_NONE in 16 bits.
const NO_PORT: u16 = 0xffff;

impl Sample {
    /// Which of the three forms says it in the fewest bytes; none of the later ones says more than it needs to.
    pub(super) fn form(&self) -> u16 {
        if self.direction != SampleDirection::DEFAULT {
            super::nicira::SAMPLE3
        } else if self.sampling_port.is_some() {
            super::nicira::SAMPLE2
        } else {
            super::nicira::SAMPLE
        }
    }

    /// Reads a sample behind its subtype.
    ///
    /// Shape: probability `u16`, collectors `u32`, domain `u32`, point `u32`; the later forms: port `u16`,
    /// direction `u8` (the third only), 5 zeros.
    ///
    /// # Errors
    /// `BadValue` on a probability of 0 or an unknown direction.
    pub(super) fn decode(r: &mut Reader<'_>, subtype: u16) -> Result<Self, DecodeError> {
        let at = r.clone();
        let mut found = Self {
            probability: r.u16()?,
            collector_set_id: r.u32()?,
            obs_domain_id: r.u32()?,
            obs_point_id: r.u32()?,
            sampling_port: None,
            direction: SampleDirection::DEFAULT,
        };
        if subtype != super::nicira::SAMPLE {
            found.sampling_port = Some(r.u16()?).filter(|port| *port != NO_PORT).map(port_no::from_u16);
            let direction = SampleDirection(r.u8()?);
            if subtype == super::nicira::SAMPLE3 {
                found.direction = direction;
            }
            r.skip(5)?;
        }
        if found.probability == 0 || found.direction > SampleDirection::EGRESS {
            return Err(at.error(Problem::BadValue { found: found.direction.0.into() }));
        }
        Ok(found)
    }

    /// Writes it behind the subtype of its form.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.probability);
        w.u32(self.collector_set_id);
        w.u32(self.obs_domain_id);
        w.u32(self.obs_point_id);
        if self.form() != super::nicira::SAMPLE {
            let port = self.sampling_port.map_or(NO_PORT, |port| port_no::to_u16(port, w));
            w.u16(port);
            w.u8(self.direction.0);
            w.zeros(5);
        }
    }
}
