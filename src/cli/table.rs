//! Tables: aligned columns with headings for a person at a terminal, values between tabs for everything else.

use std::io::{self, IsTerminal, Write};

use super::text::printable;

/// A table that is written page by page; its columns are as wide as the first page needs them.
pub(super) struct Table<const N: usize> {
    headings: [&'static str; N],
    aligned: bool,
    widths: Option<[usize; N]>,
}

impl<const N: usize> Table<N> {
    /// A table for the standard output.
    pub(super) fn new(headings: [&'static str; N]) -> Self {
        Table { headings, aligned: io::stdout().is_terminal(), widths: None }
    }

    /// Writes some rows, and the headings before the first.
    pub(super) fn write(&mut self, out: &mut dyn Write, rows: &[[String; N]]) -> io::Result<()> {
        let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
        if !self.aligned {
            return rows.iter().try_for_each(|row| writeln!(out, "{}", row.join("\t")));
        }
        let first = self.widths.is_none();
        let widths = *self.widths.get_or_insert_with(|| {
            let mut widths = self.headings.map(str::len);
            for row in &rows {
                for (width, cell) in widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count());
                }
            }
            widths
        });
        let mut line = |cells: [&str; N]| {
            let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", padded.join("  ").trim_end())
        };
        if first {
            line(self.headings)?;
        }
        rows.iter().try_for_each(|row| line(row.each_ref().map(|cell| &**cell)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(aligned: bool) -> String {
        let mut table = Table { headings: ["GROUP", "MEMBERS"], aligned, widths: None };
        let mut out = Vec::new();
        table.write(&mut out, &[["ünï\u{1b}".into(), "3".into()]]).unwrap();
        table.write(&mut out, &[["a".into(), "".into()]]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_person_gets_columns_and_a_program_tabs() {
        assert_eq!(written(true), "GROUP      MEMBERS\nünï\\u{1b}  3\na\n");
        assert_eq!(written(false), "ünï\\u{1b}\t3\na\t\n");
    }
}
