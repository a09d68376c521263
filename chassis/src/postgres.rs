//! PostgreSQL: the way there, the pool with its limits, the session settings, and what an SQLSTATE
//! means.
//!
//! Connections live on one shared multi-thread runtime, never on the HTTP worker that happened to
//! open them: that worker may be busy, and others share its connections.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, Config as ClientConfig};
use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Metrics, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType, Timeouts,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use crate::clock::Deadline;

mod connect;
mod encryption;
mod fault;

pub use connect::{OwnedConnection, connect_alone};
pub use encryption::EncryptionError;
pub use fault::{Fault, classify, code};

pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
pub const LIFETIME: Duration = Duration::from_secs(1_800);
/// A connection used within this time is lent again without being asked whether it lives.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What a session may take, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Commands: waits for locks 2 s, idles in a transaction 2 s, takes 10 s in all.
    Writer,
    /// Queries: read-only, each statement within 5 s.
    Reader,
    /// Migrations, the relay and tools, which may take their time.
    Unlimited,
}

impl Session {
    /// Start-up options of the connection.
    pub fn options(self) -> &'static str {
        match self {
            Self::Writer => {
                "-c lock_timeout=2000 -c idle_in_transaction_session_timeout=2000 \
                 -c transaction_timeout=10000"
            }
            Self::Reader => {
                "-c default_transaction_read_only=on -c statement_timeout=5000 \
                 -c idle_in_transaction_session_timeout=2000"
            }
            Self::Unlimited => "-c idle_in_transaction_session_timeout=60000",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("read the database url")]
    Url(#[source] tokio_postgres::Error),
    #[error("read how the connection to postgres is encrypted")]
    Encryption(#[from] EncryptionError),
    #[error("build the connection pool")]
    Build(#[source] deadpool_postgres::BuildError),
}

/// How a service uses PostgreSQL.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// Connections at most; `PostgresArgs::pool_size`.
    pub size: usize,
    /// Shown in `pg_stat_activity`, and the label of the pool's metrics.
    pub application_name: &'static str,
    pub session: Session,
}

/// Where PostgreSQL is, how the way there is protected, and what every session of ours begins with.
#[derive(Clone)]
pub struct Target {
    pub config: ClientConfig,
    encryption: encryption::Encryption,
}

impl Target {
    /// Reads the URL, with libpq's `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
    pub fn new(
        url: &SecretString,
        application_name: &str,
        session: Session,
    ) -> Result<Self, SetupError> {
        let (mut config, encryption) = encryption::parse(url.expose_secret())?;
        let options = match config.get_options() {
            Some(given) => format!("{} {given}", session.options()),
            None => session.options().to_owned(),
        };
        config
            .application_name(application_name)
            .options(options)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(15));
        Ok(Self { config, encryption })
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The pool, of connections to a primary. Opens nothing yet; keeps its gauges and drops idle connections on the runtime given.
pub fn pool(
    url: &SecretString,
    options: &PoolOptions,
    runtime: &Handle,
) -> Result<Pool, SetupError> {
    let Target { config, encryption } =
        Target::new(url, options.application_name, options.session)?;
    let manager = Manager::from_connect(
        config,
        connect::OnRuntime::new(runtime.clone(), encryption),
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let pool = Pool::builder(manager)
        .max_size(options.size.max(1))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .post_create(Hook::async_fn(|client, _| Box::pin(refuse_standby(client))))
        .pre_recycle(Hook::async_fn(|client, metrics| {
            Box::pin(validate(client, metrics))
        }))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(SetupError::Build)?;
    runtime.spawn(watch(pool.weak(), options.application_name));
    Ok(pool)
}

/// A standby may lag or belong to an abandoned history, so nothing is taken from it. A primary becomes
/// one only by a restart, which ends its connections.
async fn refuse_standby(client: &deadpool_postgres::ClientWrapper) -> Result<(), HookError> {
    let asked = client.query_one("select pg_is_in_recovery()", &[]).await;
    let is_standby = asked.and_then(|row| row.try_get(0));
    if is_standby.map_err(HookError::Backend)? {
        return Err(HookError::message(
            "a standby answers instead of the primary",
        ));
    }
    Ok(())
}

/// True where a connection was refused because a standby answered.
pub fn is_standby(error: &PoolError) -> bool {
    matches!(error, PoolError::PostCreateHook(HookError::Message(_)))
}

/// Refuses a connection that is too old or does not answer; the pool then takes another.
async fn validate(
    client: &deadpool_postgres::ClientWrapper,
    metrics: &Metrics,
) -> Result<(), HookError> {
    if !is_fresh(metrics) {
        return Err(HookError::message("the connection is past its time"));
    }
    if metrics.last_used() > TRUSTED_FOR {
        client.simple_query("").await.map_err(HookError::Backend)?;
    }
    Ok(())
}

fn is_fresh(metrics: &Metrics) -> bool {
    metrics.age() < LIFETIME && metrics.last_used() < IDLE_TIMEOUT
}

/// Ends with the pool.
async fn watch(pool: deadpool_postgres::WeakPool, name: &'static str) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.retain(|_, metrics| is_fresh(&metrics));
        let status = pool.status();
        let gauges = [
            ("tidemark_postgres_pool_max_size", status.max_size),
            ("tidemark_postgres_pool_size", status.size),
            ("tidemark_postgres_pool_available", status.available),
            ("tidemark_postgres_pool_waiting", status.waiting),
        ];
        for (gauge, value) in gauges {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 connections")]
            metrics::gauge!(gauge, "pool" => name).set(value as f64);
        }
    }
}

/// Borrows a connection, or gives up with the request's deadline.
pub async fn get_within(pool: &Pool, deadline: Deadline) -> Result<Client, PoolError> {
    let left = deadline.remaining();
    let timeouts = Timeouts {
        wait: Some(left),
        create: Some(left.min(CONNECT_TIMEOUT)),
        recycle: Some(left.min(CONNECT_TIMEOUT)),
    };
    let borrowed = deadline.run(pool.timeout_get(&timeouts)).await;
    let borrowed = borrowed.unwrap_or(Err(PoolError::Timeout(TimeoutType::Wait)));
    if let Err(PoolError::Timeout(timeout)) = &borrowed {
        let step = match timeout {
            TimeoutType::Wait => "wait",
            TimeoutType::Create => "create",
            TimeoutType::Recycle => "recycle",
        };
        metrics::counter!("tidemark_postgres_pool_timeouts_total", "step" => step).increment(1);
    }
    borrowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn session_settings_come_before_those_of_the_url() {
        let url = url("postgres://a:b@localhost/c?options=-c%20lock_timeout%3D7");
        let target = Target::new(&url, "test", Session::Writer).unwrap();
        let options = target.config.get_options().unwrap();
        assert!(options.starts_with("-c lock_timeout=2000"), "{options}");
        assert!(options.ends_with("-c lock_timeout=7"), "{options}");
    }

    #[tokio::test]
    async fn a_wait_never_outlives_the_deadline() {
        let unreachable = url("postgres://a:b@192.0.2.1/c");
        let options = PoolOptions {
            size: 1,
            application_name: "test",
            session: Session::Reader,
        };
        let pool = pool(&unreachable, &options, &Handle::current()).unwrap();
        let started = crate::clock::instant();
        let borrowed = get_within(&pool, Deadline::within(Duration::from_millis(50))).await;
        assert!(borrowed.is_err());
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
