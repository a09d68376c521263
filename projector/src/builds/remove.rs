//! Taking away what a retired build leaves behind: its watermark keys, then its checkpoints, then
//! its index.
//!
//! In this order, so that whoever is cut off leaves the index, by which the next one sees that the
//! work is not done. An index that is another one than was announced is nobody's to delete.

use bytes::Bytes;
use chassis::elasticsearch::{BulkItem, Elasticsearch};
use schemas::lane::Lane;
use schemas::topic::Names;
use schemas::view::View;
use schemas::watermark::{BuildState, Key};
use serde_json::json;

use super::keep::KeepError;
use crate::checkpoint;
use crate::publish::WatermarkPublisher;

pub(super) struct Removal<'a> {
    pub elasticsearch: &'a Elasticsearch,
    pub names: &'a Names,
    pub publisher: &'a WatermarkPublisher,
    pub partitions: i32,
}

impl Removal<'_> {
    /// Removes what is there of the build; may be cut off anywhere and begun again.
    pub(super) async fn remove(
        &self,
        view: View,
        build: u32,
        state: &BuildState,
    ) -> Result<(), KeepError> {
        let Some(announced) = &state.announced else {
            return Ok(());
        };
        let current = self.elasticsearch.index_uuid(&announced.index).await?;
        let has_index = current.as_ref() == Some(&announced.index_uuid);
        if has_index || !state.lanes.is_empty() {
            self.take_watermarks_away(view, build).await?;
            self.remove_checkpoints(&announced.index_uuid).await?;
        }
        if has_index {
            self.elasticsearch.delete_index(&announced.index).await?;
        }
        tracing::info!(view = view.name(), build, "removed a retired build");
        Ok(())
    }

    async fn take_watermarks_away(&self, view: View, build: u32) -> Result<(), KeepError> {
        for partition in 0..self.partitions {
            let key = Key::Watermark {
                view: view.name().to_owned(),
                build,
                partition,
            };
            self.publisher.publish(&key, None::<&()>).await?;
        }
        Ok(())
    }

    /// Those that are not there need no removing; nor does one whose index is gone.
    async fn remove_checkpoints(&self, index_uuid: &str) -> Result<(), KeepError> {
        let index = self.names.checkpoints();
        let line = |lane: Lane| {
            let id = checkpoint::id(index_uuid, lane);
            format!("{}\n", json!({"delete": {"_index": index, "_id": id}}))
        };
        let lines: String = Lane::all().map(line).collect();
        let items = self.elasticsearch.bulk(Bytes::from(lines)).await?;
        refused(&items).map_or(Ok(()), |status| Err(KeepError::Refused(status)))
    }
}

/// The status of a deletion that has not happened. With 404 there was nothing to delete.
fn refused(items: &[BulkItem]) -> Option<u16> {
    let mut items = items.iter();
    let refused = items.find(|item| !item.is_written() && item.status != 404);
    refused.map(|item| item.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(statuses: &[u16]) -> Option<u16> {
        let item = |status: &u16| BulkItem {
            status: *status,
            error: None,
        };
        let items: Vec<BulkItem> = statuses.iter().map(item).collect();
        refused(&items)
    }

    #[test]
    fn a_checkpoint_is_gone_where_it_was_deleted_or_never_there() {
        assert_eq!(answered(&[200, 404, 200]), None);
        for status in [403, 409, 429, 503] {
            assert_eq!(answered(&[200, status, 404]), Some(status));
        }
    }
}
