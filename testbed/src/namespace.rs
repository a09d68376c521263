//! A corner of a shared stack for one test: a database, and a prefix for topics and indexes.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

use crate::endpoints::Endpoints;

const LIMIT: Duration = Duration::from_secs(10);

/// Where the servers are, and which corner of them is meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Surroundings {
    pub endpoints: Endpoints,
    pub database: String,
    /// For the names of topics, indexes and consumer groups.
    pub prefix: String,
}

/// Names that no other test uses, and what bears them; removed on drop, as far as possible.
#[derive(Debug)]
pub struct Namespace {
    /// A new, empty database.
    pub database: String,
    /// The database, as its owner and superuser.
    pub database_url: String,
    /// For the names of topics, indexes and consumer groups; ends in a hyphen.
    pub prefix: String,
    endpoints: Endpoints,
    removed: bool,
}

impl Namespace {
    /// Creates the database; topics and indexes are the caller's to create.
    pub async fn create(endpoints: &Endpoints) -> Result<Self> {
        let id = format!("{:012x}", rand::random::<u64>() >> 16);
        let database = format!("t_{id}");
        run_sql(endpoints, &format!("create database {database}")).await?;
        Ok(Self {
            database_url: endpoints.database_url(&database),
            database,
            prefix: format!("t{id}-"),
            endpoints: endpoints.clone(),
            removed: false,
        })
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What services are told that run in this namespace.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            endpoints: self.endpoints.clone(),
            database: self.database.clone(),
            prefix: self.prefix.clone(),
        }
    }

    /// Removes everything of this namespace, and says what could not be removed.
    pub async fn remove(mut self) -> Result<()> {
        self.removed = true;
        remove(&self.endpoints, &self.database, &self.prefix).await
    }
}

/// On a thread of its own, since this may be inside a runtime; what fails is left to the end of the
/// stack, whose data is thrown away.
impl Drop for Namespace {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let names = (
            self.endpoints.clone(),
            self.database.clone(),
            self.prefix.clone(),
        );
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                let (endpoints, database, prefix) = names;
                let _ = runtime.block_on(remove(&endpoints, &database, &prefix));
            }
        });
        let _ = removal.join();
    }
}

async fn remove(endpoints: &Endpoints, database: &str, prefix: &str) -> Result<()> {
    let sql = format!("drop database if exists {database} with (force)");
    let (rows, topics, indexes) = tokio::join!(
        run_sql(endpoints, &sql),
        remove_topics(endpoints, prefix),
        remove_indexes(endpoints, prefix),
    );
    rows.and(topics).and(indexes)
}

async fn run_sql(endpoints: &Endpoints, sql: &str) -> Result<()> {
    let work = async {
        let (client, connection) = tokio_postgres::connect(&endpoints.postgres, NoTls).await?;
        let driver = tokio::spawn(connection);
        let done = client.batch_execute(sql).await;
        drop(client);
        let _ = driver.await;
        done
    };
    tokio::time::timeout(LIMIT, work)
        .await
        .with_context(|| format!("PostgreSQL does not answer: {sql}"))?
        .with_context(|| format!("PostgreSQL refuses: {sql}"))
}

async fn remove_topics(endpoints: &Endpoints, prefix: &str) -> Result<()> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &endpoints.kafka)
        .set("log_level", "0");
    let names = tokio::task::spawn_blocking({
        let (config, prefix) = (config.clone(), prefix.to_owned());
        move || topics(&config, &prefix)
    });
    let names = names.await??;
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    admin
        .delete_topics(&names, &AdminOptions::new().operation_timeout(Some(LIMIT)))
        .await?;
    Ok(())
}

fn topics(config: &ClientConfig, prefix: &str) -> Result<Vec<String>> {
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer
        .fetch_metadata(None, LIMIT)
        .context("listing Kafka's topics")?;
    let names = metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned());
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

#[derive(Debug, Deserialize)]
struct Index {
    index: String,
}

async fn remove_indexes(endpoints: &Endpoints, prefix: &str) -> Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .build()?;
    let server = &endpoints.elasticsearch;
    let list = format!("{server}/_cat/indices/{prefix}*?format=json&h=index&expand_wildcards=all");
    let found: Vec<Index> = client
        .get(list)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    for Index { index } in found {
        let index = format!("{server}/{index}?ignore_unavailable=true");
        client.delete(index).send().await?.error_for_status()?;
    }
    Ok(())
}
