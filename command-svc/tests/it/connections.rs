//! Which connections lead where, and how soon PostgreSQL gives up one whose host has died.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::namespace::Namespace;
use testbed::stack;

use crate::service::{Service, connect, spawn};

const LONG: Duration = Duration::from_secs(30);

/// The backend of a connection, as PostgreSQL sees it.
struct Backend {
    client_port: u16,
    server_port: u16,
}

/// Of connections of this name, once there are some.
async fn backends(service: &Service, application: &str) -> Result<Vec<Backend>> {
    let asked = "select client_port, current_setting('port')::int from pg_stat_activity
        where datname = current_database() and application_name = $1";
    let look = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let rows = service.db.query(asked, &[&application]).await?;
            if !rows.is_empty() {
                return anyhow::Ok(rows);
            }
        }
    };
    let rows = tokio::time::timeout(LONG, look).await;
    let rows = rows.with_context(|| format!("there is no connection of {application}"))??;
    rows.iter()
        .map(|row| {
            Ok(Backend {
                client_port: u16::try_from(row.get::<_, i32>(0))?,
                server_port: u16::try_from(row.get::<_, i32>(1))?,
            })
        })
        .collect()
}

#[tokio::test]
async fn the_relay_goes_past_the_pooler_and_commands_go_through_it() -> Result<()> {
    let (service, proxy) = Service::start_behind_a_proxy().await?;
    service.new_product("L-1", serde_json::json!({})).await?;
    for backend in backends(&service, "command-svc").await? {
        ensure!(proxy.has_connected_from(backend.client_port));
    }
    for backend in backends(&service, "command-svc relay").await? {
        ensure!(!proxy.has_connected_from(backend.client_port));
    }
    service.stop().await
}

#[tokio::test]
async fn the_schema_is_migrated_past_the_pooler() -> Result<()> {
    let stack = stack::shared().await?;
    let namespace = Namespace::create(stack.endpoints()).await?;
    let direct = &namespace.database_url;
    let mut away: reqwest::Url = direct.parse()?;
    ensure!(away.set_port(Some(1)).is_ok(), "the url takes a port");
    let arguments = [
        "--database-url",
        away.as_str(),
        "--direct-database-url",
        direct,
    ];
    let (_process, _stdout) = spawn(&namespace, &arguments)?;
    let db = connect(direct).await?;
    let migrated = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let is_there = "select to_regclass('lane') is not null";
        while !db.query_one(is_there, &[]).await?.get::<_, bool>(0) {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    let migrated = tokio::time::timeout(LONG, migrated).await;
    migrated.context("the schema is not migrated")?
}

/// When the kernel next probes the peer of this connection, by its table of connections.
#[cfg(target_os = "linux")]
fn keepalive_due(backend: &Backend) -> Result<Duration> {
    const KEEPALIVE: &str = "02";
    let ends_with = |address: &str, port: u16| {
        let own = address.rsplit(':').next();
        own.and_then(|own| u16::from_str_radix(own, 16).ok()) == Some(port)
    };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let timer = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, _, _, timer, ..] = columns[..] else {
                return None;
            };
            let is_it =
                ends_with(local, backend.server_port) && ends_with(remote, backend.client_port);
            is_it.then(|| timer.to_owned())
        });
    let timer = timer.context("the kernel does not know the connection")?;
    let (kind, due) = timer.split_once(':').context("a timer has two parts")?;
    ensure!(kind == KEEPALIVE, "another timer runs: {timer}");
    // In hundredths of a second, whatever the kernel counts in.
    Ok(Duration::from_millis(10 * u64::from_str_radix(due, 16)?))
}

/// The locks of the relay's session say who owns a partition. By default they would be held for two
/// hours after the host of their owner has died.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_session_of_the_relay_is_probed_within_seconds() -> Result<()> {
    let service = Service::start().await?;
    let relay = backends(&service, "command-svc relay").await?;
    ensure!(relay.len() == 1, "the relay has one connection");
    // While something is on its way, another timer runs.
    let probed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            if let Ok(due) = keepalive_due(&relay[0]) {
                return due;
            }
        }
    };
    let due = tokio::time::timeout(LONG, probed).await;
    let due = due.context("no probe is due")?;
    ensure!(
        due <= Duration::from_secs(5),
        "the next probe is due in {due:?}"
    );
    service.stop().await
}

#[tokio::test]
async fn the_owned_partitions_of_all_processes_are_those_that_there_are() -> Result<()> {
    let service = Service::start().await?;
    let owned = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let owned = service.metric("tidemark_relay_owned_partitions").await?;
            let all = service.metric("tidemark_relay_partitions").await?;
            if owned > 0.0 && owned.to_bits() == all.to_bits() {
                return anyhow::Ok(());
            }
        }
    };
    let owned = tokio::time::timeout(LONG, owned).await;
    owned.context("one process alone does not own them all")??;
    service.stop().await
}
