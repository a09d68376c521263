//! Steps of the ladder, each on real servers.

use schemas::lane::{LaneSeqs, Position};
use schemas::view::{Document, ProductDocument, View};

use crate::shop::{Shop, product};

fn path(document: &Document) -> String {
    format!("/v1/products/{}", document.id())
}

fn renamed(product: &ProductDocument, name: &str) -> Document {
    let mut renamed = product.clone();
    name.clone_into(&mut renamed.name);
    renamed.stream_version += 1;
    renamed.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_visible_is_covered_on_every_replica() {
    let shop = Shop::open().await;
    let lamp = Document::from(product("Lamp"));
    let at = shop.write(vec![lamp.clone()]).await[0];
    for replica in [shop.replica().await, shop.replica().await] {
        let client = replica.client().holding(shop.written(at));
        let answer = client.get(&path(&lamp)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.served(), "covered");
        assert_eq!(answer.body["name"], "Lamp");
        assert_eq!(
            answer.header("etag"),
            Some(format!("\"1-{}-{}\"", at.seq, View::Products.version()).as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_but_not_visible_is_read_as_last_written() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = product("Lamp");
    shop.write(vec![lamp.clone().into()]).await;
    let renamed = renamed(&lamp, "Desk lamp");
    let at = shop.store(vec![renamed.clone()]).await[0];
    let client = replica.client().holding(shop.written(at));
    let answer = client.get(&path(&renamed)).await;
    assert_eq!(answer.served(), "realtime", "{answer:?}");
    assert_eq!(answer.body["name"], "Desk lamp");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_by_hand_prove_no_event_and_are_no_position() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    shop.write(vec![lamp.clone()]).await;
    let later = shop.commit(lamp.clone()).await;
    let at = Position {
        lane: later.lane(),
        seq: later.seq(),
    };
    let names = ["a", "b", "c"];
    for name in names {
        shop.edit_by_hand(&lamp, name).await;
    }
    let client = replica.client().holding(shop.written(at));
    let answer = client.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    // The version is beyond the head of the lane: as a position it would be lost history.
    let anybody = replica.client();
    for _ in names {
        let answer = anybody.get(&path(&lamp)).await;
        assert_eq!((answer.status, answer.served()), (200, "covered"));
        assert_eq!(answer.body["name"], "c");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_shown_as_last_written_is_remembered_by_the_tidemark() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    shop.store(vec![lamp.clone()]).await;
    let seen = replica.client();
    let answer = seen.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.served()), (200, "covered"));
    let elsewhere = replica.client().holding(seen.tidemark().unwrap());
    let explained = elsewhere.get("/v1/tidemark").await;
    assert_eq!(explained.body["covered"], false, "{explained:?}");
    let heads = shop.heads();
    for view in View::ALL {
        shop.refresh(view, 1).await;
        shop.publish(view, 1, &heads).await;
    }
    let waiting = elsewhere.with("prefer", "wait=5");
    assert_eq!(waiting.get(&path(&lamp)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_until_its_lane_is_visible() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = product("Lamp");
    shop.write(vec![lamp.clone().into()]).await;
    let renamed = shop.commit(renamed(&lamp, "Desk lamp")).await;
    let at = Position {
        lane: renamed.lane(),
        seq: renamed.seq(),
    };
    let path = path(&renamed);
    let hasty = replica.client().holding(shop.written(at));
    let hasty = hasty.with("prefer", "wait=0.1");
    assert_eq!(hasty.get(&path).await.status, 503);
    let client = replica.client().holding(shop.written(at));
    let client = client.with("prefer", "wait=5");
    let (answer, ()) = tokio::join!(client.get(&path), async {
        shop.index(1, std::slice::from_ref(&renamed)).await;
        shop.refresh(View::Products, 1).await;
        shop.publish(View::Products, 1, &shop.heads()).await;
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(answer.served(), "stale");
    assert_eq!(answer.body["name"], "Desk lamp");
    assert_eq!(answer.header("preference-applied"), Some("wait=5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_subject_of_the_lane_cannot_be_proven_by_this_document() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = Document::from(product("Lamp"));
    let at = shop.write(vec![lamp.clone()]).await[0];
    let beyond = shop.commit(lamp.clone()).await;
    assert_eq!(beyond.seq(), at.seq + 1);
    let position = Position {
        lane: at.lane,
        seq: beyond.seq(),
    };
    let client = replica.client().holding(shop.written(position));
    let answer = client.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_cannot_be_fresh_in_time_says_which_lane_is_behind_and_when_to_come_back() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let at = Position {
        lane: lamp.lane(),
        seq: lamp.seq(),
    };
    let client = replica.client().holding(shop.written(at));
    let client = client.with("prefer", "wait=0.2");
    let answer = client.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("preference-applied"), Some("wait=0.2"));
    assert!(answer.body["retry_after_ms"].is_u64());
    let behind = &answer.body["lanes_behind"][0];
    assert_eq!(behind["view"], "products");
    assert_eq!(behind["lane"], lamp.lane().number());
    assert_eq!(
        (&behind["wanted"], &behind["visible"]),
        (&1.into(), &0.into())
    );
    assert!(client.tidemark().is_some());
    let again = client.get("/v1/tidemark").await;
    assert_eq!(
        again.body["covered"], false,
        "the entry is still in the tidemark"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lenient_readers_get_what_there_is() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = product("Lamp");
    shop.write(vec![lamp.clone().into()]).await;
    let renamed = shop.commit(renamed(&lamp, "Desk lamp")).await;
    let at = Position {
        lane: renamed.lane(),
        seq: renamed.seq(),
    };
    let client = replica.client().holding(shop.written(at));
    let client = client.with("prefer", "wait=0.1, handling=lenient");
    let answer = client.get(&path(&renamed)).await;
    assert_eq!((answer.status, answer.served()), (200, "stale"));
    assert_eq!(answer.body["name"], "Lamp");
    let applied = answer.header("preference-applied");
    assert_eq!(applied, Some("wait=0.1, handling=lenient"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_behind_the_last_one_waits_until_it_has_followed_as_far() {
    let shop = Shop::open().await;
    let (ahead, behind) = (shop.replica().await, shop.replica().await);
    let lamp = Document::from(product("Lamp"));
    shop.write(vec![lamp.clone()]).await;
    shop.reached(&ahead, 1).await;
    shop.reached(&behind, 1).await;
    let client = ahead.client();
    assert_eq!(client.get(&path(&lamp)).await.status, 200);
    let explained = client.get("/v1/tidemark").await;
    let offset = explained.body["replica_offset"].as_u64().unwrap();
    // The replica that answered last had read two records more than there are yet.
    let later = shop.token(|tidemark| tidemark.raise_offset(offset + 2));
    let impatient = behind.client().holding(later.clone());
    let impatient = impatient.with("prefer", "wait=0.1");
    let answer = impatient.get(&path(&lamp)).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    let patient = behind.client().holding(later).with("prefer", "wait=5");
    let path = path(&lamp);
    let (answer, _) = tokio::join!(
        patient.get(&path),
        shop.write(vec![product("Desk").into(), product("Chair").into()]),
    );
    assert_eq!(
        (answer.status, answer.served()),
        (200, "waited"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_a_build_that_is_behind_makes_readers_wait_and_never_go_back() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let lamp = product("Lamp");
    shop.write(vec![lamp.clone().into()]).await;
    let renamed = renamed(&lamp, "Desk lamp");
    let path = path(&renamed);
    let at = shop.write(vec![renamed.clone()]).await[0];
    let client = replica.client().with("prefer", "wait=2");
    assert_eq!(client.get(&path).await.body["name"], "Desk lamp");
    shop.announce(View::Products, 2).await;
    let mut old = lamp.clone();
    old.seq = at.seq - 1;
    shop.index(2, &[old.into()]).await;
    shop.refresh(View::Products, 2).await;
    let behind: LaneSeqs = [(at.lane, at.seq - 1)].into_iter().collect();
    shop.publish(View::Products, 2, &behind).await;
    shop.switch(View::Products, Some(1), 2).await;
    let anybody = replica.client();
    shop.reached(&replica, 2).await;
    assert_eq!(
        anybody.get(&path).await.body["name"],
        "Lamp",
        "nothing was asked for"
    );
    let quick = replica.client().holding(client.tidemark().unwrap());
    let answer = quick.with("prefer", "wait=0.1").get(&path).await;
    assert_eq!((answer.status, answer.problem()), (503, "not-yet-visible"));
    let mut newest = lamp;
    newest.seq = at.seq;
    "Desk lamp".clone_into(&mut newest.name);
    shop.index(2, &[newest.into()]).await;
    let answer = client.get(&path).await;
    assert_eq!(
        (answer.status, answer.served()),
        (200, "realtime"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_owner_that_is_silent_unless_asked_to() {
    let shop = Shop::open().await;
    // All that is said was said before it came: it has heard of no owner.
    let replica = shop.replica().await;
    let lamp = shop.commit(product("Lamp").into()).await;
    let at = Position {
        lane: lamp.lane(),
        seq: lamp.seq(),
    };
    let path = path(&lamp);
    let impatient = replica.client().holding(shop.written(at));
    let answer = impatient.get(&path).await;
    assert_eq!(answer.problem(), "not-yet-visible");
    // Not "soon": this read has been told that nothing moves, so it has not waited either.
    assert_eq!(answer.body["retry_after_ms"], 1_000, "{answer:?}");
    let patient = replica.client().holding(shop.written(at));
    let patient = patient.with("prefer", "wait=5");
    let (answer, ()) = tokio::join!(patient.get(&path), async {
        shop.index(1, std::slice::from_ref(&lamp)).await;
        shop.refresh(View::Products, 1).await;
        shop.publish(View::Products, 1, &shop.heads()).await;
    });
    assert_eq!(answer.status, 200, "{answer:?}");
}
