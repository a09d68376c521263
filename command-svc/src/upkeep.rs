//! Background tasks while commands are served: watch whether PostgreSQL answers and still holds the
//! same history, and remove old idempotency keys.

use chassis::clock::Deadline;
use chassis::health::Probe;
use chassis::shutdown::Shutdown;
use chassis::telemetry::Chain;
use deadpool_postgres::PoolError;
use tokio_util::sync::CancellationToken;

use crate::config::{
    KEY_EXPIRY_INTERVAL, KEY_EXPIRY_TIMEOUT, MAX_EXPIRED_KEYS, PING_INTERVAL, PING_RETRY_INTERVAL,
    PING_TIMEOUT,
};
use crate::metrics;
use crate::store::{Database, StoreError, idempotency};

/// Runs both as long as the process lives.
pub fn spawn(database: &Database, postgres: Probe, shutdown: &Shutdown) {
    let watch = watch_postgres(database.clone(), postgres, shutdown.token());
    shutdown.spawn("watch-postgres", watch);
    shutdown.spawn(
        "expire-keys",
        expire_keys(database.clone(), shutdown.token()),
    );
}

/// Reports to health whether PostgreSQL answers, and ends when it holds another history.
async fn watch_postgres(database: Database, probe: Probe, stop: CancellationToken) {
    let ended = database.history_ended();
    let mut pause = PING_RETRY_INTERVAL;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = ended.cancelled() => {
                tracing::error!("the database holds another history than at the start: stopping");
                return;
            }
            () = tokio::time::sleep(pause) => {}
        }
        pause = match database.read_epoch(Deadline::within(PING_TIMEOUT)).await {
            Ok(found) if database.started_with().is_some_and(|epoch| epoch != found) => {
                database.end_of_history();
                PING_INTERVAL
            }
            Ok(_) => {
                probe.up();
                PING_INTERVAL
            }
            // All connections are at work: the pool is short, the server is there.
            Err(StoreError::Borrow(PoolError::Timeout(_))) => PING_INTERVAL,
            Err(error) => {
                probe.down(error.fault().name());
                PING_RETRY_INTERVAL
            }
        }
    }
}

/// Removes idempotency keys after their time, in small batches; first right after the start.
async fn expire_keys(database: Database, stop: CancellationToken) {
    let mut pause = PING_RETRY_INTERVAL;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        if database.started_with().is_none() {
            continue;
        }
        pause = match expire_some(&database).await {
            Ok(expired) if expired == MAX_EXPIRED_KEYS.unsigned_abs() => PING_RETRY_INTERVAL,
            Ok(_) => KEY_EXPIRY_INTERVAL,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "failed to remove old idempotency keys");
                KEY_EXPIRY_INTERVAL
            }
        };
    }
}

async fn expire_some(database: &Database) -> Result<u64, StoreError> {
    let deadline = Deadline::within(KEY_EXPIRY_TIMEOUT);
    let tx = database.borrow_bare(deadline).await?;
    let expired = deadline
        .run(idempotency::expire(&tx, MAX_EXPIRED_KEYS))
        .await;
    let expired = expired.unwrap_or(Err(StoreError::Deadline))?;
    metrics::expired_keys(expired);
    Ok(expired)
}
