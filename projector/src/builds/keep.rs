//! Carrying out the steps: indexes in Elasticsearch, records in the watermark topic.
//!
//! Every step may be cut off anywhere and taken again, also by another owner of lane 0 at the same
//! time: an index of the next number that exists already was made for this very announcement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chassis::watermark_tail::WatermarkTail;
use schemas::lane::Lane;
use schemas::topic::Names;
use schemas::view::View;
use schemas::watermark::{Announced, Key, Retired, Switch, WatermarkState};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::decide::{Facts, Step, next_step};
use super::{fed, index_body};
use crate::consume::Ownership;
use crate::publish::{PublishError, WatermarkPublisher};

const TICK: Duration = Duration::from_millis(100);
const INSPECT_EVERY: Duration = Duration::from_secs(5);
const SHOWS_WITHIN: Duration = Duration::from_secs(5);

/// Sees to the builds of all views while this process owns lane 0.
#[derive(Debug)]
pub struct Keeper {
    elasticsearch: Elasticsearch,
    names: Names,
    tail: WatermarkTail,
    publisher: WatermarkPublisher,
    ownership: Ownership,
    partitions: i32,
    lost: BTreeMap<View, BTreeSet<u32>>,
    removed: BTreeMap<View, BTreeSet<u32>>,
    aliased: BTreeMap<View, u32>,
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Elasticsearch(#[from] ElasticsearchError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("index {0} is gone right after it was made")]
    Vanished(String),
}

impl Keeper {
    pub fn new(
        elasticsearch: Elasticsearch,
        names: Names,
        tail: WatermarkTail,
        publisher: WatermarkPublisher,
        (ownership, partitions): (Ownership, i32),
    ) -> Self {
        Self {
            elasticsearch,
            names,
            tail,
            publisher,
            ownership,
            partitions,
            lost: BTreeMap::new(),
            removed: BTreeMap::new(),
            aliased: BTreeMap::new(),
        }
    }

    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut inspected = None;
        let mut backoff = Backoff::new(TICK, Duration::from_secs(1));
        let mut pause = TICK;
        while shutdown
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            pause = TICK;
            let complete = self.tail.read(WatermarkState::is_complete);
            if !complete || !self.ownership.owns(first_lane()) {
                continue;
            }
            if inspected.is_none_or(|at| clock::instant() - at > INSPECT_EVERY) {
                inspected = Some(clock::instant());
                self.inspect().await;
            }
            if self.tend_all().await {
                backoff.reset();
            } else {
                pause = backoff.next_delay();
            }
        }
    }

    /// False where a view could not be tended: it is tried again, less and less often.
    async fn tend_all(&mut self) -> bool {
        let mut succeeded = true;
        for view in View::ALL {
            if let Err(error) = self.tend(view).await {
                tracing::warn!(view = view.name(), error = %Chain(&error), "tend a view");
                succeeded = false;
            }
        }
        succeeded
    }

    /// Looks whether the indexes of all fed builds are still those that were announced.
    async fn inspect(&mut self) {
        for build in self.tail.read(fed) {
            match self.elasticsearch.index_uuid(&build.index).await {
                Ok(uuid) if uuid.as_deref() == Some(&build.index_uuid) => {}
                Ok(_) => {
                    self.lost
                        .entry(build.view)
                        .or_default()
                        .insert(build.number);
                }
                // Away is not lost.
                Err(_) => return,
            }
        }
    }

    /// Takes the next step of a view, and waits until it shows.
    async fn tend(&mut self, view: View) -> Result<(), KeepError> {
        self.point_alias(view).await?;
        let Some(step) = self.next_step(view) else {
            return Ok(());
        };
        match &step {
            Step::Announce { build, wish } => self.announce(view, *build, *wish).await?,
            Step::Switch(switch) => self.switch(view, switch).await?,
            Step::Retire { build } => self.retire(view, *build).await?,
            Step::Remove { build } => self.remove(view, *build).await?,
        }
        let mut changes = self.tail.changes();
        let shows = async {
            while self.next_step(view).as_ref() == Some(&step) && changes.changed().await.is_ok() {}
        };
        // Late is no harm: the same step is taken again, to the same effect.
        Deadline::within(SHOWS_WITHIN).run(shows).await.ok();
        Ok(())
    }

    fn next_step(&self, view: View) -> Option<Step> {
        let none = BTreeSet::new();
        let facts = Facts {
            view,
            now: clock::now(),
            lost: self.lost.get(&view).unwrap_or(&none),
            removed: self.removed.get(&view).unwrap_or(&none),
        };
        self.tail.read(|state| next_step(state, &facts))
    }

    async fn announce(&self, view: View, build: u32, wish: Option<Uuid>) -> Result<(), KeepError> {
        let index = self.names.index(view.name(), build);
        let index_uuid = match self
            .elasticsearch
            .create_index(&index, &index_body(view))
            .await
        {
            Ok(created) => created.uuid,
            Err(error) if error.is_already_exists() => {
                let uuid = self.elasticsearch.index_uuid(&index).await?;
                uuid.ok_or_else(|| KeepError::Vanished(index.clone()))?
            }
            Err(error) => return Err(error.into()),
        };
        tracing::info!(view = view.name(), build, index, "a build is announced");
        let announced = Announced {
            epoch: self.names.epoch(),
            index,
            index_uuid,
            version: view.version(),
            at: clock::now(),
            wish,
        };
        let key = Key::Announced {
            view: view.name().to_owned(),
            build,
        };
        Ok(self.publisher.publish(&key, Some(&announced)).await?)
    }

    async fn switch(&self, view: View, switch: &Switch) -> Result<(), KeepError> {
        let (from, to) = (switch.from, switch.to);
        tracing::info!(
            view = view.name(),
            build.from = from,
            build.to = to,
            "readers switch"
        );
        let key = Key::Switch {
            view: view.name().to_owned(),
            switch: clock::new_id(),
        };
        Ok(self.publisher.publish(&key, Some(switch)).await?)
    }

    async fn retire(&self, view: View, build: u32) -> Result<(), KeepError> {
        tracing::info!(view = view.name(), build, "a build is retired");
        let key = Key::Retired {
            view: view.name().to_owned(),
            build,
        };
        let retired = Retired {
            epoch: self.names.epoch(),
            at: clock::now(),
        };
        Ok(self.publisher.publish(&key, Some(&retired)).await?)
    }

    async fn remove(&mut self, view: View, build: u32) -> Result<(), KeepError> {
        let announced = self.tail.read(|state| {
            state
                .view(view.name())?
                .builds
                .get(&build)?
                .announced
                .clone()
        });
        if let Some(Announced {
            index, index_uuid, ..
        }) = announced
        {
            let current = self.elasticsearch.index_uuid(&index).await?;
            if current.as_ref() == Some(&index_uuid) {
                tracing::info!(view = view.name(), build, "a retired build is removed");
                self.elasticsearch.delete_index(&index).await?;
                self.take_watermarks_away(view, build).await?;
            }
            self.remove_checkpoints(&index_uuid).await?;
        }
        self.removed.entry(view).or_default().insert(build);
        Ok(())
    }

    async fn take_watermarks_away(&self, view: View, build: u32) -> Result<(), KeepError> {
        for partition in 0..self.partitions {
            let key = Key::Watermark {
                view: view.name().to_owned(),
                build,
                partition,
            };
            self.publisher.publish(&key, None::<&()>).await?;
        }
        Ok(())
    }

    async fn remove_checkpoints(&self, index_uuid: &str) -> Result<(), KeepError> {
        let index = self.names.checkpoints();
        let line = |lane: Lane| {
            let id = format!("{index_uuid}-{lane}");
            format!("{}\n", json!({"delete": {"_index": index, "_id": id}}))
        };
        let lines: String = Lane::all().map(line).collect();
        self.elasticsearch.bulk(Bytes::from(lines)).await?;
        Ok(())
    }

    /// The alias is for people who look into Elasticsearch; readers go by the topic.
    async fn point_alias(&mut self, view: View) -> Result<(), KeepError> {
        let active = self.tail.read(|state| state.view(view.name())?.active);
        let Some(active) = active.filter(|active| self.aliased.get(&view) != Some(active)) else {
            return Ok(());
        };
        let (alias, index) = (
            self.names.alias(view.name()),
            self.names.index(view.name(), active),
        );
        let all = self.names.index_pattern(view.name());
        let swap = [
            json!({"remove": {"index": all, "alias": alias, "must_exist": false}}),
            json!({"add": {"index": index, "alias": alias}}),
        ];
        self.elasticsearch.update_aliases(&swap).await?;
        self.aliased.insert(view, active);
        Ok(())
    }
}

fn first_lane() -> Lane {
    Lane::all().next().expect("there are 64 lanes")
}
