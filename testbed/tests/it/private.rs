//! A private stack: its servers break and come back with their data, and end with their owner.

use std::{net::TcpListener, process::Command};

use serde_json::json;
use testbed::stack::{Endpoints, Ports, Server, Stack, StackOptions};
use tokio::time::{Duration, timeout};

use crate::servers::{
    accepts, addresses, connect, create_topic, first_message, get, produce, put, wait_until,
};

#[tokio::test]
async fn servers_that_were_stopped_killed_or_paused_come_back_with_their_data() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let endpoints = stack.endpoints().clone();
    write_everywhere(&endpoints).await;
    let second = stack.start_server(Server::SecondElasticsearch).await;
    assert!(second.is_err(), "the first takes no second node");

    for server in Server::ALL {
        stack.stop_server(server).await.unwrap();
        assert!(
            stack.pause_server(server).await.is_err(),
            "{server} was stopped"
        );
        stack.start_server(server).await.unwrap();
        assert!(
            stack.start_server(server).await.is_err(),
            "{server} runs already"
        );
        stack.kill_server(server).await.unwrap();
        stack.start_server(server).await.unwrap();
    }
    read_everywhere(&endpoints).await;

    for server in Server::ALL {
        stack.pause_server(server).await.unwrap();
    }
    let silence = timeout(
        Duration::from_secs(1),
        tokio_postgres::connect(&endpoints.postgres, tokio_postgres::NoTls),
    );
    assert!(
        silence.await.is_err(),
        "a paused PostgreSQL must not answer"
    );
    for server in Server::ALL {
        stack.resume_server(server).await.unwrap();
    }
    read_everywhere(&endpoints).await;

    stack.stop().await.unwrap();
    for address in addresses(&endpoints) {
        assert!(!accepts(&address).await, "{address} is still there");
    }
}

#[tokio::test]
async fn the_servers_end_when_their_supervisor_is_killed() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let supervisor = stack.supervisor_pid().to_string();
    assert!(
        Command::new("kill")
            .args(["-9", &supervisor])
            .status()
            .unwrap()
            .success()
    );
    for address in addresses(stack.endpoints()) {
        wait_until("the port is free", || async { !accepts(&address).await }).await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_process() {
    let ports = Ports::free().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", ports.kafka)).unwrap();
    let options = StackOptions {
        ports: Some(ports),
        ..StackOptions::default()
    };
    let message = format!("{:#}", Stack::start(options).await.unwrap_err());
    assert!(
        message.contains(&format!("port {}", ports.kafka)),
        "{message}"
    );
    assert!(
        message.contains(&format!("pid {}", std::process::id())),
        "{message}"
    );
}

async fn write_everywhere(endpoints: &Endpoints) {
    let rows = connect(&endpoints.postgres).await;
    rows.batch_execute("create table kept (n int); insert into kept values (7)")
        .await
        .unwrap();
    create_topic(endpoints, "kept").await;
    produce(endpoints, "kept", "seven").await;
    put(
        endpoints,
        "kept",
        &json!({ "settings": { "number_of_replicas": 0 } }),
    )
    .await;
    put(endpoints, "kept/_doc/7", &json!({ "n": 7 })).await;
}

async fn read_everywhere(endpoints: &Endpoints) {
    let rows = connect(&endpoints.postgres).await;
    let row = rows.query_one("select n from kept", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    assert_eq!(first_message(endpoints, "kept").await, "seven");
    let read = || async {
        get(endpoints, "kept/_doc/7")
            .await
            .is_some_and(|d| d["_source"]["n"] == 7)
    };
    wait_until("the document is read", read).await;
}
