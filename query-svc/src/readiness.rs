//! Whether this replica is to be asked at all: it has once read the watermark topic to its end, can
//! read what is there, and is not cut off from Kafka alone.
//!
//! Where Kafka is away from everybody all replicas are as good as each other, and the ladder
//! answers what it can. Only one that others have overtaken takes itself out.

use std::sync::Arc;
use std::time::Duration;

use chassis::health::Probe;
use chassis::watermark_tail::WatermarkTail;
use tokio_util::sync::CancellationToken;

use crate::config::{CUT_OFF_AFTER, READINESS_INTERVAL};
use crate::freshness::Ladder;

/// What is known of the way to the watermark topic.
#[derive(Debug, Clone)]
struct Footing {
    has_begun: bool,
    /// A client has shown a `G` that this replica has not read.
    is_overtaken: bool,
    silence: Duration,
    /// The key of a record of the topic that this release cannot read.
    unreadable: Option<String>,
}

/// Looks until told to stop.
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
        let footing = Footing {
            has_begun,
            is_overtaken: ladder.is_overtaken(),
            silence: tail.silence(),
            unreadable: tail.unreadable(),
        };
        match judge(&footing) {
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

fn judge(footing: &Footing) -> Result<(), String> {
    let reason = if !footing.has_begun {
        "the watermark topic has not been read to its end"
    } else if let Some(key) = &footing.unreadable {
        return Err(format!(
            "the record of the watermark topic under {key} is unreadable"
        ));
    } else if footing.is_overtaken && footing.silence >= CUT_OFF_AFTER {
        "other replicas hear from kafka, and this one does not"
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
    #[case::well(true, false, Duration::ZERO, true)]
    #[case::nobody_hears_anything(true, false, SILENT, true)]
    #[case::overtaken_for_a_moment(true, true, MOMENT, true)]
    #[case::cut_off_alone(true, true, SILENT, false)]
    fn only_a_replica_that_others_have_overtaken_takes_itself_out(
        #[case] has_begun: bool,
        #[case] is_overtaken: bool,
        #[case] silence: Duration,
        #[case] is_ready: bool,
    ) {
        let footing = Footing {
            has_begun,
            is_overtaken,
            silence,
            unreadable: None,
        };
        assert_eq!(judge(&footing).is_ok(), is_ready);
    }

    #[test]
    fn a_record_that_cannot_be_read_takes_it_out_and_is_named() {
        let footing = Footing {
            has_begun: true,
            is_overtaken: false,
            silence: Duration::ZERO,
            unreadable: Some("switch/products".to_owned()),
        };
        assert!(judge(&footing).is_err_and(|reason| reason.contains("switch/products")));
    }
}
