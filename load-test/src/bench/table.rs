//! Text tables: a heading, then rows with right-aligned figures.

use std::fmt::Write as _;

const LABEL: usize = 44;
const COLUMN: usize = 14;

/// One line: what it is, and a figure for each column.
pub fn row(text: &mut String, label: &str, figures: &[String]) {
    let _ = write!(text, "{label:<LABEL$}");
    for figure in figures {
        let _ = write!(text, "{figure:>COLUMN$}");
    }
    text.push('\n');
}

/// Bytes, as kilobytes of 1,024.
pub fn kilobytes(bytes: f64) -> String {
    format!("{:.2} KB", bytes / 1024.0)
}

/// Microseconds.
pub fn microseconds(us: f64) -> String {
    format!("{us:.1} µs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_below_each_other() {
        let mut text = String::new();
        row(&mut text, "memory", &["gateway".to_owned(), "socket.io".to_owned()]);
        row(&mut text, "joined", &[kilobytes(2048.0), kilobytes(13_500.0)]);
        let ends: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(ends[0], ends[1]);
    }
}
