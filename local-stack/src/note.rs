//! What a person at the terminal is told, apart from the results on standard output.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints a line on standard error. It does not matter if nobody reads it any more.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "local-stack: {line}");
}

/// Prints a line on standard output, for the person or the program that started us.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
