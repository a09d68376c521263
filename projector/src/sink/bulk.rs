//! A bulk under construction: documents serialised straight into its NDJSON.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use chassis::elasticsearch::Revision;
use schemas::lane::{Lane, Seq};
use schemas::view::Document;
use uuid::Uuid;

use crate::build_id::BuildId;

/// The index of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub build: BuildId,
    pub index: Arc<str>,
}

/// What Elasticsearch compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Written only where what is there is older.
    External,
    /// Written also where the same version is there: once more, as found.
    ExternalGte,
}

impl Versioning {
    fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::ExternalGte => "external_gte",
        }
    }
}

/// One operation of a bulk.
#[derive(Debug, Clone)]
pub struct Op {
    pub target: Target,
    pub id: Uuid,
    pub lane: Lane,
    pub version: Seq,
    /// The first event that is folded in since the document was last written, and its id.
    pub first: (Seq, Uuid),
    /// Where it stands in the body.
    pub range: Range<usize>,
    /// Length of the document as JSON.
    pub bytes: usize,
}

impl Op {
    /// The document as JSON, in the body of its bulk.
    pub(super) fn source<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let end = self.range.end - 1;
        &body[end - self.bytes..end]
    }
}

/// Operations to be written together.
#[derive(Debug, Default)]
pub struct Bulk {
    body: BytesMut,
    ops: Vec<Op>,
}

impl Bulk {
    /// Adds a document in the version that it has.
    pub fn push(
        &mut self,
        target: &Target,
        document: &Document,
        first: (Seq, Uuid),
        versioning: Versioning,
    ) {
        let start = self.body.len();
        let id = document.id();
        write_action(
            &mut self.body,
            &target.index,
            id,
            document.seq(),
            versioning,
        );
        let begin = self.body.len();
        serde_json::to_writer((&mut self.body).writer(), document)
            .expect("documents are plain data");
        let bytes = self.body.len() - begin;
        self.body.put_u8(b'\n');
        self.ops.push(Op {
            target: target.clone(),
            id,
            lane: document.lane(),
            version: document.seq(),
            first,
            range: start..self.body.len(),
            bytes,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Ends the construction: what is written, as often as it takes.
    pub fn seal(self) -> SealedBulk {
        SealedBulk {
            body: self.body.freeze(),
            ops: self.ops,
        }
    }
}

/// A bulk that is complete.
#[derive(Debug)]
pub struct SealedBulk {
    pub(super) body: Bytes,
    pub(super) ops: Vec<Op>,
}

impl SealedBulk {
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// What has to hold of a document that conflicted for it to be written once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It has at most this version, and gets it.
    AtMost(Seq),
    /// It is still what was found. Its version becomes one higher.
    Unchanged(Revision),
    /// It is not there. Its version becomes one higher than that of the deletion, where Elasticsearch
    /// remembers it, else 1.
    Absent,
}

/// Adds a document that conflicted.
pub(super) fn write_again(
    body: &mut BytesMut,
    (index, id): (&str, Uuid),
    condition: Condition,
    source: &[u8],
) {
    match condition {
        Condition::AtMost(version) => {
            write_action(body, index, id, version, Versioning::ExternalGte);
        }
        Condition::Unchanged(revision) => {
            let Revision {
                seq_no,
                primary_term,
            } = revision;
            write_line(
                body,
                format_args!(
                    r#"{{"index":{{"_index":"{index}","_id":"{id}","if_seq_no":{seq_no},"if_primary_term":{primary_term}}}}}"#
                ),
            );
        }
        Condition::Absent => write_line(
            body,
            format_args!(r#"{{"create":{{"_index":"{index}","_id":"{id}"}}}}"#),
        ),
    }
    body.extend_from_slice(source);
    body.put_u8(b'\n');
}

fn write_action(body: &mut BytesMut, index: &str, id: Uuid, version: Seq, versioning: Versioning) {
    let versioning = versioning.name();
    write_line(
        body,
        format_args!(
            r#"{{"index":{{"_index":"{index}","_id":"{id}","version":{version},"version_type":"{versioning}"}}}}"#
        ),
    );
}

/// Neither an index name nor an id can hold what JSON escapes.
fn write_line(body: &mut BytesMut, line: std::fmt::Arguments<'_>) {
    writeln!(body.writer(), "{line}").expect("a buffer takes what is written");
}
