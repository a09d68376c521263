//! What another writer put there: written once more as found, so that it is on every copy.
//!
//! A document that was changed or deleted by hand conflicts as well, and its version may be above ours
//! without holding our event: its seq tells. Ours is then written over it where nothing else was
//! written since it was read, so that no slower process takes a newer document back.

use std::collections::BTreeMap;

use bytes::BytesMut;
use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use chassis::retry::Backoff;
use schemas::lane::Seq;
use schemas::view::stored_seq;

use super::bulk::{Condition, Op, write_again};
use super::{Found, Sink, SinkError};
use crate::config::{FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE};

/// What is written once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// As it was found.
    Found,
    /// What the operation has.
    Ours,
}

impl Sink {
    /// Reads these operations' documents and writes them once more.
    pub(super) async fn write_as_found(
        &self,
        written: (&[u8], &[Op]),
        mut pending: Vec<usize>,
        deadline: Deadline,
    ) -> Result<(), SinkError> {
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE);
        let mut is_first = true;
        while !pending.is_empty() {
            let failure = match self.rewrite(written, &pending, is_first).await {
                Ok(again) => {
                    pending = again;
                    None
                }
                Err(error) if error.is_transient() => Some(error),
                Err(error) if error.is_not_found() => return Err(SinkError::Missing(error)),
                Err(error) => return Err(SinkError::Refused(error)),
            };
            is_first = false;
            if !pending.is_empty() {
                self.pause(&mut backoff, deadline, failure).await?;
            }
        }
        Ok(())
    }

    /// One try; returns what has to be read again, because it went on in between or was only made.
    async fn rewrite(
        &self,
        (written, ops): (&[u8], &[Op]),
        pending: &[usize],
        is_first: bool,
    ) -> Result<Vec<usize>, ElasticsearchError> {
        let mut by_index: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for index in pending {
            by_index
                .entry(&ops[*index].target.index)
                .or_default()
                .push(*index);
        }
        let mut body = BytesMut::new();
        let mut sent = Vec::new();
        for (name, indexes) in by_index {
            let ids: Vec<String> = indexes
                .iter()
                .map(|index| ops[*index].id.to_string())
                .collect();
            let found = self.elasticsearch.mget(name, &ids).await?;
            for (found, index) in found.into_iter().zip(indexes) {
                let op = &ops[index];
                let (condition, source) = once_more(op.version, found.as_ref(), is_first);
                let source = match (source, &found) {
                    (Source::Found, Some(found)) => found.source.get().as_bytes(),
                    (Source::Found, None) | (Source::Ours, _) => op.source(written),
                };
                write_again(&mut body, (name, op.id), condition, source);
                sent.push((index, condition));
            }
        }
        let items = self.elasticsearch.bulk(body.freeze()).await?;
        self.note_denials(&items);
        let again = items.iter().zip(sent).filter(|(item, (_, condition))| {
            // What was made may have a version below ours.
            !item.is_written() || *condition == Condition::Absent
        });
        Ok(again.map(|(_, (index, _))| index).collect())
    }
}

/// How a document that conflicted with ours is written once more. What processes write never has a
/// seq above its version, so what replaces a version up to ours takes nothing back.
fn once_more(ours: Seq, found: Option<&Found>, is_first: bool) -> (Condition, Source) {
    let Some(found) = found else {
        // The version of its deletion is not told: only a conflict tells that it is above ours.
        let condition = if is_first {
            Condition::AtMost(ours)
        } else {
            Condition::Absent
        };
        return (condition, Source::Ours);
    };
    let seq = stored_seq(&found.source).filter(|seq| *seq <= found.version);
    match found.revision {
        _ if seq == Some(found.version) && seq >= Some(ours) => {
            (Condition::AtMost(found.version), Source::Found)
        }
        Some(revision) if seq > Some(ours) => (Condition::Unchanged(revision), Source::Found),
        Some(revision) if found.version > ours => (Condition::Unchanged(revision), Source::Ours),
        Some(_) | None => (Condition::AtMost(ours), Source::Ours),
    }
}

#[cfg(test)]
mod tests {
    use chassis::elasticsearch::Revision;
    use rstest::rstest;

    use super::*;

    const REVISION: Revision = Revision {
        seq_no: 40,
        primary_term: 2,
    };
    const UNCHANGED: Condition = Condition::Unchanged(REVISION);

    #[rstest]
    #[case::of_another_projector(12, r#"{"seq": 12}"#, (Condition::AtMost(12), Source::Found))]
    #[case::ours_already(11, r#"{"seq": 11}"#, (Condition::AtMost(11), Source::Found))]
    #[case::changed_once_by_hand(11, r#"{"seq": 10}"#, (Condition::AtMost(11), Source::Ours))]
    #[case::changed_twice_by_hand(12, r#"{"seq": 10}"#, (UNCHANGED, Source::Ours))]
    #[case::ours_changed_by_hand(12, r#"{"seq": 11}"#, (UNCHANGED, Source::Ours))]
    #[case::a_later_one_changed_by_hand(14, r#"{"seq": 12}"#, (UNCHANGED, Source::Found))]
    #[case::of_another_shape(12, r#"{"name": "Mine"}"#, (UNCHANGED, Source::Ours))]
    #[case::with_a_seq_of_no_event(12, r#"{"seq": 99}"#, (UNCHANGED, Source::Ours))]
    #[case::made_by_us_with_a_low_version(1, r#"{"seq": 11}"#, (Condition::AtMost(11), Source::Ours))]
    fn only_a_document_that_holds_our_event_is_left_as_it_is(
        #[case] version: Seq,
        #[case] source: &str,
        #[case] expected: (Condition, Source),
    ) {
        let found = Found {
            id: String::new(),
            version,
            revision: Some(REVISION),
            source: serde_json::from_str(source).unwrap(),
        };
        for is_first in [true, false] {
            assert_eq!(once_more(11, Some(&found), is_first), expected);
        }
    }

    #[test]
    fn a_document_that_is_not_there_is_written_in_our_version_where_its_deletion_has_no_higher_one()
    {
        let first = once_more(11, None, true);
        assert_eq!(first, (Condition::AtMost(11), Source::Ours));
        let second = once_more(11, None, false);
        assert_eq!(second, (Condition::Absent, Source::Ours));
    }
}
