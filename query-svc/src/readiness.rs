//! Readiness: this replica has read the watermark topic to its end once, can parse its records, and
//! is not the only one cut off from Kafka.
//!
//! If Kafka is down for all replicas, each stays ready and the ladder answers what it can. Only a
//! replica that others have overtaken becomes unready.

use std::sync::Arc;
use std::time::Duration;

use chassis::health::Probe;
use chassis::watermark_tail::WatermarkTail;
use tokio_util::sync::CancellationToken;

use crate::config::{CUT_OFF_AFTER, READINESS_INTERVAL};
use crate::freshness::Ladder;

/// What readiness depends on.
#[derive(Debug, Clone)]
struct ReplicaState {
    has_begun: bool,
    /// A client has presented a `G` that this replica has not read.
    is_overtaken: bool,
    silence: Duration,
    /// The key of a record that this release cannot parse.
    unreadable: Option<String>,
}

/// Updates the probe until the process stops.
pub(crate) async fn watch(
    ladder: Arc<Ladder>,
    tail: WatermarkTail,
    probe: Probe,
    stop: CancellationToken,
) {
    let mut changes = tail.changes();
    let mut ticks = tokio::time::interval(READINESS_INTERVAL);
    let mut has_begun = false;
    loop {
        has_begun |= tail.has_reached_end();
        let replica = ReplicaState {
            has_begun,
            is_overtaken: ladder.is_overtaken(),
            silence: tail.silence(),
            unreadable: tail.unreadable(),
        };
        match judge(&replica) {
            Ok(()) => probe.up(),
            Err(reason) => probe.down(reason),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            changed = changes.changed(), if !has_begun => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

fn judge(replica: &ReplicaState) -> Result<(), String> {
    let reason = if !replica.has_begun {
        "the watermark topic has not been read to its end"
    } else if let Some(key) = &replica.unreadable {
        return Err(format!(
            "the record of the watermark topic with the key {key} cannot be parsed"
        ));
    } else if replica.is_overtaken && replica.silence >= CUT_OFF_AFTER {
        "other replicas receive records from kafka, and this one does not"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SILENT: Duration = CUT_OFF_AFTER;
    const MOMENT: Duration = Duration::from_secs(9);

    #[rstest]
    #[case::starting(false, false, Duration::ZERO, false)]
    #[case::reading(true, false, Duration::ZERO, true)]
    #[case::kafka_is_down(true, false, SILENT, true)]
    #[case::overtaken_for_a_moment(true, true, MOMENT, true)]
    #[case::cut_off_alone(true, true, SILENT, false)]
    fn only_a_replica_that_others_have_overtaken_becomes_unready(
        #[case] has_begun: bool,
        #[case] is_overtaken: bool,
        #[case] silence: Duration,
        #[case] is_ready: bool,
    ) {
        let replica = ReplicaState {
            has_begun,
            is_overtaken,
            silence,
            unreadable: None,
        };
        assert_eq!(judge(&replica).is_ok(), is_ready);
    }

    #[test]
    fn a_record_that_cannot_be_parsed_makes_it_unready_and_is_named() {
        let replica = ReplicaState {
            has_begun: true,
            is_overtaken: false,
            silence: Duration::ZERO,
            unreadable: Some("switch/products".to_owned()),
        };
        assert!(judge(&replica).is_err_and(|reason| reason.contains("switch/products")));
    }
}
