//! What another writer put there: written once more as found, so that it is on every copy.

use std::collections::BTreeMap;

use bytes::BytesMut;
use chassis::clock::Deadline;
use chassis::elasticsearch::ElasticsearchError;
use chassis::retry::Backoff;

use super::bulk::{Op, write_found};
use super::{FIRST_PAUSE, LONGEST_PAUSE, Sink, SinkError};

impl Sink {
    /// Reads these operations' documents and writes them in the version that they have.
    pub(super) async fn write_as_found(
        &self,
        ops: &[Op],
        mut pending: Vec<usize>,
        deadline: Deadline,
    ) -> Result<(), SinkError> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while !pending.is_empty() {
            let failure = match self.rewrite(ops, &pending).await {
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
        ops: &[Op],
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
                match found {
                    Some(found) => {
                        let id = ops[index].id;
                        write_found(&mut body, name, id, found.version, &found.source);
                        sent.push(index);
                    }
                    None => again.push(index),
                }
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
