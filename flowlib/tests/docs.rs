//! The lists in docs/pipeline.md and docs/openflow.md are those of the code. `BLESS=1` writes them anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use flowlib::openflow::oxm::Prerequisite;
use flowlib::openflow::{ErrorCode, Field, Instruction};
use flowlib::pipeline::render;
use flowlib::text::message::message_names;
use flowlib::text::{format_action, format_instructions, parse_flow};

/// Flows with every action and field that text knows; ovs_ofctl.rs compares them with ovs-ofctl.
const FLOWS: &str = include_str!("flows.txt");

/// `text` with what stands between "<!-- NAME -->" and "<!-- end -->" replaced.
fn with_list(text: &str, name: &str, list: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no list {name}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("the list {name} has no end"));
    format!("{before}{begin}{list}<!-- end -->{after}")
}

/// Compares the lists of a document with what they should be, or writes them.
fn check(document: &str, lists: &[(&str, String)]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
    let found = fs::read_to_string(&file).unwrap();
    let right = lists.iter().fold(found.clone(), |text, (name, list)| with_list(&text, name, list));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &right).unwrap();
    } else {
        assert_eq!(found, right, "BLESS=1 writes the lists anew");
    }
}

/// A paragraph of words with commas between them, in lines that fit.
fn paragraph<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("\n");
    let mut width = 0;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        width += word.len() + 4;
        let (comma, space) = match words.peek() {
            None => ("", "\n"),
            Some(_) if width > 100 => (",", "\n"),
            Some(_) => (",", " "),
        };
        write!(out, "`{word}`{comma}{space}").unwrap();
        if space == "\n" {
            width = 0;
        }
    }
    out + "\n"
}

fn messages() -> String {
    paragraph(message_names())
}

fn fields() -> String {
    let mut out = "| field | bits | mask | needs | on the wire |\n|---|---|---|---|---|\n".to_owned();
    for field in Field::all() {
        let info = field.info();
        let needs = if info.prerequisite == Prerequisite::None { "" } else { info.prerequisite.needs() };
        let mask = if info.maskable { "any" } else { "whole" };
        writeln!(out, "| `{}` | {} | {mask} | {needs} | `{}` |", info.name, info.n_bits, info.nxm_name)
            .unwrap();
    }
    out
}

/// The word that an action begins with, as it is printed.
fn word(text: &str) -> &str {
    text.split([':', '(', '=']).next().unwrap_or(text)
}

fn actions() -> String {
    let mut examples: BTreeMap<String, String> = BTreeMap::new();
    let flows = FLOWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for flow in flows.map(|line| parse_flow(line).unwrap()) {
        for instruction in &flow.instructions {
            let texts = match instruction {
                Instruction::ApplyActions(actions) => actions.iter().map(format_action).collect(),
                _ => vec![format_instructions(std::slice::from_ref(instruction))],
            };
            for text in texts {
                examples.entry(word(&text).to_owned()).or_insert(text);
            }
        }
    }
    let mut out = "| action | for example |\n|---|---|\n".to_owned();
    for (word, example) in &examples {
        writeln!(out, "| `{word}` | `{}` |", example.replace('|', "\\|")).unwrap();
    }
    out
}

fn errors() -> String {
    paragraph(ErrorCode::NAMED.iter().filter_map(|code| code.name()))
}

#[test]
fn the_pipeline_is_documented_as_it_is() {
    let lists = [
        ("tables", render::tables()),
        ("registers", render::registers()),
        ("drop reasons", render::drop_reasons()),
    ];
    check("pipeline.md", &lists);
}

#[test]
fn what_is_spoken_is_documented_as_it_is() {
    let lists =
        [("messages", messages()), ("fields", fields()), ("actions", actions()), ("errors", errors())];
    check("openflow.md", &lists);
}
