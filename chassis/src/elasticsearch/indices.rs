//! Indexes themselves: made once, known by their UUID, pointed at by aliases for people.

use std::collections::BTreeMap;

use ::elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{CreatedIndex, RoutingAnswer, ShardCopies};
use super::{Call, Elasticsearch, ElasticsearchError};

/// An index with what it says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    pub uuid: String,
    /// `_meta` of the mappings; null where there is none.
    pub meta: Value,
}

#[derive(Debug, Deserialize)]
struct IndexSettings {
    settings: Settings,
    #[serde(default)]
    mappings: Mappings,
}

#[derive(Debug, Default, Deserialize)]
struct Mappings {
    #[serde(default, rename = "_meta")]
    meta: Value,
}

#[derive(Debug, Deserialize)]
struct Settings {
    index: SettingsIndex,
}

#[derive(Debug, Deserialize)]
struct SettingsIndex {
    uuid: String,
}

impl Elasticsearch {
    /// Makes an index of settings and mappings. One that exists is `AlreadyExists`.
    pub async fn create_index(
        &self,
        name: &str,
        body: &Value,
    ) -> Result<CreatedIndex, ElasticsearchError> {
        const OPERATION: &str = "create index";
        self.send(Call::new(OPERATION, Method::Put, format!("/{name}")).json(body))
            .await?;
        let uuid = self
            .index_uuid(name)
            .await?
            .ok_or_else(|| ElasticsearchError::NotFound {
                operation: OPERATION,
                reason: format!("index {name} was gone at once"),
            })?;
        Ok(CreatedIndex { uuid })
    }

    /// None where there is no such index.
    pub async fn index_uuid(&self, name: &str) -> Result<Option<String>, ElasticsearchError> {
        Ok(self.indices(name).await?.remove(name))
    }

    /// UUID and `_meta` of an index. None where there is no such index.
    pub async fn describe_index(
        &self,
        name: &str,
    ) -> Result<Option<Described>, ElasticsearchError> {
        let query = [("filter_path", "*.settings.index.uuid,*.mappings._meta")];
        let call = Call::new("get index", Method::Get, format!("/{name}"));
        let found: Result<BTreeMap<String, IndexSettings>, _> = self.read(call.query(&query)).await;
        match found {
            Ok(mut found) => Ok(found.remove(name).map(|found| Described {
                uuid: found.settings.index.uuid,
                meta: found.mappings.meta,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Name and UUID of all indexes that match, such as `tidemark-*`.
    pub async fn indices(
        &self,
        pattern: &str,
    ) -> Result<BTreeMap<String, String>, ElasticsearchError> {
        let query = [("filter_path", "*.settings.index.uuid")];
        let call = Call::new("get index", Method::Get, format!("/{pattern}/_settings"));
        match self
            .read::<BTreeMap<String, IndexSettings>>(call.query(&query))
            .await
        {
            Ok(found) => Ok(found
                .into_iter()
                .map(|(name, found)| (name, found.settings.index.uuid))
                .collect()),
            Err(error) if error.is_not_found() => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Deletes an index; one that is gone is fine.
    pub async fn delete_index(&self, name: &str) -> Result<(), ElasticsearchError> {
        match self
            .send(Call::new(
                "delete index",
                Method::Delete,
                format!("/{name}"),
            ))
            .await
        {
            Ok(_) | Err(ElasticsearchError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Points an alias at this index and away from all others, in one step.
    pub async fn put_alias(&self, index: &str, alias: &str) -> Result<(), ElasticsearchError> {
        let actions = [
            json!({"remove": {"index": "*", "alias": alias, "must_exist": false}}),
            json!({"add": {"index": index, "alias": alias}}),
        ];
        self.update_aliases(&actions).await
    }

    /// Several alias actions, all or none.
    pub async fn update_aliases(&self, actions: &[Value]) -> Result<(), ElasticsearchError> {
        let call = Call::new("update aliases", Method::Post, "/_aliases");
        self.send(call.json(&json!({ "actions": actions })))
            .await
            .map(drop)
    }

    /// The copies of some indexes, by whether a search may meet them.
    pub async fn copies(&self, indexes: &[&str]) -> Result<ShardCopies, ElasticsearchError> {
        let query = [(
            "filter_path",
            "routing_table.indices.*.shards.*.state,\
             routing_table.indices.*.shards.*.allocation_id.id",
        )];
        let path = format!("/_cluster/state/routing_table/{}", indexes.join(","));
        let call = Call::new("shard copies", Method::Get, path).query(&query);
        let answer: RoutingAnswer = self.read(call).await?;
        Ok(answer.routing_table.into_copies())
    }

    /// True when the cluster answers. For readiness.
    pub async fn ping(&self) -> Result<(), ElasticsearchError> {
        let call = Call::new("ping", Method::Get, "/_cluster/health");
        self.send(call.query(&[("timeout", "1s")])).await.map(drop)
    }
}
