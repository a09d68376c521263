//! Reading documents that are to be taken in hand, in portions, up to a bound of bytes.

use uuid::Uuid;

use super::{Held, Named};
use crate::config::DOCUMENTS_PER_READ;
use crate::cycle::run::LaneRun;
use crate::cycle::workbench::{WorkError, Workbench};
use crate::sink::Found;

impl Workbench {
    /// Reads documents in their order while there is room, some at least; how many.
    pub(super) async fn read_missing(
        &mut self,
        runs: &[LaneRun],
        missing: &[Named],
        held: &mut Held,
    ) -> Result<usize, WorkError> {
        let mut done = 0;
        while done < missing.len() && (done == 0 || held.room > 0) {
            let left = &missing[done..];
            let left = &left[..self.portion.next(DOCUMENTS_PER_READ).min(left.len())];
            let ids: Vec<Uuid> = left.iter().map(|(_, id)| *id).collect();
            let found = self.read_portion(&ids, held).await?;
            for ((run, id), found) in left.iter().zip(found) {
                if let Some(found) = found {
                    let slot = self.adopt(&found, |_| runs[*run].next_seq()).await?;
                    held.documents[*run].insert(*id, slot);
                }
            }
            done += left.len();
        }
        Ok(done)
    }

    /// Reads these documents, where there is room for all of them.
    pub(super) async fn read_all(
        &mut self,
        ids: &[Uuid],
        held: &mut Held,
    ) -> Result<Option<Vec<Found>>, WorkError> {
        let mut all = Vec::new();
        let mut left = ids;
        while !left.is_empty() {
            if held.room == 0 {
                return Ok(None);
            }
            let count = self.portion.next(DOCUMENTS_PER_READ).min(left.len());
            let (ids, others) = left.split_at(count);
            all.extend(self.read_portion(ids, held).await?.into_iter().flatten());
            left = others;
        }
        Ok(Some(all))
    }

    async fn read_portion(
        &mut self,
        ids: &[Uuid],
        held: &mut Held,
    ) -> Result<Vec<Option<Found>>, WorkError> {
        let found = self.sink.read(&self.target.index, ids).await?;
        let sizes = || found.iter().flatten().map(|found| found.source.get().len());
        self.portion.came(sizes());
        held.room = held.room.saturating_sub(sizes().sum());
        Ok(found)
    }
}
