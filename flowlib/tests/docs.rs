//! The lists in docs/pipeline.md are those of the code. `BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use flowlib::pipeline::render;

/// `text` with what stands between "<!-- NAME -->" and "<!-- end -->" replaced.
fn with_list(text: &str, name: &str, list: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no list {name}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("the list {name} has no end"));
    format!("{before}{begin}{list}<!-- end -->{after}")
}

#[test]
fn the_pipeline_is_documented_as_it_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pipeline.md");
    let found = fs::read_to_string(&file).expect("docs/pipeline.md is there");
    let lists = [
        ("tables", render::tables()),
        ("registers", render::registers()),
        ("drop reasons", render::drop_reasons()),
    ];
    let right = lists.iter().fold(found.clone(), |text, (name, list)| with_list(&text, name, list));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &right).expect("docs/pipeline.md can be written");
    } else {
        assert_eq!(found, right, "BLESS=1 writes the lists anew");
    }
}
