//! Bringing the schema up to date: by one process at a time, before any command is let in.

use chassis::postgres::code;
use refinery::error::Kind;
use tokio_postgres::Client;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock that stands for the schema; sessions hold it.
const SCHEMA: i64 = 0x7469_6465_7363_6865;

/// Classes of SQLSTATE that speak of the statement, not of the server.
const MISTAKES: [&str; 4] = ["0A", "22", "23", "42"];

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("lock the schema")]
    Lock(#[source] tokio_postgres::Error),
    #[error("migrate the schema")]
    Migrate(#[source] Box<refinery::Error>),
}

impl MigrationError {
    /// True where no waiting mends it: what is to be applied does not fit what is there. To
    /// refinery, a statement that fails is a failed connection.
    pub fn is_final(&self) -> bool {
        let Self::Migrate(error) = self else {
            return false;
        };
        match error.kind() {
            Kind::Connection(_, cause) => cause
                .downcast_ref::<tokio_postgres::Error>()
                .and_then(code)
                .is_some_and(|code| MISTAKES.contains(&&code[..2])),
            _ => true,
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

/// Under the lock.
pub async fn run(client: &mut Client) -> Result<(), MigrationError> {
    let migrated = embedded::migrations::runner().run_async(client).await;
    let report = migrated.map_err(|error| MigrationError::Migrate(Box::new(error)))?;
    for applied in report.applied_migrations() {
        tracing::info!(migration.name = %applied, "migrated");
    }
    Ok(())
}
