//! Benchmarks, each beside its peer in the same run where there is one: `labs/bench`.
//!
//! A section is one file in `sections`: it measures one row of what is to be reached and gives back a [`Section`]. That is
//! written as JSON with the machine's facts; [`render`] makes the pages in `docs/benchmarks/` of that and of nothing else,
//! so that pages can be made anew without measuring anew.

mod bare;
mod chart;
mod machine;
mod normal;
mod ovn;
mod page;
mod seat;
mod section;
mod sections;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub use section::{Bound, Chart, Section, Series, Table, Target};

/// Something that can be measured.
struct Measurement {
    /// What it is called on the command line, and what its files are.
    name: &'static str,
    /// What it measures, in a line.
    what: &'static str,
    measure: fn() -> anyhow::Result<Section>,
}

/// The names of all sections, and what each measures.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    sections::ALL.iter().map(|measurement| (measurement.name, measurement.what))
}

/// Measures the sections named, or all, and writes a file for each to `dir`. One that fails does not keep the others
/// from being measured.
///
/// # Errors
/// A name that is none; a section that failed.
pub fn measure(names: &[String], dir: &Path) -> anyhow::Result<()> {
    if let Some(name) = names.iter().find(|name| !sections::ALL.iter().any(|one| one.name == **name)) {
        let all: Vec<&str> = list().map(|(name, _)| name).collect();
        bail!("there is no section {name}: there are {}", all.join(", "));
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut failed = Vec::new();
    for Measurement { name, what, measure } in sections::ALL.iter().filter(|one| is_wanted(one.name)) {
        eprintln!("==> {name}: {what}");
        let section = measure().map(|section| Section { machine: Some(machine::facts()), ..section });
        match section {
            Ok(section) => write(&dir.join(format!("{name}.json")), &serde_json::to_vec_pretty(&section)?)?,
            Err(error) => {
                eprintln!("{name} failed: {error:#}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("not measured: {}", failed.join(", ")) }
}

/// Makes a page, and its charts, of each file in `dir`, and a list of all targets; all in `docs`. Says how many targets
/// there are, and how many are met.
///
/// # Errors
/// A file that is no section's, or cannot be read or written.
pub fn render(dir: &Path, docs: &Path) -> anyhow::Result<(usize, usize)> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    fs::create_dir_all(docs).with_context(|| format!("cannot make {}", docs.display()))?;
    let mut sections = Vec::new();
    for file in &files {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let section: Section =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is no section", file.display()))?;
        for (nth, chart) in section.charts.iter().enumerate() {
            write(&docs.join(page::chart_file(&name, nth)), chart::svg(chart).as_bytes())?;
        }
        write(&docs.join(format!("{name}.md")), page::section(&name, &section).as_bytes())?;
        sections.push((name, section));
    }
    write(&docs.join("README.md"), page::index(&sections).as_bytes())?;
    let targets: Vec<&Target> = sections.iter().flat_map(|(_, section)| &section.targets).collect();
    Ok((targets.len(), targets.iter().filter(|target| target.is_met()).count()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_made_of_the_files_alone_and_count_what_is_met() {
        let dir = tempfile::tempdir().unwrap();
        let (json, docs) = (dir.path().join("json"), dir.path().join("docs"));
        fs::create_dir(&json).unwrap();
        let section = Section {
            title: "Request to barrier".to_owned(),
            text: "How.".to_owned(),
            targets: vec![
                Target::new("p50 at 10", Bound::AtMost(8.0), 5.25, "ms"),
                Target::new("rate", Bound::AtLeast(70.0), 69.0, "%"),
            ],
            tables: vec![Table::new(
                "All",
                ["endpoints", "p50"],
                vec![vec!["10".to_owned(), "5.25".to_owned()]],
            )],
            charts: vec![Chart {
                title: "Latency < size".to_owned(),
                x: "endpoints".to_owned(),
                y: "ms".to_owned(),
                log_x: true,
                series: vec![Series { name: "p50".to_owned(), points: vec![(10.0, 5.25), (1000.0, 6.0)] }],
            }],
            machine: Some(machine::facts()),
        };
        fs::write(json.join("barrier.json"), serde_json::to_vec(&section).unwrap()).unwrap();
        assert_eq!(render(&json, &docs).unwrap(), (2, 1));
        let page = fs::read_to_string(docs.join("barrier.md")).unwrap();
        for part in [
            "| p50 at 10 | ≤ 8 ms | 5.25 ms | met |",
            "| 69 % | **not met** |",
            "barrier-0.svg",
            "| 10 | 5.25 |",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        let index = fs::read_to_string(docs.join("README.md")).unwrap();
        assert!(index.contains("[Request to barrier](barrier.md)") && index.contains("1 of 2"), "{index}");
        let svg = fs::read_to_string(docs.join("barrier-0.svg")).unwrap();
        assert!(svg.contains("<polyline") && svg.contains("Latency &lt; size"), "{svg}");
        fs::write(json.join("other.json"), "{}").unwrap();
        assert!(render(&json, &docs).unwrap_err().to_string().contains("other.json"));
    }

    #[test]
    fn a_section_that_is_none_is_named() {
        let error = measure(&["nothing".to_owned()], Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("no section nothing") && error.contains("barrier"), "{error}");
    }
}
