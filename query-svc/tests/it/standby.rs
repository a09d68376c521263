//! A standby of PostgreSQL: what it says of lanes and history is not the primary's word.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::postgres::{self, PoolOptions, Session};
use chassis::tidemark::EpochHandle;
use query_svc::freshness::{Heads, HeadsError};
use schemas::lane::{Lane, Position};
use testbed::namespace::Namespace;
use testbed::stack::{Server, Stack, StackOptions};
use tokio::runtime::Handle;

use crate::shop::{LIMIT, migrated};

fn soon() -> Deadline {
    Deadline::within(LIMIT)
}

/// Where `postgres` keeps its data below the stack's folder.
fn cluster(folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if folder.join("PG_VERSION").is_file() {
            return folder;
        }
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    panic!("the stack has no cluster");
}

fn is_refused<T>(read: &Result<T, HeadsError>) -> bool {
    matches!(read, Err(HeadsError::Pool(error)) if postgres::is_standby(error))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_neither_proves_nor_denies_that_events_exist() {
    let folder =
        std::env::temp_dir().join(format!("tidemark-standby-{}", chassis::clock::new_id()));
    let options = StackOptions {
        data_dir: Some(folder.clone()),
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let namespace = Namespace::create(stack.endpoints()).await.unwrap();
    drop(migrated(&namespace.database_url).await);
    let options = PoolOptions {
        size: 2,
        application_name: "standby",
        session: Session::Reader,
    };
    let pool = postgres::pool(
        &namespace.database_url.clone().into(),
        &options,
        &Handle::current(),
    );
    let heads = Heads::new(pool.unwrap(), EpochHandle::default());
    let lane = Lane::try_from(3_u8).unwrap();
    let beyond = [Position { lane, seq: 1 }];
    heads.read_epoch(soon()).await.unwrap();
    assert!(
        heads.are_beyond(&beyond, soon()).await,
        "the primary says so"
    );

    stack.stop_server(Server::Postgres).await.unwrap();
    std::fs::write(cluster(&folder).join("standby.signal"), "").unwrap();
    stack.start_server(Server::Postgres).await.unwrap();
    // Connections of before the restart are of no use any longer.
    let deadline = soon();
    let mut read = heads.read("foreign", deadline).await;
    while !is_refused(&read) && !deadline.has_passed() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        read = heads.read("foreign", deadline).await;
    }
    assert!(is_refused(&read), "{read:?}");
    assert!(!heads.are_beyond(&beyond, soon()).await);
    let epoch = heads.read_epoch(soon()).await;
    assert!(is_refused(&epoch), "{epoch:?}");
    stack.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
