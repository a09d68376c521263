//! The parts of Elasticsearch's answers that we read. Sources stay raw: only their view reads them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ElasticsearchError;

/// The outcome of one operation of a bulk.
#[derive(Debug, Clone, Deserialize)]
pub struct BulkItem {
    pub status: u16,
    #[serde(default)]
    pub error: Option<ItemError>,
}

#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("{error_type}: {reason}")]
pub struct ItemError {
    #[serde(rename = "type", default)]
    pub error_type: String,
    #[serde(default)]
    pub reason: String,
}

impl BulkItem {
    pub fn is_written(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A version at or above ours is there already.
    pub fn is_conflict(&self) -> bool {
        self.status == 409
    }

    /// The server does not accept who asks: a fault of the connection, never of the document.
    pub fn is_denied(&self) -> bool {
        matches!(self.status, 401 | 403) && !self.is_blocked()
    }

    /// The same operation may succeed later: overload, a failed node, a rejected login, and blocks
    /// that an operator lifts are no fault of the document.
    pub fn is_transient(&self) -> bool {
        matches!(self.status, 401 | 403 | 408 | 429) || self.status >= 500 || self.is_blocked()
    }

    fn is_blocked(&self) -> bool {
        let kind = self.error.as_ref().map(|error| error.error_type.as_str());
        matches!(
            kind,
            Some("cluster_block_exception" | "index_closed_exception")
        )
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct BulkAnswer {
    #[serde(default)]
    pub items: Vec<BTreeMap<String, BulkItem>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ShardCounts {
    pub total: u32,
    pub successful: u32,
    pub failed: u32,
}

impl ShardCounts {
    /// Every copy answered.
    pub fn is_complete(self) -> bool {
        self.failed == 0 && self.successful == self.total
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RefreshAnswer {
    #[serde(rename = "_shards")]
    pub shards: ShardCounts,
}

/// A document as it was last written.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: String,
    pub version: u64,
    /// A search does not tell it.
    pub revision: Option<Revision>,
    pub source: Box<RawValue>,
}

/// What every write to a document changes, also one that keeps its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    pub seq_no: u64,
    pub primary_term: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct MgetAnswer {
    pub docs: Vec<MgetDoc>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MgetDoc {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version", default)]
    version: Option<u64>,
    #[serde(rename = "_seq_no", default)]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term", default)]
    primary_term: Option<u64>,
    #[serde(rename = "_source", default)]
    source: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Value>,
}

impl MgetDoc {
    pub(super) fn into_found(
        self,
        operation: &'static str,
    ) -> Result<Option<Found>, ElasticsearchError> {
        if let Some(error) = self.error {
            return Err(ElasticsearchError::of_error(
                operation,
                status_of(&error),
                &error,
            ));
        }
        let revision = self.seq_no.zip(self.primary_term);
        let parts = self.version.zip(self.source);
        Ok(parts.map(|(version, source)| Found {
            id: self.id,
            version,
            revision: revision.map(|(seq_no, primary_term)| Revision {
                seq_no,
                primary_term,
            }),
            source,
        }))
    }
}

/// Parts of an answer carry no status: their type is what tells them apart.
fn status_of(error: &Value) -> u16 {
    match error["type"].as_str() {
        Some("index_not_found_exception") => 404,
        Some("security_exception") => 403,
        _ => 503,
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct SearchAnswer {
    pub timed_out: bool,
    #[serde(rename = "_shards")]
    shards: ShardCounts,
    #[serde(default)]
    pub pit_id: Option<String>,
    #[serde(default)]
    pub hits: Hits,
    /// By name, as asked.
    #[serde(default)]
    pub aggregations: BTreeMap<String, Value>,
    #[serde(default)]
    pub suggest: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Hits {
    /// None where the body said `track_total_hits: false`.
    #[serde(default)]
    pub total: Option<Total>,
    #[serde(default)]
    pub hits: Vec<Hit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Total {
    pub value: u64,
    /// `eq`, or `gte` where counting stopped.
    pub relation: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Hit {
    #[serde(rename = "_index")]
    pub index: String,
    #[serde(rename = "_id")]
    pub id: String,
    /// Only where the body said `version: true`.
    #[serde(rename = "_version", default)]
    pub version: Option<u64>,
    #[serde(rename = "_score", default)]
    pub score: Option<f64>,
    #[serde(rename = "_source", default)]
    pub source: Option<Box<RawValue>>,
    #[serde(default)]
    pub sort: Vec<Value>,
    #[serde(default)]
    pub highlight: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

impl SearchAnswer {
    pub(super) fn complete(self, operation: &'static str) -> Result<Self, ElasticsearchError> {
        if self.timed_out || self.shards.failed > 0 {
            let failed = self.shards.failed;
            return Err(ElasticsearchError::incomplete(
                operation,
                failed,
                self.timed_out,
            ));
        }
        Ok(self)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct MsearchAnswer {
    pub responses: Vec<MsearchItem>,
}

/// An answer or an error; which one, only its members say.
#[derive(Debug, Deserialize)]
pub(super) struct MsearchItem {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    timed_out: bool,
    #[serde(rename = "_shards", default)]
    shards: Option<ShardCounts>,
    #[serde(default)]
    hits: Hits,
    #[serde(default)]
    aggregations: BTreeMap<String, Value>,
    #[serde(default)]
    suggest: BTreeMap<String, Value>,
}

impl MsearchItem {
    pub(super) fn into_answer(self) -> Result<SearchAnswer, ElasticsearchError> {
        let Some(shards) = self.shards.filter(|_| self.error.is_none()) else {
            let error = self.error.unwrap_or_default();
            return Err(ElasticsearchError::of_error("msearch", self.status, &error));
        };
        let (hits, aggregations, suggest) = (self.hits, self.aggregations, self.suggest);
        let timed_out = self.timed_out;
        SearchAnswer {
            timed_out,
            shards,
            pit_id: None,
            hits,
            aggregations,
            suggest,
        }
        .complete("msearch")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct CountAnswer {
    pub count: u64,
    #[serde(rename = "_shards")]
    pub shards: ShardCounts,
}

#[derive(Debug, Deserialize)]
pub(super) struct PitAnswer {
    pub id: String,
}

/// An index that was made by this very call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedIndex {
    pub uuid: String,
}

/// The copies of some indexes' shards, by whether a search may meet them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardCopies {
    /// Allocation ids of the copies that serve.
    pub serving: BTreeSet<String>,
    /// How many are unassigned or initializing, the targets of relocations included.
    pub others: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoutingAnswer {
    pub routing_table: RoutingTable,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoutingTable {
    #[serde(default)]
    pub indices: BTreeMap<String, RoutedIndex>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoutedIndex {
    #[serde(default)]
    pub shards: BTreeMap<String, Vec<RoutedCopy>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoutedCopy {
    state: String,
    #[serde(default)]
    allocation_id: Option<AllocationId>,
}

#[derive(Debug, Deserialize)]
struct AllocationId {
    id: String,
}

impl RoutingTable {
    pub(super) fn into_copies(self) -> ShardCopies {
        let shards = self.indices.into_values();
        let shards = shards.flat_map(|index| index.shards.into_values());
        let mut copies = ShardCopies::default();
        for copy in shards.flatten() {
            let serves = matches!(copy.state.as_str(), "STARTED" | "RELOCATING");
            // The target of a relocation is no entry of its own.
            copies.others += u32::from(copy.state != "STARTED");
            let allocation = copy.allocation_id.filter(|_| serves);
            copies
                .serving
                .extend(allocation.map(|allocation| allocation.id));
        }
        copies
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::written(201, None, false, false)]
    #[case::conflict(409, Some("version_conflict_engine_exception"), false, false)]
    #[case::wrong_document(400, Some("document_parsing_exception"), false, false)]
    #[case::missing_index(404, Some("index_not_found_exception"), false, false)]
    #[case::closed_index(400, Some("index_closed_exception"), true, false)]
    #[case::blocked_index(403, Some("cluster_block_exception"), true, false)]
    #[case::overload(429, Some("es_rejected_execution_exception"), true, false)]
    #[case::failed_node(503, Some("unavailable_shards_exception"), true, false)]
    #[case::unknown_login(401, Some("security_exception"), true, true)]
    #[case::missing_privilege(403, Some("security_exception"), true, true)]
    fn an_item_of_a_bulk_is_transient_unless_its_document_is_at_fault(
        #[case] status: u16,
        #[case] error_type: Option<&str>,
        #[case] is_transient: bool,
        #[case] is_denied: bool,
    ) {
        let error = error_type.map(|kind| json!({"type": kind, "reason": "because"}));
        let item = json!({"status": status, "error": error});
        let item: BulkItem = serde_json::from_value(item).unwrap();
        let judged = (item.is_transient(), item.is_denied());
        assert_eq!(judged, (is_transient, is_denied));
    }

    #[rstest]
    #[case::missing_index("index_not_found_exception", "not_found")]
    #[case::denied("security_exception", "denied")]
    #[case::missing_shard("no_shard_available_action_exception", "unavailable")]
    fn a_document_that_was_not_read_says_why(#[case] error_type: &str, #[case] name: &str) {
        let error = json!({"type": error_type, "reason": "because"});
        let doc: MgetDoc = serde_json::from_value(json!({"_id": "1", "error": error})).unwrap();
        assert_eq!(doc.into_found("mget").unwrap_err().name(), name);
    }

    #[test]
    fn copies_serve_once_they_are_started_and_while_they_move_away() {
        let copy = |state: &str, id: &str| json!({"state": state, "allocation_id": {"id": id}});
        let shards = json!([
            copy("STARTED", "a"),
            copy("INITIALIZING", "b"),
            copy("RELOCATING", "c"),
            {"state": "UNASSIGNED"},
        ]);
        let table = json!({"indices": {"index": {"shards": {"0": shards}}}});
        let table: RoutingTable = serde_json::from_value(table).unwrap();
        let copies = table.into_copies();
        assert_eq!(
            copies.serving,
            BTreeSet::from(["a".to_owned(), "c".to_owned()])
        );
        assert_eq!(copies.others, 3);
    }
}
