//! Every metric of the projector: name, unit, help.

use std::time::Duration;

use chassis::clock;
use chrono::{DateTime, Utc};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use schemas::lane::Lane;
use schemas::operations::{BuildLag, LagReport, LaneHealth};
use schemas::view::View;

use crate::build_id::BuildId;
use crate::project::Stopped;

const DROPPED: &str = "tidemark_records_dropped_total";
const DOCUMENTS: &str = "tidemark_documents_total";
const SINK_RETRIES: &str = "tidemark_sink_retries_total";
const CYCLE: &str = "tidemark_cycle_seconds";
const REFRESH: &str = "tidemark_refresh_seconds";
const FILLED: &str = "tidemark_filled_events_total";
const FILL_RETRIES: &str = "tidemark_fill_retries_total";
const IN_HAND: &str = "tidemark_documents_in_hand_total";
const CACHE_DOCUMENTS: &str = "tidemark_cache_documents";
const CACHE_BYTES: &str = "tidemark_cache_bytes";
const RESTORED: &str = "tidemark_documents_restored_total";
const BARRIERS: &str = "tidemark_barrier_documents_total";
const WATERMARKS: &str = "tidemark_watermarks_published_total";
const WATERMARK_FAILURES: &str = "tidemark_watermark_failures_total";
const VISIBLE_AFTER: &str = "tidemark_visible_after_seconds";
const CHECKPOINT_FAILURES: &str = "tidemark_checkpoint_failures_total";
const LANE_STOPPED: &str = "tidemark_lane_stopped";
const DEAD_LETTERS: &str = "tidemark_dead_letters_total";
const BUILDS_LOST: &str = "tidemark_builds_lost_total";
const LAG_EVENTS: &str = "tidemark_lag_events";
const LAG_SECONDS: &str = "tidemark_lag_seconds";
const LANES: &str = "tidemark_lanes";

const COUNTERS: &[(&str, &str)] = &[
    (DROPPED, "records of the events topic dropped, by reason"),
    (
        DOCUMENTS,
        "documents sent to Elasticsearch, by view and outcome",
    ),
    (
        SINK_RETRIES,
        "requests to Elasticsearch that were tried again",
    ),
    (
        FILLED,
        "events that the live cycle read from the event table",
    ),
    (
        FILL_RETRIES,
        "pages and bulks of a fill that were tried again",
    ),
    (
        IN_HAND,
        "documents needed by a batch, by where they came from",
    ),
    (
        RESTORED,
        "documents made again from their events, because the stored one was lost or unreadable",
    ),
    (BARRIERS, "documents passed over for broadcast events"),
    (WATERMARKS, "watermark records published, by kind"),
    (
        WATERMARK_FAILURES,
        "watermark records that Kafka did not take",
    ),
    (
        CHECKPOINT_FAILURES,
        "times that checkpoints were not written",
    ),
    (DEAD_LETTERS, "dead letters, by view"),
    (BUILDS_LOST, "builds whose index was gone"),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    (CYCLE, "folding and writing one batch"),
    (REFRESH, "one refresh, retries included"),
    (VISIBLE_AFTER, "from commit to published watermark"),
];

const GAUGES: &[(&str, Unit, &str)] = &[
    (CACHE_DOCUMENTS, Unit::Count, "documents in the cache"),
    (CACHE_BYTES, Unit::Bytes, "documents in the cache, as JSON"),
    (
        LANE_STOPPED,
        Unit::Count,
        "1 for a lane that stands still, by view, build and kind",
    ),
    (
        LAG_EVENTS,
        Unit::Count,
        "events that a view does not show yet",
    ),
    (
        LAG_SECONDS,
        Unit::Seconds,
        "age of the oldest event that it does not show yet",
    ),
    (
        LANES,
        Unit::Count,
        "lanes of a view's active build and of its others that are fed, by state",
    ),
];

/// Counters by view.
const OF_VIEWS: [&str; 3] = [BUILDS_LOST, DEAD_LETTERS, RESTORED];

