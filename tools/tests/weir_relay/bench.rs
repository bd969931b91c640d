//! A bench that ends in every way: whatever happens, nothing that it made stays.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Served, text};

impl Served {
    fn left(&self) -> usize {
        self.benched.lock().unwrap().len()
    }
}

#[test]
fn the_phases_are_the_controllers_and_the_ends_ones_own() {
    let served = Served::start();
    for pace in ["", "--rate 500"] {
        let output = served.run(&format!("-o json bench --network n --count 5 --warmup 2 {pace}"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&figures["count"], &figures["stopped"]), (&5.into(), &false.into()), "{figures}");
        let phase = |name: &str| {
            let phases = figures["phases"].as_array().unwrap();
            phases.iter().find(|phase| phase["name"] == name).unwrap_or_else(|| panic!("{name}: {figures}"))
        };
        assert_eq!((&phase("committed")["p99"], &phase("port_up")["begins_ms"]), (&2.0.into(), &2.0.into()));
        assert!(phase("answered")["max"].is_f64());
        assert_eq!(figures["request_to_barrier_ms"]["p50"], 3.0);
        assert!(figures["delete_to_gone_ms"]["p50"].as_f64() > Some(0.0), "{figures}");
        assert_eq!(served.left(), 0);
    }
    let table = served.run("bench --network n --count 3 --warmup 0");
    assert!(text(&table.stdout).starts_with("3 creates of netns, network n, one after another"), "{table:?}");
}

#[test]
fn a_create_that_fails_ends_it_and_nothing_stays() {
    let served = Served::start();
    for pace in ["", "--rate 10000"] {
        let output = served.run(&format!("bench --network full --count 40 --warmup 0 {pace}"));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("all nodes are full"), "{output:?}");
        assert_eq!((served.left(), output.stdout.len()), (0, 0), "{pace}");
    }
}

#[test]
fn an_interrupt_ends_it_with_the_figures_so_far_and_nothing_stays() {
    let served = Served::start();
    let line = "-o json bench --network n --count 1000000 --warmup 20 --rate 200";
    let child = served.weir(line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = async { tokio::time::timeout(Duration::from_secs(10), served.gate.notified()).await };
    served.runtime.block_on(begun).expect("a create");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["stopped"], true, "{figures}");
    assert_eq!(served.left(), 0);
}

#[test]
fn a_pace_that_is_none_is_refused() {
    let served = Served::start();
    for line in ["bench --rate 0", "bench --rate -5", "bench --rate fast", "bench --count 0"] {
        let output = served.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    }
}
