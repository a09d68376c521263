//! The category tree: request bodies, and nodes with their counts of listed products.
//!
//! A product counts once in each category on its paths, so a node's count includes those below it.

use std::collections::BTreeMap;

use chassis::elasticsearch::SearchAnswer;
use schemas::id::CategoryId;
use schemas::rest::query::CategoryNode;
use schemas::view::CategoryDocument;
use serde_json::{Value, json};

use super::products::Start;

/// How many categories one request reads.
pub const PAGE_SIZE: usize = 5_000;
/// The most pages that are read: a larger tree is cut off.
pub const MAX_PAGES: usize = 12;
/// One bucket for each category; Elasticsearch allows 65,536.
const MAX_COUNTS: usize = PAGE_SIZE * MAX_PAGES;

/// Categories by name: all, or one with its descendants; from an index or a point in time.
pub fn nodes_body(below: Option<CategoryId>, start: Start<'_>) -> Value {
    let mut filter = vec![json!({ "term": { "removed": false } })];
    filter.extend(below.map(|id| json!({ "term": { "path_ids": id } })));
    let mut body = json!({
        "size": PAGE_SIZE,
        "track_total_hits": false,
        "query": { "bool": { "filter": filter } },
        "sort": [{ "name.sort": "asc" }, { "category_id": "asc" }],
    });
    if let Some(after) = start.after {
        body["search_after"] = after.into();
    }
    if let Some(point) = start.point {
        body["pit"] = json!({ "id": point });
    }
    body
}

/// How many listed products each category has: of all products, or of those in one category.
pub fn counts_body(below: Option<CategoryId>) -> Value {
    let mut filter = vec![
        json!({ "term": { "listed": true } }),
        json!({ "term": { "removed": false } }),
    ];
    filter.extend(below.map(|id| json!({ "term": { "category_ids": id } })));
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": { "bool": { "filter": filter } },
        "aggs": { "categories": { "terms": { "field": "category_ids", "size": MAX_COUNTS } } },
    })
}

pub fn read_nodes(answer: &SearchAnswer) -> Result<Vec<CategoryDocument>, serde_json::Error> {
    let hits = answer.hits.hits.iter();
    hits.filter_map(|hit| hit.source.as_deref())
        .map(|source| serde_json::from_str(source.get()))
        .collect()
}

pub fn read_counts(answer: &SearchAnswer) -> BTreeMap<CategoryId, u64> {
    let counts = answer.aggregations.get("categories");
    let buckets = counts.and_then(|counts| counts["buckets"].as_array());
    let buckets = buckets.into_iter().flatten();
    buckets
        .filter_map(|bucket| {
            let id = bucket["key"].as_str()?.parse().ok()?;
            Some((id, bucket["doc_count"].as_u64()?))
        })
        .collect()
}

/// The trees of these categories, siblings in the given order. A category whose parent is missing
/// is a root.
pub fn forest(
    documents: Vec<CategoryDocument>,
    counts: &BTreeMap<CategoryId, u64>,
) -> Vec<CategoryNode> {
    let known: std::collections::BTreeSet<_> = documents
        .iter()
        .map(|document| document.category_id)
        .collect();
    let mut children: BTreeMap<Option<CategoryId>, Vec<CategoryNode>> = BTreeMap::new();
    for document in documents {
        let parent = document.parent_id.filter(|parent| known.contains(parent));
        let node = node(document, counts);
        children.entry(parent).or_default().push(node);
    }
    let roots = children.remove(&None).unwrap_or_default();
    roots
        .into_iter()
        .map(|root| with_children(root, &mut children))
        .collect()
}

/// Each list of children is removed when its parent gets it, so a cycle ends.
fn with_children(
    mut node: CategoryNode,
    children: &mut BTreeMap<Option<CategoryId>, Vec<CategoryNode>>,
) -> CategoryNode {
    let own = children.remove(&Some(node.id)).unwrap_or_default();
    node.children = own
        .into_iter()
        .map(|child| with_children(child, children))
        .collect();
    node
}

fn node(document: CategoryDocument, counts: &BTreeMap<CategoryId, u64>) -> CategoryNode {
    CategoryNode {
        id: document.category_id,
        products: counts.get(&document.category_id).copied().unwrap_or(0),
        name: document.name,
        parent_id: document.parent_id,
        path: document.path,
        children: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::CategoryRef;
    use schemas::lane::Lane;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> CategoryId {
        CategoryId(Uuid::from_u128(number))
    }

    fn document(number: u128, parent: Option<u128>) -> CategoryDocument {
        let name = format!("c{number}");
        CategoryDocument {
            category_id: id(number),
            lane: Lane::of(id(number)),
            seq: 1,
            stream_version: 1,
            name: name.clone(),
            parent_id: parent.map(id),
            path: vec![CategoryRef {
                id: id(number),
                name,
            }],
            path_ids: vec![id(number)],
            depth: 1,
            removed: false,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn children_stand_below_their_parents_with_their_counts() {
        let documents = vec![
            document(3, Some(2)),
            document(1, None),
            document(2, Some(1)),
            document(4, Some(1)),
        ];
        let forest = forest(documents, &BTreeMap::from([(id(1), 7), (id(3), 2)]));
        assert_eq!(forest.len(), 1);
        let names: Vec<_> = forest[0].children.iter().map(|node| &node.name).collect();
        assert_eq!(names, ["c2", "c4"]);
        assert_eq!((forest[0].products, forest[0].children[0].products), (7, 0));
        assert_eq!(forest[0].children[0].children[0].products, 2);
    }

    #[test]
    fn a_subtree_begins_at_the_category_whose_parent_is_not_there() {
        let forest = forest(
            vec![document(3, Some(2)), document(2, Some(1))],
            &BTreeMap::new(),
        );
        assert_eq!(forest.len(), 1);
        assert_eq!(forest[0].id, id(2));
    }
}
