//! Samples.

use super::Arguments;
use crate::openflow::action::{Sample, SampleDirection};
use crate::text::printer::{Printer, Role};

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
