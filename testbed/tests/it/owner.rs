//! Servers never outlive the program that owns them, even if it is killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use testbed::stack::Endpoints;

use crate::servers::{accepts, addresses, wait_until};

#[tokio::test]
async fn the_servers_end_when_their_owner_is_killed() {
    let programs = Path::new(env!("CARGO_BIN_EXE_testbed")).parent().unwrap();
    let mut owner = Command::new(programs.join("examples/private_stack"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let endpoints: Endpoints = serde_json::from_str(&line).unwrap();
    for address in addresses(&endpoints) {
        assert!(accepts(&address).await, "{address} does not answer");
    }

    owner.kill().unwrap();
    owner.wait().unwrap();

    for address in addresses(&endpoints) {
        wait_until("the port is free", || async { !accepts(&address).await }).await;
    }
    let stacks = testbed::environment::cache_dir().unwrap().join("stacks");
    let left = format!("private-{}-", owner.id());
    wait_until("the data is removed", || async {
        !std::fs::read_dir(&stacks)
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(&left))
    })
    .await;
}
