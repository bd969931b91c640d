//! Numbers of one name that differ in their labels, as they are at one moment.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::{Reading, Unit, Value};

/// Labels of one number, by name.
pub type Labels = Vec<(&'static str, String)>;

/// Numbers of one name and kind.
#[derive(Clone, Debug)]
pub struct Family {
    name: String,
    help: &'static str,
    unit: Option<Unit>,
    /// Makes what is shown of a number.
    metric: fn(f64) -> Box<dyn EncodeMetric>,
    rows: Vec<(Labels, f64)>,
}

impl Family {
    /// Numbers that go up and down, none yet. `name` is without the unit.
    #[must_use]
    pub fn gauges(name: &str, help: &'static str, unit: Option<Unit>) -> Self {
        Self {
            name: name.to_owned(),
            help,
            unit,
            metric: |value| Box::new(ConstGauge::new(value)),
            rows: vec![],
        }
    }

    /// Numbers that only grow, none yet. `name` is without the unit and `_total`.
    #[must_use]
    pub fn counters(name: &str, help: &'static str, unit: Option<Unit>) -> Self {
        Self { metric: |value| Box::new(ConstCounter::new(value)), ..Self::gauges(name, help, unit) }
    }

    /// Adds a number, whose labels are those of no other.
    pub fn push(&mut self, labels: Labels, value: f64) {
        self.rows.push((labels, value));
    }

    pub(crate) fn prefixed(self, prefix: &str) -> Self {
        Self { name: format!("{prefix}{}", self.name), ..self }
    }

    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = (self.metric)(0.0).metric_type();
        let mut metrics = encoder.encode_descriptor(&self.name, self.help, self.unit.as_ref(), kind)?;
        self.rows
            .iter()
            .try_for_each(|(labels, value)| (self.metric)(*value).encode(metrics.encode_family(labels)?))
    }
}

impl From<Reading> for Family {
    fn from(Reading { name, help, unit, value }: Reading) -> Self {
        let (mut family, value) = match value {
            Value::Gauge(value) => (Self::gauges(name, help, unit), value),
            Value::Counter(value) => (Self::counters(name, help, unit), value),
        };
        family.push(Labels::new(), value);
        family
    }
}
