//! Builds: what a tool wishes for, and which one readers stand on.

use chassis::clock;
use rdkafka::producer::FutureRecord;
use schemas::view::View;
use schemas::watermark::{Key, Wish, WishKind};
use serde_json::json;

use super::{LIMIT, World, now};

impl World {
    /// Asks for a new build of the view.
    pub async fn wish_replay(&self, view: View) {
        let key = Key::Wish {
            view: view.name().to_owned(),
            wish: clock::new_id(),
        };
        let wish = Wish {
            epoch: self.names.epoch(),
            kind: WishKind::Replay,
            at: now(),
        };
        let (topic, key) = (self.names.watermarks(), key.to_string());
        let payload = serde_json::to_vec(&wish).unwrap();
        let record = FutureRecord::to(&topic)
            .partition(0)
            .key(&key)
            .payload(&payload);
        self.producer.send(record, LIMIT).await.unwrap();
    }

    /// The number of the build that readers stand on.
    pub fn active(&self, view: View) -> Option<u32> {
        self.tail.read(|state| state.view(view.name())?.active)
    }

    /// From now on the index of this build is made without taking writes, or is made as always.
    pub async fn block_writes_of(&self, view: View, build: u32, is_blocked: bool) {
        let index = self.names.index(view.name(), build);
        let template = format!("_index_template/{index}");
        if is_blocked {
            let body = json!({
                "index_patterns": [index],
                "template": {"settings": {"index.blocks.write": true}},
            });
            self.by_hand("PUT", &template, Some(&body)).await;
        } else {
            self.by_hand("DELETE", &template, None).await;
        }
    }
}
