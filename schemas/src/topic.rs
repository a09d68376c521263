//! Names of everything that lives outside PostgreSQL, and the headers of an event in Kafka.
//!
//! Names carry the epoch, so that nothing of another history mixes in, and a prefix, so that
//! several Tidemarks (or tests) share servers.

use crate::id::Epoch;

/// Headers of a record on the events topic: CloudEvents 1.0, binary mode, and Tidemark's own.
pub mod header {
    pub const CE_SPECVERSION: &str = "ce_specversion";
    pub const CE_ID: &str = "ce_id";
    pub const CE_SOURCE: &str = "ce_source";
    pub const CE_TYPE: &str = "ce_type";
    pub const CE_TIME: &str = "ce_time";
    pub const CE_SUBJECT: &str = "ce_subject";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const TRACEPARENT: &str = "traceparent";
    /// Decimal text, 0 to 63.
    pub const LANE: &str = "tidemark-lane";
    /// Decimal text.
    pub const SEQ: &str = "tidemark-seq";
    /// Eight hexadecimal digits.
    pub const EPOCH: &str = "tidemark-epoch";
    /// Decimal text: version of the event type.
    pub const VERSION: &str = "tidemark-version";
    pub const STREAM_ID: &str = "tidemark-stream-id";
    pub const STREAM_VERSION: &str = "tidemark-stream-version";
    /// RFC 3339 with microseconds.
    pub const RECORDED_AT: &str = "tidemark-recorded-at";

    /// Every header that a record may have.
    pub const ALL: [&str; 15] = [
        CE_SPECVERSION,
        CE_ID,
        CE_SOURCE,
        CE_TYPE,
        CE_TIME,
        CE_SUBJECT,
        CONTENT_TYPE,
        TRACEPARENT,
        LANE,
        SEQ,
        EPOCH,
        VERSION,
        STREAM_ID,
        STREAM_VERSION,
        RECORDED_AT,
    ];
}

/// `ce_source` of every event.
pub const SOURCE: &str = "/tidemark/command-svc";

/// The names that one history uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    epoch: Epoch,
}

impl Names {
    /// `prefix` is put before every name as it stands; it may be empty.
    pub fn new(prefix: impl Into<String>, epoch: Epoch) -> Self {
        Self {
            prefix: prefix.into(),
            epoch,
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Topic of the committed events.
    pub fn events(&self) -> String {
        format!("{}tidemark.events.{}", self.prefix, self.epoch)
    }

    /// Topic of watermarks, builds and wishes: one partition, compacted.
    pub fn watermarks(&self) -> String {
        format!("{}tidemark.watermarks.{}", self.prefix, self.epoch)
    }

    /// Index of one build of a view.
    pub fn index(&self, view: &str, build: u32) -> String {
        format!("{}tidemark-{}-{view}-b{build}", self.prefix, self.epoch)
    }

    /// Matches the indexes of all builds of a view.
    pub fn index_pattern(&self, view: &str) -> String {
        format!("{}tidemark-{}-{view}-b*", self.prefix, self.epoch)
    }

    /// Alias of the active build, for people; the services never read it.
    pub fn alias(&self, view: &str) -> String {
        format!("{}tidemark-{view}", self.prefix)
    }

    /// Index of the projector's checkpoints.
    pub fn checkpoints(&self) -> String {
        format!("{}tidemark-{}-checkpoints", self.prefix, self.epoch)
    }

    /// Index of the dead letters.
    pub fn dead_letters(&self) -> String {
        format!("{}tidemark-{}-dead-letters", self.prefix, self.epoch)
    }

    /// Consumer group of the projectors that know the same views in the same versions.
    pub fn group(&self, versions_hash: &str) -> String {
        format!(
            "{}tidemark-projector-{}-{versions_hash}",
            self.prefix, self.epoch
        )
    }
}
