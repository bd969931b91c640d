//! What describes the program itself: its commands, completions and manual page.

use std::fmt::Write as _;

use anyhow::Result;
use clap::CommandFactory;

use super::arguments::Arguments;
use super::out::Out;

/// `list-commands`.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn list_commands() -> Result<()> {
    let mut out = Out::default();
    out.text().push_str("The available commands are:\n");
    let mut command = Arguments::command();
    command.build();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let words = subcommand.get_positionals().map(|word| {
            let name = word.get_id().as_str().replace('_', "-");
            if word.is_required_set() { name } else { format!("[{name}]") }
        });
        let words: Vec<String> = words.collect();
        writeln!(out.text(), "  {:<23} {}", subcommand.get_name(), words.join(" "))?;
    }
    out.flush()
}

/// `completions`.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ofctl", &mut script);
    print(&script)
}

/// `man`: the page of the program, with a section for each command.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn page() -> Result<()> {
    let mut roff = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let source = concat!("ofctl ", env!("CARGO_PKG_VERSION"));
    let page = clap_mangen::Man::new(command.clone()).section("1").source(source);
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_description_section(&mut roff)?;
    roff.extend_from_slice(b".SH COMMANDS\n");
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        roff.extend_from_slice(section(subcommand).as_bytes());
    }
    page.render_options_section(&mut roff)?;
    page.render_extra_section(&mut roff)?;
    roff.extend_from_slice(SEE_ALSO.as_bytes());
    print(&roff)
}

/// A command as an entry of the page: its words, and what it does.
fn section(command: &clap::Command) -> String {
    let escape = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace("\n.", "\n\\&.");
    let mut words = String::new();
    for word in command.get_positionals() {
        let name = word.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
        let dots = if word.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
        let shown = format!("\\fI{}\\fR{dots}", escape(name));
        words.push_str(&if word.is_required_set() { format!(" {shown}") } else { format!(" [{shown}]") });
    }
    let text =
        |styled: Option<&clap::builder::StyledStr>| styled.map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let mut section = format!(
        ".TP\n\\fB{}\\fR{words}\n{}.",
        escape(command.get_name()),
        escape(&text(command.get_about()))
    );
    if !aliases.is_empty() {
        section.push_str(&format!(" Also \\fB{}\\fR.", escape(&aliases.join(", "))));
    }
    section.push('\n');
    for word in command.get_positionals() {
        let name = word.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
        let help = text(word.get_help());
        if !help.is_empty() && help != "The switch" {
            section.push_str(&format!(".br\n\\fI{}\\fR: {}.\n", escape(name), escape(&help)));
        }
    }
    let after = text(command.get_after_help());
    if !after.is_empty() {
        section.push_str(&format!(".br\n{}\n", escape(&after)));
    }
    section
}

const SEE_ALSO: &str = ".SH SEE ALSO\n.BR ovs\\-ofctl (8),\n.BR ovs\\-fields (7),\n.BR ovs\\-actions (7)\n";

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = Out::default();
    out.text().push_str(&String::from_utf8_lossy(bytes));
    out.flush()
}
