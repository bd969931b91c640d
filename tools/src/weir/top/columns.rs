//! Which columns of a table fit on a screen, and how wide each is.

/// A column that a table may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Where its text is in a row.
    pub(super) at: usize,
    pub(super) header: &'static str,
    /// How wide it is at least.
    width: u16,
}

/// The most important first.
pub(super) const NODES: [Column; 6] = [
    Column::new(1, "NODE", 12),
    Column::new(2, "STATE", 11),
    Column::new(4, "CPU %", 7),
    Column::new(5, "MEMORY", 10),
    Column::new(3, "CONTAINERS", 10),
    Column::new(0, "POOL", 12),
];

/// As [`NODES`]; the places are those of `UsageView::columns`.
pub(super) const CONTAINERS: [Column; 9] = [
    Column::new(1, "NAME", 16),
    Column::new(3, "CPU %", 6),
    Column::new(4, "MEMORY / LIMIT", 21),
    Column::new(8, "PROBLEM", 24),
    Column::new(5, "NET/S IN / OUT", 21),
    Column::new(7, "PIDS", 5),
    Column::new(2, "NODE", 12),
    Column::new(0, "POOL", 12),
    Column::new(6, "DISK IN / OUT", 21),
];

impl Column {
    const fn new(at: usize, header: &'static str, width: u16) -> Self {
        Self { at, header, width }
    }

    /// How wide its longest text is.
    fn longest<const N: usize>(self, rows: &[[String; N]]) -> u16 {
        let lengths = rows.iter().filter_map(|row| Some(row.get(self.at)?.chars().count()));
        u16::try_from(lengths.max().unwrap_or(0)).unwrap_or(u16::MAX)
    }
}

/// The columns that fit, in the order of the rows' texts, with their widths. Those that nothing is in are left out; the last
/// ones do not fit first. What is left over goes to columns whose texts are longer, the most important first.
pub(super) fn fit<const N: usize>(all: &[Column], rows: &[[String; N]], width: u16) -> Vec<(Column, u16)> {
    let mut left = width;
    let mut fitting: Vec<(Column, u16)> = Vec::new();
    for column in all.iter().filter(|column| rows.is_empty() || column.longest(rows) > 0) {
        // One space is between two.
        let gap = u16::from(!fitting.is_empty());
        match left.checked_sub(column.width.saturating_add(gap)) {
            Some(rest) => left = rest,
            None => break,
        }
        fitting.push((*column, column.width));
    }
    for (column, width) in &mut fitting {
        let more = column.longest(rows).saturating_sub(*width).min(left);
        (*width, left) = (width.saturating_add(more), left.saturating_sub(more));
    }
    fitting.sort_by_key(|(column, _)| column.at);
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(row: [&str; 9], width: u16) -> String {
        let rows = [row.map(str::to_owned)];
        let fitting = fit(&CONTAINERS, &rows, width);
        let used: u16 = fitting.iter().map(|(_, width)| width + 1).sum();
        assert!(used <= width + 1, "{used} of {width}");
        fitting.iter().map(|(column, _)| column.header).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_matters_less_gives_way_on_a_narrow_screen() {
        let well = ["p", "web", "n1", "50.0", "1 MiB / -", "- / -", "- / -", "1", ""];
        for (width, expected) in [
            (80, "NAME, CPU %, MEMORY / LIMIT, NET/S IN / OUT, PIDS"),
            (90, "NAME, NODE, CPU %, MEMORY / LIMIT, NET/S IN / OUT, PIDS"),
            (160, "POOL, NAME, NODE, CPU %, MEMORY / LIMIT, NET/S IN / OUT, DISK IN / OUT, PIDS"),
            (30, "NAME, CPU %"),
            (9, ""),
        ] {
            assert_eq!(headers(well, width), expected, "{width}");
        }
        let ill = ["p", "web", "n1", "-", "- / -", "- / -", "- / -", "-", "the agent is not connected"];
        assert_eq!(headers(ill, 80), "NAME, CPU %, MEMORY / LIMIT, PROBLEM");
    }

    #[test]
    fn what_is_left_over_goes_to_the_longest_texts() {
        let row = ["a-pool-with-a-long-name", "a-node-with-a-long-name", "connected", "1", "0.0", "1 MiB"];
        let rows = [row.map(str::to_owned)];
        let widths: Vec<u16> = fit(&NODES, &rows, 80).iter().map(|(_, width)| *width).collect();
        assert_eq!(widths, [14, 23, 11, 10, 7, 10]);
        let widths: Vec<u16> = fit(&NODES, &rows, 160).iter().map(|(_, width)| *width).collect();
        assert_eq!(widths, [23, 23, 11, 10, 7, 10]);
    }
}
