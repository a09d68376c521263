//! Copies of an index that come and go with a node: the watermark goes on, and whatever copy serves
//! a search shows what the watermark claims.

use std::pin::pin;
use std::time::Duration;

use chassis::clock;
use chassis::elasticsearch::{ElasticsearchError, Hit, SearchOptions};
use schemas::id::ProductId;
use schemas::view::{Document, View};
use serde_json::{Value, json};
use testbed::stack::{Server, Stack, StackOptions};

use crate::world::{LIMIT, PARTITIONS, World, detailed, moved_price, product};

/// Far below the time for which an incomplete refresh is tried again.
const STEADY: Duration = Duration::from_secs(10);
/// Long enough for a copy that serves; a search of one that recovers waits until it does.
const PATIENCE: Duration = Duration::from_millis(200);
const FIRST: &str = "tidemark";
const NODES: [&str; 2] = [FIRST, "tidemark-2"];
/// Products whose prices change.
const PRODUCTS: usize = 8;
/// Words that occur once, in products that stay as they are: half a megabyte to copy.
const BALLAST: [usize; 6] = [3_000; 6];

/// Products of a view whose index has copies.
struct Copied<'a> {
    world: &'a World,
    index: String,
    ids: Vec<ProductId>,
    amount: i64,
}

impl<'a> Copied<'a> {
    /// All are visible and on disk, so that a new copy begins with the files.
    async fn fill(world: &'a World) -> Self {
        let lamp = || product("Lamp", None);
        let (ids, mut events): (Vec<_>, Vec<_>) = (0..PRODUCTS).map(|_| lamp()).unzip();
        for words in BALLAST {
            let words = (0..words).map(|_| clock::new_id().simple().to_string());
            let text = words.collect::<Vec<_>>().join(" ");
            let (id, created) = lamp();
            events.extend([created, detailed(id, &text, &[])]);
        }
        let committed = world.commit(&events).await;
        world.visible(View::Products, &committed).await;
        let index = world.index(View::Products);
        world
            .by_hand("POST", &format!("{index}/_flush?force=true"), None)
            .await;
        Self {
            world,
            index,
            ids,
            amount: 100,
        }
    }

    async fn add_copy(&self) {
        let settings = json!({"index": {"number_of_replicas": 1}});
        let path = format!("{}/_settings", self.index);
        self.world.by_hand("PUT", &path, Some(&settings)).await;
    }

    async fn until_copy_is(&self, state: &str) {
        let is_so = async || self.state_of_copy().await == state;
        self.world.eventually(state, is_so).await;
    }

    /// The state of the copy beside the first.
    async fn state_of_copy(&self) -> String {
        let server = &self.world.namespace.endpoints().elasticsearch;
        let url = format!("{server}/_cat/shards/{}?format=json", self.index);
        let answer = reqwest::get(url).await.unwrap();
        let shards: Value = answer.json().await.unwrap();
        let mut shards = shards.as_array().unwrap().iter();
        let copy = shards.find(|shard| shard["prirep"] == "r");
        let state = copy.and_then(|copy| copy["state"].as_str());
        state.unwrap_or("none").to_owned()
    }

    /// Changes every price. The watermark covers that in time, and then it is shown by the copies
    /// on these nodes, and by any other that answers.
    async fn change_prices(&mut self, serving: &[&str]) {
        self.amount += 1;
        let changes = self.ids.iter().map(|id| moved_price(*id, self.amount));
        let began = clock::instant();
        let committed = self.world.commit(&changes.collect::<Vec<_>>()).await;
        self.world.visible(View::Products, &committed).await;
        let took = began.elapsed();
        assert!(took < STEADY, "visible after {took:?}");
        for node in NODES {
            let must_serve = serving.contains(&node);
            let patience = if must_serve { STEADY } else { PATIENCE };
            match self.shown_on(node, patience).await {
                Ok(prices) => assert_eq!(prices, [self.amount; PRODUCTS], "on {node}"),
                Err(error) => assert!(!must_serve, "{node}: {error}"),
            }
        }
    }

    /// All prices as the copy on a node shows them.
    async fn shown_on(
        &self,
        node: &str,
        patience: Duration,
    ) -> Result<Vec<i64>, ElasticsearchError> {
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        let query = json!({"query": {"ids": {"values": ids}}, "size": PRODUCTS});
        let options = SearchOptions {
            preference: Some(format!("_only_nodes:{node}")),
        };
        let elasticsearch = self.world.elasticsearch.with_timeout(patience);
        let body = query.to_string().into();
        let answer = elasticsearch.search(Some(&self.index), body, &options);
        let price = |hit: Hit| match View::Products.parse(&hit.source.unwrap()) {
            Ok(Document::Products(product)) => product.price.amount,
            other => panic!("no product: {other:?}"),
        };
        Ok(answer.await?.hits.hits.into_iter().map(price).collect())
    }
}

/// Nothing moves by itself, and copies are made at this pace.
async fn pace_recoveries(world: &World, bytes_per_second: &str) {
    let settings = json!({"persistent": {
        "indices.recovery.max_bytes_per_sec": bytes_per_second,
        "indices.recovery.chunk_size": "8kb",
        "cluster.routing.rebalance.enable": "none",
    }});
    world
        .by_hand("PUT", "_cluster/settings", Some(&settings))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_recover_serve_and_go_neither_stop_the_watermark_nor_belie_it() {
    let options = StackOptions {
        second_elasticsearch: true,
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let world = World::open_on(stack.endpoints(), PARTITIONS).await;
    let _projector = world.projector().await;
    let mut copied = Copied::fill(&world).await;
    pace_recoveries(&world, "20kb").await;
    stack
        .start_server(Server::SecondElasticsearch)
        .await
        .unwrap();
    copied.change_prices(&[FIRST]).await;

    copied.add_copy().await;
    copied.until_copy_is("INITIALIZING").await;
    for _ in 0..10 {
        copied.change_prices(&[FIRST]).await;
    }
    assert_eq!(copied.state_of_copy().await, "INITIALIZING");

    pace_recoveries(&world, "10mb").await;
    let began = clock::instant();
    while copied.state_of_copy().await != "STARTED" {
        copied.change_prices(&[FIRST]).await;
        assert!(began.elapsed() < LIMIT, "the copy is never made");
    }
    for _ in 0..10 {
        copied.change_prices(&NODES).await;
    }

    leave(&stack, &mut copied).await;
    copied.until_copy_is("UNASSIGNED").await;
    for _ in 0..5 {
        copied.change_prices(&[FIRST]).await;
    }
}

/// The second node ends while prices change.
async fn leave(stack: &Stack, copied: &mut Copied<'_>) {
    let mut leaving = pin!(stack.stop_server(Server::SecondElasticsearch));
    loop {
        let changing = copied.change_prices(&[FIRST]);
        let (left, ()) = tokio::join!(futures::future::poll_immediate(&mut leaving), changing);
        if let Some(left) = left {
            return left.unwrap();
        }
    }
}
