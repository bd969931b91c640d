//! ofctl beside ovs-ofctl: what `labs/bench-ofctl` measures, as a section.

use std::process::Command;

use anyhow::bail;

use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::process::run;

/// How many times as fast each is to be.
const LEAST: [(&str, f64); 6] = [
    ("parse-flows", 3.0),
    ("add-flows", 4.0),
    ("add-flows --bundle", 1.5),
    ("replace-flows, 1 % changed", 1.5),
    ("dump-flows --no-stats", 1.5),
    ("dump-flows", 1.5),
];

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench-ofctl");

pub(super) fn measure() -> anyhow::Result<Section> {
    section(&run(&mut Command::new(SCRIPT))?)
}

/// Reads what the script prints: a head, then lines of `NAME  N ms  N ms  N times as fast`.
fn section(output: &str) -> anyhow::Result<Section> {
    let mut lines = output.lines();
    let head = lines.next().unwrap_or_default();
    let flows = head.split_whitespace().next().unwrap_or_default();
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name @ .., theirs, "ms", ours, "ms", times, "times", "as", "fast"] = words.as_slice() else {
            bail!("bench-ofctl printed {line:?}");
        };
        let name = name.join(" ");
        rows.push([&name, *theirs, *ours, *times].map(str::to_owned).to_vec());
        let Some((_, least)) = LEAST.iter().find(|(known, _)| *known == name) else {
            bail!("it is not said how fast {name} is to be");
        };
        targets.push(Target::new(name, Bound::AtLeast(*least), times.parse()?, "times as fast"));
    }
    if rows.is_empty() {
        bail!("bench-ofctl printed nothing but {head:?}");
    }
    Ok(Section {
        title: "ofctl beside ovs-ofctl".to_owned(),
        text: format!(
            "Whole processes on one switch with the dummy datapath and {flows} flows, in turn; the best of three runs of \
             either, in ms."
        ),
        targets,
        tables: vec![Table::new("By command", ["command", "ovs-ofctl", "ofctl", "times as fast"], rows)],
        charts: Vec::new(),
        machine: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_script_prints_and_nothing_else() {
        let output = "100000 flows                      ovs-ofctl        ofctl\n\
                      parse-flows                        512.3 ms     101.1 ms   5.07 times as fast\n\
                      replace-flows, 1 % changed         900.0 ms     950.0 ms   0.95 times as fast\n";
        let section = section(output).unwrap();
        assert_eq!(section.tables[0].rows[1], ["replace-flows, 1 % changed", "900.0", "950.0", "0.95"]);
        assert_eq!(section.targets.iter().map(Target::is_met).collect::<Vec<_>>(), [true, false]);
        assert!(super::section("100000 flows\nit went wrong\n").is_err());
        assert!(super::section("100000 flows\nflood-flows  2.0 ms  1.0 ms  2.0 times as fast\n").is_err());
        assert!(super::section("").is_err());
    }
}
