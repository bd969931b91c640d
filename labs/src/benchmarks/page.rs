//! The pages, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::section::{Bound, Section, Table, Target};

/// The file of a section's chart.
pub(super) fn chart_file(name: &str, nth: usize) -> String {
    format!("{name}-{nth}.svg")
}

/// One section's page.
pub(super) fn section(name: &str, section: &Section) -> String {
    let mut page = format!("# {}\n\n{}\n", section.title, section.text.trim());
    if !section.targets.is_empty() {
        page += "\n## To be reached\n\n";
        let targets = section.targets.iter().map(|target| target_row(target).to_vec());
        table(&mut page, &["what", "target", "measured", ""], targets);
    }
    for (nth, chart) in section.charts.iter().enumerate() {
        let _ = writeln!(page, "\n![{}]({})", chart.title, chart_file(name, nth));
    }
    for Table { title, header, rows } in &section.tables {
        let _ = write!(page, "\n## {title}\n\n");
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        table(&mut page, &header, rows.iter().cloned());
    }
    if let Some(machine) = &section.machine {
        page += "\n## The machine\n\n";
        facts(&mut page, machine);
    }
    page
}

/// The list of all targets.
pub(super) fn index(sections: &[(String, Section)]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let targets: Vec<&Target> = sections.iter().flat_map(|(_, section)| &section.targets).collect();
    let met = targets.iter().filter(|target| target.is_met()).count();
    let _ = write!(page, "\n{met} of {} targets are met.\n\n", targets.len());
    let rows = sections.iter().flat_map(|(name, section)| {
        let of = move |target: &Target| {
            [vec![format!("[{}]({name}.md)", section.title)], target_row(target).to_vec()].concat()
        };
        section.targets.iter().map(of)
    });
    table(&mut page, &["section", "what", "target", "measured", ""], rows);
    page
}

fn target_row(target: &Target) -> [String; 4] {
    let Target { what, bound, value, unit } = target;
    let (sign, bound) = match bound {
        Bound::AtMost(most) => ('≤', *most),
        Bound::AtLeast(least) => ('≥', *least),
    };
    let met = if target.is_met() { "met" } else { "**not met**" };
    let quantity = |number| format!("{} {unit}", grouped(number)).trim_end().to_owned();
    [what.clone(), format!("{sign} {}", quantity(bound)), quantity(*value), met.to_owned()]
}

/// With at most two decimals, and thousands apart.
pub(super) fn grouped(number: f64) -> String {
    let text = format!("{:.2}", number.abs());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = decimals.trim_end_matches('0');
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    let sign = if number < 0.0 { "-" } else { "" };
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{decimals}", groups.join(","))
}

fn table(page: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    line(&header.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); header.len()]);
    rows.for_each(|row| line(&row));
}

fn facts(page: &mut String, machine: &BTreeMap<String, String>) {
    table(page, &["", ""], machine.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
}

const INTRODUCTION: &str = "\
# Benchmarks

Each section is measured by `labs/bench SECTION`, beside its peer in the same run where there is one. The pages are made
of the JSON files that it writes, by `labs/bench --render`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        let shown = [0.0, 5.25, 5.0, 1234.5, 1_000_000.0, -2300.125, 0.004].map(grouped);
        assert_eq!(shown, ["0", "5.25", "5", "1,234.5", "1,000,000", "-2,300.12", "0"]);
    }
}
