//! Upkeep while commands are served: is PostgreSQL there, is it still the same history, and away
//! with idempotency keys whose time is over.

use std::time::Duration;

use chassis::clock::Deadline;
use chassis::health::Probe;
use chassis::shutdown::Shutdown;
use chassis::telemetry::Chain;
use deadpool_postgres::PoolError;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::store::{Database, StoreError, idempotency};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While it was not there.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
const LOOK_BUDGET: Duration = Duration::from_secs(2);
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
const EXPIRE_BUDGET: Duration = Duration::from_secs(5);
/// Small, so that no lock is held for long.
const EXPIRE_AT_ONCE: i64 = 500;

/// Runs both as long as the process lives.
pub fn spawn(database: &Database, postgres: Probe, shutdown: &Shutdown) {
    let watch = watch_postgres(database.clone(), postgres, shutdown.token());
    shutdown.spawn("watch-postgres", watch);
    shutdown.spawn(
        "expire-keys",
        expire_keys(database.clone(), shutdown.token()),
    );
}

/// Tells health whether PostgreSQL answers, and ends when it has begun another history.
async fn watch_postgres(database: Database, probe: Probe, stop: CancellationToken) {
    let ended = database.history_ended();
    let mut pause = LOOK_AGAIN_AFTER;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = ended.cancelled() => {
                tracing::error!("the database holds another history than at the start: stopping");
                return;
            }
            () = tokio::time::sleep(pause) => {}
        }
        pause = match database.read_epoch(Deadline::within(LOOK_BUDGET)).await {
            Ok(found) if database.started_with().is_some_and(|epoch| epoch != found) => {
                database.end_of_history();
                LOOK_EVERY
            }
            Ok(_) => {
                probe.up();
                LOOK_EVERY
            }
            // All connections are at work: the pool is short, the server is there.
            Err(StoreError::Borrow(PoolError::Timeout(_))) => LOOK_EVERY,
            Err(error) => {
                probe.down(error.fault().name());
                LOOK_AGAIN_AFTER
            }
        }
    }
}

/// Removes idempotency keys after their time, in small batches; first right after the start.
async fn expire_keys(database: Database, stop: CancellationToken) {
    let mut pause = LOOK_AGAIN_AFTER;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        if database.started_with().is_none() {
            continue;
        }
        pause = match expire_some(&database).await {
            Ok(expired) if expired == EXPIRE_AT_ONCE.unsigned_abs() => LOOK_AGAIN_AFTER,
            Ok(_) => EXPIRE_EVERY,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "old idempotency keys stay for now");
                EXPIRE_EVERY
            }
        };
    }
}

async fn expire_some(database: &Database) -> Result<u64, StoreError> {
    let deadline = Deadline::within(EXPIRE_BUDGET);
    let tx = database.borrow_bare(deadline).await?;
    let expired = deadline.run(idempotency::expire(&tx, EXPIRE_AT_ONCE)).await;
    let expired = expired.unwrap_or(Err(StoreError::Deadline))?;
    metrics::expired_keys(expired);
    Ok(expired)
}
