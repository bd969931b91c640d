//! The table of rooms in docs/architecture.md is true: no module uses another that its row does not name.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

const CRATES: [(&str, &str); 3] =
    [("flowlib", "flowlib"), ("controller", "controller"), ("ovsdb-agent", "agent")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rows of the form "| `crate::room` | `a`, `b` |".
fn allowed() -> Arrows {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let quoted =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = text.lines().filter(|line| line.starts_with("| `") && line.contains("::"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        (quoted(cells[0]).remove(0), quoted(cells[1]).into_iter().collect())
    })
    .collect()
}

/// The rooms that a file names after `crate::`, alone or in a list.
fn named(source: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    source.split("crate::").skip(1).flat_map(items).map(|item| word(item.trim())).collect()
}

/// The items of the list in braces that a text begins with, of which each may hold lists of its own; of any other text,
/// the text itself.
fn items(text: &str) -> Vec<&str> {
    let Some(list) = text.strip_prefix('{') else { return vec![text] };
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Which room uses which, by crate.
fn found() -> Arrows {
    let mut arrows = Arrows::new();
    for (folder, name) in CRATES {
        let src = root().join(folder).join("src");
        let room_of = |path: &Path| {
            let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
            first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
        };
        let files = files(&src);
        let rooms: BTreeSet<String> = files.iter().map(|file| room_of(file)).collect();
        for file in &files {
            let room = room_of(file);
            if ["lib", "main"].contains(&room.as_str()) {
                continue;
            }
            let uses = named(&fs::read_to_string(file).unwrap()).into_iter();
            let others = uses.filter(|other| rooms.contains(other) && *other != room);
            arrows.entry(format!("{name}::{room}")).or_default().extend(others);
        }
    }
    arrows
}

#[test]
fn nested_lists_are_read_to_their_end() {
    let source = "use crate::{\n    a::{self, B, c::{D, E}},\n    f,\n    g::{H},\n};\nuse crate::i::J;\nfn k() { crate::l() }";
    assert_eq!(named(source), ["", "a", "f", "g", "i", "l"].map(str::to_owned).into());
}

#[test]
fn every_room_uses_only_what_its_row_names() {
    let (allowed, found) = (allowed(), found());
    for (room, uses) in &found {
        let row = allowed.get(room).unwrap_or_else(|| panic!("docs/architecture.md has no row for `{room}`"));
        let more: Vec<_> = uses.difference(row).collect();
        assert!(more.is_empty(), "`{room}` uses {more:?}: not in its row of docs/architecture.md");
    }
    for (room, row) in &allowed {
        let uses = found
            .get(room)
            .unwrap_or_else(|| panic!("docs/architecture.md has a row for `{room}`, which is gone"));
        let less: Vec<_> = row.difference(uses).collect();
        assert!(less.is_empty(), "`{room}` uses {less:?} no more: its row of docs/architecture.md says so");
    }
}

#[test]
fn rooms_have_no_circles() {
    let allowed = allowed();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = done.len();
        for (room, uses) in &allowed {
            let name = room.split("::").next().unwrap_or_default();
            if uses.iter().all(|other| done.contains(format!("{name}::{other}").as_str())) {
                done.insert(room);
            }
        }
        if done.len() == before {
            break;
        }
    }
    let rest: Vec<_> = allowed.keys().filter(|room| !done.contains(room.as_str())).collect();
    assert!(rest.is_empty(), "these use one another: {rest:?}");
}
