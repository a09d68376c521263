//! Filling one lane of a fresh build: subject by subject, so that each document is written once.
//!
//! What is in memory is bounded: two pages, the lane's broadcasts, one subject's documents and a
//! bulk. A step that fails is tried again by itself; the lane never begins anew.

use schemas::lane::Seq;

use super::broadcasts::{Broadcasts, read_broadcasts};
use super::bulks::{Bulks, Refusal};
use super::context::{Interrupted, LaneContext};
use super::offender::find_offender;
use super::subject::Subjects;
use super::subject_pages::SubjectPages;
use crate::project::{LogEntry, Stopped};

/// How a lane was filled up to its head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LaneFilled {
    Done(Option<Stopped>),
    /// It is to be filled in the order of its log.
    InOrder,
}

/// Folds (0, head] and returns once all of it is acknowledged.
pub(super) async fn fill_lane(lane: &LaneContext, head: Seq) -> Result<LaneFilled, Interrupted> {
    if head == 0 {
        return Ok(LaneFilled::Done(None));
    }
    let broadcasts = broadcasts_of(lane, head).await?;
    if broadcasts.are_too_many() {
        return Ok(LaneFilled::InOrder);
    }
    let mut subjects = Subjects::new(lane.target.build.view, &broadcasts, head);
    let mut pages = SubjectPages::begin(lane.clone(), head);
    let mut bulks = Bulks::new(lane.clone());
    while let Some(page) = pages.next().await? {
        lane.check()?;
        for (subject, entry) in page {
            subjects.take(&entry, subject);
            write(&mut subjects, &mut bulks).await?;
        }
        let refusals = bulks.ended()?;
        stop_at(lane, &broadcasts, &mut subjects, refusals).await?;
    }
    subjects.end_subject();
    write(&mut subjects, &mut bulks).await?;
    let refusals = bulks.finish().await?;
    stop_at(lane, &broadcasts, &mut subjects, refusals).await?;
    Ok(LaneFilled::Done(subjects.stopped))
}

async fn broadcasts_of(lane: &LaneContext, head: Seq) -> Result<Broadcasts, Interrupted> {
    let view = lane.target.build.view;
    let mut all = Broadcasts::default();
    let mut after = 0;
    loop {
        let pool = &lane.fill.pool;
        let page = lane
            .read(|| read_broadcasts(pool, view, lane.lane(), (after, head)))
            .await?;
        let needs_more = page.rows.iter().all(|entry| all.push(view, entry));
        match page.rows.last().map(LogEntry::seq) {
            Some(last) if page.is_cut && needs_more => after = last,
            _ => return Ok(all),
        }
    }
}

async fn write(subjects: &mut Subjects<'_>, bulks: &mut Bulks) -> Result<(), Interrupted> {
    for finished in subjects.finished.drain(..) {
        bulks.add(&finished).await?;
    }
    Ok(())
}

/// Has the lane stand still before the first event whose document is refused.
async fn stop_at(
    lane: &LaneContext,
    broadcasts: &Broadcasts,
    subjects: &mut Subjects<'_>,
    mut refusals: Vec<Refusal>,
) -> Result<(), Interrupted> {
    refusals.sort_by_key(|refusal| refusal.first);
    for refusal in refusals {
        // Its first event comes after the one that the lane stands still before already.
        if subjects.reaches(refusal.first) {
            let stopped = find_offender(lane, broadcasts, refusal).await?;
            subjects.stop(stopped);
        }
    }
    Ok(())
}
