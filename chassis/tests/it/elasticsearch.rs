//! Bulks, reads and searches, and what each refusal is told apart as.

use std::time::Duration;

use bytes::Bytes;
use chassis::elasticsearch::{BulkItem, Elasticsearch, ElasticsearchError, SearchOptions};
use serde_json::{Value, json};

use crate::Corner;

struct Index {
    client: Elasticsearch,
    name: String,
    _corner: Corner,
}

impl Index {
    async fn create() -> Self {
        let corner = Corner::take().await;
        let url = &corner.namespace.endpoints().elasticsearch;
        let client = Elasticsearch::new(url, Duration::from_secs(20)).unwrap();
        let name = format!("{}things", corner.namespace.prefix);
        let index = Self {
            client,
            name,
            _corner: corner,
        };
        index
            .client
            .create_index(&index.name, &index.body())
            .await
            .unwrap();
        index
    }

    fn body(&self) -> Value {
        json!({
            "settings": {"number_of_replicas": 0, "refresh_interval": "-1"},
            "mappings": {"dynamic": "strict", "properties": {"price": {"type": "long"}}},
        })
    }

    /// Writes documents with external versions.
    async fn write(&self, documents: &[(&str, u64, Value)]) -> Vec<BulkItem> {
        let lines = documents.iter().map(|(id, version, source)| {
            let action = json!({"index": {
                "_index": self.name, "_id": id, "version": version, "version_type": "external",
            }});
            format!("{action}\n{source}\n")
        });
        self.client
            .bulk(lines.collect::<String>().into())
            .await
            .unwrap()
    }
}

fn everything() -> Bytes {
    json!({"query": {"match_all": {}}, "sort": ["price"], "version": true})
        .to_string()
        .into()
}

#[tokio::test]
async fn an_index_is_made_once_and_known_by_its_uuid() {
    let index = Index::create().await;
    let again = index
        .client
        .create_index(&index.name, &index.body())
        .await
        .unwrap_err();
    assert!(again.is_already_exists(), "{again}");

    let uuid = index.client.index_uuid(&index.name).await.unwrap();
    assert!(uuid.is_some());
    let pattern = format!("{}*", index.name);
    assert_eq!(
        index
            .client
            .indices(&pattern)
            .await
            .unwrap()
            .get(&index.name),
        uuid.as_ref()
    );
    let copies = index.client.copies(&[&index.name]).await.unwrap();
    assert_eq!((copies.serving.len(), copies.others), (1, 0));

    index.client.delete_index(&index.name).await.unwrap();
    index.client.delete_index(&index.name).await.unwrap();
    assert_eq!(index.client.index_uuid(&index.name).await.unwrap(), None);
}

#[tokio::test]
async fn a_bulk_says_of_each_item_how_it_went() {
    let index = Index::create().await;
    index.write(&[("a", 5, json!({"price": 1}))]).await;
    let items = index
        .write(&[
            ("a", 5, json!({"price": 2})),
            ("b", 7, json!({"price": 2})),
            ("c", 1, json!({"colour": "red"})),
        ])
        .await;
    assert!(items[0].is_conflict());
    assert!(items[1].is_written());
    assert_eq!(items[2].status, 400);
    let error = items[2].error.as_ref().unwrap();
    assert_eq!(error.error_type, "strict_dynamic_mapping_exception");
}