/// Tells the recorder what each metric means. Call once, after it is installed.
///
/// Counters of what is rare begin at zero: `increase()` does not see one that is born at 1.
pub fn describe() {
    for view in View::ALL {
        for name in OF_VIEWS {
            counter!(name, "view" => view.name()).increment(0);
        }
    }
    counter!(FILL_RETRIES).increment(0);
    for (name, help) in COUNTERS {
        describe_counter!(*name, Unit::Count, *help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(*name, Unit::Seconds, *help);
    }
    for (name, unit, help) in GAUGES {
        describe_gauge!(*name, *unit, *help);
    }
}

pub(crate) fn record_dropped(reason: &'static str) {
    counter!(DROPPED, "reason" => reason).increment(1);
}

pub(crate) fn document_written(view: View, outcome: &'static str) {
    counter!(DOCUMENTS, "view" => view.name(), "outcome" => outcome).increment(1);
}

pub(crate) fn sink_retried() {
    counter!(SINK_RETRIES).increment(1);
}

pub(crate) fn cycle(took: Duration) {
    histogram!(CYCLE).record(took.as_secs_f64());
}

pub(crate) fn refreshed(took: Duration) {
    histogram!(REFRESH).record(took.as_secs_f64());
}

pub(crate) fn filled(events: usize) {
    counter!(FILLED).increment(events as u64);
}

pub(crate) fn fill_retried() {
    counter!(FILL_RETRIES).increment(1);
}

pub(crate) fn documents_in_hand(cached: usize, read: usize) {
    counter!(IN_HAND, "from" => "cache").increment(cached as u64);
    counter!(IN_HAND, "from" => "elasticsearch").increment(read as u64);
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn cache((documents, bytes): (usize, usize)) {
    gauge!(CACHE_DOCUMENTS).set(documents as f64);
    gauge!(CACHE_BYTES).set(bytes as f64);
}

pub(crate) fn document_restored(view: View) {
    counter!(RESTORED, "view" => view.name()).increment(1);
}

pub(crate) fn barrier_passed(documents: usize) {
    counter!(BARRIERS).increment(documents as u64);
}

/// `covered` is the newest event that nobody has shown before; none where there is none.
pub(crate) fn watermark_published(covered: Option<DateTime<Utc>>, moved: bool) {
    let kind = if moved { "moved" } else { "heartbeat" };
    counter!(WATERMARKS, "kind" => kind).increment(1);
    if let Some(covered) = covered {
        let age = clock::now() - covered;
        histogram!(VISIBLE_AFTER).record(age.as_seconds_f64().max(0.0));
    }
}

pub(crate) fn watermark_failed() {
    counter!(WATERMARK_FAILURES).increment(1);
}

pub(crate) fn checkpoint_failed() {
    counter!(CHECKPOINT_FAILURES).increment(1);
}

pub(crate) fn lane_stopped(build: BuildId, lane: Lane, stopped: &Stopped) {
    gauge!(LANE_STOPPED, &stopped_labels(build, lane, stopped)).set(1.0);
    if matches!(stopped, Stopped::Poison { .. }) {
        counter!(DEAD_LETTERS, "view" => build.view.name()).increment(1);
    }
}

/// It began anew, or is not ours any more.
pub(crate) fn lane_not_stopped(build: BuildId, lane: Lane, stopped: &Stopped) {
    gauge!(LANE_STOPPED, &stopped_labels(build, lane, stopped)).set(0.0);
}

fn stopped_labels(build: BuildId, lane: Lane, stopped: &Stopped) -> [(&'static str, String); 4] {
    [
        ("build", build.to_string()),
        ("lane", lane.to_string()),
        ("kind", stopped.kind().to_owned()),
        ("view", build.view.name().to_owned()),
    ]
}

pub(crate) fn build_lost(build: BuildId) {
    counter!(BUILDS_LOST, "view" => build.view.name()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn lag(report: &LagReport) {
    for view in &report.views {
        let name = &view.view;
        let is_active = |build: &&BuildLag| Some(build.build) == view.active;
        let (active, others): (Vec<_>, Vec<_>) = view.builds.iter().partition(is_active);
        // While nothing can be read, a view is as far behind as the build that is made for it.
        let nearest = others.iter().min_by_key(|build| build.behind_events);
        let read = active.first().or(nearest);
        gauge!(LAG_EVENTS, "view" => name.clone())
            .set(read.map_or(f64::NAN, |read| read.behind_events as f64));
        gauge!(LAG_SECONDS, "view" => name.clone())
            .set(read.map_or(f64::NAN, |read| read.behind_seconds));
        for (role, builds) in [("active", active), ("other", others)] {
            for state in LaneHealth::ALL {
                let lanes = builds.iter().flat_map(|build| &build.lanes);
                let count = lanes.filter(|lane| lane.state == state).count();
                gauge!(LANES, "view" => name.clone(), "build" => role, "state" => state.name())
                    .set(count as f64);
            }
        }
    }
}
