//! Samples.

use super::Arguments;
use crate::openflow::action::{Sample, SampleDirection};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::names::Names;
use crate::text::port::parse_port;
use crate::text::printer::{Printer, Role};
use crate::types::PortNo;

/// Appends `sample(probability=…,collector_set_id=…,obs_domain_id=…,obs_point_id=…)`.
pub(super) fn format(out: &mut Printer<'_>, sample: &Sample) {
    out.put(Role::Paren, "sample(");
    let mut list = Arguments::default();
    list.add(out, "probability=", sample.probability);
    list.add(out, "collector_set_id=", sample.collector_set_id);
    list.add(out, "obs_domain_id=", sample.obs_domain_id);
    list.add(out, "obs_point_id=", sample.obs_point_id);
    if let Some(port) = sample.sampling_port {
        list.add(out, "sampling_port=", "");
        out.port(port);
    }
    match sample.direction {
        SampleDirection::INGRESS => list.add(out, "ingress", ""),
        SampleDirection::EGRESS => list.add(out, "egress", ""),
        _ => {}
    }
    out.put(Role::Paren, ")");
}

/// Reads the arguments of a sample.
pub(super) fn read(value: Piece<'_>, names: Option<&Names>) -> Result<Sample, ParseError> {
    let mut found = Sample {
        probability: 0,
        collector_set_id: 0,
        obs_domain_id: 0,
        obs_point_id: 0,
        sampling_port: None,
        direction: SampleDirection::DEFAULT,
    };
    for (key, value) in value.key_values() {
        match key.text() {
            "probability" => found.probability = value.u16()?,
            "collector_set_id" => found.collector_set_id = value.u32()?,
            "obs_domain_id" => found.obs_domain_id = value.u32()?,
            "obs_point_id" => found.obs_point_id = value.u32()?,
            "sampling_port" => {
                found.sampling_port = Some(parse_port(value, names)?).filter(|port| *port != PortNo::ANY);
            }
            "ingress" => found.direction = SampleDirection::INGRESS,
            "egress" => found.direction = SampleDirection::EGRESS,
            _ => {
                let known = "probability, collector_set_id, obs_domain_id, obs_point_id, sampling_port, \
                             ingress or egress";
                return Err(key.error(Problem::Expected(known)));
            }
        }
    }
    if found.probability == 0 {
        return Err(value.error(Problem::Expected("a probability of 1 to 65535 and more: probability=…")));
    }
    Ok(found)
}
