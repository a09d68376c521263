//! Options that services share, as groups for `#[command(flatten)]`: flag, variable and default.
//!
//! Secrets are `SecretString`, so no `Debug` output ever shows them. The development defaults of
//! the keys are public knowledge; `KeyArgs::check` says so in the log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};
use schemas::tidemark::{Keyring, KeyringError};
use secrecy::{ExposeSecret, SecretString};

use crate::auth::{ShortSecret, Verifier};

mod elasticsearch;
mod kafka;

pub use elasticsearch::{ElasticsearchAccessArgs, ElasticsearchArgs};
pub use kafka::{KafkaArgs, KafkaSecurityArgs, SaslMechanism, SecurityProtocol};

/// Signs tidemarks where `TIDEMARK_KEYS` is not set. Everybody knows it.
pub const DEVELOPMENT_TIDEMARK_KEYS: &str =
    "1:746964656d61726b2d646576656c6f706d656e742d6b65792d6e6f742d736563";
/// Signs bearer tokens where `JWT_SECRET` is not set. Everybody knows it.
pub const DEVELOPMENT_JWT_SECRET: &str = "tidemark-development-jwt-secret-not-secret";

#[derive(Debug, Clone, Args)]
pub struct HttpArgs {
    /// Address to listen on; port 0 takes any free one. The default is the service's own port on
    /// the loopback interface.
    #[arg(long, env = "BIND")]
    pub bind: Option<SocketAddr>,
    /// Threads that serve requests.
    #[arg(long, env = "HTTP_WORKERS", default_value_t = cores())]
    pub workers: usize,
    /// Seconds that requests under way have to end after a signal to stop.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 10)]
    pub drain_seconds: u64,
}

impl HttpArgs {
    /// The address asked for, else this port on loopback.
    pub fn address(&self, default_port: u16) -> SocketAddr {
        self.bind.unwrap_or(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            default_port,
        ))
    }
}

#[derive(Debug, Clone, Args)]
pub struct PostgresArgs {
    /// Where PostgreSQL is: postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// Connections at most; twice the cores unless told.
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value_t = 2 * cores())]
    pub pool_size: usize,
}

#[derive(Debug, Clone, Args)]
pub struct NamespaceArgs {
    /// Put before the name of every topic, index and consumer group, so that several Tidemarks
    /// can share servers.
    #[arg(long = "prefix", env = "TIDEMARK_PREFIX", default_value = "")]
    pub prefix: String,
}

#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Keys of the tidemarks as `id:hex,id:hex`, each of at least 32 bytes; the first signs, all
    /// are accepted.
    #[arg(
        long,
        env = "TIDEMARK_KEYS",
        default_value = DEVELOPMENT_TIDEMARK_KEYS,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub tidemark_keys: SecretString,
    /// Secret of the bearer tokens (HS256), of at least 32 bytes.
    #[arg(
        long,
        env = "JWT_SECRET",
        default_value = DEVELOPMENT_JWT_SECRET,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub jwt_secret: SecretString,
}

/// A key that signs is missing, cannot be read, or can be guessed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("read TIDEMARK_KEYS")]
    Tidemark(#[from] KeyringError),
    #[error("read JWT_SECRET")]
    Jwt(#[from] ShortSecret),
}

impl KeyArgs {
    pub fn keyring(&self) -> Result<Keyring, KeysError> {
        Ok(self.tidemark_keys.expose_secret().parse()?)
    }

    pub fn verifier(&self) -> Result<Verifier, KeysError> {
        Ok(Verifier::new(&self.jwt_secret)?)
    }

    /// Refuses unusable keys, and logs a warning for each key that everybody knows. Call once,
    /// after telemetry is up and before anybody is let in.
    pub fn check(&self) -> Result<(), KeysError> {
        self.keyring()?;
        self.verifier()?;
        if self.tidemark_keys.expose_secret() == DEVELOPMENT_TIDEMARK_KEYS {
            tracing::warn!(
                config.variable = "TIDEMARK_KEYS",
                "signing with the development key"
            );
        }
        if self.jwt_secret.expose_secret() == DEVELOPMENT_JWT_SECRET {
            tracing::warn!(
                config.variable = "JWT_SECRET",
                "accepting the development secret"
            );
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What to log, such as `info` or `info,command_svc=debug`.
    #[arg(long = "log", env = "RUST_LOG", default_value = "info")]
    pub filter: String,
    /// How to log.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Compact)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    Compact,
    /// One JSON object a line for collectors.
    Json,
}

/// The cores that this process may use.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Service {
        #[command(flatten)]
        http: HttpArgs,
        #[command(flatten)]
        postgres: PostgresArgs,
        #[command(flatten)]
        kafka: KafkaArgs,
        #[command(flatten)]
        elasticsearch: ElasticsearchArgs,
        #[command(flatten)]
        namespace: NamespaceArgs,
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        log: LogArgs,
    }

    fn service() -> Service {
        Service::parse_from([
            "service",
            "--bind=127.0.0.1:0",
            "--database-url=postgres://tidemark:hunter2@localhost/tidemark",
            "--jwt-secret=swordfish",
            "--kafka-sasl-password=mellon",
            "--elasticsearch-password=sesame",
            "--elasticsearch-api-key=shibboleth",
        ])
    }

    #[test]
    fn all_groups_fit_beside_each_other() {
        let service = service();
        assert_eq!(service.http.address(8081).port(), 0);
        assert_eq!(service.kafka.partitions, 8);
        assert_eq!(service.postgres.pool_size, 2 * cores());
    }

    #[test]
    fn no_secret_is_ever_printed() {
        let printed = format!("{:?}", service());
        for secret in ["hunter2", "swordfish", "mellon", "sesame", "shibboleth"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
