//! One snapshot of everything, page by page: what `verify` compares.

use chassis::event_log::{self, EventRowError};
use chrono::{DateTime, Utc};
use schemas::event::{Envelope, StreamId};
use schemas::lane::Lane;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};
use uuid::Uuid;

use super::statement::{
    CATEGORY_PAGE, EVENT_GAPS, EVENT_OF_STREAMS, EVENT_ORPHANS, PRODUCT_CATEGORY_SELECT,
    PRODUCT_PAGE, STOCK_PAGE,
};
use super::{RowError, Statement, Stored, category, product, stock};
use crate::domain::category::Category;
use crate::domain::product::Product;
use crate::domain::stock::Stock;

/// Rows of a page; memory is bounded by it.
pub const PAGE: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("read a snapshot of the database")]
    Sql(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Event(#[from] EventRowError),
}

/// A row with the key of its sku or name.
pub type Keyed<T> = (Stored<T>, Option<String>);

/// A lane that is not dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub lane: i16,
    pub head: i64,
    pub events: i64,
    pub last: i64,
}

/// Sees nothing of what is written after it was taken.
pub struct Snapshot<'a>(Transaction<'a>);

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl<'a> Snapshot<'a> {
    pub async fn take(client: &'a mut Client) -> Result<Self, SnapshotError> {
        let builder = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead);
        Ok(Self(builder.read_only(true).start().await?))
    }

    /// The page whose ids come after this one; the nil id is before all.
    pub async fn categories(&self, after: Uuid) -> Result<Vec<Keyed<Category>>, SnapshotError> {
        let rows = self.page(CATEGORY_PAGE, after).await?;
        let read = |row: &Row| -> Result<_, RowError> {
            Ok((category::from_row(row)?, row.try_get("name_key")?))
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// With their categories.
    pub async fn products(&self, after: Uuid) -> Result<Vec<Keyed<Product>>, SnapshotError> {
        let rows = self.page(PRODUCT_PAGE, after).await?;
        let read = |row: &Row| -> Result<_, RowError> {
            Ok((product::from_row(row)?, row.try_get("sku_key")?))
        };
        let mut products: Vec<Keyed<Product>> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let ids: Vec<Uuid> = products.iter().map(|(row, _)| row.value.id.0).collect();
        let rows = self.0.query(PRODUCT_CATEGORY_SELECT.text, &[&ids]).await?;
        let mut categories = product::read_category_ids(&rows)?;
        for (product, _) in &mut products {
            product.value.category_ids = categories.remove(&product.value.id).unwrap_or_default();
        }
        Ok(products)
    }

    /// Each with the creation of its product.
    pub async fn stocks(
        &self,
        after: Uuid,
    ) -> Result<Vec<(Stored<Stock>, DateTime<Utc>)>, SnapshotError> {
        let rows = self.page(STOCK_PAGE, after).await?;
        let read = |row: &Row| -> Result<_, RowError> {
            Ok((stock::from_row(row)?, row.try_get("created_at")?))
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All events of these streams, in order within each.
    pub async fn events(&self, streams: &[StreamId]) -> Result<Vec<Envelope>, SnapshotError> {
        let ids: Vec<String> = streams.iter().map(ToString::to_string).collect();
        let lanes: Vec<i16> = streams
            .iter()
            .map(|stream| Lane::of(stream.id).number().into())
            .collect();
        let rows = self.0.query(EVENT_OF_STREAMS.text, &[&ids, &lanes]).await?;
        Ok(rows
            .iter()
            .map(event_log::from_row)
            .collect::<Result<_, _>>()?)
    }

    pub async fn orphans(&self) -> Result<Vec<String>, SnapshotError> {
        let rows = self.0.query(EVENT_ORPHANS.text, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?)
    }

    pub async fn gaps(&self) -> Result<Vec<Gap>, SnapshotError> {
        let rows = self.0.query(EVENT_GAPS.text, &[]).await?;
        let read = |row: &Row| -> Result<Gap, tokio_postgres::Error> {
            Ok(Gap {
                lane: row.try_get("lane")?,
                head: row.try_get("head")?,
                events: row.try_get("events")?,
                last: row.try_get("last")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    async fn page(
        &self,
        statement: Statement,
        after: Uuid,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let limit = i64::try_from(PAGE).expect("a page is small");
        self.0.query(statement.text, &[&after, &limit]).await
    }
}
