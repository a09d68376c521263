//! Topics that are deleted: events come from the table, and without the watermark topic another
//! history begins.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chassis::clock::Deadline;
use chassis::kafka::{KafkaBrokers, topic_exists};
use e2e::client::Client;
use e2e::shop::{create_product, rare_word};
use e2e::world::{Plan, World};
use infra::service::Service;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use schemas::id::Epoch;
use schemas::topic::Names;
use testbed::stack::Server;
use uuid::Uuid;

const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Three looks over ten seconds, the first of them up to ten seconds away, and all that follows.
const NOTICED_WITHIN: Duration = Duration::from_secs(45);
/// Longer than it takes to call a topic lost.
const RESTART: Duration = Duration::from_secs(25);

async fn names(world: &World) -> Result<Names> {
    let database = world.database().await?;
    let row = database.query_one("select epoch from epoch", &[]).await?;
    let epoch = Epoch(u32::try_from(row.get::<_, i64>(0))?);
    Ok(Names::new(&world.surroundings().prefix, epoch))
}

async fn delete_topic(world: &World, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &world.surroundings().endpoints.kafka)
        .create()?;
    let options = AdminOptions::new();
    let deleted = admin.delete_topics(&[topic], &options).await?;
    for topic in deleted {
        topic.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
    }
    Ok(())
}

/// Waits until the topic is there again.
async fn is_made_again(world: &World, topic: &str) -> Result<()> {
    let deadline = Instant::now() + BACK_WITHIN;
    let brokers = KafkaBrokers::plain(world.surroundings().endpoints.kafka.clone());
    loop {
        if topic_exists(&brokers, topic, Deadline::within(BACK_WITHIN)).await? {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{topic} is still missing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Writes a product, and finds it within the time.
async fn write_and_find(staff: &Client, limit: Duration) -> Result<(Uuid, String)> {
    let word = rare_word();
    let id = create_product(staff, &format!("Kettle {word}"), &[]).await?;
    find(staff, &(id, word.clone()), limit).await?;
    Ok((id, word))
}

async fn find(staff: &Client, (id, word): &(Uuid, String), limit: Duration) -> Result<()> {
    let path = format!("/v1/products?q={word}");
    let found = staff.get_within(&path, limit).await?.expect(200)?;
    ensure!(found.ids() == [*id], "{word} is not found: {found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_topic_of_events_writes_become_visible_and_it_is_made_again() -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let mut known = vec![write_and_find(&staff, BACK_WITHIN).await?];
    let topic = names(&world).await?.events();

    delete_topic(&world, &topic).await?;
    known.push(write_and_find(&staff, BACK_WITHIN).await?);
    is_made_again(&world, &topic).await?;
    // In a quiet hour nobody publishes, and a projector that starts needs the topic.
    delete_topic(&world, &topic).await?;
    world.kill_all(Service::Projector).await?;
    world.start(Service::Projector).await?;
    is_made_again(&world, &topic).await?;
    world.ready().await?;
    known.push(write_and_find(&staff, BACK_WITHIN).await?);
    for product in &known {
        find(&staff, product, BACK_WITHIN).await?;
    }
    world.ensure_agreement().await?;
    world.close().await
}

/// Waits until every process has ended by itself.
async fn all_have_ended(world: &World) -> Result<()> {
    let deadline = Instant::now() + NOTICED_WITHIN;
    let services = [Service::CommandSvc, Service::Projector, Service::QuerySvc];
    let is_alive = |service| {
        let replicas = world.replicas(service);
        replicas.into_iter().any(|running| running.is_alive())
    };
    while let Some(service) = services.into_iter().find(|service| is_alive(*service)) {
        ensure!(Instant::now() < deadline, "{} runs on", service.name());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// As whatever watches over the processes would do.
async fn start_all_again(world: &mut World) -> Result<()> {
    for (service, replicas) in [
        (Service::CommandSvc, 1),
        (Service::Projector, 1),
        (Service::QuerySvc, 2),
    ] {
        world.kill_all(service).await?;
        for _ in 0..replicas {
            world.start(service).await?;
        }
    }
    Ok(())
}

/// With everything started again, a session of the former history finds what it wrote there, and
/// what it writes now.
async fn serves_again(mut world: World, staff: &Client, known: &(Uuid, String)) -> Result<()> {
    start_all_again(&mut world).await?;
    world.ready().await?;
    let after = world.staff()?.preferring("wait=5");
    after.adopt(staff.tidemark());
    find(&after, known, BACK_WITHIN).await?;
    write_and_find(&after, BACK_WITHIN).await?;
    world.ensure_agreement().await?;
    world.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_watermark_topic_another_history_begins_and_nothing_is_lost() -> Result<()> {
    let world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let known = write_and_find(&staff, BACK_WITHIN).await?;
    let before = names(&world).await?;

    delete_topic(&world, &before.watermarks()).await?;
    all_have_ended(&world).await?;
    let after = names(&world).await?;
    ensure!(after.epoch() != before.epoch(), "it is the same history");

    serves_again(world, &staff, &known).await
}

/// Nobody who remembers the topic runs while it goes: PostgreSQL does.
#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_topic_that_is_lost_while_nothing_runs_is_noticed_at_the_start() -> Result<()> {
    let mut world = World::open(Plan::default()).await?;
    let staff = world.staff()?.preferring("wait=5");
    let known = write_and_find(&staff, BACK_WITHIN).await?;
    let before = names(&world).await?;

    for service in [Service::CommandSvc, Service::Projector, Service::QuerySvc] {
        world.kill_all(service).await?;
    }
    delete_topic(&world, &before.watermarks()).await?;
    start_all_again(&mut world).await?;
    all_have_ended(&world).await?;
    let after = names(&world).await?;
    ensure!(after.epoch() != before.epoch(), "it is the same history");
    serves_again(world, &staff, &known).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_restart_of_the_broker_begins_no_other_history() -> Result<()> {
    let world = World::open(Plan {
        own_servers: true,
        query_svcs: 1,
        ..Plan::default()
    })
    .await?;
    let staff = world.staff()?.preferring("wait=5");
    let known = write_and_find(&staff, BACK_WITHIN).await?;
    let before = names(&world).await?.epoch();

    let servers = world.own_servers()?;
    servers.stop_server(Server::Kafka).await?;
    tokio::time::sleep(RESTART).await;
    servers.start_server(Server::Kafka).await?;
    find(&staff, &known, BACK_WITHIN).await?;
    write_and_find(&staff, BACK_WITHIN)
        .await
        .context("after the restart")?;
    ensure!(
        names(&world).await?.epoch() == before,
        "another history has begun"
    );
    world.close().await
}
