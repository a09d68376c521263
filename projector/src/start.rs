//! Starting: the epoch first, since every name carries it; then the parts, in the order of need.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::elasticsearch::Elasticsearch;
use chassis::health::{Health, Probe};
use chassis::kafka::{BrokersError, KafkaBrokers};
use chassis::postgres::{self, PoolOptions, Session};
use chassis::retry::Backoff;
use chassis::shutdown::Shutdown;
use chassis::telemetry::{Chain, Said};
use chassis::watermark_tail::WatermarkTail;
use deadpool_postgres::Pool;
use schemas::id::Epoch;
use schemas::topic::Names;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::board::Board;
use crate::builds::BuildController;
use crate::cache::CacheBudget;
use crate::checkpoint::{CheckpointWriter, Checkpoints};
use crate::config::ProjectorArgs;
use crate::config::{ELASTICSEARCH_TIMEOUT, FILL_RETRY_BUDGET, TAIL_TIMEOUT};
use crate::consume::{Follower, Gather, Offsets, Ownership};
use crate::cycle::{Cycle, Parts};
use crate::dead_letter::DeadLetters;
use crate::ending::Ending;
use crate::fill::{FillContext, FillPermits};
use crate::heads::read_heads;
use crate::http::Sources;
use crate::indexes::{IndexError, Indexes};
use crate::lag::HeadWatcher;
use crate::publish::{WatermarkLoop, WatermarkPublisher};
use crate::sink::Sink;

mod indexes;

