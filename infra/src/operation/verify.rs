//! Checking the invariant that everything else follows from: rows = fold(events) = documents.
//!
//! It may run while commands are executed: rows are compared in one snapshot, and each document at
//! the version at which it was found. One lane is in memory at a time.

use anyhow::{Context, Result};
use command_svc::verify::Verified;
use schemas::lane::Lane;
use serde::Serialize;
use testbed::namespace::Surroundings;
use tokio_postgres::Client;

use self::{documents::Scanned, lane::LaneCheck};
use super::connection::{self, Connection};

mod documents;
pub mod lane;

/// Something that is not what the events make of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `rows`, or the view.
    pub part: String,
    /// A stream, a lane or a document.
    pub of: String,
    pub what: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    pub events: u64,
    pub rows: u64,
    pub documents: u64,
    pub differences: u64,
}

/// How far a check is, in lanes.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub lanes: u64,
    pub of: u64,
}

/// Compares rows, events and the documents of every active build. Each difference is told as it is
/// found.
pub async fn verify(
    surroundings: &Surroundings,
    mut tell: impl FnMut(Difference),
    mut show: impl FnMut(Progress),
) -> Result<Checked> {
    let connection = Connection::open(surroundings).await?;
    let mut database = connection::database(surroundings).await?;
    let elasticsearch = documents::client(surroundings)?;
    let mut checked = rows(&mut database.client, &mut tell).await?;
    let of = Lane::all().len() as u64;
    for (lanes, lane) in (0..).zip(Lane::all()) {
        show(Progress { lanes, of });
        let found = Scanned::lane(&elasticsearch, &connection.tail, lane).await?;
        checked.documents += found.documents;
        checked.events += compare(&database.client, lane, found.checks, |difference| {
            checked.differences += 1;
            tell(difference);
        })
        .await?;
    }
    Ok(checked)
}

async fn rows(database: &mut Client, tell: &mut impl FnMut(Difference)) -> Result<Checked> {
    let tell_rows = |difference: command_svc::verify::Difference| {
        tell(Difference {
            part: "rows".to_owned(),
            of: difference.of,
            what: difference.what,
        });
    };
    let verified = command_svc::verify::rows(database, tell_rows).await;
    let Verified { rows, differences } = verified.context("comparing rows with their events")?;
    Ok(Checked {
        rows: rows.values().sum(),
        differences,
        ..Checked::default()
    })
}

/// Folds the events of a lane for every view at once; answers how many there were.
async fn compare(
    database: &Client,
    lane: Lane,
    mut checks: Vec<LaneCheck>,
    mut tell: impl FnMut(Difference),
) -> Result<u64> {
    let mut last = 0;
    loop {
        let page = documents::events(database, lane, last).await?;
        for envelope in &page.events {
            for check in &mut checks {
                check.take(envelope, &mut tell);
            }
            last = envelope.seq;
        }
        if let Some(unreadable) = page.unreadable {
            tell(Difference {
                part: "events".to_owned(),
                of: format!("lane-{lane}"),
                what: unreadable,
            });
            break;
        }
        if page.is_last {
            break;
        }
    }
    for check in checks {
        check.finish(&mut tell);
    }
    Ok(last)
}
