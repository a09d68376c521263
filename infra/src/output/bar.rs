//! Progress towards a known end: a bar with its rate on a terminal, now and then a line elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::{grouped, note};

const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Bar {
    text: String,
    unit: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    started: Instant,
    next_line: Instant,
}

impl Bar {
    pub(crate) fn begin(text: impl Into<String>, unit: &'static str, total: u64) -> Self {
        let text = text.into();
        let is_terminal = std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| drawn(&text, unit, total));
        if bar.is_none() {
            note(format!("{text}: {} {unit}", grouped(total)));
        }
        let started = Instant::now();
        Self {
            text,
            unit,
            bar,
            total,
            started,
            next_line: started + LINE_EVERY,
        }
    }

    /// Where it is now, and where the end is as far as that is known.
    pub(crate) fn at(&mut self, position: u64, total: u64) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(position);
        } else if Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINE_EVERY;
            let rate = position as f64 / self.started.elapsed().as_secs_f64();
            note(format!(
                "{}: {} of {} {} ({rate:.0}/s)",
                self.text,
                grouped(position),
                grouped(total),
                self.unit
            ));
        }
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn drawn(text: &str, unit: &str, total: u64) -> ProgressBar {
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    let template =
        format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{rate}} {{eta}}");
    let style = ProgressStyle::with_template(&template)
        .expect("the template is a constant but for a word, and valid")
        .with_key("rate", rate);
    ProgressBar::new(total)
        .with_style(style)
        .with_message(text.to_owned())
}
