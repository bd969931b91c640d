//! Debian's Prometheus with the file and the dashboards of labs/monitoring.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use labs::Place;
use serde_json::Value;
use weir_api::v1;

use crate::docker::job;
use crate::support::System;

/// Whether it is installed; says so if it is not.
pub(crate) fn possible() -> bool {
    let programs = ["prometheus", "promtool"].map(|program| Path::new("/usr/bin").join(program));
    let missing = programs.iter().find(|path| !path.exists());
    if let Some(missing) = missing {
        eprintln!("not run: there is no {}: labs/packages installs it", missing.display());
    }
    missing.is_none()
}

/// A container that uses all that is measured, and has limits to be shown; tests of those are elsewhere.
pub(crate) fn worker(network: &str) -> v1::Container {
    let resources = Some(v1::Resources { cpu_millis: 500, memory_bytes: 64 << 20, pids: 50 });
    let work = "while true; do echo data > /file; sync; cat /file > /dev/null; sleep 0.1; done";
    v1::Container { resources, ..job("worker", network, &["sh", "-c", work]) }
}

/// Has all agents serve metrics.
pub(crate) fn served(topology: &mut labs::Topology) {
    topology.nodes.iter_mut().for_each(|node| node.args.push("--metrics=0.0.0.0:7401".to_owned()));
}

/// Prometheus on the controller's machine; it ends when this is dropped.
pub(crate) struct Prometheus {
    place: Place,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it with the file of labs/monitoring, but for the addresses and the intervals, which a test has no time for.
    pub(crate) fn start(system: &System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(monitoring().join("prometheus.yml")).unwrap();
        let text =
            text.replace("127.0.0.1:7400", "172.31.0.254:7400").replace("15s", "1s").replace("30s", "1s");
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, text).unwrap();
        let place = system.place("controller");
        let words = ["promtool", "check", "config"].map(PathBuf::from);
        place.run(words.iter().chain([&file])).unwrap();
        let data = folder.path().join("data");
        let child = place
            .command(["prometheus", "--web.listen-address=127.0.0.1:9090", "--log.level=error"])
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { place, child, _folder: folder }
    }

    /// What it answers to a query: a line for each series, with its value; nothing while it does not answer.
    pub(crate) fn ask(&self, query: &str) -> String {
        self.place.run(["promtool", "query", "instant", "http://127.0.0.1:9090", query]).unwrap_or_default()
    }

    /// Whether a query has an answer that is a number.
    pub(crate) fn shows(&self, query: &str) -> bool {
        let answer = self.ask(query);
        let value = |line: &str| line.rsplit_once("=> ")?.1.split(' ').next()?.parse::<f64>().ok();
        answer.lines().filter_map(value).any(|value| !value.is_nan())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Its data go with their folder.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The queries of all panels of all dashboards, with their panels' titles, as Grafana asks them for everything.
pub(crate) fn panels() -> Vec<(String, String)> {
    let mut panels = Vec::new();
    for entry in fs::read_dir(monitoring().join("grafana")).unwrap() {
        let dashboard: Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let query =
                    query.replace("$__rate_interval", "30s").replace("$pool", ".*").replace("$node", ".*");
                assert!(!query.contains('$'), "a variable that this test does not know: {query}");
                panels.push((panel["title"].as_str().unwrap().to_owned(), query));
            }
        }
    }
    panels
}

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}
