//! PostgreSQL: durable as in production (fsync on), roomy enough for many tests at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio_postgres::{NoTls, error::SqlState};

use super::{Server, Site, launch::Launch};
use crate::{endpoints::Endpoints, user};

/// Kept in step with `docker/compose.yaml`; a test compares them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("max_connections", "300"),
    ("shared_buffers", "256MB"),
    ("max_prepared_transactions", "0"),
    ("wal_compression", "on"),
    ("checkpoint_timeout", "15min"),
    ("max_wal_size", "2GB"),
];

pub(super) async fn prepare(site: &Site) -> Result<Launch> {
    let data = site.data(Server::Postgres);
    user::create_dir_for(site.user, &data)?;
    let cluster = data.join("cluster");
    let programs = site.artifacts.postgres.join("bin");
    if !cluster.join("PG_VERSION").is_file() {
        let initdb = Launch::new(programs.join("initdb"), data)
            .arg("--pgdata")
            .arg(&cluster)
            .arg("--username=postgres")
            .arg("--encoding=UTF8")
            .arg("--locale-provider=builtin")
            .arg("--locale=C.UTF-8")
            .arg("--no-sync");
        let initdb = match &site.security {
            None => initdb.arg("--auth=trust"),
            Some(security) => {
                let password = security.password.as_bytes();
                let file = site.write_secret(Server::Postgres, "password", password)?;
                initdb.arg("--auth=scram-sha-256").arg("--pwfile").arg(file)
            }
        };
        initdb.run_to_end(site, Server::Postgres).await?;
    }
    remove_pid_file(&cluster)?;
    let mut launch = Launch::new(programs.join("postgres"), site.data(Server::Postgres))
        .on_orphaned(Signal::SIGQUIT)
        .arg("-D")
        .arg(&cluster);
    let port = site.ports.postgres.to_string();
    // Shared memory in files of the data folder: nothing of a killed server stays elsewhere.
    let here = [
        ("port", port.as_str()),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("dynamic_shared_memory_type", "mmap"),
    ];
    for (name, value) in SETTINGS.iter().chain(&here) {
        launch = launch.arg("-c").arg(format!("{name}={value}"));
    }
    for (name, file) in secured(site)? {
        launch = launch.arg("-c").arg(format!("{name}={}", file.display()));
    }
    Ok(launch)
}

/// The supervisor has seen to it that no PostgreSQL of this folder lives. The pid that a killed one
/// left may be another process's by now, and PostgreSQL would not start beside that.
fn remove_pid_file(cluster: &Path) -> Result<()> {
    match fs::remove_file(cluster.join("postmaster.pid")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.context("removing the pid file of an earlier PostgreSQL"),
    }
}

/// Over TLS only, with a password and a certificate of the authority.
const ONLY_OVER_TLS: &str = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";

fn secured(site: &Site) -> Result<Vec<(&'static str, PathBuf)>> {
    let Some(security) = &site.security else {
        return Ok(Vec::new());
    };
    let secret = |from, name| site.secret(Server::Postgres, from, name);
    let rules = ONLY_OVER_TLS.as_bytes();
    Ok(vec![
        ("ssl", PathBuf::from("on")),
        ("ssl_ca_file", secret(&security.ca_file, "ca.pem")?),
        (
            "ssl_cert_file",
            secret(&security.server_certificate_file, "server.pem")?,
        ),
        (
            "ssl_key_file",
            secret(&security.server_key_file, "server.key")?,
        ),
        (
            "hba_file",
            site.write_secret(Server::Postgres, "pg_hba.conf", rules)?,
        ),
    ])
}

/// Asks for a small thing. A server that lets nobody in without TLS says so once it is up.
pub(super) async fn check(endpoints: &Endpoints) -> Result<()> {
    let parts = endpoints.postgres.split_once('?');
    let address = parts.map_or(endpoints.postgres.as_str(), |(address, _)| address);
    let (client, connection) = match tokio_postgres::connect(address, NoTls).await {
        Err(error) if endpoints.security.is_some() && asks_for_tls(&error) => return Ok(()),
        connected => connected.context("connecting to PostgreSQL")?,
    };
    let connection = tokio::spawn(connection);
    let answer = client.simple_query("select 1").await;
    connection.abort();
    answer.map(|_| ()).context("asking PostgreSQL")
}

fn asks_for_tls(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}
