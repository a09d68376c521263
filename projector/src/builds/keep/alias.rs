//! Aliases of views. They are for people who look into Elasticsearch: readers go by the watermark
//! topic, and no step waits for an alias.

use chassis::elasticsearch::ElasticsearchError;
use chassis::telemetry::Chain;
use schemas::view::View;
use serde_json::json;

use super::BuildController;

impl BuildController {
    /// Points each view's alias to its active build.
    pub(super) async fn point_aliases(&mut self) {
        for view in View::ALL {
            let active = self.tail.read(|state| {
                let of_view = state.view(view.name())?;
                of_view.active.filter(|_| of_view.active_build().is_some())
            });
            let Some(active) = active.filter(|active| self.aliased.get(&view) != Some(active))
            else {
                continue;
            };
            match self.point_alias(view, active).await {
                Ok(()) => {
                    self.aliased.insert(view, active);
                }
                Err(error) => {
                    tracing::debug!(view = view.name(), error = %Chain(&error), "failed to update the alias");
                }
            }
        }
    }

    async fn point_alias(&self, view: View, active: u32) -> Result<(), ElasticsearchError> {
        let alias = self.names.alias(view.name());
        let index = self.names.index(view.name(), active);
        let all = self.names.index_pattern(view.name());
        let swap = [
            json!({"remove": {"index": all, "alias": alias, "must_exist": false}}),
            json!({"add": {"index": index, "alias": alias}}),
        ];
        self.elasticsearch.update_aliases(&swap).await
    }
}
