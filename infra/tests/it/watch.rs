//! Services that die are started again, and `up` after a crash brings back what is down alone.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use chassis::clock;
use infra::{
    operation::{
        deployment::Deployment,
        services::{self, Listen, Replicas, Starter},
    },
    service::Service,
};
use schemas::{id::Epoch, topic::Names};
use serde_json::Value;
use testbed::{
    namespace::{Namespace, Surroundings},
    stack::{self, SharedStack},
};

use crate::{
    deployment::programs,
    servers::{connect, delete_topic, http, wait_until},
};

/// A deployment as `up` leaves it: nothing of it ends with the test, so dropping this ends it.
struct Detached {
    starter: Starter,
    surroundings: Surroundings,
    namespace: Option<Namespace>,
    _stack: SharedStack,
}

impl Detached {
    async fn new(programs: PathBuf) -> Self {
        let stack = stack::shared().await.unwrap();
        let namespace = Namespace::create(stack.endpoints()).await.unwrap();
        let surroundings = namespace.surroundings();
        let dir = std::env::temp_dir().join(format!("tidemark-{}", clock::new_id()));
        let starter = Starter {
            dir,
            programs,
            listen: Listen::Anywhere,
            attached: false,
        };
        Self {
            starter,
            surroundings,
            namespace: Some(namespace),
            _stack: stack,
        }
    }

    async fn up(&self) -> anyhow::Result<usize> {
        let one_each = Replicas::of_each(1);
        self.starter.start(&self.surroundings, one_each).await
    }

    fn deployment(&self) -> Deployment {
        Deployment::load(&self.starter.dir).unwrap().unwrap()
    }

    /// None while it is down.
    fn pid(&self, service: Service) -> Option<i32> {
        let deployment = self.deployment();
        let running = deployment.watched(service, 1)?.running();
        running.map(|running| running.pid())
    }

    fn pids(&self) -> [i32; 3] {
        Service::ALL.map(|service| self.pid(service).unwrap())
    }

    async fn is_ready(&self, service: Service) -> bool {
        let deployment = self.deployment();
        match deployment.watched(service, 1).unwrap().running() {
            Some(running) => running.is_ready().await,
            None => false,
        }
    }

    /// Kills a service and waits until it is ready again.
    async fn kill_and_await(&self, service: Service) {
        let before = self.pid(service).unwrap();
        kill(before);
        let is_back = async || {
            let is_new = self.pid(service).is_some_and(|pid| pid != before);
            is_new && self.is_ready(service).await
        };
        wait_until("a killed service is back", is_back).await;
    }

    /// Runs a command of the operator's.
    fn tidemark(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(args)
            .env("TIDEMARK_STATE", &self.starter.dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.tidemark(&["status", "--json"])).unwrap()
    }

    /// Makes the note name another process, whose start was at another time.
    fn give_pid(&self, service: Service, pid: u32) {
        let file = self.starter.dir.join("services.json");
        let mut note: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for watched in note["services"].as_array_mut().unwrap() {
            if watched["service"] == service.name() {
                watched["identity"]["pid"] = pid.into();
            }
        }
        fs::write(&file, note.to_string()).unwrap();
    }

    async fn watermark_topic(&self) -> String {
        let database = connect(&self.namespace.as_ref().unwrap().database_url).await;
        let row = database.query_one("select epoch from epoch", &[]).await;
        let epoch: i64 = row.unwrap().get(0);
        let epoch = Epoch(u32::try_from(epoch).unwrap());
        Names::new(&self.surroundings.prefix, epoch).watermarks()
    }

