//! Everything that is printed goes through here: answers to stdout, progress to stderr.

mod bar;
mod table;

use std::io::IsTerminal;

pub use testbed::output::{Step, line, note};

pub(crate) use self::{
    bar::Bar,
    table::{grouped, table},
};

/// An answer that takes the place of the one before it, on a terminal.
pub(crate) fn page(text: impl AsRef<str>) {
    let clear = if std::io::stdout().is_terminal() {
        "\u{1b}[H\u{1b}[2J"
    } else {
        ""
    };
    line(format!("{clear}{}", text.as_ref()));
}
