//! Columns of text for a terminal.

use std::fmt::Write;

use crate::escape::escape;

/// A table whose cells are escaped and as wide as they need be.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// How many of the first columns stand to the left; the others hold numbers.
    left: usize,
}

impl Table {
    pub(crate) fn new(left: usize, header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&text| text.to_owned()).collect()], left }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escape(&cell)).collect());
    }

    /// Its rows, the heading first; cells are escaped.
    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// The lines of the table. The last column is not padded: it may hold a text of any length.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a string does not fail.
                let _ = match column {
                    column if column < self.left => write!(line, "{cell:<width$}  "),
                    column if column + 1 == columns => write!(line, "{cell}"),
                    _ => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number of thousandths.
pub(crate) fn milli(value: u64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

/// A number of millionths.
pub(crate) fn micro(value: u64) -> String {
    format!("{}.{:06}", value / 1_000_000, value % 1_000_000)
}

/// A Euclidean norm, of its square in units of 2⁻⁶⁴.
#[allow(clippy::cast_precision_loss)] // Six digits are shown.
pub(crate) fn norm(square: u128) -> String {
    format!("{:.6}", (square as f64).sqrt() / 4_294_967_296.0)
}

/// A count of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", count / unit, count % unit * 10 / unit);
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_foreign_cells_are_escaped() {
        let mut table = Table::new(1, &["who", "n", "note"]);
        table.row(["a\u{1b}".to_owned(), "7".to_owned(), String::new()]);
        assert_eq!(table.text(), "who      n  note\na\\u{1b}  7\n");
    }

    #[test]
    fn numbers_are_shown_with_their_units() {
        assert_eq!((milli(1_050), norm(1 << 64), bytes(1_950)), ("1.050".into(), "1.000000".into(), "1.9 kB".into()));
    }
}
