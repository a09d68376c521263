//! Session settings, faults as PostgreSQL reports them, and a pool that heals and never hangs.

use std::time::Duration;

use chassis::clock::{Deadline, instant};
use chassis::postgres::{
    self, Fault, PoolOptions, Session, Target, classify, connect_alone, get_within,
};
use chassis::telemetry::Chain;
use deadpool_postgres::Pool;
use deadpool_postgres::tokio_postgres::Error;
use secrecy::SecretString;
use tokio::runtime::Handle;

use crate::Corner;

fn pool(corner: &Corner, size: usize, session: Session) -> Pool {
    let url = SecretString::from(corner.namespace.database_url.as_str());
    let options = PoolOptions {
        size,
        application_name: "chassis-tests",
        session,
    };
    postgres::pool(&url, &options, &Handle::current()).unwrap()
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

async fn fault(statement: impl Future<Output = Result<(), Error>>) -> Fault {
    classify(&statement.await.unwrap_err())
}

#[tokio::test]
async fn a_writer_waits_two_seconds_for_a_lock() {
    let corner = Corner::take().await;
    let holder = get_within(&pool(&corner, 1, Session::Unlimited), soon())
        .await
        .unwrap();
    holder
        .batch_execute("create table thing (id int)")
        .await
        .unwrap();
    holder.batch_execute("begin; lock thing").await.unwrap();
    let pool = pool(&corner, 1, Session::Writer);
    let waiter = get_within(&pool, soon()).await.unwrap();
    let started = instant();
    assert_eq!(
        fault(waiter.batch_execute("select from thing")).await,
        Fault::LockTimeout
    );
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let corner = Corner::take().await;
    let pool = pool(&corner, 1, Session::Reader);
    let reader = get_within(&pool, soon()).await.unwrap();
    assert_eq!(
        fault(reader.batch_execute("create table thing ()")).await,
        Fault::Other
    );
    let timeout: String = reader
        .query_one("show statement_timeout", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(timeout, "5s");
}

#[tokio::test]
async fn faults_are_told_apart() {
    let corner = Corner::take().await;
    let pool = pool(&corner, 2, Session::Writer);
    let client = get_within(&pool, soon()).await.unwrap();
    client
        .batch_execute("create table thing (id int primary key)")
        .await
        .unwrap();
    let twice = client.batch_execute("insert into thing values (1), (1)");
    assert_eq!(fault(twice).await, Fault::UniqueViolation);
    let slow = client.batch_execute("set statement_timeout = 10; select pg_sleep(1)");
    assert_eq!(fault(slow).await, Fault::Timeout);
    assert_eq!(fault(client.batch_execute("selct")).await, Fault::Other);
    let killed = client.batch_execute("select pg_terminate_backend(pg_backend_pid())");
    assert_eq!(fault(killed).await, Fault::ConnectionLost);
    assert_eq!(
        fault(client.batch_execute("select 1")).await,
        Fault::ConnectionLost
    );
}

#[tokio::test]
async fn the_pool_replaces_connections_that_died_while_idle() {
    let corner = Corner::take().await;
    let pool = pool(&corner, 2, Session::Writer);
    let victim = get_within(&pool, soon()).await.unwrap();
    let pid: i32 = victim
        .query_one("select pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let killer = get_within(&pool, soon()).await.unwrap();
    drop(victim);
    let kill = "select pg_terminate_backend($1, 5000)";
    killer.query_one(kill, &[&pid]).await.unwrap();
    let borrowed = get_within(&pool, soon()).await.unwrap();
    borrowed.query_one("select 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_wait_for_a_connection_ends_with_the_deadline() {
    let corner = Corner::take().await;
    let pool = pool(&corner, 1, Session::Writer);
    let _held = get_within(&pool, soon()).await.unwrap();
    let started = instant();
    let error = get_within(&pool, Deadline::within(Duration::from_millis(50)))
        .await
        .unwrap_err();
    assert_eq!(Fault::from(&error), Fault::Timeout);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_connection_alone_ends_when_it_is_dropped() {
    let corner = Corner::take().await;
    let url = SecretString::from(corner.namespace.database_url.as_str());
    let target = Target::new(&url, "chassis-alone", Session::Unlimited).unwrap();
    let alone = connect_alone(&target, &Handle::current()).await.unwrap();
    let lock = "select pg_advisory_lock(7)";
    alone.client.batch_execute(lock).await.unwrap();
    assert!(!alone.is_closed());
    drop(alone);
    let pool = pool(&corner, 1, Session::Unlimited);
    let other = get_within(&pool, soon()).await.unwrap();
    soon()
        .run(other.batch_execute(lock))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_a_lost_connection() {
    let url = SecretString::from("postgres://nobody@127.0.0.1:1/nothing");
    let target = Target::new(&url, "chassis-tests", Session::Reader).unwrap();
    let error = connect_alone(&target, &Handle::current())
        .await
        .unwrap_err();
    assert_eq!(classify(&error), Fault::ConnectionLost);
}

#[tokio::test]
async fn a_server_without_tls_is_not_taken_where_it_must_be_verified() {
    let corner = Corner::take().await;
    let url = format!("{}?sslmode=verify-full", corner.namespace.database_url);
    let target = Target::new(&url.into(), "chassis-tests", Session::Reader).unwrap();
    let error = connect_alone(&target, &Handle::current())
        .await
        .unwrap_err();
    let told = Chain(&error).to_string();
    assert!(told.contains("server does not support TLS"), "{told}");
    assert_eq!(classify(&error), Fault::ConnectionLost);
}
