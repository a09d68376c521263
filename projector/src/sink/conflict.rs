//! What another writer put there: written once more as found, so that it is on every copy.
//!
//! A document that was changed or deleted by hand conflicts as well (Elasticsearch remembers the
//! version of a deletion for a minute): ours is written in its place.

use std::collections::BTreeMap;

use bytes::BytesMut;
use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use chassis::retry::Backoff;
use schemas::lane::Seq;
use serde::Deserialize;

use super::bulk::{Op, write_found};
use super::{Found, Sink, SinkError};
use crate::config::{FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE};

impl Sink {
    /// Reads these operations' documents and writes them in the version that they have.
    pub(super) async fn write_as_found(
        &self,
        (body, ops): (&[u8], &[Op]),
        mut pending: Vec<usize>,
        deadline: Deadline,
    ) -> Result<(), SinkError> {
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE, MAX_RETRY_PAUSE);
        while !pending.is_empty() {
            let failure = match self.rewrite((body, ops), &pending).await {
                Ok(again) => {
                    pending = again;
                    None
                }
                Err(error) if error.is_transient() => Some(error),
                Err(error) if error.is_not_found() => return Err(SinkError::Missing(error)),
                Err(error) => return Err(SinkError::Refused(error)),
            };
            if !pending.is_empty() {
                self.pause(&mut backoff, deadline, failure).await?;
            }
        }
        Ok(())
    }

    /// One try; returns what has to be read again because it went on meanwhile.
    async fn rewrite(
        &self,
        (written, ops): (&[u8], &[Op]),
        pending: &[usize],
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
        let mut again = Vec::new();
        for (name, indexes) in by_index {
            let ids: Vec<String> = indexes
                .iter()
                .map(|index| ops[*index].id.to_string())
                .collect();
            let found = self.elasticsearch.mget(name, &ids).await?;
            for (found, index) in found.into_iter().zip(indexes) {
                let op = &ops[index];
                let found = found.as_ref();
                let (version, source) = match found {
                    Some(found) if is_written_by_projector(found) || found.version > op.version => {
                        (found.version, found.source.get().as_bytes())
                    }
                    Some(_) | None => (op.version, op.source(written)),
                };
                write_found(&mut body, name, op.id, version, source);
                sent.push(index);
            }
        }
        if !sent.is_empty() {
            let items = self.elasticsearch.bulk(body.freeze()).await?;
            self.note_denials(&items);
            let unwritten = items
                .iter()
                .zip(sent)
                .filter(|(item, _)| !item.is_written());
            again.extend(unwritten.map(|(_, index)| index));
        }
        Ok(again)
    }
}

/// A document carries the seq that it has as version. One that was changed by hand does not.
fn is_written_by_projector(found: &Found) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        seq: Seq,
    }
    let document: Result<Versioned, _> = serde_json::from_str(found.source.get());
    document.is_ok_and(|document| document.seq == found.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: Seq, source: &str) -> Found {
        Found {
            id: String::new(),
            version,
            source: serde_json::from_str(source).unwrap(),
        }
    }

    #[test]
    fn a_document_changed_by_hand_is_not_taken_for_another_projectors() {
        assert!(is_written_by_projector(&found(
            5,
            r#"{"seq": 5, "name": "Lamp"}"#
        )));
        assert!(!is_written_by_projector(&found(
            6,
            r#"{"seq": 5, "name": "Mine"}"#
        )));
        assert!(!is_written_by_projector(&found(5, r#"{"name": "Mine"}"#)));
    }
}
