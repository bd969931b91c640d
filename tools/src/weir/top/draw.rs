//! A picture on the terminal: nodes above, containers below, keys at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::columns::{self, Column, fit};
use super::picture::{Part, Picture};

pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let (nodes, containers) = (picture.nodes(), picture.containers());
    // A third for the nodes at most; a line is between both.
    let height =
        u16::try_from(nodes.len()).unwrap_or(u16::MAX).saturating_add(1).min(frame.area().height / 3);
    let rooms = [height.max(2), 1].map(Constraint::Length).into_iter();
    let rooms = rooms.chain([Constraint::Min(2), Constraint::Length(1)]);
    let [above, _, below, bottom] = Layout::vertical(rooms).areas(frame.area());
    part(frame, above, (picture, Part::Nodes), &columns::NODES, &nodes, |row| state_style(&row[2]));
    part(frame, below, (picture, Part::Containers), &columns::CONTAINERS, &containers, |_| Style::new());
    let line = match &picture.trouble {
        Some(why) => Line::from(why.clone()).red(),
        None => Line::from(keys(picture)).dim(),
    };
    frame.render_widget(line, bottom);
}

/// A table of what fits of the rows, from the first that is shown on. Its header is bright if it is the one that scrolls.
fn part<const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    (picture, part): (&Picture, Part),
    columns: &[Column],
    rows: &[[String; N]],
    style: impl Fn(&[String; N]) -> Style,
) {
    let columns = fit(columns, rows, area.width);
    let shown = rows.iter().skip(picture.above(part)).take(area.height.into());
    let shown = shown.map(|row| {
        let cells = columns.iter().filter_map(|(column, _)| row.get(column.at).cloned());
        Row::new(cells.collect::<Vec<_>>()).style(style(row))
    });
    let bold = Style::new().bold();
    let header_style = if picture.scrolls == part { bold } else { bold.dim() };
    let header = Row::new(columns.iter().map(|(column, _)| column.header)).style(header_style);
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    frame.render_widget(Table::new(shown, widths).header(header), area);
}

/// What the keys do, in 80 columns.
fn keys(picture: &Picture) -> String {
    let other = match picture.scrolls {
        Part::Nodes => "below",
        Part::Containers => "above",
    };
    format!(
        "by {}: c cpu m memory t traffic n name; arrows scroll, tab {other}; q quits",
        picture.sort.word()
    )
}

/// The colour of a node's state.
fn state_style(state: &str) -> Style {
    let is_colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match state {
        _ if is_colourless => Style::new(),
        "connected" => Style::new(),
        "lost" | "unreachable" => Style::new().red(),
        _ => Style::new().yellow(),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::picture::tests::seen;
    use super::*;

    /// The lines of a screen of that size.
    fn screen(picture: &Picture, (width, height): (u16, u16)) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, picture)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(width.into()).map(|line| line.iter().map(|cell| cell.symbol()).collect());
        lines.map(|line: String| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn a_screen_of_80_columns_shows_what_matters_most() {
        let lines = screen(&seen(), (80, 24));
        assert_eq!(lines.len(), 24);
        let expected = [
            "POOL         NODE         STATE       CONTAINERS CPU %   MEMORY",
            "p            n1           connected   3          60.0    15 B",
            "",
            "NAME             CPU %  MEMORY / LIMIT        NET/S IN / OUT        PIDS",
            "a                50.0   5 B / -               1.4 KiB / 0 B         -",
            "b                10.0   9 B / -               1.8 KiB / 0 B         -",
            "c                -      1 B / -               - / -                 -",
        ];
        assert_eq!(&lines[..7], expected);
        assert_eq!(lines[23], "by cpu: c cpu m memory t traffic n name; arrows scroll, tab above; q quits");
    }

    #[test]
    fn both_tables_scroll_and_a_trouble_takes_the_place_of_the_keys() {
        let mut picture = seen();
        picture.scroll(1);
        let lines = screen(&picture, (80, 24));
        assert!(lines[4].starts_with("b ") && lines[1].starts_with("p "), "{lines:#?}");
        picture.switch();
        picture.scroll(1);
        picture.miss("the controller is gone".to_owned());
        let lines = screen(&picture, (160, 50));
        assert!(
            lines[1].starts_with("p ") && lines[4].contains(" b "),
            "one node is not scrolled away: {lines:#?}"
        );
        assert!(lines[3].starts_with("POOL ") && lines[3].contains("DISK IN / OUT"), "{lines:#?}");
        assert_eq!(lines[49], "the controller is gone");
    }

    #[test]
    fn a_screen_with_hardly_any_room_is_drawn_too() {
        for size in [(1, 1), (9, 3), (20, 5)] {
            screen(&seen(), size);
        }
    }
}
