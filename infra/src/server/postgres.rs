//! PostgreSQL: durable as in production (fsync on), roomy enough for many tests at once.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio_postgres::NoTls;

use super::{Server, Site, launch::Launch};
use crate::user;

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
            .arg("--auth=trust")
            .arg("--encoding=UTF8")
            .arg("--locale-provider=builtin")
            .arg("--locale=C.UTF-8")
            .arg("--no-sync");
        initdb.run_to_end(site, Server::Postgres).await?;
    }
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
    Ok(launch)
}

pub(super) async fn check(port: u16) -> Result<()> {
    let address = format!("postgres://postgres@127.0.0.1:{port}/postgres?connect_timeout=3");
    let (client, connection) = tokio_postgres::connect(&address, NoTls)
        .await
        .context("connecting to PostgreSQL")?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query("select 1").await;
    drop(client);
    let _ = driver.await;
    answer.map(|_| ()).context("asking PostgreSQL")
}
