//! The read ladder: every read is answered at least as fresh as the tidemark that asks for it.
//!
//! `need` and `judge` are pure and decide, `climb` carries it out. Handlers name their views and
//! read through a `Reader`; what they show raises the tidemark through `Read`. Nothing here knows
//! of HTTP.

mod climb;
mod error;
mod heads;
mod judge;
mod ladder;
mod lag;
mod need;
mod options;
mod read;
mod read_state;
mod reader;
mod resources;
mod wait_slots;

pub use error::LadderError;
pub use heads::{Heads, HeadsError};
pub use judge::{ActiveBuild, Gap, LaneGap, Question, Snapshot, Verdict, judge};
pub use ladder::{Ladder, Limits};
pub use lag::Lag;
pub use need::Need;
pub use options::{ReadOptions, Reading, Target};
pub use read::{Read, Step};
pub use reader::Reader;
