//! The bench's figures for people.

use super::bench::Figures;
use super::docker::DockerTimes;
use super::idle::Idle;
use super::text::{finish, latency, line, plain, right, section};

/// Renders the figures.
pub(crate) fn render(figures: &Figures) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format!("{} endpoints on {} nodes; times in ms, from the request", figures.endpoints, figures.nodes),
    );
    if !figures.idle.is_empty() {
        section(&mut text, "While nothing happens");
        text += &idle(&figures.idle);
    }
    section(&mut text, "A network namespace");
    text += &latency(&figures.create_to_reply_ms);
    if let Some(times) = &figures.docker_ms {
        section(&mut text, "A Docker container");
        text += &docker(times);
    }
    text
}

fn idle(daemons: &[Idle]) -> String {
    let mut table = plain(&["DAEMON", "MACHINE", "% OF A CORE", "MIB"]);
    for Idle { machine, daemon, cpu_percent, rss_mib } in daemons {
        let (cpu, rss) = (format!("{cpu_percent:.2}"), format!("{rss_mib:.1}"));
        table.add_row([(*daemon).to_owned(), machine.clone(), cpu, rss]);
    }
    right(&mut table, [2, 3]);
    finish(table)
}

fn docker(times: &DockerTimes) -> String {
    let mut table = plain(&["", "P50", "P95"]);
    for (what, times) in [
        ("ready: it runs, its port is up, its flows are confirmed", times.ready),
        ("first reply of a ping every 2 ms from another node", times.create_to_reply),
        ("for comparison: docker run --detach --network none", times.docker_run),
        ("the first reply above that", times.above_docker_run),
        ("a bare ovs-vsctl add-port", times.bare_add_port),
    ] {
        table.add_row([what.to_owned(), format!("{:.1}", times.p50), format!("{:.1}", times.p95)]);
    }
    right(&mut table, [1, 2]);
    let once = &times.at_once;
    finish(table)
        + &format!(
            "over {} creates, one after another\n{} at once on {} nodes: all ready after {:.0} ms; \
             as many docker run at once on the same nodes: {:.0} ms\n",
            times.creates, once.containers, once.nodes, once.ready, once.docker_run
        )
}

#[cfg(test)]
mod tests {
    use tools::bench::Percentiles;

    use super::*;
    use crate::report::docker::AtOnce;

    #[test]
    fn every_figure_is_in_the_text() {
        let times = |p50, p95| Percentiles { p50, p95, p99: p95, max: p95 };
        let shown = docker(&DockerTimes {
            create_to_reply: times(101.0, 102.0),
            ready: times(103.0, 104.0),
            docker_run: times(105.0, 106.0),
            above_docker_run: times(-4.0, -4.5),
            bare_add_port: times(107.0, 108.0),
            creates: 50,
            at_once: AtOnce { containers: 30, nodes: 3, ready: 1234.4, docker_run: 2345.6 },
        });
        let numbers =
            ["101.0", "102.0", "103.0", "104.0", "105.0", "106.0", "-4.0", "-4.5", "107.0", "108.0"];
        for part in numbers.iter().chain(&["50 creates", "30 at once on 3 nodes", "1234 ms", "2346 ms"]) {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        let daemon = Idle { machine: "n1".to_owned(), daemon: "weir-agent", cpu_percent: 0.3, rss_mib: 21.5 };
        let shown = idle(&[daemon]);
        for part in ["weir-agent", "n1", "0.30", "21.5"] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
