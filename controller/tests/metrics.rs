//! `/metrics` of a whole controller: beside the API, and alone.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use controller::config::Config;
use tokio_util::sync::CancellationToken;

/// What an HTTP/1 client gets: the head and the body.
fn get(socket: &Path, path: &str, headers: &str) -> (String, String) {
    let end = Instant::now() + Duration::from_secs(10);
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_are_served_beside_the_api_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (api, alone, data) = (dir.path().join("api"), dir.path().join("metrics"), dir.path().join("data"));
    let (listen, metrics) = (format!("unix:{}", api.display()), format!("unix:{}", alone.display()));
    let words = ["weir-controller", "--listen", &listen, "--metrics", &metrics, "--openflow", "127.0.0.1:0"];
    let data = ["--data-dir".to_owned(), data.display().to_string()];
    let config = Config::try_parse_from(words.map(str::to_owned).iter().chain(&data)).unwrap();
    let (runtime, stop) = (tokio::runtime::Runtime::new().unwrap(), CancellationToken::new());
    runtime.spawn(controller::run(config, stop.clone()));

    let (head, body) = get(&api, "/metrics", "");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        "# TYPE weir_flow_mods_sent_total counter",
        "# TYPE weir_store_commit_seconds histogram",
        "weir_create_phase_seconds_count{phase=\"barrier\"} 0",
        "weir_switches_connected 0.0",
        "weir_intent_revision 1.0",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(body.contains(line), "{line} is not in\n{body}");
    }
    let (head, body) = get(&alone, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.contains("# UNIT weir_openflow_backlog_bytes bytes"), "{body}");
    assert!(body.contains("# TYPE weir_event_loop_lag_seconds histogram"), "{body}");
    assert!(body.contains("# TYPE weir_node_states gauge"), "{body}");
    let (head, found) = get(&alone, "/sd", "");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/json"), "{head}");
    assert_eq!(found, "[]");
    for (socket, status) in [(&api, "200"), (&alone, "404")] {
        let (head, _) = get(socket, "/weir.v1.Status/GetStatus", "");
        assert!(head.contains(status), "{head}: every path of the API is one of gRPC's");
    }
    stop.cancel();
    check_page(&body);
}

/// The list in docs/metrics.md is what is served.
fn check_page(openmetrics: &str) {
    let of = |word: &str| {
        let lines = openmetrics.lines().filter_map(move |line| line.strip_prefix(word)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let (kinds, helps) = (of("# TYPE "), of("# HELP "));
    let rows = kinds.iter().map(|(name, kind)| {
        let total = if kind == "counter" { "_total" } else { "" };
        format!("| `{name}{total}` | {kind} | {} |\n", helps[name].trim_end_matches('.'))
    });
    let list = format!("\n| name | type | what |\n|---|---|---|\n{}", rows.collect::<String>());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, found) = page.split_once("-->\n").expect("a comment before the list");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{text}-->\n{list}")).unwrap();
    } else {
        assert_eq!(found, list, "BLESS=1 writes it anew");
    }
}
