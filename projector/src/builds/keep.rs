//! Carries out the steps of builds: indexes in Elasticsearch, records in the watermark topic.
//!
//! Every step can be interrupted and repeated, also by another owner of lane 0 at the same time: an
//! index of the next number that already exists was created for this announcement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::clock::{self, Deadline};
use chassis::elasticsearch::{Elasticsearch, ElasticsearchError};
use chassis::retry::Backoff;
use chassis::telemetry::Chain;
use chassis::watermark_tail::WatermarkTail;
use schemas::lane::Lane;
use schemas::topic::Names;
use schemas::view::View;
use schemas::watermark::{Announced, Key, Retired, Switch, WatermarkState};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::decide::{Facts, Step, next_step};
use super::index::{index_body, index_meta};
use super::remove::Removal;
use super::stuck::Movement;
use super::{announced, remove_after};
use crate::board::Board;
use crate::config::{INSPECTION_INTERVAL, STEP_INTERVAL, STEP_TIMEOUT};
use crate::consume::Ownership;
use crate::publish::{PublishError, WatermarkPublisher};
use crate::version::version;

mod alias;

/// Maintains the builds of all views while this process owns lane 0.
#[derive(Debug)]
pub struct BuildController {
    elasticsearch: Elasticsearch,
    names: Names,
    tail: WatermarkTail,
    publisher: WatermarkPublisher,
    ownership: Ownership,
    board: Board,
    lost: BTreeMap<View, BTreeSet<u32>>,
    burnt: BTreeMap<View, BTreeSet<u32>>,
    removed: BTreeMap<View, BTreeSet<u32>>,
    aliased: BTreeMap<View, u32>,
    movement: Movement,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Elasticsearch(#[from] ElasticsearchError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("elasticsearch refused to delete a checkpoint, with status {0}")]
    Refused(u16),
    #[error("index {0} is missing right after its creation")]
    Vanished(String),
}

impl BuildController {
    pub fn new(
        elasticsearch: Elasticsearch,
        names: Names,
        tail: WatermarkTail,
        publisher: WatermarkPublisher,
        ownership: Ownership,
        board: Board,
    ) -> Self {
        Self {
            elasticsearch,
            names,
            tail,
            publisher,
            ownership,
            board,
            lost: BTreeMap::new(),
            burnt: BTreeMap::new(),
            removed: BTreeMap::new(),
            aliased: BTreeMap::new(),
            movement: Movement::default(),
        }
    }

    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut inspected, mut answers) = (None, false);
        let mut backoff = Backoff::new(STEP_INTERVAL, Duration::from_secs(1));
        let mut pause = STEP_INTERVAL;
        let mut changes = self.tail.changes();
        loop {
            // What the topic says may be what the next step waits for; after a failure it may not.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                Ok(()) = changes.changed(), if pause == STEP_INTERVAL => tokio::time::sleep(STEP_INTERVAL / 10).await,
            }
            pause = STEP_INTERVAL;
            let complete = self.tail.read(WatermarkState::is_complete);
            if !complete || !self.ownership.owns(first_lane()) {
                continue;
            }
            if inspected.is_none_or(|at| clock::instant() - at > INSPECTION_INTERVAL) {
                inspected = Some(clock::instant());
                answers = self.inspect().await;
                self.point_aliases().await;
            }
            self.movement.look(&self.board, answers);
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
                tracing::warn!(view = view.name(), error = %Chain(&error), "failed to maintain the builds of a view");
                succeeded = false;
            }
        }
        succeeded
    }

    /// Looks whether the indexes of all fed builds, of any version, are still those that were
    /// announced. False where Elasticsearch does not answer: away is not lost.
    async fn inspect(&mut self) -> bool {
        for build in self.tail.read(announced) {
            match self.elasticsearch.index_uuid(&build.index).await {
                Ok(uuid) if uuid.as_deref() == Some(&build.index_uuid) => {}
                Ok(_) => {
                    self.lost
                        .entry(build.view)
                        .or_default()
                        .insert(build.number);
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes the next step of a view, and waits until it shows.
    async fn tend(&mut self, view: View) -> Result<(), KeepError> {
        let Some(step) = self.next_step(view) else {
            return Ok(());
        };
        match &step {
            Step::Announce { build, wish } => self.announce(view, *build, *wish).await?,
            Step::Switch(switch) => self.switch(view, switch).await?,
            Step::Retire { build, lost } => self.retire(view, *build, *lost).await?,
            Step::Remove { build } => self.remove(view, *build).await?,
        }
        let mut changes = self.tail.changes();
        let shows = async {
            while self.next_step(view).as_ref() == Some(&step) && changes.changed().await.is_ok() {}
        };
        // Late is no harm: the same step is taken again, to the same effect.
        Deadline::within(STEP_TIMEOUT).run(shows).await.ok();
        Ok(())
    }

    fn next_step(&self, view: View) -> Option<Step> {
        let none = BTreeSet::new();
        let facts = Facts {
            view,
            version: version(view),
            now: self.tail.now(),
            at: clock::now(),
            remove_after: remove_after(),
            lost: self.lost.get(&view).unwrap_or(&none),
            stuck: &self.movement.stuck(view, clock::instant()),
            burnt: self.burnt.get(&view).unwrap_or(&none),
            removed: self.removed.get(&view).unwrap_or(&none),
        };
        self.tail.read(|state| next_step(state, &facts))
    }

    async fn announce(
        &mut self,
        view: View,
        build: u32,
        wish: Option<Uuid>,
    ) -> Result<(), KeepError> {
        let index = self.names.index(view.name(), build);
        let Some(index_uuid) = self.make_index(view, &index).await? else {
            tracing::info!(
                view = view.name(),
                build,
                index,
                "the build number is taken"
            );
            self.burnt.entry(view).or_default().insert(build);
            return Ok(());
        };
        tracing::info!(view = view.name(), build, index, "announced a build");
        let announced = Announced {
            epoch: self.names.epoch(),
            index,
            index_uuid,
            version: version(view),
            at: clock::now(),
            wish,
        };
        let key = Key::Announced {
            view: view.name().to_owned(),
            build,
        };
        Ok(self.publisher.publish(&key, Some(&announced)).await?)
    }

    /// The UUID of the index that was made for this very build; none where the name is taken by one
    /// that was made for another version.
    async fn make_index(&self, view: View, index: &str) -> Result<Option<String>, KeepError> {
        let body = index_body(view);
        match self.elasticsearch.create_index(index, &body).await {
            Ok(created) => Ok(Some(created.uuid)),
            Err(error) if error.is_already_exists() => {
                let found = self.elasticsearch.describe_index(index).await?;
                let found = found.ok_or_else(|| KeepError::Vanished(index.to_owned()))?;
                Ok((found.meta == index_meta(view)).then_some(found.uuid))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn switch(&self, view: View, switch: &Switch) -> Result<(), KeepError> {
        let (from, to) = (switch.from, switch.to);
        tracing::info!(
            view = view.name(),
            build.from = from,
            build.to = to,
            "activated a build"
        );
        let key = Key::Switch {
            view: view.name().to_owned(),
            switch: clock::new_id(),
        };
        Ok(self.publisher.publish(&key, Some(switch)).await?)
    }

    async fn retire(&self, view: View, build: u32, lost: bool) -> Result<(), KeepError> {
        tracing::info!(view = view.name(), build, lost, "retired a build");
        let key = Key::Retired {
            view: view.name().to_owned(),
            build,
            retired: clock::new_id(),
        };
        let retired = Retired {
            epoch: self.names.epoch(),
            at: clock::now(),
            lost,
        };
        Ok(self.publisher.publish(&key, Some(&retired)).await?)
    }

    async fn remove(&mut self, view: View, build: u32) -> Result<(), KeepError> {
        let removal = Removal {
            elasticsearch: &self.elasticsearch,
            names: &self.names,
            publisher: &self.publisher,
            partitions: self.ownership.partitions(),
        };
        let state = self.tail.read(|state| {
            let of_view = state.view(view.name())?;
            of_view.builds.get(&build).cloned()
        });
        if let Some(state) = state {
            removal.remove(view, build, &state).await?;
        }
        self.removed.entry(view).or_default().insert(build);
        Ok(())
    }
}

fn first_lane() -> Lane {
    Lane::all().next().expect("there are 64 lanes")
}
