//! A picture on the terminal: nodes above, containers below, keys at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::super::usage::{HEADERS, UsageView};
use super::picture::{NODES, Picture};

pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let nodes = picture.nodes();
    // A third for the nodes at most.
    let height =
        u16::try_from(nodes.len()).unwrap_or(u16::MAX).saturating_add(2).min(frame.area().height / 3);
    let rooms = [Constraint::Length(height.max(2)), Constraint::Min(2), Constraint::Length(1)];
    let [above, below, bottom] = Layout::vertical(rooms).areas(frame.area());
    let widths = [16, 24, 12, 10, 8, 12].map(Constraint::Length);
    let header = |names: &[&'static str]| Row::new(names.to_vec()).style(Style::new().bold());
    let table = Table::new(nodes.into_iter().map(|row| coloured(row[2].clone(), Row::new(row))), widths);
    frame.render_widget(table.header(header(&NODES)), above);
    let shown = picture.containers().into_iter().skip(picture.above);
    let rows = shown.map(|usage: &UsageView| Row::new(usage.columns()));
    let widths = [16, 24, 16, 7, 21, 21, 21, 6].map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Min(8)]);
    frame.render_widget(Table::new(rows, widths).header(header(&HEADERS)), below);
    let line = match &picture.trouble {
        Some(why) => Line::from(why.clone()).red(),
        None => Line::from(format!(
            "sorted by {}: c cpu, m memory, t traffic, n name; arrows scroll; q quits",
            picture.sort.word()
        ))
        .dim(),
    };
    frame.render_widget(line, bottom);
}

/// A node's row in the colour of its state.
fn coloured(state: String, row: Row<'_>) -> Row<'_> {
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match state.as_str() {
        _ if colourless => row,
        "connected" => row,
        "lost" | "unreachable" => row.red(),
        _ => row.yellow(),
    }
}
