//! One transaction on a pooled connection.
//!
//! A transaction that is dropped while open (a deadline, an unhandled error) takes its
//! connection along: it is closed, never lent again with an open transaction on it.

use std::sync::atomic::{AtomicU8, Ordering};

use deadpool_postgres::{Client, Object};
use futures::future::try_join_all;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Statement, StoreError};

const IDLE: u8 = 0;
const OPEN: u8 = 1;
/// COMMIT was sent and not answered.
const COMMITTING: u8 = 2;

/// See `store`. Not begun until `begin`.
#[derive(Debug)]
pub struct Tx {
    /// None only while it is dropped.
    client: Option<Client>,
    stage: AtomicU8,
}

impl Tx {
    /// Statements that are not warm break the order of a pipeline: see `warm`.
    pub fn new(client: Client) -> Self {
        Self {
            client: Some(client),
            stage: AtomicU8::new(IDLE),
        }
    }

    /// Prepares what this connection has not prepared yet; costs nothing once it has.
    pub async fn warm(&self, statements: &[Statement]) -> Result<(), StoreError> {
        let client = self.client();
        if client.statement_cache.size() >= statements.len() {
            return Ok(());
        }
        let all = statements.iter().map(|statement| async {
            let prepared = client.prepare_cached(statement.text).await;
            prepared.map_err(StoreError::run(statement.name))
        });
        try_join_all(all).await.map(|_| ())
    }

    pub async fn begin(&self) -> Result<(), StoreError> {
        self.stage.store(OPEN, Ordering::Relaxed);
        let begun = self
            .client()
            .batch_execute("begin isolation level read committed")
            .await;
        begun.map_err(StoreError::run("begin"))
    }

    /// COMMIT of a failed transaction rolls back and reports success: join it with the statements
    /// before it, so that their errors come first.
    pub async fn commit(&self) -> Result<(), StoreError> {
        self.stage.store(COMMITTING, Ordering::Relaxed);
        self.client()
            .batch_execute("commit")
            .await
            .map_err(StoreError::run("commit"))?;
        self.stage.store(IDLE, Ordering::Relaxed);
        Ok(())
    }

    pub async fn rollback(&self) -> Result<(), StoreError> {
        self.client()
            .batch_execute("rollback")
            .await
            .map_err(StoreError::run("rollback"))?;
        self.stage.store(IDLE, Ordering::Relaxed);
        Ok(())
    }

    /// True from the sending of COMMIT to its answer: a connection lost then may have committed.
    pub fn is_committing(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == COMMITTING
    }

    pub async fn query(
        &self,
        statement: Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let failed = StoreError::run(statement.name);
        let client = self.client();
        let prepared = match client.prepare_cached(statement.text).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(failed(error)),
        };
        client.query(&prepared, params).await.map_err(failed)
    }

    /// The first row, where there is one.
    pub async fn query_first(
        &self,
        statement: Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(statement, params).await?.into_iter().next())
    }

    /// Answers how many rows were touched.
    pub async fn execute(
        &self,
        statement: Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let failed = StoreError::run(statement.name);
        let client = self.client();
        let prepared = match client.prepare_cached(statement.text).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(failed(error)),
        };
        client.execute(&prepared, params).await.map_err(failed)
    }

    fn client(&self) -> &Client {
        self.client
            .as_ref()
            .expect("the connection stays until the transaction is dropped")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.stage.load(Ordering::Relaxed) != IDLE
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}
