//! Locks that are held for nearly as long as a command has: who is told what, and by when.

use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::clock::instant;
use command_svc::execute::ExecuteError;
use command_svc::store::idempotency::IdempotencyKey;
use futures::future::{join, join_all};
use tokio_postgres::Client;

use crate::in_process::{as_one_group, commands, committed, new_products, reprice};
use crate::service::Service;

/// How long a lane is held.
const HELD: Duration = Duration::from_millis(1_700);
/// What a command has left that cannot see the end of it.
const SHORT: Duration = Duration::from_millis(1_300);
const AMPLE: Duration = Duration::from_secs(5);

fn key(name: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        principal: "p".to_owned(),
        key: name.to_owned(),
        fingerprint: vec![1],
    })
}

/// Lets go of the lanes once they were held for so long after somebody began to wait.
async fn release(service: &Service, other: Client) -> Result<()> {
    service.blocked_backend().await?;
    tokio::time::sleep_until(instant() + HELD).await;
    Ok(other.batch_execute("commit").await?)
}

#[tokio::test]
async fn the_deadline_of_one_member_is_not_that_of_its_group() -> Result<()> {
    let service = Service::start().await?;
    let commands = commands(&service, service.database_url(), 1).await?;
    let ids = new_products(&service, 6).await?;
    let other = service.hold("lane").await?;
    let changes = ids.iter().enumerate().map(|(number, id)| {
        let left = if number == 0 { SHORT } else { AMPLE };
        reprice(&commands, *id, left, None)
    });
    let told = as_one_group(&commands, changes, release(&service, other)).await?;
    for (number, told) in told.iter().enumerate() {
        match told {
            Err(ExecuteError::OutcomeUnknown(_)) if number == 0 => {}
            Ok(outcome) if number > 0 => ensure!(outcome.appended),
            other => anyhow::bail!("member {number} was told {other:?}"),
        }
    }
    let (changes, transactions) = committed(&service).await?;
    ensure!(changes == 6, "the group went on without its first member");
    ensure!(transactions == 1, "they were no group");
    service.stop().await
}

#[tokio::test]
async fn a_lane_that_is_held_too_long_leaves_no_outcome_unknown() -> Result<()> {
    let service = Service::start().await?;
    let commands = commands(&service, service.database_url(), 4).await?;
    let ids = new_products(&service, 2).await?;
    let other = service.hold("lane").await?;
    // Keyed commands go alone, each with its own transaction.
    let asked = [(ids[0], SHORT), (ids[1], AMPLE)]
        .map(|(id, left)| reprice(&commands, id, left, key(&id.0.to_string())));
    let (told, released) = join(join_all(asked), release(&service, other)).await;
    released?;
    ensure!(
        matches!(told[0], Err(ExecuteError::Busy(_))),
        "it was told {:?}",
        told[0]
    );
    ensure!(
        told[1].as_ref().is_ok_and(|outcome| outcome.appended),
        "{:?}",
        told[1]
    );
    let version = "select version from product where id = $1";
    let version: i64 = service.db.query_one(version, &[&ids[0].0]).await?.get(0);
    ensure!(
        version == 1,
        "it was committed, and its client told that it was not"
    );
    service.stop().await
}
