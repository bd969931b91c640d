//! The examples of docs/rest.md, run as they are written.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use support::http::Http;
use support::{Agent, World};
use tokio::process::Command;

/// The lines of the page that are commands.
fn commands(page: &str) -> Vec<&str> {
    let indented = page.lines().filter_map(|line| line.strip_prefix("    "));
    indented
        .filter(|line| ["curl ", "TAG=", "docs/examples/"].iter().any(|word| line.starts_with(word)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_do_what_it_says() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        eprintln!("passed over: there is no curl");
        return;
    }
    let world = World::start().await;
    world.pool("pool2").await.unwrap();
    let mut agents = Vec::new();
    for (name, number) in [("n1", 1), ("n2", 2)] {
        let mut agent = Agent::join(&world, "pool2", name, number).await;
        agents.push(tokio::spawn(async move {
            loop {
                agent.obey().await;
            }
        }));
    }
    let http = Http::of(&world).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/rest.md")).unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 15, "{commands:#?}");
    // A watch has no end but the limit that its example gives it.
    let script = format!(
        "set -eu\nWEIR=http://{}\ncurl() {{ command curl -sS --fail-with-body \"$@\" || [ $? = 28 ]; echo; }}\n{}\n",
        http.address,
        commands.join("\n")
    );
    let mut run = Command::new("bash");
    run.args(["-xc", &script]).current_dir(&root).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), run.output()).await.expect("an end").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("all 2 became ready and are gone"), "{out}\n{err}");
    assert!(out.contains("event: SYNCED"), "{out}");
    for agent in agents {
        agent.abort();
    }
}
