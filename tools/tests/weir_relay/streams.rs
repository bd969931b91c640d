//! Logs and events: shown as they come, and not only when all has.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Served, text};

#[test]
fn a_log_is_shown_while_it_grows() {
    let served = Served::start();
    let line = "container logs -f --tail 10 --timestamps --since 2026-01-31T12:00:00Z web";
    let mut child =
        served.weir(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "follow=true tail=Some(10) timestamps=true since=Some(1769860800)\n");
    served.gate.notify_one();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((rest.as_str(), text(&ended.stderr)), ("later\n", "oops\n"));
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_runtime_without_logs_is_told_in_the_servers_words() {
    let output = Served::start().run("container logs bare");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("netns keeps no logs"), "{output:?}");
}

#[test]
fn events_of_the_past_end_and_those_to_come_are_shown_as_they_happen() {
    let served = Served::start();
    let output = served.run("-o json events --past --container web");
    assert!(output.status.success(), "{output:?}");
    let events: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["time"], "2026-01-31T12:00:00Z");
    assert_eq!((&events[1]["subject"], &events[1]["reason"]), (&"container/p/web".into(), &"Ready".into()));

    let mut command = served.weir("events --container web");
    let mut child = command.env("TZ", "UTC").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let shown: Vec<String> = output.by_ref().take(2).collect();
    assert_eq!(shown[0], "2026-01-31 12:00:00  container/p/web           Created         on n1");
    served.gate.notify_one();
    assert!(output.next().is_some_and(|line| line.contains("12:00:02") && line.contains("Exited")));
    assert_eq!(child.wait().unwrap().code(), Some(3), "a live stream that ends has broken");
}

#[test]
fn what_containers_use_is_shown_once_or_again_and_again() {
    let served = Served::start();
    let once = served.run("container stats web --no-stream --interval 500ms");
    assert!(once.status.success(), "{once:?}");
    let shown = text(&once.stdout);
    let row = shown.lines().nth(1).unwrap_or_default();
    assert!(row.contains("web") && row.contains("50.0") && row.contains("1 MiB / -"), "{shown}");

    let mut command = served.weir("-o json container stats --interval 500ms");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for line in lines.take(3) {
        let round: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&round[0]["cpu_percent"], &round[0]["oom_kills"]),
            (&50.0.into(), &serde_json::Value::Null)
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();

    for command in ["container stats --interval 10ms", "top --interval 0s"] {
        let hurried = served.run(command);
        assert_eq!(hurried.status.code(), Some(2), "{hurried:?}");
        assert!(text(&hurried.stderr).contains("at least 500 ms"), "{hurried:?}");
    }

    // One that says who answers, and then no more.
    let started = Instant::now();
    let late = served.run("--timeout 700ms --pool silent container stats --no-stream");
    assert_eq!(late.status.code(), Some(4), "{late:?}");
    assert!(text(&late.stderr).contains("did not answer in time"), "{late:?}");
    assert!(started.elapsed() < Duration::from_secs(5));

    let unknown = served.run("container stats nobody");
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(text(&unknown.stderr).contains("no such container"), "{unknown:?}");
}
