//! The read ladder: every read is answered at least as fresh as the tidemark that asks for it.
//!
//! `need` and `judge` are pure and decide; `climb` does what they say. Handlers name their views
//! and ask Elasticsearch through a `Reader`; what they show raises the tidemark through `Read`.

mod climb;
mod error;
mod heads;
mod judge;
mod ladder;
mod lag;
mod need;
mod options;
mod places;
mod read;
mod reader;
mod resources;
mod standing;

pub use error::LadderError;
pub use heads::{Heads, HeadsError};
pub use judge::{Footing, Gap, Ground, LaneGap, Question, Verdict, judge};
pub use ladder::{Ladder, Limits};
pub use lag::Lag;
pub use need::Need;
pub use options::{ReadOptions, Reading, Target};
pub use read::{Read, Step};
pub use reader::Reader;
