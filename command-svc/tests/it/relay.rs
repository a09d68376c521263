//! The relay between a real log and a real topic: order, density, and what a crash may repeat.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chassis::clock::{self, Deadline};
use chassis::event_log;
use chassis::kafka::{KafkaBrokers, ensure_topic};
use chassis::metrics::{self, Metrics};
use chassis::shutdown::Shutdown;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use schemas::event::{CategoryRenamed, Envelope, Event, Meta, ProductDetailsChanged};
use schemas::id::{CategoryId, ProductId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::log::{Log, PARTITIONS, at, by_lane, prefix, price_changed};

const WITHIN: Duration = Duration::from_secs(20);

/// As a crash: nothing is flushed, nothing remembered.
async fn kill(relay: JoinHandle<()>) {
    relay.abort();
    let _ = relay.await;
}

fn is_dense(seqs: &[u64]) -> bool {
    (1..).zip(seqs).all(|(expected, seq)| expected == *seq)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_once_in_order_as_they_were_committed() -> Result<()> {
    let log = Log::create().await?;
    log.append_prices(500).await?;
    let relay = log.run_relay();
    let category_id = CategoryId(clock::new_id());
    let renamed = CategoryRenamed {
        category_id,
        name: "Lamps".to_owned(),
        occurred_at: at(),
    };
    log.append(&[renamed.into()]).await?;
    for _ in 0..20 {
        log.append_prices(10).await?;
    }
    let records = log.read_all().await?;
    for (lane, seqs) in by_lane(&records) {
        ensure!(is_dense(&seqs), "lane {lane} came as {seqs:?}");
    }
    let rows = format!("select {} from event", event_log::COLUMNS);
    let mut committed: Vec<Envelope> = Vec::new();
    for row in log.db.query(&rows, &[]).await? {
        committed.push(Envelope {
            meta: Meta::default(),
            ..event_log::from_row(&row)?
        });
    }
    ensure!(committed.len() == records.len());
    for record in &records {
        let lane = record.envelope.lane;
        ensure!(
            committed.contains(&record.envelope),
            "{record:?} is not as committed"
        );
        ensure!(record.partition == lane.partition(PARTITIONS));
        let key = record
            .envelope
            .subject
            .map_or(format!("lane-{lane}"), |id| id.to_string());
        ensure!(record.key == key);
    }
    kill(relay).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_relay_may_repeat_and_never_skips() -> Result<()> {
    let log = Log::create().await?;
    let relay = log.run_relay();
    log.append_prices(50).await?;
    log.wait_until_remembered().await?;
    // While this lock is held, nothing can be remembered.
    let blocker = log.connect().await?;
    blocker
        .batch_execute("begin; lock table relay in exclusive mode")
        .await?;
    log.append_prices(50).await?;
    log.read_all().await?;
    kill(relay).await;
    // What it may have sent to PostgreSQL before its end must not be carried out either.
    let ended = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and application_name = 'command-svc relay'";
    for ended in log.db.query(ended, &[]).await? {
        ensure!(
            ended.get::<_, bool>(0),
            "the relay's connection outlives it"
        );
    }
    blocker.batch_execute("rollback").await?;

    let relay = log.run_relay();
    log.append_prices(50).await?;
    let heads = log.heads().await?;
    let records = log.read_until(|records| prefix(records) == heads && records.len() >= 200);
    let records = records
        .await
        .context("what was not remembered comes again")?;
    ensure!(prefix(&records) == heads);
    kill(relay).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_takes_over_what_another_leaves() -> Result<()> {
    let log = Log::create().await?;
    let first = log.run_relay();
    log.append_prices(50).await?;
    log.wait_until_remembered().await?;
    let second = log.run_relay();
    log.append_prices(50).await?;
    log.wait_until_remembered().await?;
    let both = log.read_all().await?;
    ensure!(both.len() == 100, "while both live, each event leaves once");
    kill(first).await;
    log.append_prices(50).await?;
    let all = log.read_all().await?;
    ensure!(prefix(&all) == log.heads().await?);
    kill(second).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_stops_publishes_what_is_committed_and_remembers_it() -> Result<()> {
    let log = Log::create().await?;
    let (relay, handle) = log.relay();
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay.run(stop.clone()));
    log.append_prices(10).await?;
    log.wait_until_remembered().await?;
    let positions = log.append_prices(300).await?;
    handle.committed(&positions);
    stop.cancel();
    tokio::time::timeout(WITHIN, running).await??;
    ensure!(log.remembered().await? == log.heads().await?);
    ensure!(log.read_all().await?.len() == 310);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_to_postgres_is_made_again() -> Result<()> {
    let log = Log::create().await?;
    let relay = log.run_relay();
    log.append_prices(50).await?;
    log.wait_until_remembered().await?;
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'command-svc relay'";
    let ended = log.db.query(ended, &[]).await?;
    ensure!(ended.len() == 1, "the relay has one connection");
    log.append_prices(50).await?;
    log.wait_until_remembered().await?;
    let records = log.read_all().await?;
    ensure!(prefix(&records) == log.heads().await?);
    kill(relay).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_kafka_refuses_is_counted_and_left_out() -> Result<()> {
    let metrics: Metrics = metrics::install("test", "0", &Shutdown::default())?;
    let log = Log::create().await?;
    let settings = [("max.message.bytes", "6000")];
    let deadline = Deadline::within(WITHIN);
    ensure_topic(
        &KafkaBrokers::plain(log.kafka()),
        &log.names.events(),
        PARTITIONS,
        &settings,
        deadline,
    )
    .await?;
    let product = clock::new_id();
    // Text that no compression makes small.
    let description: String = (0..1_000).map(|_| clock::new_id().to_string()).collect();
    let large = ProductDetailsChanged {
        product_id: ProductId(product),
        name: String::new(),
        description,
        brand: String::new(),
        attributes: Default::default(),
        occurred_at: at(),
    };
    let mut events: Vec<Event> = (0..200).map(|_| price_changed(clock::new_id())).collect();
    events.extend([large.into()]);
    events.extend((0..200).map(|_| price_changed(clock::new_id())));
    let positions = log.append(&events).await?;
    let refused = positions[200];
    let relay = log.run_relay();
    log.wait_until_remembered().await?;
    let mut others = positions.clone();
    others.retain(|position| *position != refused);
    let records = log.read_until(|records| {
        let has = |position| records.iter().any(|r| r.envelope.position() == position);
        others.iter().all(|position| has(*position))
    });
    let records = records.await?;
    ensure!(
        records
            .iter()
            .all(|record| record.envelope.position() != refused)
    );
    let counted = metrics.render();
    ensure!(
        counted.contains("tidemark_relay_refused_total 1\n"),
        "{counted}"
    );
    kill(relay).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_deleted_is_made_again() -> Result<()> {
    let log = Log::create().await?;
    let relay = log.run_relay();
    log.append_prices(20).await?;
    log.wait_until_remembered().await?;
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", log.kafka());
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let options = AdminOptions::new().operation_timeout(Some(WITHIN));
    for deleted in admin
        .delete_topics(&[&log.names.events()], &options)
        .await?
    {
        deleted.map_err(|(topic, code)| anyhow::anyhow!("delete {topic}: {code}"))?;
    }
    let later = log.append_prices(20).await?;
    let all_of_them = |records: &[crate::log::Record]| {
        let has = |position| records.iter().any(|r| r.envelope.position() == position);
        later.iter().all(|position| has(*position))
    };
    log.read_until(all_of_them).await?;
    log.wait_until_remembered().await?;
    kill(relay).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_behind_a_gap() -> Result<()> {
    let log = Log::create().await?;
    // One event in every lane, three times.
    for _ in 0..3 {
        let renamed = CategoryRenamed {
            category_id: CategoryId(clock::new_id()),
            name: "Lamps".to_owned(),
            occurred_at: at(),
        };
        log.append(&[renamed.into()]).await?;
    }
    log.db
        .execute("delete from event where seq = 2", &[])
        .await?;
    let relay = log.run_relay();
    log.read_until(|records| !records.is_empty()).await?;
    // The relay starts over at the gap: it has met it once it has connected twice.
    let sessions = "select pid from pg_stat_activity
        where datname = current_database() and application_name = 'command-svc relay'";
    let mut met = std::collections::BTreeSet::new();
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let meeting = async {
        while met.len() < 3 {
            looks.tick().await;
            let rows = log.db.query(sessions, &[]).await?;
            met.extend(rows.iter().map(|row| row.get::<_, i32>(0)));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, meeting)
        .await
        .context("the relay did not start over")??;
    kill(relay).await;
    let published = log.read_until(|records| !records.is_empty()).await?;
    let seqs: Vec<u64> = published.iter().map(|record| record.envelope.seq).collect();
    ensure!(seqs.iter().all(|seq| *seq == 1), "published {seqs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_has_grown_is_noticed_under_steady_traffic() -> Result<()> {
    let log = Log::create().await?;
    let relay = log.run_relay();
    log.append_prices(20).await?;
    log.wait_until_remembered().await?;
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", log.kafka());
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = log.names.events();
    let grown = rdkafka::admin::NewPartitions::new(&topic, 16);
    for grown in admin
        .create_partitions([&grown], &AdminOptions::new())
        .await?
    {
        grown.map_err(|(topic, code)| anyhow::anyhow!("grow {topic}: {code}"))?;
    }
    let owned = "select count(*) from pg_locks
        where locktype = 'advisory' and classid = x'7464726c'::int::oid
            and database = (select oid from pg_database where datname = current_database())";
    let noticed = async {
        let mut traffic = tokio::time::interval(Duration::from_millis(50));
        while log.db.query_one(owned, &[]).await?.get::<_, i64>(0) < 16 {
            traffic.tick().await;
            log.append_prices(1).await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(10), noticed)
        .await
        .context("the new partitions have no owner")??;
    kill(relay).await;
    Ok(())
}
