//! Everything that is printed goes through here: answers to stdout, progress to stderr.
//! Progress is a spinner on a terminal and plain lines anywhere else.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// A line of the answer. A closed pipe is the reader's business, not an error.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// A line of progress or advice, to stderr.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "tidemark: {}", text.as_ref());
}

/// Something that takes a while; shown until it is done or dropped.
#[derive(Debug)]
pub struct Step {
    text: String,
    bar: Option<ProgressBar>,
    started: Instant,
    /// Where there is no terminal: when to say again what it is waiting for.
    next_line: Cell<Instant>,
}

impl Step {
    pub fn begin(text: impl Into<String>) -> Self {
        let text = text.into();
        let bar = std::io::stderr().is_terminal().then(|| spinner(&text));
        if bar.is_none() {
            note(&text);
        }
        Self {
            text,
            bar,
            started: Instant::now(),
            next_line: Cell::new(Instant::now() + LINE_EVERY),
        }
    }

    /// What it is waiting for now.
    pub fn detail(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} ({detail})", self.text));
        } else if Instant::now() >= self.next_line.get() {
            self.next_line.set(Instant::now() + LINE_EVERY);
            note(format!("{} ({detail})", self.text));
        }
    }

    pub fn done(self) {
        let seconds = self.started.elapsed().as_secs_f32();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        note(format!("{}: done in {seconds:.1} s", self.text));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner(text: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
        .expect("the template is a constant and valid");
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(text.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
