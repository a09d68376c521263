//! Migrates the schema: one process at a time, before any command is accepted.

use chassis::postgres::code;
use refinery::error::Kind;
use refinery::{Migration, Runner};
use tokio_postgres::Client;

use super::text_keys;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock of the schema; sessions hold it.
const SCHEMA: i64 = 0x7469_6465_7363_6865;

/// Classes of SQLSTATE that speak of the statement, not of the server.
const MISTAKES: [&str; 4] = ["0A", "22", "23", "42"];

/// Earlier forms of migrations, version and checksum, that left the same schema.
const FORMER: [(i32, u64); 1] = [(3, 6_886_866_861_571_840_527)];

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("lock the schema")]
    Lock(#[source] tokio_postgres::Error),
    #[error("read which migrations were applied")]
    History(#[source] tokio_postgres::Error),
    #[error("migrate the schema")]
    Migrate(#[source] Box<refinery::Error>),
    #[error("add the missing keys of texts")]
    Keys(#[source] tokio_postgres::Error),
    #[error("the database was migrated with another {0} than the one of this release")]
    Changed(Migration),
    #[error("the database has migrations after {0} and lacks that one")]
    PassedOver(Migration),
}

impl MigrationError {
    /// True where trying again cannot help: what is to be applied does not fit what is there. To
    /// refinery, a statement that fails is a failed connection.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Lock(_) | Self::History(_) | Self::Keys(_) => false,
            Self::Changed(_) | Self::PassedOver(_) => true,
            Self::Migrate(error) => match error.kind() {
                Kind::Connection(_, cause) => cause
                    .downcast_ref::<tokio_postgres::Error>()
                    .and_then(code)
                    .is_some_and(|code| MISTAKES.contains(&&code[..2])),
                _ => true,
            },
        }
    }
}

/// Waits for other processes that migrate. Held until the connection ends.
pub async fn lock(client: &Client) -> Result<(), MigrationError> {
    client
        .execute("select pg_advisory_lock($1)", &[&SCHEMA])
        .await
        .map(|_| ())
        .map_err(MigrationError::Lock)
}

/// Under the lock: the schema, and what of its rows no SQL can compute.
pub async fn run(client: &mut Client) -> Result<(), MigrationError> {
    migrate(client).await?;
    text_keys::complete(client)
        .await
        .map_err(MigrationError::Keys)
}

/// Migrations that only a later release knows are left alone: they only ever add, so that a release
/// can be taken back.
async fn migrate(client: &mut Client) -> Result<(), MigrationError> {
    let failed = |error| MigrationError::Migrate(Box::new(error));
    let known = embedded::migrations::runner().get_migrations().clone();
    let mut applied = Vec::new();
    if has_history(client).await? {
        let reading = Runner::new(&known);
        let read = reading.get_applied_migrations_async(client).await;
        applied = read.map_err(failed)?;
    }
    let former = check(&known, &applied)?;
    if known.iter().all(|own| find(&applied, own).is_some()) {
        return Ok(());
    }
    let known: Vec<Migration> = known
        .into_iter()
        .filter(|own| !former.contains(&own.version()))
        .collect();
    let runner = Runner::new(&known).set_abort_missing(false);
    let report = runner.run_async(client).await.map_err(failed)?;
    for applied in report.applied_migrations() {
        tracing::info!(migration.name = %applied, "migrated");
    }
    Ok(())
}

async fn has_history(client: &Client) -> Result<bool, MigrationError> {
    let asked = "select to_regclass('refinery_schema_history') is not null";
    let row = client.query_one(asked, &[]).await;
    row.and_then(|row| row.try_get(0))
        .map_err(MigrationError::History)
}

/// Compares what this release knows with what the database has. Answers the versions of those that
/// were applied in an earlier form.
fn check(known: &[Migration], applied: &[Migration]) -> Result<Vec<i32>, MigrationError> {
    let last = applied.iter().map(Migration::version).max();
    let mut former = Vec::new();
    for own in known {
        match find(applied, own) {
            Some(found) if found == own => {}
            Some(found) if FORMER.contains(&(found.version(), found.checksum())) => {
                former.push(found.version());
            }
            Some(found) => return Err(MigrationError::Changed(found.clone())),
            None if last.is_some_and(|last| last > own.version()) => {
                return Err(MigrationError::PassedOver(own.clone()));
            }
            None => {}
        }
    }
    Ok(former)
}

fn find<'a>(applied: &'a [Migration], own: &Migration) -> Option<&'a Migration> {
    applied
        .iter()
        .find(|applied| applied.version() == own.version())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Databases were migrated with these. A changed one keeps every process from starting, so add
    /// a migration instead.
    const FROZEN: [(i32, u64); 6] = [
        (1, 11_752_107_614_244_531_490),
        (2, 11_787_932_696_541_039_480),
        (3, 8_262_588_878_606_390_080),
        (5, 5_616_996_917_639_661_591),
        (7, 1_835_836_850_360_329_328),
        (8, 15_616_104_296_741_608_699),
    ];

    #[test]
    fn migrations_that_were_released_never_change() {
        let known = embedded::migrations::runner().get_migrations().clone();
        let checksums: Vec<(i32, u64)> = known
            .iter()
            .filter(|own| FROZEN.iter().any(|(version, _)| *version == own.version()))
            .map(|own| (own.version(), own.checksum()))
            .collect();
        assert_eq!(checksums, FROZEN);
    }
}