    async fn answers(&self, path: &str) -> bool {
        let deployment = self.deployment();
        let query_svc = deployment.watched(Service::QuerySvc, 1).unwrap();
        let answer = http().get(format!("{}{path}", query_svc.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn end(mut self) {
        assert_eq!(services::stop(&self.starter.dir).await.unwrap(), 3);
        self.namespace.take().unwrap().remove().await.unwrap();
    }
}

/// On a thread of its own, since this may be inside a runtime.
impl Drop for Detached {
    fn drop(&mut self) {
        let dir = self.starter.dir.clone();
        let end = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(services::stop(&dir)).unwrap();
            let _ = fs::remove_dir_all(&dir);
        });
        let _ = end.join();
    }
}

/// As `kill -9` does.
fn kill(pid: i32) {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// A process that belongs to nobody here.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        let mut sleep = Command::new("sleep");
        let sleep = sleep.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        Self(sleep.spawn().unwrap())
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_service_that_dies_is_started_again_and_status_says_how_it_ended() {
    let tidemark = Detached::new(programs().await).await;
    assert_eq!(tidemark.up().await.unwrap(), 3);
    let [command_svc, projector, query_svc] = tidemark.pids();
    let restarts = |status: &Value| [0, 1, 2].map(|at| status["services"][at]["restarts"].clone());
    let status = tidemark.status();
    assert_eq!(restarts(&status), [0, 0, 0]);

    tidemark.kill_and_await(Service::QuerySvc).await;

    let status = tidemark.status();
    assert_eq!(restarts(&status), [0, 0, 1]);
    let found = &status["services"][2];
    assert_eq!(found["name"], "query-svc");
    assert_eq!(found["ready"], true);
    assert_eq!(found["last_end"]["reason"], "signal 9 (SIGKILL)");
    assert_ne!(found["last_end"]["log"], serde_json::json!([]));
    let table = tidemark.tidemark(&["status"]);
    assert!(table.contains("signal 9 (SIGKILL)"), "{table}");
    let pids = tidemark.pids();
    assert_eq!(pids[..2], [command_svc, projector]);
    assert_ne!(pids[2], query_svc);
    assert_eq!(tidemark.up().await.unwrap(), 0, "nothing is missing");
    assert_eq!(tidemark.pids(), pids);

    tidemark.end().await;
}

#[tokio::test]
async fn up_after_the_watcher_was_killed_starts_what_is_down_and_leaves_the_rest_alone() {
    let tidemark = Detached::new(programs().await).await;
    assert_eq!(tidemark.up().await.unwrap(), 3);
    let [command_svc, projector, query_svc] = tidemark.pids();
    let watcher = tidemark.deployment().watcher().unwrap();
    kill(watcher);
    kill(projector);
    // Its pid now is that of a process that has nothing to do with it.
    let mut stranger = Stranger::new();
    tidemark.give_pid(Service::Projector, stranger.0.id());
    assert_eq!(tidemark.status()["watched"], false);

    assert_eq!(tidemark.up().await.unwrap(), 1);

    assert_eq!(tidemark.pid(Service::CommandSvc), Some(command_svc));
    assert_eq!(tidemark.pid(Service::QuerySvc), Some(query_svc));
    assert_ne!(tidemark.deployment().watcher().unwrap(), watcher);
    assert_eq!(tidemark.status()["watched"], true);
    // What was taken over is watched like what was started.
    tidemark.kill_and_await(Service::CommandSvc).await;
    assert_eq!(tidemark.status()["services"][0]["restarts"], 1);

    tidemark.end().await;
    assert!(stranger.is_alive());
}

#[tokio::test]
async fn a_service_that_ends_again_and_again_is_named_with_its_last_words() {
    let folder = Programs::new().await;
    let tidemark = Detached::new(folder.0.clone()).await;
    let message = format!("{:#}", tidemark.up().await.unwrap_err());
    for part in ["query-svc", "exit code 7", "no room left"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }

    // `up` when the cause is mended does not wait for the end of a pause.
    folder.mend();
    let missing = tidemark.up().await.unwrap();
    assert_eq!(missing, 1);
    tidemark.end().await;
}

/// The services' programs, with a query-svc that ends at once.
struct Programs(PathBuf);

impl Programs {
    async fn new() -> Self {
        let real = programs().await;
        let folder = std::env::temp_dir().join(format!("tidemark-{}", clock::new_id()));
        fs::create_dir_all(&folder).unwrap();
        for service in Service::ALL {
            let name = service.name();
            std::os::unix::fs::symlink(real.join(name), folder.join(name)).unwrap();
        }
        let broken = folder.join("broken");
        fs::rename(folder.join("query-svc"), folder.join("mended")).unwrap();
        fs::write(&broken, "#!/bin/sh\necho no room left >&2\nexit 7\n").unwrap();
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(broken, folder.join("query-svc")).unwrap();
        Self(folder)
    }

    fn mend(&self) {
        fs::rename(self.0.join("mended"), self.0.join("query-svc")).unwrap();
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn all_services_come_back_when_the_watermark_topic_is_lost() {
    let tidemark = Detached::new(programs().await).await;
    assert_eq!(tidemark.up().await.unwrap(), 3);
    let before = tidemark.pids();
    let lost = tidemark.watermark_topic().await;
    delete_topic(&tidemark.surroundings.endpoints, &lost).await;

    let have_ended = async || {
        let deployment = tidemark.deployment();
        deployment.services.iter().all(|one| one.restarts.count > 0)
    };
    wait_until("every service has ended", have_ended).await;
    let is_back = async || tidemark.answers("/v1/products?limit=1").await;
    wait_until("searches are answered again", is_back).await;
    assert!(tidemark.pids().iter().all(|pid| !before.contains(pid)));
    assert_ne!(tidemark.watermark_topic().await, lost);

    tidemark.end().await;
}
