//! Filling subject by subject comes to the same documents as following the log.

use std::sync::Arc;

use schemas::lane::Seq;
use schemas::view::View;
use serde_json::Value;

use super::*;
use crate::cache::BuildId;
use crate::project::Content;
use crate::project::samples::{LAMP, created, price, renamed};

fn target() -> Target {
    let build = BuildId {
        view: View::Products,
        number: 1,
    };
    Target {
        build,
        index: Arc::from("products-b1"),
    }
}

fn broadcasts(entries: &[LogEntry]) -> Broadcasts {
    let mut broadcasts = Broadcasts::default();
    for entry in entries {
        if let Content::Event(envelope) = &entry.content {
            broadcasts.push(View::Products, envelope);
        }
    }
    broadcasts
}

/// The documents written, and where the lane stands still.
fn filled(of_subject: &[LogEntry], of_lane: &[LogEntry]) -> (Vec<Value>, Option<Seq>) {
    let target = target();
    let mut subjects = Subjects::new(&target, broadcasts(of_lane));
    for entry in of_subject {
        subjects.take(entry, LAMP);
    }
    subjects.end_subject();
    let body = subjects.bulk.body_for_tests();
    let documents = body.lines().skip(1).step_by(2);
    let documents = documents.map(|line| serde_json::from_str(line).unwrap());
    let stopped = subjects.stopped.as_ref().map(Stopped::seq);
    (documents.collect(), stopped)
}

#[test]
fn broadcasts_are_merged_in_by_seq() {
    let log = [
        renamed(1, "Early"),
        renamed(4, "Middle"),
        renamed(7, "Late"),
    ];
    let (documents, stopped) = filled(&[created(3), price(5, 500)], &log);
    assert_eq!(stopped, None);
    assert_eq!(documents.len(), 1, "each document is written once");
    assert_eq!(documents[0]["categories"][0]["name"], "Late");
    assert_eq!(documents[0]["price"]["amount"], 500);
    assert_eq!(documents[0]["seq"], 7);
}

#[test]
fn a_broadcast_before_the_first_event_does_not_concern_it() {
    let (documents, _) = filled(&[created(3)], &[renamed(1, "Early")]);
    assert_eq!(documents[0]["categories"][0]["name"], "Lights");
    assert_eq!(documents[0]["seq"], 3);
}

#[test]
fn a_subject_that_cannot_be_folded_any_further_keeps_what_was_before() {
    let log = [renamed(4, "Middle"), renamed(9, "Late")];
    let (documents, stopped) = filled(&[created(3), created(6), price(7, 700)], &log);
    assert_eq!(stopped, Some(6));
    assert_eq!(documents[0]["categories"][0]["name"], "Middle");
    assert_eq!(documents[0]["seq"], 4);
}

#[test]
fn a_subject_that_was_never_created_is_no_document() {
    let (documents, stopped) = filled(&[price(3, 1)], &[]);
    assert_eq!((documents.len(), stopped), (0, Some(3)));
}
