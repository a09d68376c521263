//! What became of a batch, or of the parts that it was halved into.

use std::time::Duration;

use schemas::lane::Position;
use schemas::problem::Problem;

use super::batch::{Batch, Entry};
use super::plan::Answered;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Imported {
    /// In the order of lines.
    pub answers: Vec<Answered>,
    pub positions: Vec<Position>,
    /// Products written, and how long the lanes were held for them.
    pub pace: Option<(usize, Duration)>,
    /// The database could not be reached in time.
    pub unavailable: bool,
}

impl Imported {
    pub fn add(&mut self, part: Self) {
        self.answers.extend(part.answers);
        self.positions.extend(part.positions);
        self.pace = part.pace.or(self.pace);
    }

    pub fn refuse(&mut self, batch: &Batch, problem: &Problem) {
        let refused = |entry: &Entry| Answered::refused(entry.number, problem.clone());
        self.answers.extend(batch.entries.iter().map(refused));
        self.refuse_unread(batch);
    }

    /// The lines that could not be read.
    pub fn refuse_unread(&mut self, batch: &Batch) {
        let unread = batch.refused.iter();
        let refused =
            |(number, problem): &(u64, Problem)| Answered::refused(*number, problem.clone());
        self.answers.extend(unread.map(refused));
    }
}
