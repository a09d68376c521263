//! What a projector would say in the watermark topic, and the indexes that it would make first.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use chassis::clock;
use rdkafka::producer::FutureRecord;
use schemas::lane::LaneSeqs;
use schemas::view::View;
use schemas::watermark::{Announced, Key, LaneMark, Switch, Watermark};
use serde::Serialize;

use super::{LIMIT, Shop};

impl Shop {
    pub async fn refresh(&self, view: View, build: u32) {
        let index = self.names.index(view.name(), build);
        let shards = self.elasticsearch.refresh(&[&index]).await.unwrap();
        assert!(shards.is_complete());
    }

    /// Makes the index of a build, and says so.
    pub async fn announce(&self, view: View, build: u32) {
        self.announce_version(view, build, view.version()).await;
    }

    /// The same for a build that another projection version makes.
    pub async fn announce_version(&self, view: View, build: u32, version: u32) {
        let index = self.names.index(view.name(), build);
        let body = serde_json::from_str(view.mapping()).unwrap();
        let created = self
            .elasticsearch
            .create_index(&index, &body)
            .await
            .unwrap();
        let announced = Announced {
            epoch: self.names.epoch(),
            index,
            index_uuid: created.uuid,
            version,
            at: clock::now(),
            wish: None,
        };
        let view = view.name().to_owned();
        self.put(&Key::Announced { view, build }, &announced).await;
    }

    pub async fn switch(&self, view: View, from: Option<u32>, to: u32) {
        let switch = Switch {
            epoch: self.names.epoch(),
            from,
            to,
            floors: LaneSeqs::default(),
            at: clock::now(),
            wish: None,
        };
        let (view, id) = (view.name().to_owned(), clock::new_id());
        self.put(&Key::Switch { view, switch: id }, &switch).await;
    }

    /// A watermark of all lanes, said now.
    pub async fn publish(&self, view: View, build: u32, visible: &LaneSeqs) {
        let watermark = self.watermark(view, visible);
        self.publish_as(view, build, watermark).await;
    }

    pub async fn publish_as(&self, view: View, build: u32, watermark: Watermark) {
        let key = Key::Watermark {
            view: view.name().to_owned(),
            build,
            partition: 0,
        };
        self.put(&key, &watermark).await;
    }

    pub fn watermark(&self, view: View, visible: &LaneSeqs) -> Watermark {
        let heads = self.heads();
        let mark = |(lane, seq)| LaneMark {
            lane,
            seq,
            head: Some(heads.get(lane)),
        };
        Watermark {
            version: view.version(),
            epoch: self.names.epoch(),
            lanes: visible.iter().map(mark).collect(),
            at: clock::now(),
            heads_at: Some(clock::now()),
            covered_recorded_at: None,
            held: BTreeMap::new(),
            changed: None,
        }
    }

    async fn put(&self, key: &Key, value: &impl Serialize) {
        let (key, value) = (key.to_string(), serde_json::to_vec(value).unwrap());
        let topic = self.names.watermarks();
        let record = FutureRecord::to(&topic)
            .partition(0)
            .key(&key)
            .payload(&value);
        let delivery = self.producer.send(record, LIMIT).await.unwrap();
        let end = u64::try_from(delivery.offset).unwrap() + 1;
        self.end.fetch_max(end, Ordering::SeqCst);
    }
}
