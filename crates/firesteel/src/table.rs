//! Rows of a server's answer, for people as a table and for programs as JSON.

use std::io::Write;

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// A column: its head, and what of an item stands in it.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// Writes all items to stdout.
pub(crate) fn print(items: &[Value], columns: &[Column], json: bool) -> Result<Exit, Failure> {
    line(&if json { Value::from(items.to_vec()).to_string() } else { table(items, columns) })
}

/// Writes one line, or several, to stdout.
pub(crate) fn line(text: &str) -> Result<Exit, Failure> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Success),
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::platform("stdout could not be written to").because(&error)),
    }
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(head, _)| *head));
    for item in items {
        table.add_row(columns.iter().map(|(_, cell)| cell(item)));
    }
    // Lines that end in blanks are no use to anybody who cuts them up.
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A member as text; a dash where there is none.
pub(crate) fn text(item: &Value, member: &str) -> String {
    match item.get(member) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        ("NAME", |item| text(item, "Name")),
        ("SIZE", |item| text(item, "Size")),
        ("NOTE", |item| text(item, "Note")),
    ];

    #[test]
    fn a_table_has_a_head_and_a_line_for_each_item() {
        let items = [json!({"Name": "a", "Size": 1}), json!({"Name": "long-name", "Note": "x"})];
        let lines: Vec<Vec<String>> = table(&items, COLUMNS)
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        assert_eq!(lines, [vec!["NAME", "SIZE", "NOTE"], vec!["a", "1", "-"], vec!["long-name", "-", "x"]]);
    }

    #[test]
    fn nothing_is_a_head_alone() {
        assert_eq!(table(&[], COLUMNS).split_whitespace().count(), 3);
    }
}