#[tokio::test]
async fn a_get_sees_what_a_search_does_not_see_before_the_refresh() {
    let index = Index::create().await;
    index
        .write(&[("a", 5, json!({"price": 1})), ("b", 6, json!({"price": 2}))])
        .await;
    let ids = ["b".to_owned(), "missing".to_owned(), "a".to_owned()];
    let found = index.client.mget(&index.name, &ids).await.unwrap();
    let versions: Vec<_> = found
        .iter()
        .map(|found| found.as_ref().map(|doc| doc.version))
        .collect();
    assert_eq!(versions, [Some(6), None, Some(5)]);
    assert_eq!(found[0].as_ref().unwrap().source.get(), r#"{"price":2}"#);

    let options = SearchOptions {
        preference: Some("session-7".to_owned()),
    };
    let search = || {
        index
            .client
            .search(Some(&index.name), everything(), &options)
    };
    assert!(search().await.unwrap().hits.hits.is_empty());
    assert!(
        index
            .client
            .refresh(&[&index.name])
            .await
            .unwrap()
            .is_complete()
    );
    let answer = search().await.unwrap();
    let hits: Vec<_> = answer
        .hits
        .hits
        .iter()
        .map(|hit| (hit.id.as_str(), hit.version))
        .collect();
    assert_eq!(hits, [("a", Some(5)), ("b", Some(6))]);
    assert_eq!(answer.hits.total.unwrap().value, 2);
    assert_eq!(index.client.count(&index.name, None).await.unwrap(), 2);
}

#[tokio::test]
async fn a_missing_index_is_told_apart_from_a_missing_document() {
    let index = Index::create().await;
    assert!(
        index
            .client
            .get(&index.name, "missing")
            .await
            .unwrap()
            .is_none()
    );
    let nowhere = format!("{}-nowhere", index.name);
    let options = SearchOptions::default();
    let errors = [
        index.client.get(&nowhere, "a").await.unwrap_err(),
        index
            .client
            .search(Some(&nowhere), everything(), &options)
            .await
            .unwrap_err(),
        index.client.refresh(&[&nowhere]).await.unwrap_err(),
    ];
    assert!(
        errors.iter().all(ElasticsearchError::is_not_found),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_point_in_time_stands_still_until_it_is_closed() {
    let index = Index::create().await;
    let keep_alive = Duration::from_secs(60);
    let pit = index
        .client
        .open_pit(&index.name, keep_alive, Some("session-7"))
        .await
        .unwrap();
    index.write(&[("a", 5, json!({"price": 1}))]).await;
    index.client.refresh(&[&index.name]).await.unwrap();
    let body = json!({"pit": {"id": pit, "keep_alive": "60s"}}).to_string();
    let options = SearchOptions::default();
    let search = || index.client.search(None, body.clone().into(), &options);
    let answer = search().await.unwrap();
    assert!(answer.hits.hits.is_empty() && answer.pit_id.is_some());
    index.client.close_pit(&pit).await.unwrap();
    index.client.close_pit(&pit).await.unwrap();
    assert!(search().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn each_of_several_searches_has_an_outcome_of_its_own() {
    let index = Index::create().await;
    index.write(&[("a", 5, json!({"price": 1}))]).await;
    index.client.refresh(&[&index.name]).await.unwrap();
    let good = json!({"index": index.name, "allow_partial_search_results": false});
    let bad = json!({"index": format!("{}-nowhere", index.name)});
    let ndjson = format!(
        "{good}\n{{\"aggs\":{{\"top\":{{\"max\":{{\"field\":\"price\"}}}}}}}}\n{bad}\n{{}}\n"
    );
    let outcomes = index.client.msearch(ndjson.into()).await.unwrap();
    assert_eq!(
        outcomes[0].as_ref().unwrap().aggregations["top"]["value"],
        1.0
    );
    assert!(outcomes[1].as_ref().unwrap_err().is_not_found());
}

#[tokio::test]
async fn an_alias_points_at_one_index() {
    let index = Index::create().await;
    let alias = format!("{}-alias", index.name);
    let second = format!("{}-second", index.name);
    index
        .client
        .create_index(&second, &index.body())
        .await
        .unwrap();
    index.client.put_alias(&index.name, &alias).await.unwrap();
    index.client.put_alias(&second, &alias).await.unwrap();
    let found = index.client.indices(&alias).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&second]);
}

#[tokio::test]
async fn a_mistake_of_ours_is_not_worth_a_retry() {
    let index = Index::create().await;
    let body = Bytes::from_static(br#"{"query": {"no_such_query": {}}}"#);
    let options = SearchOptions::default();
    let error = index
        .client
        .search(Some(&index.name), body, &options)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ElasticsearchError::Rejected { status: 400, .. }),
        "{error:?}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn too_late_and_away_are_unavailable() {
    let index = Index::create().await;
    let hurried = index.client.with_timeout(Duration::from_micros(1));
    assert!(hurried.ping().await.unwrap_err().is_transient());
    let away = Elasticsearch::new("http://127.0.0.1:1", Duration::from_secs(1)).unwrap();
    assert!(away.ping().await.unwrap_err().is_transient());
    index.client.ping().await.unwrap();
}
