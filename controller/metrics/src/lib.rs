//! What a daemon of Weir's measures, in OpenMetrics or Prometheus' text format.
//!
//! [`Metrics`] is all that is exposed. Whoever counts keeps its counter or histogram and adds to it; what can be looked
//! up is read when somebody asks.

mod family;
mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::metrics::family::Family as PrometheusFamily;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use family::{Family, Labels};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Unit;

/// Everything that is exposed.
#[derive(Debug)]
pub struct Metrics {
    registry: RwLock<Registry>,
    /// The counters by name, without prefix and suffix: what `GetStatus` tells.
    counters: RwLock<BTreeMap<&'static str, Counter>>,
}

/// A number that is looked up when somebody asks.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its name, without its unit and, of a total, without `_total`.
    pub name: &'static str,
    /// A sentence on it.
    pub help: &'static str,
    /// What it counts in.
    pub unit: Option<Unit>,
    /// How much.
    pub value: Value,
}

/// A number, and whether it only grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// It goes up and down.
    Gauge(f64),
    /// It only grows.
    Counter(f64),
}

/// Counters of one name, one for each set of labels that has been met.
pub type Counters = PrometheusFamily<Labels, Counter>;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format, 0.0.4.
    Prometheus,
}

impl Exposition {
    /// What an HTTP client that sent this `Accept` is to get.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(types) if types.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register(PREFIX.to_owned() + "build", "What is running", version);
        registry.register_collector(Box::new(Looked(process::families)));
        Self { registry: RwLock::new(registry), counters: RwLock::default() }
    }
}

impl Metrics {
    /// The counter of that name; it is made if there is none.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let counter = Counter::default();
            self.add(|registry| registry.register(prefixed(name), help, counter.clone()));
            counter
        };
        counters.entry(name).or_insert_with(make).clone()
    }

    /// New counters, of which there is one for each set of labels: whoever counts keeps their number small.
    #[must_use]
    pub fn counters_by(&self, name: &'static str, help: &'static str) -> Counters {
        let counters = Counters::default();
        self.add(|registry| registry.register(prefixed(name), help, counters.clone()));
        counters
    }

    /// A new gauge that its owner sets.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, unit: Unit) -> Gauge {
        let gauge = Gauge::default();
        self.add(|registry| registry.register_with_unit(prefixed(name), help, unit, gauge.clone()));
        gauge
    }

    /// A new histogram of times.
    #[must_use]
    pub fn times(&self, name: &'static str, help: &'static str) -> Histogram {
        let times = times();
        self.add(|registry| registry.register_with_unit(prefixed(name), help, Unit::Seconds, times.clone()));
        times
    }

    /// New histograms of times, one for each of a few values of a label.
    #[must_use]
    pub fn times_by<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        (label, values): (&'static str, [&'static str; N]),
    ) -> [Histogram; N] {
        let family: PrometheusFamily<[(&'static str, &'static str); 1], Histogram> =
            PrometheusFamily::new_with_constructor(times);
        let each = values.map(|value| family.get_or_create(&[(label, value)]).clone());
        self.add(|registry| registry.register_with_unit(prefixed(name), help, Unit::Seconds, family));
        each
    }

    /// Has those numbers looked up whenever somebody asks. `read` must be short, and not use the metrics.
    pub fn look_up<const N: usize>(&self, read: impl Fn() -> [Reading; N] + Send + Sync + 'static) {
        let read = move || read().map(|reading| Family::from(reading).prefixed(PREFIX)).to_vec();
        self.add(|registry| registry.register_collector(Box::new(Looked(read))));
    }

    /// As [`Metrics::look_up`], for numbers with labels.
    pub fn look_up_families<const N: usize>(&self, read: impl Fn() -> [Family; N] + Send + Sync + 'static) {
        let read = move || read().map(|family| family.prefixed(PREFIX)).to_vec();
        self.add(|registry| registry.register_collector(Box::new(Looked(read))));
    }

    /// All counters as they are now.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(name, counter)| ((*name).to_owned(), counter.get())).collect()
    }

    /// Everything, as text.
    #[must_use]
    pub fn render(&self, exposition: Exposition) -> String {
        self.render_with(exposition, Vec::new())
    }

    /// Everything, and families whose names are as they stand, as text.
    #[must_use]
    pub fn render_with(&self, exposition: Exposition, more: Vec<Family>) -> String {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let mut others = Registry::default();
        others.register_collector(Box::new(Looked(move || more.clone())));
        let mut out = String::new();
        let written = match exposition {
            Exposition::OpenMetrics => text::encode_registry(&mut out, &registry)
                .and_then(|()| text::encode_registry(&mut out, &others))
                .and_then(|()| text::encode_eof(&mut out)),
            Exposition::Prometheus => prometheus_text::encode(&mut out, &registry)
                .and_then(|()| prometheus_text::encode(&mut out, &others)),
        };
        written.expect("text can be added to a String");
        out
    }

    /// The answer to `GET /metrics`, in the format that the client asks for.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap, more: Vec<Family>) -> Response {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let exposition = Exposition::accepted(accept);
        ([(CONTENT_TYPE, exposition.content_type())], self.render_with(exposition, more)).into_response()
    }

    fn add(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// From 50 µs to 26 s, each bucket twice the one before.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 20))
}

