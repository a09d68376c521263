//! What starting does with a schema: by whom it may be migrated, and what it may find there.

use anyhow::{Result, ensure};
use command_svc::store::migration::{self, MigrationError};
use tokio_postgres::{Config, NoTls};

use crate::log::Log;
use crate::service::Service;

const HISTORY: &str = "refinery_schema_history";
const V1: &str = include_str!("../../migrations/V1__log.sql");
const V2: &str = include_str!("../../migrations/V2__catalogue.sql");
const V3: &str = include_str!("../../migrations/V3__reader.sql");
/// Checksum of the form that asked for CREATEROLE each time.
const EARLIER_V3: &str = "6886866861571840527";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_create_roles_migrates_where_the_reader_is_there() -> Result<()> {
    // Makes the reader, where this is the server's first database.
    let log = Log::create().await?;
    let owner = format!("owner_{}", log.namespace.database);
    let schema = format!(
        "drop schema public cascade; create role {owner} login password 'p' nocreaterole;
        create schema public authorization {owner}"
    );
    log.db.batch_execute(&schema).await?;
    let mut config: Config = log.namespace.database_url.parse()?;
    config.user(&owner).password("p");
    let migrated = async {
        let (mut client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        migration::run(&mut client).await?;
        let may_read = "select has_table_privilege('tidemark_reader', 'event', 'select')";
        let may_read: bool = client.query_one(may_read, &[]).await?.get(0);
        ensure!(may_read, "the reader cannot read the log");
        Ok(())
    };
    let migrated = migrated.await;
    let cleaning = format!("drop schema public cascade; drop role {owner}");
    log.db.batch_execute(&cleaning).await?;
    migrated
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_taken_back_goes_on_with_the_schema_of_the_later_one() -> Result<()> {
    let mut service = Service::start().await?;
    let later = format!(
        "alter table product add column later text;
        insert into {HISTORY} (version, name, applied_on, checksum)
        select 999, 'later', applied_on, '1' from {HISTORY} where version = 1"
    );
    service.db.batch_execute(&later).await?;
    service.kill().await?;
    service.restart().await?;
    service
        .new_product("L-1", serde_json::json!({"inventory": 1}))
        .await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_was_changed_is_named_and_ends_the_process() -> Result<()> {
    let mut log = Log::create().await?;
    let changed = format!("update {HISTORY} set checksum = '7' where version = 2");
    log.db.batch_execute(&changed).await?;
    let refused = migration::run(&mut log.db).await;
    let error = refused.expect_err("another V2 was applied");
    ensure!(error.is_final(), "no waiting mends it: {error}");
    ensure!(error.to_string().contains("V2__catalogue"), "{error}");

    let found = format!(
        "create table {HISTORY} (version int4 primary key, name varchar(255),
            applied_on varchar(255), checksum varchar(255));
        insert into {HISTORY} values (1, 'log', '2026-01-01T00:00:00Z', '7')"
    );
    ensure!(!Service::ends_with(&found).await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_was_passed_over_is_not_left_out_silently() -> Result<()> {
    let mut log = Log::create().await?;
    let passed_over = format!("delete from {HISTORY} where version = 2");
    log.db.batch_execute(&passed_over).await?;
    let refused = migration::run(&mut log.db).await;
    ensure!(
        matches!(&refused, Err(error @ MigrationError::PassedOver(_)) if error.is_final()),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_the_earlier_form_of_the_reader_is_migrated_further() -> Result<()> {
    let (current, mut earlier) = (Log::create().await?, Log::create().await?);
    let released = format!("select applied_on, checksum from {HISTORY} where version in (1, 2)");
    let released = current.db.query(&released, &[]).await?;
    let text = |row: usize, column: usize| released[row].get::<_, String>(column);
    let found = format!(
        "drop schema public cascade; create schema public; {V1} {V2} {V3}
        create table {HISTORY} (version int4 primary key, name varchar(255),
            applied_on varchar(255), checksum varchar(255));
        insert into {HISTORY} values (1, 'log', '{0}', '{1}'), (2, 'catalogue', '{0}', '{2}'),
            (3, 'reader', '{0}', '{EARLIER_V3}')",
        text(0, 0),
        text(0, 1),
        text(1, 1),
    );
    earlier.db.batch_execute(&found).await?;
    for _ in 0..2 {
        migration::run(&mut earlier.db).await?;
    }
    let versions = format!("select array_agg(version order by version) from {HISTORY}");
    let versions_of = async |log: &Log| -> Result<Vec<i32>> {
        Ok(log.db.query_one(&versions, &[]).await?.get(0))
    };
    ensure!(versions_of(&earlier).await? == versions_of(&current).await?);
    let kept = format!("select checksum from {HISTORY} where version = 3");
    let kept: String = earlier.db.query_one(&kept, &[]).await?.get(0);
    ensure!(
        kept == EARLIER_V3,
        "a release that was taken back would not start any more"
    );
    Ok(())
}
