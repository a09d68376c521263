//! The servers of `up`: one that dies is started again, and `up` after a crash brings back what is
//! down, with its data, and leaves the rest alone.

use std::{fs, path::PathBuf, process::Command};

use testbed::stack::{Endpoints, LocalStack, Ports, Server};

use crate::servers::{connect, wait_until};

/// Ends with the test, however that ends; its folder is removed.
struct Local {
    stack: LocalStack,
    dir: PathBuf,
}

impl Local {
    fn new() -> Self {
        let stacks = testbed::environment::cache_dir().unwrap().join("stacks");
        let dir = stacks.join(format!("local-{}", std::process::id()));
        let stack = LocalStack::attached(dir.clone(), Ports::free().unwrap());
        Self { stack, dir }
    }

    async fn pids(&self) -> [Option<i32>; 3] {
        let servers = self.stack.status().await.unwrap().servers;
        Server::ALL.map(|server| servers.iter().find(|one| one.server == server)?.pid)
    }

    async fn restarts(&self) -> [u32; 3] {
        let servers = self.stack.status().await.unwrap().servers;
        let of = |server| servers.iter().find(|one| one.server == server).unwrap();
        Server::ALL.map(|server| of(server).restarts.count)
    }

    async fn last_end_of_kafka(&self) -> String {
        let servers = self.stack.status().await.unwrap().servers;
        let kafka = servers.into_iter().find(|one| one.server == Server::Kafka);
        kafka.unwrap().restarts.last_end.unwrap().reason
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().unwrap();
                let _ = runtime.block_on(self.stack.down());
            });
        });
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// As `kill -9` does.
fn kill(pid: i32) {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

async fn write(endpoints: &Endpoints) {
    let rows = connect(&endpoints.postgres).await;
    let sql = "create table kept (n int); insert into kept values (7)";
    rows.batch_execute(sql).await.unwrap();
}

async fn read(endpoints: &Endpoints) -> i32 {
    let rows = connect(&endpoints.postgres).await;
    let row = rows.query_one("select n from kept", &[]).await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn servers_that_die_and_their_supervisor_are_brought_back_and_the_rest_is_left_alone() {
    let local = Local::new();
    let endpoints = local.stack.up().await.unwrap();
    write(&endpoints).await;
    let [postgres, kafka, elasticsearch] = local.pids().await.map(Option::unwrap);

    kill(kafka);
    let is_noticed = async || local.restarts().await == [0, 1, 0];
    wait_until("the end of Kafka is noticed", is_noticed).await;
    assert_eq!(local.stack.up().await.unwrap(), endpoints);
    assert_eq!(local.last_end_of_kafka().await, "signal 9 (SIGKILL)");
    let pids = local.pids().await.map(Option::unwrap);
    assert_eq!([pids[0], pids[2]], [postgres, elasticsearch]);
    let kafka = pids[1];

    // Its pid file names a living process of the same user now.
    let pid_file = local.dir.join("data/postgres/cluster/postmaster.pid");
    let lines = fs::read_to_string(&pid_file).unwrap();
    let (_, rest) = lines.split_once('\n').unwrap();
    fs::write(&pid_file, format!("{kafka}\n{rest}")).unwrap();
    kill(postgres);
    let is_back = async || local.restarts().await[0] > 0 && local.pids().await[0].is_some();
    wait_until("PostgreSQL is back", is_back).await;
    assert_eq!(local.stack.up().await.unwrap(), endpoints);
    assert_eq!(local.restarts().await, [1, 1, 0]);
    let postgres_again = local.pids().await[0];
    assert_eq!(read(&endpoints).await, 7);

    // The launcher alone: the server below it lives on, with port and data, until it is ended.
    kill(elasticsearch);
    let is_noticed = async || local.restarts().await == [1, 1, 1];
    wait_until("the end of Elasticsearch is noticed", is_noticed).await;
    assert_eq!(local.stack.up().await.unwrap(), endpoints);
    assert_eq!(local.pids().await[..2], [postgres_again, Some(kafka)]);

    // Servers end with their supervisor.
    kill(local.stack.supervisor_pid().unwrap());
    let are_down = async || local.pids().await == [None; 3];
    wait_until("all servers are down", are_down).await;
    assert!(local.stack.status().await.unwrap().unsupervised);
    assert_eq!(local.stack.up().await.unwrap(), endpoints);
    assert_eq!(local.restarts().await, [2, 2, 2]);
    assert_eq!(local.last_end_of_kafka().await, "its supervisor was gone");
    assert_eq!(read(&endpoints).await, 7);
    assert!(local.stack.down().await.unwrap());
}