fn prefixed(name: &str) -> String {
    format!("{PREFIX}{name}")
}

const PREFIX: &str = "weir_";

/// Numbers that a function looks up.
struct Looked<F>(F);

impl<F> fmt::Debug for Looked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Looked")
    }
}

impl<F: Fn() -> Vec<Family> + Send + Sync + 'static> Collector for Looked<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)().iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: &Metrics) -> String {
        metrics.render(Exposition::OpenMetrics)
    }

    #[test]
    fn every_kind_has_its_type_its_unit_and_its_help() {
        let metrics = Metrics::default();
        metrics.counter("flow_mods_sent", "Flow mods in bundles").inc_by(7);
        metrics.counter("flow_mods_sent", "Flow mods in bundles").inc();
        metrics.gauge("backlog", "Bytes that wait", Unit::Bytes).set(9);
        metrics.times("commit", "A commit").observe(0.001);
        let [one, _two] = metrics.times_by("phase", "A phase", ("phase", ["one", "two"]));
        one.observe(1.0);
        let help = "Those that are there";
        metrics.look_up(move || [Reading { name: "nodes", help, unit: None, value: Value::Gauge(3.0) }]);
        metrics.counters_by("calls", "Calls").get_or_create(&vec![("method", "Join".to_owned())]).inc();
        metrics.look_up_families(|| {
            let mut phases = Family::gauges("phases", "By pool", None);
            phases.push(vec![("pool", "a\"b".to_owned()), ("phase", "ready".to_owned())], 2.0);
            [phases, Family::counters("nothing", "None yet", None)]
        });
        let text = shown(&metrics);
        for line in [
            "weir_calls_total{method=\"Join\"} 1",
            "weir_phases{pool=\"a\\\"b\",phase=\"ready\"} 2.0",
            "# TYPE weir_nothing counter",
            "# HELP weir_flow_mods_sent Flow mods in bundles.",
            "# TYPE weir_flow_mods_sent counter",
            "weir_flow_mods_sent_total 8",
            "# UNIT weir_backlog_bytes bytes",
            "weir_backlog_bytes 9",
            "# TYPE weir_commit_seconds histogram",
            "weir_commit_seconds_bucket{le=\"0.0016\"} 1",
            "weir_phase_seconds_count{phase=\"one\"} 1",
            "weir_phase_seconds_count{phase=\"two\"} 0",
            "weir_nodes 3.0",
            "# TYPE process_cpu_seconds counter",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(metrics.totals(), BTreeMap::from([("flow_mods_sent".to_owned(), 8)]));
    }

    #[test]
    fn a_client_gets_the_format_it_knows() {
        let openmetrics = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
        assert_eq!(Exposition::accepted(Some(openmetrics)), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted(Some("*/*")), Exposition::Prometheus);
        assert_eq!(Exposition::accepted(None), Exposition::Prometheus);
        let text = Metrics::default().render(Exposition::Prometheus);
        assert!(text.contains("process_open_fds ") && !text.contains("# EOF"), "{text}");
    }
}