use indexes::ensure_indexes;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("set up postgres")]
    Postgres(#[from] postgres::SetupError),
    #[error("set up elasticsearch")]
    Elasticsearch(#[from] chassis::elasticsearch::SetupError),
    #[error("set up kafka")]
    Kafka(#[from] BrokersError),
    #[error("set up the consumer of events")]
    Consumer(#[source] rdkafka::error::KafkaError),
    #[error(transparent)]
    Publisher(#[from] crate::publish::PublishError),
    #[error(transparent)]
    Tail(#[from] chassis::watermark_tail::TailError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The probes of what is behind this process.
#[derive(Debug, Clone)]
pub struct Probes {
    /// Met once everything runs: from then on, waiting for servers is the projector's own business.
    begun: Probe,
    postgres: Probe,
    kafka: Probe,
    events: Probe,
    elasticsearch: Probe,
}

impl Probes {
    pub fn new(health: &Health) -> Self {
        Self {
            begun: health.requirement("start"),
            postgres: health.dependency("postgres"),
            kafka: health.dependency("kafka"),
            events: health.dependency("events"),
            elasticsearch: health.dependency("elasticsearch"),
        }
    }
}

/// Where the process notes why it had to end.
pub type Endings = Arc<OnceLock<Ending>>;

/// Brings the projector up; runs until it is up or `shutdown` starts.
pub async fn start(
    args: ProjectorArgs,
    probes: Probes,
    shutdown: Shutdown,
    sources: watch::Sender<Option<Sources>>,
    endings: Endings,
) -> Result<(), StartError> {
    let token = shutdown.token();
    let brokers = KafkaBrokers::new(&args.kafka)?;
    let begun = Start {
        args,
        brokers,
        probes,
        shutdown,
        endings,
    }
    .run(sources);
    token.run_until_cancelled(begun).await.unwrap_or(Ok(()))
}

struct Start {
    args: ProjectorArgs,
    brokers: KafkaBrokers,
    probes: Probes,
    shutdown: Shutdown,
    endings: Endings,
}

/// What the parts share.
struct Wiring {
    elasticsearch: Elasticsearch,
    pool: Pool,
    names: Names,
    tail: WatermarkTail,
    publisher: WatermarkPublisher,
    ownership: Ownership,
    board: Board,
    dead_letters: DeadLetters,
    checkpoints: Checkpoints,
}

impl Wiring {
    fn sources(&self) -> Sources {
        Sources {
            board: self.board.clone(),
            tail: self.tail.clone(),
            dead_letters: self.dead_letters.clone(),
        }
    }
}

impl Start {
    async fn run(self, sources: watch::Sender<Option<Sources>>) -> Result<(), StartError> {
        let elasticsearch =
            Elasticsearch::connect(&self.args.elasticsearch, ELASTICSEARCH_TIMEOUT)?;
        let pool = self.pool()?;
        let names = Names::new(&self.args.namespace.prefix, self.epoch(&pool).await);
        let brokers = &self.brokers;
        let probe = self.probes.kafka.clone();
        let tail = WatermarkTail::spawn(brokers, &names, &self.shutdown, probe)?;
        let board = Board::default();
        // What is waited for below may never come in a history that has ended.
        self.watch_heads(&pool, &board, &tail, names.epoch());
        let indexes = Indexes::new(elasticsearch.clone(), &names);
        ensure_indexes(&indexes, &self.probes.elasticsearch).await?;
        read_whole(&tail).await;
        let gather = Gather::default();
        let probe = self.probes.events.clone();
        let follower =
            Follower::new(brokers, &names, gather.clone(), probe).map_err(StartError::Consumer)?;
        let partitions = follower.partitions().await;
        self.probes.events.up();
        let wiring = Wiring {
            ownership: Ownership::new(follower.assignment(), partitions),
            publisher: WatermarkPublisher::new(brokers, &names)?,
            dead_letters: DeadLetters::new(elasticsearch.clone(), indexes.clone(), &names),
            checkpoints: Checkpoints::new(elasticsearch.clone(), indexes, &names),
            board,
            elasticsearch,
            pool,
            names,
            tail,
        };
        sources.send_replace(Some(wiring.sources()));
        self.spawn_speakers(&wiring);
        let (commits, committed) = watch::channel(Offsets::new());
        let writer =
            CheckpointWriter::new(wiring.checkpoints.clone(), wiring.board.clone(), commits);
        let token = self.shutdown.token();
        self.shutdown
            .spawn("checkpoints", writer.run(token.clone()));
        self.shutdown
            .spawn("events", follower.run(committed, token.clone()));
        let tail = wiring.tail.clone();
        let cycle = Cycle::new(self.parts(wiring), gather, tail);
        self.spawn("cycle", cycle.run(token));
        self.probes.begun.up();
        Ok(())
    }

    fn watch_heads(&self, pool: &Pool, board: &Board, tail: &WatermarkTail, epoch: Epoch) {
        let watcher = HeadWatcher {
            pool: pool.clone(),
            board: board.clone(),
            tail: tail.clone(),
            epoch,
            probe: self.probes.postgres.clone(),
        };
        self.spawn("heads", watcher.run(self.shutdown.token()));
    }

    /// Those who speak of what the board shows.
    fn spawn_speakers(&self, wiring: &Wiring) {
        let token = self.shutdown.token();
        let ownership = wiring.ownership.clone();
        let controller = BuildController::new(
            wiring.elasticsearch.clone(),
            wiring.names.clone(),
            wiring.tail.clone(),
            wiring.publisher.clone(),
            ownership.clone(),
            wiring.board.clone(),
        );
        self.shutdown.spawn("builds", controller.run(token.clone()));
        let watermarks = WatermarkLoop::new(
            wiring.board.clone(),
            wiring.tail.clone(),
            ownership,
            wiring.publisher.clone(),
            wiring.names.clone(),
        );
        self.shutdown.spawn("watermarks", watermarks.run(token));
    }

    fn parts(&self, wiring: Wiring) -> Parts {
        let probe = self.probes.elasticsearch.clone();
        let sink = Sink::new(wiring.elasticsearch, self.args.retry_budget(), probe);
        let watch = sink.clone().watch(self.shutdown.token());
        self.shutdown.spawn("elasticsearch", watch);
        let fill = FillContext {
            pool: wiring.pool.clone(),
            board: wiring.board.clone(),
            sink: sink.clone().with_budget(FILL_RETRY_BUDGET),
            permits: FillPermits::new(self.args.fill_bulks),
            checkpoints: wiring.checkpoints,
            ownership: wiring.ownership.clone(),
        };
        Parts {
            pool: wiring.pool,
            sink,
            fill,
            dead_letters: wiring.dead_letters,
            board: wiring.board,
            ownership: wiring.ownership,
            cache: CacheBudget::new(self.args.cache_bytes()),
        }
    }

    /// Runs a task whose error ends the process, and is remembered.
    fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), Ending>> + Send + 'static,
    ) {
        let endings = Arc::clone(&self.endings);
        self.shutdown.spawn_once(name, async move {
            task.await.inspect_err(|ending| {
                endings.set(ending.clone()).ok();
            })
        });
    }

    fn pool(&self) -> Result<Pool, StartError> {
        let options = PoolOptions {
            size: self.args.postgres.pool_size,
            application_name: "projector",
            session: Session::Reader,
        };
        Ok(postgres::pool(
            &self.args.postgres.database_url,
            &options,
            &Handle::current(),
        )?)
    }

    async fn epoch(&self, pool: &Pool) -> Epoch {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut said = Said::default();
        loop {
            match read_heads(pool).await {
                Ok((epoch, _)) => {
                    self.probes.postgres.up();
                    tracing::info!(%epoch, "read the epoch");
                    return epoch;
                }
                Err(error) => {
                    self.probes.postgres.down(error.outline());
                    if said.is_news(&error) {
                        tracing::warn!(error = %Chain(&error), "failed to read the epoch; retrying");
                    }
                    backoff.pause().await;
                }
            }
        }
    }
}

/// Nothing may be published below what stands in the watermark topic.
async fn read_whole(tail: &WatermarkTail) {
    while tail.complete(Deadline::within(TAIL_TIMEOUT)).await.is_err() {
        tracing::warn!("still reading the watermark topic");
    }
}
