//! Tables without lines: a header, columns side by side, numbers to the right.

use comfy_table::{CellAlignment, Table, presets};

/// The rows below their header; columns whose header is in lower case hold numbers.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for (column, name) in table.column_iter_mut().zip(header) {
        if name == name.to_lowercase() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A number as people read it: 91,803.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, table};

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 12, 999, 1_000, 91_803, 1_234_567];
        assert_eq!(
            numbers.map(grouped),
            ["0", "12", "999", "1,000", "91,803", "1,234,567"]
        );
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [["a", "1"], ["bb", "100"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["NAME", "events"], rows),
            " NAME  events\n a          1\n bb       100"
        );
    }
}
